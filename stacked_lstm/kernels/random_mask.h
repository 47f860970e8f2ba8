// Random masks: the interface between the ops and the kernel. The kernel draws the same bits as TensorFlow's ops
// RandomUniform and StatelessRandomUniform. It draws the numbers, compares them and writes the mask in one pass.
//
// Source: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011,
// https://doi.org/10.1145/2063384.2063405 (Philox4x32-10)

#ifndef STACKED_LSTM_RANDOM_MASK_H_
#define STACKED_LSTM_RANDOM_MASK_H_

#include <cstdint>

#include "threads/team.h"

namespace stacked_lstm {

// The state of Philox. Each value of the counter, a number of 128 bits, gives a group of four numbers of 32 bits.
struct Philox {
  uint64_t low, high;  // The halves of the counter.
  uint32_t key[2];

  // The state of the stateful ops before their first call.
  static Philox FromOpSeeds(uint64_t seed, uint64_t seed2) {
    return {0, seed2, {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}};
  }

  // The state of the stateless ops. They draw a group, and make the key and the counter from it.
  static Philox FromStatelessSeeds(uint64_t first, uint64_t second);

  void Skip(uint64_t groups) {
    low += groups;
    high += low < groups;
  }
};

// What an entry of a mask is.
template <class T>
struct MaskRule {
  T threshold;      // Draws are uniform on [0, 1).
  T value;          // An entry is `value` if its draw is kept, and 0 * value otherwise.
  bool keep_below;  // Whether draws below the threshold are kept, or the others. A threshold that is NaN keeps none.

  // Whether all entries are 1, whatever is drawn.
  bool IsOnes() const { return value == 1 && (keep_below ? threshold >= 1 : threshold <= 0); }
};

// Writes a mask of `size` entries.
template <class T>
void DrawMask(const Philox& state, const MaskRule<T>& rule, int64_t size, T* mask, const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_RANDOM_MASK_H_
