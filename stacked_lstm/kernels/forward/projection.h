// Products with a layer's projection, a matrix [H, P].

#ifndef STACKED_LSTM_PROJECTION_H_
#define STACKED_LSTM_PROJECTION_H_

#include <algorithm>
#include <type_traits>

#include "arithmetic/cell.h"
#include "arithmetic/tile.h"
#include "forward/hidden_states.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "storage/buffer.h"
#include "storage/layout.h"

namespace stacked_lstm {

// Fills a panel. The number in row r and column n is at source[r * row_stride + n * column_stride].
template <class T>
void PackMatrix(const ColumnPanels<T>& target, int64_t panel, const T* source, int64_t row_stride,
                int64_t column_stride) {
  constexpr int64_t kSize = Vector<T>::kSize;
  source += panel * kPanelVectors * kSize * column_stride;
  for (int v = 0; v < target.Vectors(panel); ++v, source += kSize * column_stride) {
    const int64_t count = std::min(kSize, target.Columns(panel) - v * kSize);
    for (int64_t r = 0; r < target.depth(); ++r) {
      T* const row = target.At(panel, r, v);
      for (int64_t n = 0; n < count; ++n) row[n] = source[r * row_stride + n * column_stride];
      std::fill(row + count, row + kSize, T(0));
    }
  }
}

// Computes out = left * matrix for the columns of a panel and at most kTileRows rows, which are `stride` numbers apart.
// The rows of `out` have the width of the panel.
template <class T>
void MultiplyByPanel(const ColumnPanels<const T>& matrix, int64_t panel, int64_t rows, const T* left, int64_t stride,
                     T* out) {
  const int vectors = matrix.Vectors(panel);
  SelectTile<T>(rows, vectors)(matrix.depth(), left, stride, matrix.Panel(panel), nullptr, 0, out,
                               vectors * Vector<T>::kSize);
}

// The projection in the forward pass: the products, and what follows them. Without a projection, all is empty. W is the
// type in which the weights are stored.
template <class T, bool has_extras, class W = T>
class ForwardProjection {
 public:
  typedef HiddenStates<T, has_extras, W> Hidden;

  ForwardProjection(const Plan<T>& plan, const ForwardArrays<T, W>& arrays, const Hidden& hidden)
      : plan_(plan),
        layer_(plan.layer),
        arrays_(arrays),
        hidden_(hidden),
        packed_(arrays.packed ? 0 : ColumnPanels<T>::Size(layer_.units, layer_.extras.projection)),
        matrix_(Matrix(), layer_.units, layer_.extras.projection),
        cache_(arrays.cache, layer_),
        m_(layer_.extras.projection ? layer_.batch : 0, plan.panels) {}

  // Where a step puts a vector of o phi(c').
  T* M(int64_t b, int64_t panel) const { return m_.At(b, panel); }

  int64_t panels() const { return matrix_.panels(); }

  // Packs a panel if the weights come unpacked. All panels must be packed before the first step.
  void Pack(int64_t panel) const {
    const int64_t width = layer_.extras.projection;
    PackMatrix(ColumnPanels<T>(packed_.get(), layer_.units, width), panel, arrays_.extras.projection, width, 1);
  }

  // Projects one step for a panel of outputs and a share of the blocks of the batch. All units must be done.
  void Project(int64_t t, int64_t panel, Share share) const {
    alignas(64) T h[kTileRows * Plan<T>::kWidth];
    const int vectors = matrix_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t < block_end) MultiplyByPanel(matrix_, panel, rows, m_.At(row, 0), plan_.panels * kSize, h);
      for (int64_t k = 0; k < rows * vectors; ++k) {
        FinishOutput(t, row + k / vectors, panel * kPanelVectors + k % vectors, h + k * kSize);
      }
    });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize;

  // The packed projection. Only weights of type T have one, behind the matrices of the gates.
  const T* Matrix() const {
    if constexpr (std::is_same<W, T>::value) {
      if (arrays_.packed) return PackedWeights<const W>::Projection(arrays_.packed, layer_);
    }
    return packed_.get();
  }

  // Writes a vector of outputs. `h`: the projected h before its clip; not used past the end of the sequence.
  void FinishOutput(int64_t t, int64_t b, int64_t vector, const T* h) const {
    const int64_t first = vector * kSize, width = layer_.outputs(), length = plan_.Length(b);
    const int64_t row = t * layer_.batch + b;
    const int count = static_cast<int>(std::min(kSize, width - first));
    const T bound = static_cast<T>(layer_.extras.projection_bound);
    const Vec<T> projected = t < length ? Load(h) : Vec<T>{};
    const Vec<T> after = t < length ? hidden_.ZoneOut(t, b, first, count, ClipTo<T>(projected, bound)) : Vec<T>{};
    if (arrays_.cache && layer_.extras.KeepsProjected()) Store(cache_.projected.At(row, vector), projected);
    StoreFirst(arrays_.Hidden() + layer_.HiddenIndex(t, b) + first, after, count);
    hidden_.AddInput(t, b, first, after, count);
    hidden_.Keep(t, b, first, after, count);
    if (t < length && plan_.IsLast(t, b)) StoreFirst(arrays_.h_last + b * width + first, after, count);
  }

  const Plan<T>& plan_;
  const Layer& layer_;
  const ForwardArrays<T, W>& arrays_;
  const Hidden& hidden_;
  const Buffer<T> packed_;  // If the weights come unpacked.
  const ColumnPanels<const T> matrix_;
  const CacheView<T> cache_;
  const PanelBuffer<T, 1> m_;  // o phi(c') of one step.
};

// What the backward pass of a layer needs for its projection: the transposed matrix; and for each step and sequence of
// a part, m = o phi(c') and the gradient of the projected h before its clip. Without a projection, all are empty.
template <class T>
class BackwardProjection {
 public:
  // rows: the maximum number of rows of [step, sequence].
  BackwardProjection(const Layer& layer, const BackwardArrays<T>& arrays, int64_t rows)
      : width_(layer.extras.projection),
        matrix_(arrays.extras.projection),
        packed_(ColumnPanels<T>::Size(width_, width_ ? layer.units : 0)),
        transposed_(packed_.get(), width_, width_ ? layer.units : 0),
        d_(width_ ? rows : 0, VectorCount<T>(width_)),
        m_(width_ ? rows : 0, VectorCount<T>(layer.units)) {}

  T* D(int64_t row, int64_t vector) const { return d_.At(row, vector); }
  T* M(int64_t row) const { return m_.At(row, 0); }

  // Packing has this many pieces.
  int64_t pieces() const { return transposed_.panels(); }
  void Pack(int64_t piece) const { PackMatrix(transposed_, piece, matrix_, 1, width_); }

  // The panels of units.
  int64_t panels() const { return transposed_.panels(); }
  int Vectors(int64_t panel) const { return transposed_.Vectors(panel); }

  // Computes the gradient of m for the units of a panel and some rows.
  void Multiply(int64_t panel, int64_t row, int64_t rows, T* dm) const {
    const ColumnPanels<const T> transposed(packed_.get(), width_, transposed_.columns());
    MultiplyByPanel(transposed, panel, rows, D(row, 0), VectorCount<T>(width_) * Vector<T>::kSize, dm);
  }

 private:
  const int64_t width_;
  const T* const matrix_;
  const Buffer<T> packed_;
  const ColumnPanels<T> transposed_;
  const PanelBuffer<T, 1> d_, m_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PROJECTION_H_
