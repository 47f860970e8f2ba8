// Random masks against a plain loop, which is checked with the known answers of Random123, in arrays of exactly their
// size, by 1, 2 and 5 threads.

#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "native_helpers.h"
#include "random_mask.h"

namespace lstm = stacked_lstm;

struct Words {
  uint32_t w[4];
};

Words Philox(Words counter, uint32_t key_0, uint32_t key_1) {
  for (int round = 0; round < 10; ++round, key_0 += 0x9E3779B9u, key_1 += 0xBB67AE85u) {
    const uint64_t first = 0xD2511F53ull * counter.w[0], second = 0xCD9E8D57ull * counter.w[2];
    counter = {{uint32_t(second >> 32) ^ counter.w[1] ^ key_0, uint32_t(second),
                uint32_t(first >> 32) ^ counter.w[3] ^ key_1, uint32_t(first)}};
  }
  return counter;
}

// The file kat_vectors of Random123, philox4x32 with 10 rounds.
bool CheckKnownAnswers() {
  const struct {
    Words counter;
    uint32_t key[2];
    Words answer;
  } cases[] = {
      {{{0, 0, 0, 0}}, {0, 0}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{~0u, ~0u, ~0u, ~0u}}, {~0u, ~0u}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {0xa4093822, 0x299f31d0},
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const auto& test_case : cases) {
    const Words words = Philox(test_case.counter, test_case.key[0], test_case.key[1]);
    for (int k = 0; k < 4; ++k) {
      if (words.w[k] != test_case.answer.w[k]) return std::puts("a known answer differs"), false;
    }
  }
  return true;
}

// Draw number `k` from a state: a fraction with the bits that TensorFlow's distributions take.
template <class T>
T Draw(const lstm::Philox& state, int64_t k) {
  const int64_t per_group = sizeof(T) == 4 ? 4 : 2;
  uint64_t low = state.low, high = state.high;
  for (int64_t group = 0; group < k / per_group; ++group) high += ++low == 0;
  const Words words =
      Philox({{uint32_t(low), uint32_t(low >> 32), uint32_t(high), uint32_t(high >> 32)}}, state.key[0], state.key[1]);
  if (sizeof(T) == 4) return T(std::ldexp(double(words.w[k % 4] & 0x7fffff), -23));
  const uint64_t mantissa = uint64_t(words.w[2 * (k % 2)] & 0xfffff) << 32 | words.w[2 * (k % 2) + 1];
  return T(std::ldexp(double(mantissa), -52));
}

template <class T>
bool CheckMask(const lstm::Philox& state, const lstm::MaskRule<T>& rule, int64_t size, int count) {
  HelperThreads helpers;
  const lstm::Threads threads = helpers.ForTeam(count);
  std::vector<T> mask(size);
  lstm::DrawMask<T>(state, rule, size, mask.data(), threads);
  helpers.Join();
  for (int64_t k = 0; k < size; k += size > 2000 ? 97 : 1) {
    const T draw = Draw<T>(state, k);
    const bool is_value = rule.keep_below ? draw < rule.threshold : draw >= rule.threshold;
    if (mask[k] == (is_value ? rule.value : T(0))) continue;
    std::printf("entry %d of %d by %d threads, threshold %g: %g\n", int(k), int(size), count, double(rule.threshold),
                double(mask[k]));
    return false;
  }
  return true;
}

template <class T>
bool CheckMasks() {
  const uint64_t kEnd = ~uint64_t{0};
  const lstm::Philox states[] = {
      lstm::Philox::FromOpSeeds(1, 2), {kEnd - 5, 7, {3, 4}}, {(1ull << 32) - 9, kEnd, {5, 6}}};
  const T thresholds[] = {T(0.3), Draw<T>(states[0], 5), 0, 1, -1, 2, std::numeric_limits<T>::denorm_min(),
                          std::numeric_limits<T>::infinity(), std::numeric_limits<T>::quiet_NaN()};
  bool passed = true;
  for (T threshold : thresholds) {
    for (bool keep_below : {false, true}) {
      for (int64_t size : {0, 1, 3, 63, 64, 65, 127, 128, 129, 300}) {
        for (const lstm::Philox& state : states) {
          passed &= CheckMask<T>(state, {threshold, T(1.25), keep_below}, size, 1);
        }
      }
    }
  }
  for (int count : {1, 2, 5}) passed &= CheckMask<T>(states[0], {T(0.7), T(3), false}, 100003, count);
  return passed;
}

int main() {
  const bool passed = CheckKnownAnswers() && CheckMasks<float>() && CheckMasks<double>();
  if (passed) std::puts("all equal");
  return !passed;
}
