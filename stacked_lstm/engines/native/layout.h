// The layout of packed weights and caches, which depends on the vectors of this processor.
//
// A panel is one vector of units. A view knows its sizes. In builds with a sanitizer it checks every index.

#ifndef STACKED_LSTM_LAYOUT_H_
#define STACKED_LSTM_LAYOUT_H_

#include <algorithm>
#include <type_traits>

#include "bounds.h"
#include "buffer.h"
#include "lstm.h"
#include "vector.h"

namespace stacked_lstm {

// The factor of some rows of a matrix. Rows for h come before rows for x.
enum class Factor { kH, kX };
constexpr Factor kFactors[] = {Factor::kH, Factor::kX};

// Weights as the forward pass reads them: for each factor, panels [row, gate, unit]. The last panel is narrower if H is
// not a multiple of the vector's size. T is const for a view that only reads.
template <class T>
class PackedWeights {
 public:
  PackedWeights(T* data, int64_t inputs, int64_t units) : data_(data), inputs_(inputs), units_(units) {}

  static int64_t Size(int64_t inputs, int64_t units) { return (inputs + units) * kGates * units; }

  int64_t Rows(Factor factor) const { return factor == Factor::kH ? units_ : inputs_; }
  int64_t panels() const { return VectorCount<Number>(units_); }
  int Units(int64_t panel) const { return static_cast<int>(std::min(kSize, units_ - panel * kSize)); }

  T* Panel(Factor factor, int64_t panel) const {
    CheckIndex("panel of packed weights", panel, panels());
    const int64_t rows_before = factor == Factor::kH ? 0 : units_;
    return data_ + kGates * (rows_before * units_ + panel * kSize * Rows(factor));
  }

 private:
  typedef typename std::remove_const<T>::type Number;
  static constexpr int64_t kSize = Vector<Number>::kSize;

  T* data_;
  int64_t inputs_, units_;
};

// One row per step and sequence, with panels of `Vectors` vectors. The last panel is padded to whole vectors.
template <class T, int Vectors>
class PanelRows {
 public:
  PanelRows(T* data, int64_t rows, int64_t panels)
      : data_(data), rows_(rows), panels_(panels), stride_(panels * kWidth) {}

  static int64_t Size(int64_t rows, int64_t panels) { return rows * panels * kWidth; }

  // A panel of a row. The same panel of the next row is one row of panels further.
  T* At(int64_t row, int64_t panel) const {
    CheckIndex("row", row, rows_);
    CheckIndex("panel", panel, panels_);
    return data_ + row * stride_ + panel * kWidth;
  }

 private:
  static constexpr int64_t kWidth = Vectors * Vector<typename std::remove_const<T>::type>::kSize;

  T* data_;
  int64_t rows_, panels_, stride_;
};

// `PanelRows` that own their memory.
template <class T, int Vectors>
class PanelBuffer {
 public:
  PanelBuffer(int64_t rows, int64_t panels)
      : memory_(PanelRows<T, Vectors>::Size(rows, panels)), rows_(memory_.get(), rows, panels) {}

  T* At(int64_t row, int64_t panel) const { return rows_.At(row, panel); }

 private:
  const Buffer<T> memory_;
  const PanelRows<T, Vectors> rows_;
};

// What the forward pass keeps for the backward pass, for each step and sequence: the gates after their activation, in
// panels [gate, unit]. After the gates of all steps come the cell states, in panels [unit]. T is const for a view that
// only reads.
template <class T>
class CacheView {
 public:
  // data: null if there is no cache. The view must not be used then.
  CacheView(T* data, const Layer& layer)
      : CacheView(data, layer.steps * layer.batch, VectorCount<Number>(layer.units)) {}

  static int64_t Size(int64_t steps, int64_t batch, int64_t units) {
    const int64_t rows = steps * batch, panels = VectorCount<Number>(units);
    return Gates::Size(rows, panels) + Cells::Size(rows, panels);
  }

 private:
  typedef typename std::remove_const<T>::type Number;
  typedef PanelRows<T, kGates> Gates;
  typedef PanelRows<T, 1> Cells;

  CacheView(T* data, int64_t rows, int64_t panels)
      : gates(data, rows, panels), cells(data ? data + Gates::Size(rows, panels) : nullptr, rows, panels) {}

 public:
  const Gates gates;
  const Cells cells;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LAYOUT_H_
