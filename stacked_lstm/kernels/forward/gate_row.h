// A row of numbers of the gates, such as their biases, in the order in which the forward pass computes gates.

#ifndef STACKED_LSTM_GATE_ROW_H_
#define STACKED_LSTM_GATE_ROW_H_

#include <algorithm>

#include "arithmetic/vector.h"
#include "schedule/plan.h"
#include "storage/buffer.h"

namespace stacked_lstm {

template <class T>
class GateRow {
 public:
  // columns: for each gate, [H], or null. Missing numbers, and those of units beyond the last one, are zero. exists:
  // whether there is a row. If it is false, the other methods must not be called.
  GateRow(const Plan<T>& plan, const T* const* columns, bool exists) : row_(exists ? plan.row_width : 0) {
    if (!exists) return;
    std::fill(row_.get(), row_.get() + plan.row_width, T(0));
    for (int64_t unit = 0; columns[0] && unit < plan.layer.units; ++unit) {
      for (int gate = 0; gate < kGates; ++gate) {
        row_.get()[unit / kSize * kWidth + gate * kSize + unit % kSize] = columns[gate][unit];
      }
    }
  }

  // The four vectors of a panel. The row is contiguous, from panel 0 on.
  const T* Panel(int64_t panel) const { return row_.get() + panel * kWidth; }

  // z = z * this row + addend, for the columns of a panel and some rows of z, which are contiguous.
  void Scale(int64_t panel, const GateRow& addend, int64_t rows, T* z) const {
    for (int64_t r = 0; r < rows; ++r, z += kWidth) {
      for (int64_t k = 0; k < kWidth; k += kSize) {
        Store(z + k, Load(z + k) * Load(Panel(panel) + k) + Load(addend.Panel(panel) + k));
      }
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  const Buffer<T> row_;
};

// sums = addends + row, for the gates of a panel and some rows. The rows of the addends are `stride` numbers apart, and
// those of the sums are contiguous.
template <class T>
void AddToRows(const T* row, int64_t rows, const T* addends, int64_t stride, T* sums) {
  constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;
  for (int64_t r = 0; r < rows; ++r, addends += stride, sums += kWidth) {
    for (int64_t k = 0; k < kWidth; k += kSize) Store(sums + k, Load(addends + k) + Load(row + k));
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_GATE_ROW_H_
