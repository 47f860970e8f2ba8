// Gradients of inputs: dx = dz W^T, one product over many steps. A residual layer adds the gradients of its outputs.

#ifndef STACKED_LSTM_INPUT_GRADIENTS_H_
#define STACKED_LSTM_INPUT_GRADIENTS_H_

#include <algorithm>

#include "arithmetic/tile.h"
#include "backward/columns.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"

namespace stacked_lstm {

template <class T>
class InputGradients {
 public:
  // If the gradients are not needed, there are no panels and no pieces.
  InputGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays)
      : layer_(plan.layer),
        plan_(plan),
        arrays_(arrays),
        columns_(plan, arrays.weights, arrays.weights.x_row, arrays.d_x ? layer_.inputs : 0) {}

  // Packing the weights has this many pieces.
  int64_t pieces() const { return columns_.pieces(); }
  void Pack(int64_t piece) const { columns_.Pack(piece); }

  // Sets dx of the steps past the end of all sequences to zero.
  void SetToZeroPastLongest() const {
    if (!arrays_.d_x) return;
    const int64_t step = layer_.batch * layer_.inputs;
    std::fill(arrays_.d_x + plan_.longest * step, arrays_.d_x + layer_.steps * step, T(0));
  }

  // The panels of columns of x.
  int64_t panels() const { return columns_.panels(); }

  // Computes dx of some steps for a panel and a share of the rows of [step, sequence]. dz: their rows of gates.
  void Compute(Range steps, const T* dz, int64_t panel, Share share) const {
    const Pieces rows(steps.size() * layer_.batch, kTileRows);
    const Range range = share.Slice(rows.number);
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t position = steps.begin * layer_.batch + rows.Begin(m);
      Multiply(dz + rows.Begin(m) * plan_.row_width, position, rows.Size(m), panel);
      if (layer_.residual && layer_.lengths) SetToZeroPastEnd(position, rows.Size(m), panel);
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  T* Target(int64_t position, int64_t panel) const {
    return arrays_.d_x + position * layer_.inputs + panel * kWidth;
  }
  // The gradients of the outputs of a row for the columns of a panel, if they are gradients of x, too; else null.
  const T* Residual(int64_t position, int64_t panel) const {
    return layer_.residual ? arrays_.d_outputs + position * layer_.OutputStride() + panel * kWidth : nullptr;
  }

  // Computes some rows from `position` on. The columns of the last panel may end within a vector.
  void Multiply(const T* dz, int64_t position, int64_t rows, int64_t panel) const {
    const int vectors = columns_.Vectors(panel);
    const int64_t width = vectors * kSize, count = columns_.Count(panel);
    const auto multiply = SelectTile<T>(rows, vectors);
    if (count == width) {
      multiply(plan_.row_width, dz, plan_.row_width, columns_.Panel(panel), Residual(position, panel),
               layer_.OutputStride(), Target(position, panel), layer_.inputs);
      return;
    }
    alignas(64) T dx[kTileRows * kWidth];
    multiply(plan_.row_width, dz, plan_.row_width, columns_.Panel(panel), nullptr, 0, dx, width);
    for (int64_t r = 0; r < rows; ++r) {
      T* const target = Target(position + r, panel);
      const T* const d = Residual(position + r, panel);
      std::copy_n(dx + r * width, count, target);
      for (int64_t n = 0; d && n < count; ++n) target[n] += d[n];
    }
  }

  // Past the end of a sequence, the gradients of outputs may be any numbers.
  void SetToZeroPastEnd(int64_t position, int64_t rows, int64_t panel) const {
    for (int64_t r = position; r < position + rows; ++r) {
      const bool is_past_end = r / layer_.batch >= plan_.Length(r % layer_.batch);
      if (is_past_end) std::fill_n(Target(r, panel), columns_.Count(panel), T(0));
    }
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const BackwardArrays<T>& arrays_;
  const Columns<T> columns_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_INPUT_GRADIENTS_H_
