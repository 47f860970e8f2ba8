// Transposed weights for the backward pass: what gradients of pre-activations are multiplied by.

#ifndef STACKED_LSTM_COLUMNS_H_
#define STACKED_LSTM_COLUMNS_H_

#include "bounds.h"
#include "buffer.h"
#include "lstm.h"
#include "plan.h"

namespace stacked_lstm {

// The `rows` rows of all gate matrices from `first` on, as columns in panels of at most 4 vectors: [panel, k, column],
// where k runs through [panel of units, gate, unit] as in the rows of gates, with zeros where there is no unit.
template <class T>
class Columns {
 public:
  Columns(const Plan<T>& plan, const Weights<const T>& weights, int64_t first, int64_t rows)
      : plan_(plan),
        weights_(weights),
        first_(first),
        rows_(rows),
        panels_((rows + kWidth - 1) / kWidth),
        packed_(VectorsOf<T>(rows) * kSize * plan.row_width) {}

  int64_t panels() const { return panels_; }
  int Vectors(int64_t panel) const {
    return static_cast<int>(VectorsOf<T>(std::min(kWidth, rows_ - panel * kWidth)));
  }
  const T* Panel(int64_t panel) const {
    CheckIndex("panel of columns", panel, panels_);
    return packed_.get() + panel * kWidth * plan_.row_width;
  }

  // The pieces of packing, and one of them: a panel of units of a panel of columns. Inlined into a team's loop, its own
  // loops would have too few registers.
  int64_t pieces() const { return panels_ * plan_.panels; }
  __attribute__((noinline)) void Pack(int64_t piece) const {
    const int64_t panel = piece / plan_.panels, units_panel = piece % plan_.panels;
    const int64_t width = Vectors(panel) * kSize, count = std::min(width, rows_ - panel * kWidth);
    const int64_t units = plan_.Units(units_panel), stride = weights_.stride;
    T* to = packed_.get() + panel * kWidth * plan_.row_width + units_panel * kWidth * width;
    for (int gate = 0; gate < kGates; ++gate, to += kSize * width) {
      const T* from = weights_.kernel[gate] + (first_ + panel * kWidth) * stride + units_panel * kSize;
      std::fill(to, to + kSize * width, T(0));
      for (int64_t unit = 0; unit < units; ++unit) {
        for (int64_t n = 0; n < count; ++n) to[unit * width + n] = from[n * stride + unit];
      }
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  const Plan<T>& plan_;
  const Weights<const T>& weights_;
  int64_t first_, rows_, panels_;
  Buffer<T> packed_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_COLUMNS_H_
