// The machine's vectors: GCC's vector extensions, so that one source serves AVX-512, AVX2, SSE and NEON.

#ifndef STACKED_LSTM_VECTOR_H_
#define STACKED_LSTM_VECTOR_H_

#include <cstdint>
#include <cstring>

namespace stacked_lstm {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// A tile's accumulators, the vectors of weights and a broadcast number must fit into the registers: 32 of them with
// AVX-512 and on ARM, 16 with AVX and SSE.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 3;
#endif

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

template <class T>
struct Vector {
  static constexpr int kSize = kVectorBytes / sizeof(T);
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef typename Integer<T>::type integers __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename Vector<T>::type;

// How many vectors hold `count` numbers.
template <class T>
constexpr int64_t VectorsOf(int64_t count) {
  return (count + Vector<T>::kSize - 1) / Vector<T>::kSize;
}

// Loads and stores at any address; compilers make one instruction of each.
template <class T>
inline Vec<T> Load(const T* from) {
  Vec<T> value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <class T>
inline void Store(T* to, Vec<T> value) {
  std::memcpy(to, &value, sizeof(value));
}

// Makes compilers hold a value in a register. Where a tile has few rows GCC would otherwise load it again for each row,
// inside of the multiplications, which halves their rate.
template <class T>
inline void HoldInRegister(Vec<T>* value) {
#if defined(__aarch64__)
  asm("" : "+w"(*value));
#elif defined(__x86_64__)
  asm("" : "+v"(*value));
#endif
}

// The first `count` numbers only, the others zero: where an array ends within a vector.
template <class T>
inline Vec<T> LoadFirst(const T* from, int count) {
  if (count == Vector<T>::kSize) return Load(from);
  Vec<T> value = {};
  std::memcpy(&value, from, count * sizeof(T));
  return value;
}

template <class T>
inline void StoreFirst(T* to, Vec<T> value, int count) {
  if (count == Vector<T>::kSize) return Store(to, value);
  std::memcpy(to, &value, count * sizeof(T));
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_VECTOR_H_
