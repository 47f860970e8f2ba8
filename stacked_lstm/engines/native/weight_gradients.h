// Gradients of weights: one product over all steps and sequences, dW = [h, x]^T dz.

#ifndef STACKED_LSTM_WEIGHT_GRADIENTS_H_
#define STACKED_LSTM_WEIGHT_GRADIENTS_H_

#include "buffer.h"
#include "lstm.h"
#include "plan.h"
#include "schedule.h"
#include "tile.h"

namespace stacked_lstm {

template <class T>
class WeightGradients {
 public:
  // most_rows: how many rows of [step, sequence] `Add` gets at most.
  WeightGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays, int64_t most_rows, int threads)
      : layer_(plan.layer),
        plan_(plan),
        arrays_(arrays),
        h_strips_(layer_.units, kTileRows),
        x_strips_(layer_.inputs, kTileRows),
        most_rows_(most_rows),
        strips_((layer_.units + layer_.inputs) * most_rows),
        panels_(threads * most_rows * kWidth),
        zeros_(std::max(layer_.units, layer_.inputs)) {
    std::fill(zeros_.get(), zeros_.get() + std::max(layer_.units, layer_.inputs), T(0));
  }

  // Adds the part of some steps; `dz` has their rows. The first part is set rather than added.
  void Add(Worker& worker, Range steps, const T* dz, bool first) const {
    const int64_t rows = steps.size() * layer_.batch, offset = steps.begin * layer_.batch;
    const bool kernels = arrays_.d_weights.kernel[0] != nullptr;
    if (!kernels && !arrays_.d_weights.bias[0]) return;
    if (kernels) {
      const Pieces pieces(rows, kStripRows);
      worker.Each(pieces.number, [&](int64_t k) { PackStrips(offset, rows, pieces[k]); });
    }
    EachShare(worker, plan_.panels, kStripShares, [&](int64_t panel, Share share) {
      T* const packed = panels_.get() + worker.index() * most_rows_ * kWidth;
      PackPanel(panel, rows, dz, packed, share.index == 0 && arrays_.d_weights.bias[0], first);
      if (kernels) Products(panel, share, rows, packed, first);
    });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // h before the step, and x, of some rows, as strips [row, column of the strip]; zeros past the end of a sequence.
  void PackStrips(int64_t offset, int64_t rows, Range piece) const {
    const T* h[kStripRows];
    const T* x[kStripRows];
    for (int64_t row = piece.begin; row < piece.end; ++row) {
      const int64_t at = offset + row, t = at / layer_.batch, b = at % layer_.batch;
      const bool ended = t >= plan_.Length(b);
      x[row - piece.begin] = ended ? zeros_.get() : arrays_.x + at * layer_.inputs;
      h[row - piece.begin] = ended   ? zeros_.get()
                             : t > 0 ? arrays_.outputs + (at - layer_.batch) * layer_.units
                                     : arrays_.h + b * layer_.units;
    }
    PackStrips(h_strips_, h, rows, piece, strips_.get());
    PackStrips(x_strips_, x, rows, piece, strips_.get() + layer_.units * rows);
  }

  static void PackStrips(const Pieces& columns, const T* const* from, int64_t rows, Range piece, T* strips) {
    for (int64_t m = 0; m < columns.number; ++m) {
      const int64_t column = columns.Begin(m), width = columns.Size(m);
      T* to = strips + column * rows + piece.begin * width;
      for (int64_t row = 0; row < piece.size(); ++row, to += width) {
        if (width == kTileRows) {
          std::memcpy(to, from[row] + column, kTileRows * sizeof(T));  // Of a size that the compiler knows.
        } else {
          std::memcpy(to, from[row] + column, width * sizeof(T));
        }
      }
    }
  }

  // A panel of dz [rows, kWidth] in one piece, and the gradients of its biases.
  void PackPanel(int64_t panel, int64_t rows, const T* dz, T* to, bool biases, bool first) const {
    Vec<T> sums[kGates] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const T* from = dz + row * plan_.row_width + panel * kWidth;
      for (int gate = 0; gate < kGates; ++gate) {
        const Vec<T> value = Load(from + gate * kSize);
        Store(to + row * kWidth + gate * kSize, value);
        sums[gate] += value;
      }
    }
    const int count = plan_.Units(panel);
    for (int gate = 0; biases && gate < kGates; ++gate) {
      T* const bias = arrays_.d_weights.bias[gate] + panel * kSize;
      StoreFirst(bias, first ? sums[gate] : LoadFirst(bias, count) + sums[gate], count);
    }
  }

  // A share of the rows of the matrices' gradients, of h and of x, for the units of a panel.
  void Products(int64_t panel, Share share, int64_t rows, const T* dz, bool first) const {
    const T* strips = strips_.get();
    int64_t row = arrays_.d_weights.h_row;
    for (const Pieces* pieces : {&h_strips_, &x_strips_}) {
      const Range range = share.Of(pieces->number);
      for (int64_t m = range.begin; m < range.end; ++m) {
        Product(panel, row + pieces->Begin(m), pieces->Size(m), rows, strips + pieces->Begin(m) * rows, dz, first);
      }
      strips += pieces->things * rows;
      row = arrays_.d_weights.x_row;
    }
  }

  // Rows `row` to row + width of the matrices' gradients, for the units of a panel.
  void Product(int64_t panel, int64_t row, int64_t width, int64_t rows, const T* strip, const T* dz, bool first) const {
    alignas(64) T sum[kTileRows * kWidth] = {};
    const int count = plan_.Units(panel);
    const auto at = [&](int64_t r, int gate) {
      return arrays_.d_weights.kernel[gate] + (row + r) * arrays_.d_weights.stride + panel * kSize;
    };
    for (int64_t k = 0; !first && k < width * kGates; ++k) {
      Store(sum + k * kSize, LoadFirst(at(k / kGates, k % kGates), count));
    }
    TileOf<T, kGates, Left::kStrips>(width)(rows, strip, 0, dz, first ? nullptr : sum, kWidth, sum, kWidth);
    for (int64_t k = 0; k < width * kGates; ++k) {
      StoreFirst(at(k / kGates, k % kGates), Load(sum + k * kSize), count);
    }
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const BackwardArrays<T>& arrays_;
  Pieces h_strips_, x_strips_;
  int64_t most_rows_;
  Buffer<T> strips_, panels_, zeros_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_WEIGHT_GRADIENTS_H_
