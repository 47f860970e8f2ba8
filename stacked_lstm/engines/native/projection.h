// Products with a layer's projection, a matrix [H, P].

#ifndef STACKED_LSTM_PROJECTION_H_
#define STACKED_LSTM_PROJECTION_H_

#include "buffer.h"
#include "layout.h"
#include "lstm.h"
#include "tile.h"

namespace stacked_lstm {

// Fills a panel. The number in row r and column n is at source[r * row_stride + n * column_stride].
template <class T>
void PackMatrix(const ColumnPanels<T>& target, int64_t panel, const T* source, int64_t row_stride,
                int64_t column_stride) {
  const int64_t count = target.Columns(panel), width = target.Vectors(panel) * Vector<T>::kSize;
  T* row = target.Panel(panel);
  source += panel * kPanelVectors * Vector<T>::kSize * column_stride;
  for (int64_t r = 0; r < target.depth(); ++r, row += width) {
    for (int64_t n = 0; n < count; ++n) row[n] = source[r * row_stride + n * column_stride];
    std::fill(row + count, row + width, T(0));
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

// What the backward pass of a layer needs for its projection: the transposed matrix, and for each step and sequence of a
// part the gradient of the projected h before its clip, and m = o phi(c'). Without a projection everything is empty.
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
