// Gradients of weights: dW = [h, x]^T dz, one product over all steps and sequences.

#ifndef STACKED_LSTM_WEIGHT_GRADIENTS_H_
#define STACKED_LSTM_WEIGHT_GRADIENTS_H_

#include "arithmetic/tile.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/buffer.h"
#include "storage/layer_series.h"

namespace stacked_lstm {

template <class T>
class WeightGradients {
 public:
  // max_rows: the maximum number of rows of [step, sequence] that `Add` takes.
  WeightGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays, int64_t max_rows, int threads)
      : layer_(plan.layer),
        plan_(plan),
        arrays_(arrays),
        series_(layer_, arrays.extras),
        h_strips_(layer_.outputs(), kTileRows),
        x_strips_(layer_.inputs, kTileRows),
        panel_size_(std::min(max_rows, kPartRows) * kWidth),
        strips_((layer_.outputs() + layer_.inputs) * max_rows),
        panels_(threads * panel_size_),
        zeros_(std::max(layer_.outputs(), layer_.inputs)) {
    std::fill(zeros_.get(), zeros_.get() + std::max(layer_.outputs(), layer_.inputs), T(0));
  }

  // Adds the gradients of some steps; `dz` has their rows. The first call sets the gradients instead of adding.
  void Add(Worker& worker, Range steps, const T* dz, bool first) const {
    const int64_t rows = steps.size() * layer_.batch, offset = steps.begin * layer_.batch;
    const bool kernels = arrays_.d_weights.kernel[0] != nullptr;
    if (!kernels && !arrays_.d_weights.bias[0]) return;
    if (kernels) {
      const Pieces pieces(rows, kStripRows);
      worker.ForEach(pieces.number, [&](int64_t k) { PackStrips(offset, rows, pieces[k]); });
    }
    const Pieces sums(rows, kPartRows);  // A step may have more rows.
    ForEachShare(worker, plan_.panels, kStripShares, [&](int64_t panel, Share share) {
      T* const packed = panels_.get() + worker.index() * panel_size_;
      const bool biases = share.index == 0 && arrays_.d_weights.bias[0];
      for (int64_t k = 0; k < sums.number; ++k) {
        PackPanel(panel, sums.Size(k), dz + sums.Begin(k) * plan_.row_width, packed, biases, first && k == 0);
        if (kernels) Products(panel, share, rows, sums[k], packed, first && k == 0);
      }
    });
  }

  // Sets all gradients to zero.
  void SetToZero() const {
    const Weights<T>& weights = arrays_.d_weights;
    for (int gate = 0; gate < kGates; ++gate) {
      for (int64_t row = 0; weights.kernel[gate] && row < layer_.outputs() + layer_.inputs; ++row) {
        T* const kernel_row = weights.kernel[gate] + row * weights.stride;
        std::fill(kernel_row, kernel_row + layer_.units, T(0));
      }
      if (weights.bias[gate]) std::fill(weights.bias[gate], weights.bias[gate] + layer_.units, T(0));
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Copies h before the step, and x, of some rows to strips [row, column of the strip], with zeros past the end of each
  // sequence.
  void PackStrips(int64_t offset, int64_t rows, Range piece) const {
    const T* h[kStripRows];
    const T* x[kStripRows];
    for (int64_t row = piece.begin; row < piece.end; ++row) {
      const int64_t position = offset + row, t = position / layer_.batch, b = position % layer_.batch;
      const bool is_past_end = t >= plan_.Length(b);
      x[row - piece.begin] = is_past_end ? zeros_.get() : arrays_.x + position * layer_.inputs;
      h[row - piece.begin] = is_past_end ? zeros_.get() : series_.RestartH(t, b, HBefore(t, b));
    }
    PackColumns(h_strips_, h, rows, piece, strips_.get());
    if (layer_.extras.series[kHMask].exists) MaskStrips(offset, rows, piece);
    PackColumns(x_strips_, x, rows, piece, strips_.get() + h_strips_.total * rows);
  }

  // h after the step before t, [P].
  const T* HBefore(int64_t t, int64_t b) const {
    return plan_.IsFirst(t, b) ? arrays_.h + b * h_strips_.total
                               : arrays_.Hidden() + layer_.HiddenIndex(plan_.Before(t), b);
  }

  // Multiplies what `PackStrips` has copied of h by its mask.
  void MaskStrips(int64_t offset, int64_t rows, Range piece) const {
    for (int64_t row = piece.begin; row < piece.end; ++row) {
      const int64_t position = offset + row, t = position / layer_.batch, b = position % layer_.batch;
      if (t >= plan_.Length(b)) continue;
      const T* const mask = arrays_.extras.series[kHMask] + layer_.SeriesIndex(kHMask, t, b);
      for (int64_t m = 0; m < h_strips_.number; ++m) {
        const int64_t column = h_strips_.Begin(m), width = h_strips_.Size(m);
        T* const target = strips_.get() + column * rows + row * width;
        for (int64_t n = 0; n < width; ++n) target[n] *= mask[column + n];
      }
    }
  }

  static void PackColumns(const Pieces& columns, const T* const* source, int64_t rows, Range piece, T* strips) {
    for (int64_t m = 0; m < columns.number; ++m) {
      const int64_t column = columns.Begin(m), width = columns.Size(m);
      T* target = strips + column * rows + piece.begin * width;
      for (int64_t row = 0; row < piece.size(); ++row, target += width) {
        if (width == kTileRows) {
          std::memcpy(target, source[row] + column, kTileRows * sizeof(T));  // A size that the compiler knows.
        } else {
          std::memcpy(target, source[row] + column, width * sizeof(T));
        }
      }
    }
  }

  // Copies a panel of dz [rows, kWidth] to memory in the layout of panel.h, and computes the gradients of its biases.
  void PackPanel(int64_t panel, int64_t rows, const T* dz, T* target, bool biases, bool first) const {
    Vec<T> sums[kGates] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const T* source = dz + row * plan_.row_width + panel * kWidth;
      for (int gate = 0; gate < kGates; ++gate) {
        const Vec<T> value = Load(source + gate * kSize);
        Store(target + VectorPosition<T>(rows, kGates, row, gate) * kSize, value);
        sums[gate] += value;
      }
    }
    const int count = plan_.Units(panel);
    for (int gate = 0; biases && gate < kGates; ++gate) {
      T* const bias = arrays_.d_weights.bias[gate] + panel * kSize;
      StoreFirst(bias, first ? sums[gate] : LoadFirst(bias, count) + sums[gate], count);
    }
  }

  // Adds the products of some of the rows of [step, sequence] to a share of the rows of the matrices' gradients, for h
  // and for x, for the units of a panel.
  void Products(int64_t panel, Share share, int64_t rows, Range sum, const T* dz, bool first) const {
    const T* strips = strips_.get();
    int64_t row = arrays_.d_weights.h_row;
    for (const Pieces* pieces : {&h_strips_, &x_strips_}) {
      const Range range = share.Slice(pieces->number);
      for (int64_t m = range.begin; m < range.end; ++m) {
        const T* const strip = strips + pieces->Begin(m) * rows + sum.begin * pieces->Size(m);
        Product(panel, row + pieces->Begin(m), pieces->Size(m), sum.size(), strip, dz, first);
      }
      strips += pieces->total * rows;
      row = arrays_.d_weights.x_row;
    }
  }

  // Computes the rows from `row` up to row + width of the matrices' gradients, for the units of a panel.
  void Product(int64_t panel, int64_t row, int64_t width, int64_t rows, const T* strip, const T* dz, bool first) const {
    alignas(64) T sum[kTileRows * kWidth] = {};
    const int count = plan_.Units(panel);
    const auto gradient = [&](int64_t r, int gate) {
      return arrays_.d_weights.kernel[gate] + (row + r) * arrays_.d_weights.stride + panel * kSize;
    };
    // A sum of its own for each call: one sum over all steps of long sequences would round more.
    SelectTile<T, kGates, Left::kStrips>(width)(rows, strip, 0, dz, nullptr, kWidth, sum, kWidth);
    for (int64_t k = 0; k < width * kGates; ++k) {
      T* const target = gradient(k / kGates, k % kGates);
      const Vec<T> value = Load(sum + k * kSize);
      StoreFirst(target, first ? value : LoadFirst(target, count) + value, count);
    }
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const BackwardArrays<T>& arrays_;
  const LayerSeries<T, true> series_;
  Pieces h_strips_, x_strips_;
  const int64_t panel_size_;  // Of a thread's packed panel of dz.
  Buffer<T> strips_, panels_, zeros_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_WEIGHT_GRADIENTS_H_
