// The layout of packed weights and caches, which depends on the vectors of this processor.
//
// A panel is one vector of units. A view knows its sizes. In builds with a sanitizer it checks every index.

#ifndef STACKED_LSTM_LAYOUT_H_
#define STACKED_LSTM_LAYOUT_H_

#include <algorithm>
#include <type_traits>

#include "arithmetic/panel.h"
#include "arithmetic/vector.h"
#include "lstm.h"
#include "schedule/pieces.h"
#include "storage/bounds.h"
#include "storage/buffer.h"

namespace stacked_lstm {

// The factor of some rows of a matrix. Rows for h come before rows for x.
enum class Factor { kH, kX };
constexpr Factor kFactors[] = {Factor::kH, Factor::kX};

// The number of units of a panel with its padding. A panel of few units has half a vector of them: its rows are 2
// vectors instead of 4, so that products take half as long. Weights of fewer bits have interleaved gates, and need
// whole vectors. W is the type in which the weights are stored.
template <class W>
constexpr int PaddedUnits(int64_t units) {
  constexpr int kSize = Vector<typename Multiplied<W>::type>::kSize;
  return kWordWeights<W> == 1 && units <= kSize / 2 ? kSize / 2 : kSize;
}

// Weights as the forward pass reads them: for each factor, panels of units, in the layout of panel.h. A row is
// [gate, unit]. If H is not a multiple of the vector's size, the last panel is in the array `padded`. W is the type in
// which the weights are stored. It is const for a view that only reads. For types of fewer bits than a float,
// n = kWordWeights<W> gates are interleaved: [unit, gate % n].
template <class W>
class PackedWeights {
 public:
  PackedWeights(const Packed<W>& packed, const Layer& layer)
      : packed_(packed), inputs_(layer.inputs), units_(layer.units), outputs_(layer.outputs()) {}

  // Those of `FindPackedSizes` without the projection.
  static PackedSizes Sizes(const Layer& layer) {
    const int64_t row = (layer.inputs + layer.outputs()) * kGates, rest = layer.units % kSize;
    return {row * (layer.units - rest), rest ? row * PaddedUnits<Stored>(rest) : 0};
  }
  // Where the projection begins, behind the padded units.
  static W* Projection(const Packed<W>& packed, const Layer& layer) { return packed.padded + Sizes(layer).padded; }

  int64_t Rows(Factor factor) const { return factor == Factor::kH ? outputs_ : inputs_; }
  int64_t panels() const { return VectorCount<Number>(units_); }
  int Units(int64_t panel) const { return static_cast<int>(std::min<int64_t>(kSize, units_ - panel * kSize)); }
  // Whether a panel is padded to half a vector of units. Its rows are then 2 vectors.
  bool IsHalf(int64_t panel) const { return PaddedUnits<Stored>(Units(panel)) < kSize; }

  W* Panel(Factor factor, int64_t panel) const {
    CheckIndex("panel of packed weights", panel, panels());
    const int64_t rows_before = factor == Factor::kH ? 0 : outputs_;
    const int units = Units(panel);
    if (units < kSize) return packed_.padded + rows_before * kGates * PaddedUnits<Stored>(units);
    return packed_.full + kGates * (rows_before * (units_ - units_ % kSize) + panel * kSize * Rows(factor));
  }
  // The numbers of a row of the matrix for a gate and the units of a panel. The first of interleaved gates begins here.
  W* At(Factor factor, int64_t panel, int64_t row, int gate) const {
    const int64_t rows = Rows(factor);
    W* const first = Panel(factor, panel);
    return first + (IsHalf(panel) ? Position<kSize / 2>(rows, row, gate) : Position<kSize>(rows, row, gate));
  }

 private:
  typedef typename std::remove_const<W>::type Stored;
  typedef typename Multiplied<Stored>::type Number;
  static constexpr int kSize = Vector<Number>::kSize;

  // Where a gate of a row begins, in a panel of `rows` rows.
  template <int padded_units>
  static int64_t Position(int64_t rows, int64_t row, int gate) {
    constexpr int kVectors = kGates * padded_units / kSize;
    const int first = gate * padded_units;
    return VectorPosition<Stored>(rows, kVectors, row, first / kSize) * kSize + first % kSize;
  }

  const Packed<W> packed_;
  const int64_t inputs_, units_, outputs_;
};

// A matrix of `depth` rows in panels of at most 4 vectors of columns, in the layout of panel.h. The last panel is
// padded to whole vectors. T is const for a view that only reads.
template <class T>
class ColumnPanels {
 public:
  ColumnPanels(T* data, int64_t depth, int64_t columns) : data_(data), depth_(depth), columns_(columns) {}

  static int64_t Size(int64_t depth, int64_t columns) { return depth * VectorCount<Number>(columns) * kSize; }

  int64_t depth() const { return depth_; }
  int64_t columns() const { return columns_; }
  int64_t panels() const { return (columns_ + kWidth - 1) / kWidth; }
  int64_t Columns(int64_t panel) const { return std::min(kWidth, columns_ - panel * kWidth); }
  int Vectors(int64_t panel) const { return static_cast<int>(VectorCount<Number>(Columns(panel))); }
  T* Panel(int64_t panel) const {
    CheckIndex("panel of columns", panel, panels());
    return data_ + panel * kWidth * depth_;
  }
  // A vector of a row of a panel. That of the next row is `RowStride` numbers further.
  T* At(int64_t panel, int64_t row, int vector) const {
    return Panel(panel) + VectorPosition<Number>(depth_, Vectors(panel), row, vector) * kSize;
  }
  int64_t RowStride(int64_t panel, int vector) const { return GroupVectors<Number>(Vectors(panel), vector) * kSize; }

 private:
  typedef typename std::remove_const<T>::type Number;
  static constexpr int64_t kSize = Vector<Number>::kSize, kWidth = kPanelVectors * kSize;

  T* data_;
  int64_t depth_, columns_;
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
  void SetToZero(Range rows) const { std::fill(data_ + rows.begin * stride_, data_ + rows.end * stride_, T(0)); }

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
// panels [gate, unit]. After the gates of all steps come the cell states, in panels [unit]. If the projection has a
// bound or zoneout, the projected h before its clip follows, in panels [column]. T is const for a view that only reads.
template <class T>
class CacheView {
 public:
  // data: null if there is no cache. The view must not be used then.
  CacheView(T* data, const Layer& layer)
      : CacheView(data, layer.steps * layer.batch, VectorCount<Number>(layer.units), ProjectedPanels(layer)) {}

  static int64_t Size(const Layer& layer) {
    const int64_t rows = layer.steps * layer.batch, panels = VectorCount<Number>(layer.units);
    return Gates::Size(rows, panels) + Cells::Size(rows, panels) + Cells::Size(rows, ProjectedPanels(layer));
  }

  void SetToZero(Range rows) const {
    gates.SetToZero(rows);
    cells.SetToZero(rows);
    projected.SetToZero(rows);
  }

 private:
  typedef typename std::remove_const<T>::type Number;
  typedef PanelRows<T, kGates> Gates;
  typedef PanelRows<T, 1> Cells;

  CacheView(T* data, int64_t rows, int64_t panels, int64_t projected_panels)
      : gates(data, rows, panels),
        cells(data ? data + Gates::Size(rows, panels) : nullptr, rows, panels),
        projected(data ? data + Gates::Size(rows, panels) + Cells::Size(rows, panels) : nullptr, rows,
                  projected_panels) {}

  static int64_t ProjectedPanels(const Layer& layer) {
    return layer.extras.KeepsProjected() ? VectorCount<Number>(layer.extras.projection) : 0;
  }

 public:
  const Gates gates;
  const Cells cells, projected;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LAYOUT_H_
