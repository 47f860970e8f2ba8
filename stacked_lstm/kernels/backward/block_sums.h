// Gradients of vectors of weights, such as peepholes: sums over all steps and sequences.

#ifndef STACKED_LSTM_BLOCK_SUMS_H_
#define STACKED_LSTM_BLOCK_SUMS_H_

#include <algorithm>

#include "arithmetic/vector.h"
#include "schedule/plan.h"
#include "storage/layout.h"

namespace stacked_lstm {

// Sums of `Vectors` vectors for each vector of units. Each block of the batch has its own sums, so that the order of
// the additions does not depend on the threads.
template <class T, int Vectors>
class BlockSums {
 public:
  // exist: whether the sums are needed. If not, only `SetToZero` may be called.
  BlockSums(const Plan<T>& plan, bool exist)
      : plan_(plan), blocks_(exist ? plan.blocks.number : 0), sums_(blocks_, plan.panels) {}

  void SetToZero() const {
    const int64_t size = blocks_ * plan_.panels * Vectors * Plan<T>::kSize;
    if (size > 0) std::fill_n(sums_.At(0, 0), size, T(0));
  }

  // The sums of a block, for the vectors of units from `panel` on.
  T* At(int64_t block, int64_t panel) const { return sums_.At(block, panel); }

  // Writes the vectors k of all units, [H]: the sum of all blocks.
  void Write(int k, T* target) const {
    constexpr int64_t kSize = Plan<T>::kSize;
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      Vec<T> sum = {};
      for (int64_t block = 0; block < blocks_; ++block) sum += Load(sums_.At(block, panel) + k * kSize);
      StoreFirst(target + panel * kSize, sum, plan_.Units(panel));
    }
  }

 private:
  const Plan<T>& plan_;
  const int64_t blocks_;
  const PanelBuffer<T, Vectors> sums_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BLOCK_SUMS_H_
