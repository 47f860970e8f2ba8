// Gradients of vectors of weights, such as peepholes: sums over all steps and sequences.

#ifndef STACKED_LSTM_BLOCK_SUMS_H_
#define STACKED_LSTM_BLOCK_SUMS_H_

#include <algorithm>

#include "arithmetic/vector.h"
#include "schedule/plan.h"
#include "storage/layout.h"

namespace stacked_lstm {

// Sums of `Vectors` vectors for each vector of units. Each block of the batch has its own sums, so that the order of
// the additions does not depend on the threads. Every kAddends steps, and every kAddends blocks, have a sum of their
// own: one sum of many numbers would round more.
template <class T, int Vectors>
class BlockSums {
 public:
  // exist: whether the sums are needed. If not, only `SetToZero` and `EndStep` may be called.
  BlockSums(const Plan<T>& plan, bool exist)
      : plan_(plan),
        blocks_(exist ? plan.blocks.number : 0),
        sums_(blocks_, plan.panels),
        totals_(blocks_, plan.panels) {}

  void SetToZero() const {
    const int64_t size = blocks_ * plan_.panels * kWidth;
    if (size == 0) return;
    std::fill_n(sums_.At(0, 0), size, T(0));
    std::fill_n(totals_.At(0, 0), size, T(0));
  }

  // The sums of a block, for the vectors of units from `panel` on.
  T* At(int64_t block, int64_t panel) const { return sums_.At(block, panel); }

  // Ends step t of a block, for some panels: after kAddends steps, the next ones begin new sums.
  void EndStep(int64_t t, int64_t block, Range panels) const {
    if (t % kAddends != 0 || blocks_ == 0) return;
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      T *const sums = sums_.At(block, panel), *const totals = totals_.At(block, panel);
      for (int64_t k = 0; k < kWidth; k += kSize) {
        Store(totals + k, Load(totals + k) + Load(sums + k));
        Store(sums + k, Vec<T>{});
      }
    }
  }

  // Writes the vectors k of all units, [H]: the sum of all blocks.
  void Write(int k, T* target) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      Vec<T> sum = {}, addends = {};
      for (int64_t block = 0; block < blocks_; ++block) {
        addends += Load(totals_.At(block, panel) + k * kSize) + Load(sums_.At(block, panel) + k * kSize);
        if (block % kAddends != kAddends - 1 && block != blocks_ - 1) continue;
        sum += addends;
        addends = Vec<T>{};
      }
      StoreFirst(target + panel * kSize, sum, plan_.Units(panel));
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Vectors * kSize;
  static constexpr int64_t kAddends = 128;

  const Plan<T>& plan_;
  const int64_t blocks_;
  const PanelBuffer<T, Vectors> sums_, totals_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BLOCK_SUMS_H_
