// The vectors of this processor, as GCC's vector extensions: one source for AVX-512, AVX2, SSE and NEON.

#ifndef STACKED_LSTM_VECTOR_H_
#define STACKED_LSTM_VECTOR_H_

#include <cstdint>
#include <cstring>
#include <utility>

namespace stacked_lstm {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// The vector registers: 32 with AVX-512 and on ARM, 16 with AVX and SSE.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

// The size of a cache line in bytes. A wrong value only costs time.
constexpr int kCacheLine = 64;

// The maximum number of rows of a tile, on every processor. panel.h fits tiles into the registers.
constexpr int kTileRows = 6;

// The number of vectors side by side in a panel. In the forward pass these are the four gates of a vector of units.
constexpr int kPanelVectors = 4;

template <class T>
struct Integer;
template <>
struct Integer<float> {
  typedef int32_t type;
};
template <>
struct Integer<double> {
  typedef int64_t type;
};

// For functions on vectors that GCC would call if they occur several times. A call stores all vectors to memory.
#define STACKED_LSTM_INLINE inline __attribute__((always_inline))

template <class T>
struct Vector {
  static constexpr int kSize = kVectorBytes / sizeof(T);
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef T unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(T))));
  typedef typename Integer<T>::type integers __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename Vector<T>::type;

// The number of vectors that hold `count` numbers.
template <class T>
constexpr int64_t VectorCount(int64_t count) {
  return (count + Vector<T>::kSize - 1) / Vector<T>::kSize;
}

// Loads and stores at any address of a T. After std::memcpy, compilers would load the fields of objects again.
template <class T>
inline Vec<T> Load(const T* source) {
  return *reinterpret_cast<const typename Vector<T>::unaligned*>(source);
}

template <class T>
inline void Store(T* target, Vec<T> value) {
  *reinterpret_cast<typename Vector<T>::unaligned*>(target) = value;
}

// The upper half of a float: its sign, its exponent and the first 7 bits of its fraction.
struct BFloat16 {
  uint16_t bits;
};

// The type to which weights of the stored type W are converted for the products.
template <class W>
struct Multiplied {
  typedef W type;
};
template <>
struct Multiplied<BFloat16> {
  typedef float type;
};
template <>
struct Multiplied<int8_t> {
  typedef float type;
};

// The number of stored weights in a word. The vectors of this many gates are interleaved, the first gate in the lowest
// bits, and shifts widen them. Compilers would convert vectors of few bits by several slow instructions.
template <class W>
constexpr int kWordWeights = sizeof(typename Multiplied<W>::type) / sizeof(W);

typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));

template <class W>
inline Words LoadWords(const W* row, int vector) {
  Words words;
  std::memcpy(&words, row + vector / kWordWeights<W> * kWordWeights<W> * Vector<float>::kSize, sizeof(words));
  return words;
}

// A vector of a row of a panel of stored weights, in the type in which it is multiplied.
inline Vec<float> LoadWeights(const float* row, int vector) { return Load(row + vector * Vector<float>::kSize); }
inline Vec<double> LoadWeights(const double* row, int vector) { return Load(row + vector * Vector<double>::kSize); }
inline Vec<float> LoadWeights(const BFloat16* row, int vector) {
  const Words words = LoadWords(row, vector);
  return reinterpret_cast<Vec<float>>(vector % 2 ? words & 0xffff0000u : words << 16);
}
inline Vec<float> LoadWeights(const int8_t* row, int vector) {
  typedef Vector<float>::integers Signed;
  const Words words = LoadWords(row, vector);
  return __builtin_convertvector(reinterpret_cast<Signed>(words << (24 - 8 * (vector % 4))) >> 24, Vec<float>);
}

// Asks for `count` numbers from `data` on, which will be read or written. It must be inlined: GCC assumes that a
// function without other effects than prefetches has no effect, and removes its calls.
enum class Use { kRead, kWrite };
template <Use use, class T>
STACKED_LSTM_INLINE void Prefetch(const T* data, int64_t count) {
  const char* const bytes = reinterpret_cast<const char*>(data);
  for (int64_t k = 0; k < count * static_cast<int64_t>(sizeof(T)); k += kCacheLine) {
    __builtin_prefetch(bytes + k, use == Use::kWrite);
  }
}

// Makes the compiler hold a value in a register. In a tile of few rows GCC would otherwise load it again for each row,
// as an operand of the multiplications, which halves their rate.
template <class T>
inline void HoldInRegister(Vec<T>* value) {
#if defined(__aarch64__)
  asm("" : "+w"(*value));
#elif defined(__x86_64__)
  asm("" : "+v"(*value));
#endif
}

// For the sum of products in a loop that has no other sum. Otherwise GCC rounds each product before it adds it, if it
// compiles for a processor where the two instructions take less time than a fused one (AMD Zen 2 and 3). The bits of a
// sum would then depend on the number of sums in its loop.
template <class T>
inline void FuseSingleSum(Vec<T>* sum) {
  HoldInRegister<T>(sum);
}

// Loads the first `count` numbers; the others are zero. For arrays that end within a vector. For AVX, GCC makes a load
// with a mask from the loop, unless it unrolls the loop. For that, the index must have the size of the numbers. On an
// AMD EPYC (Zen 3), std::memcpy takes 6 times as long, because the load that follows must wait for smaller stores.
template <class T>
inline Vec<T> LoadFirst(const T* source, int count) {
  if (count == Vector<T>::kSize) return Load(source);
  typedef typename Integer<T>::type Index;
  const Index first = count;
  T numbers[Vector<T>::kSize];
#pragma GCC unroll 1
  for (Index k = 0; k < Vector<T>::kSize; ++k) numbers[k] = k < first ? source[k] : T{};
  return Load(numbers);
}

// Stores the first `count` numbers, one after the other. On AMD Zen 3, this takes less time than std::memcpy and than a
// store with a mask.
template <class T>
inline void StoreFirst(T* target, Vec<T> value, int count) {
  if (count == Vector<T>::kSize) return Store(target, value);
#pragma GCC unroll 16
  for (int k = 0; k < Vector<T>::kSize; ++k) {
    if (k < count) target[k] = value[k];
  }
}

// The first `count` numbers of a vector; the others are zero.
template <class V>
inline V First(V value, int count) {
  typedef decltype(value < value) Integers;
  Integers lanes = {};
  for (int k = 0; k < static_cast<int>(sizeof(V) / sizeof(value[0])); ++k) lanes[k] = k;
  return (V)((Integers)value & (lanes < Integers{} + count));
}

// The first half of `low`, then the first half of `high`. GCC 12 and Clang 14 make one or two instructions from this
// list, and from that of `Half`.
template <class T, size_t... k>
STACKED_LSTM_INLINE Vec<T> JoinHalves(Vec<T> low, Vec<T> high, std::index_sequence<k...>) {
  constexpr size_t kHalf = sizeof...(k) / 2;
  return Vec<T>{(k < kHalf ? low[k % kHalf] : high[k % kHalf])...};
}
template <class T>
STACKED_LSTM_INLINE Vec<T> JoinHalves(Vec<T> low, Vec<T> high) {
  return JoinHalves<T>(low, high, std::make_index_sequence<Vector<T>::kSize>());
}

// Half 0 or 1 of a vector, then zeros.
template <class T, int half, size_t... k>
STACKED_LSTM_INLINE Vec<T> Half(Vec<T> value, std::index_sequence<k...>) {
  constexpr size_t kHalf = sizeof...(k) / 2;
  return Vec<T>{(k < kHalf ? value[half * kHalf + k % kHalf] : T(0))...};
}
template <class T, int half>
STACKED_LSTM_INLINE Vec<T> Half(Vec<T> value) {
  return Half<T, half>(value, std::make_index_sequence<Vector<T>::kSize>());
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_VECTOR_H_
