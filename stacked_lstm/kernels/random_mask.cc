// The kernel of random masks. Its loops are plain, because GCC's vector extensions cannot multiply 32 bits by 32 bits.
// Compilers turn these loops into vectors.

#include "random_mask.h"

#include <algorithm>
#include <cmath>

#include "schedule/schedule.h"

namespace stacked_lstm {
namespace {

constexpr int kGroup = 4;          // Numbers in a group of Philox.
constexpr int kBlock = 32;         // Groups that are computed together, in vectors.
constexpr int kPieceBlocks = 32;   // Blocks that a thread takes at a time.
constexpr double kGroupTime = 3;   // Nanoseconds.
constexpr int kRounds = 10;
constexpr uint32_t kMultipliers[2] = {0xD2511F53, 0xCD9E8D57}, kKeySteps[2] = {0x9E3779B9, 0xBB67AE85};

// The type in which `Encrypt` holds 32 bits of the state. If the processor multiplies vectors of 64-bit numbers, a
// 64-bit type is faster: no number then moves between vectors of both sizes.
#ifdef __AVX512DQ__
typedef uint64_t Word;
#else
typedef uint32_t Word;
#endif

// The halves of a product of two numbers of 32 bits.
struct Halves {
  Word high, low;
};

inline Halves Multiply(uint32_t factor, Word word) {
#if defined(__AVX2__) && !defined(__AVX512DQ__) && !defined(__clang__)
  // GCC has no good vectors of such products. It needs many shuffles for them, and less time for products of 16 bits.
  const uint32_t low = factor & 0xffff, high = factor >> 16, word_low = word & 0xffff, word_high = word >> 16;
  const uint32_t middle = high * word_low + (low * word_low >> 16), other = low * word_high + (middle & 0xffff);
  return {high * word_high + (middle >> 16) + (other >> 16), factor * word};
#else
  const uint64_t product = static_cast<uint64_t>(factor) * word;
  return {static_cast<Word>(product >> 32), static_cast<uint32_t>(product)};
#endif
}

// Turns a value of the counter into a group of random numbers.
inline void Encrypt(const uint32_t (&key)[2], uint32_t (&group)[kGroup]) {
  Word a = group[0], b = group[1], c = group[2], d = group[3];
  uint32_t key_0 = key[0], key_1 = key[1];
#pragma GCC unroll 10
  for (int round = 0; round < kRounds; ++round) {
    const Halves first = Multiply(kMultipliers[0], a), second = Multiply(kMultipliers[1], c);
    a = second.high ^ b ^ key_0;
    b = second.low;
    c = first.high ^ d ^ key_1;
    d = first.low;
    key_0 += kKeySteps[0];
    key_1 += kKeySteps[1];
  }
  group[0] = static_cast<uint32_t>(a);
  group[1] = static_cast<uint32_t>(b);
  group[2] = static_cast<uint32_t>(c);
  group[3] = static_cast<uint32_t>(d);
}

// A draw is an integer times a power of two: the mantissa of a number of type T, made of one or two numbers of Philox.
template <class T>
struct Draw;
template <>
struct Draw<float> {
  typedef uint32_t Integer;
  static constexpr int kPerGroup = 4;
  static constexpr Integer kEnd = Integer{1} << 23;
  static Integer Get(const uint32_t (&numbers)[kGroup][kBlock], int k, int i) { return numbers[k][i] & (kEnd - 1); }
};
template <>
struct Draw<double> {
  typedef uint64_t Integer;
  static constexpr int kPerGroup = 2;
  static constexpr Integer kEnd = Integer{1} << 52;
  static Integer Get(const uint32_t (&numbers)[kGroup][kBlock], int k, int i) {
    return (static_cast<Integer>(numbers[2 * k][i]) << 32 | numbers[2 * k + 1][i]) & (kEnd - 1);
  }
};

// A rule for the integers of draws: an entry is `below` if its integer is below `limit`, and `others` otherwise.
template <class T>
struct IntegerRule {
  explicit IntegerRule(const MaskRule<T>& rule) {
    const T dropped = 0 * rule.value, end = static_cast<T>(Draw<T>::kEnd);
    below = rule.keep_below ? rule.value : dropped;
    others = rule.keep_below ? dropped : rule.value;
    const T threshold = std::isnan(rule.threshold) ? T(!rule.keep_below) : rule.threshold;
    // An integer is below a number if it is below the next integer. A product with a power of two is exact.
    limit = static_cast<typename Draw<T>::Integer>(std::min(std::max(std::ceil(threshold * end), T(0)), end));
  }

  // Whether all entries of the mask are the same, whatever is drawn.
  bool IsConstant() const { return limit == 0 || limit == Draw<T>::kEnd; }

  typename Draw<T>::Integer limit;
  T below, others;
};

// Writes the entries of the groups of a block.
template <class T>
void DrawBlock(const Philox& state, const IntegerRule<T>& rule, T* mask) {
  uint32_t numbers[kGroup][kBlock];
  for (int i = 0; i < kBlock; ++i) {
    const uint64_t low = state.low + i, high = state.high + (low < state.low);
    numbers[0][i] = static_cast<uint32_t>(low);
    numbers[1][i] = static_cast<uint32_t>(low >> 32);
    numbers[2][i] = static_cast<uint32_t>(high);
    numbers[3][i] = static_cast<uint32_t>(high >> 32);
  }
  for (int i = 0; i < kBlock; ++i) {
    uint32_t group[] = {numbers[0][i], numbers[1][i], numbers[2][i], numbers[3][i]};
    Encrypt(state.key, group);
    for (int k = 0; k < kGroup; ++k) numbers[k][i] = group[k];
  }
  for (int i = 0; i < kBlock; ++i) {
    for (int k = 0; k < Draw<T>::kPerGroup; ++k) {
      mask[i * Draw<T>::kPerGroup + k] = Draw<T>::Get(numbers, k, i) < rule.limit ? rule.below : rule.others;
    }
  }
}

// Writes the entries of the blocks from `first` to before `end`, and none past the end of the mask.
template <class T>
void DrawPiece(Philox state, const IntegerRule<T>& rule, int64_t first, int64_t end, int64_t size, T* mask) {
  constexpr int64_t kEntries = kBlock * Draw<T>::kPerGroup;
  state.Skip(first * kBlock);
  for (int64_t block = first; block < end; ++block, state.Skip(kBlock)) {
    const int64_t begin = block * kEntries, count = std::min(kEntries, size - begin);
    if (count == kEntries) {
      DrawBlock(state, rule, mask + begin);
    } else {
      T entries[kEntries];
      DrawBlock(state, rule, entries);
      std::copy_n(entries, count, mask + begin);
    }
  }
}

}  // namespace

Philox Philox::FromStatelessSeeds(uint64_t first, uint64_t second) {
  uint32_t group[] = {static_cast<uint32_t>(first), static_cast<uint32_t>(first >> 32), static_cast<uint32_t>(second),
                      static_cast<uint32_t>(second >> 32)};
  Encrypt({0x3ec8f720, 0x02461e29}, group);
  return {0, static_cast<uint64_t>(group[3]) << 32 | group[2], {group[0], group[1]}};
}

template <class T>
void DrawMask(const Philox& state, const MaskRule<T>& rule, int64_t size, T* mask, const Threads& threads) {
  const IntegerRule<T> integer_rule(rule);
  if (integer_rule.IsConstant()) {
    std::fill_n(mask, size, integer_rule.limit == 0 ? integer_rule.others : integer_rule.below);
    return;
  }
  const int64_t groups = (size + Draw<T>::kPerGroup - 1) / Draw<T>::kPerGroup, blocks = (groups + kBlock - 1) / kBlock;
  Threads team_threads = threads;
  team_threads.count = static_cast<int>(std::min<int64_t>(threads.count, 1 + groups * kGroupTime / kThreadTime));
  Team::Run(team_threads, [&](Worker& worker) {
    worker.ForEach((blocks + kPieceBlocks - 1) / kPieceBlocks, [&](int64_t piece) {
      const int64_t first = piece * kPieceBlocks, end = std::min(first + kPieceBlocks, blocks);
      DrawPiece(state, integer_rule, first, end, size, mask);
    });
  });
}

template void DrawMask(const Philox&, const MaskRule<float>&, int64_t, float*, const Threads&);
template void DrawMask(const Philox&, const MaskRule<double>&, int64_t, double*, const Threads&);

}  // namespace stacked_lstm
