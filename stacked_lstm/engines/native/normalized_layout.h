// The memory layouts of a layer with normalization: its cache, and the weights of its norms. layout.h has the others.

#ifndef STACKED_LSTM_NORMALIZED_LAYOUT_H_
#define STACKED_LSTM_NORMALIZED_LAYOUT_H_

#include "layout.h"
#include "normalization.h"
#include "plan.h"

namespace stacked_lstm {

// The norms of a layer: those of the gates, then that of the cell state.
constexpr int kNorms = kGates + 1, kCellNorm = kGates;

// What the forward pass keeps for each step and sequence: N of the gates before the gains, in panels [gate, unit]; c'
// and N(u), in panels [unit]; and 1 / sqrt(variance + epsilon) of each norm. T is const for a view that only reads.
template <class T>
class NormalizedCache {
 public:
  // data: null if there is no cache. The view must not be used then.
  NormalizedCache(T* data, const Layer& layer)
      : NormalizedCache(data, layer.steps * layer.batch, VectorCount<Number>(layer.units)) {}

  static int64_t Size(const Layer& layer) {
    const int64_t rows = layer.steps * layer.batch, panels = VectorCount<Number>(layer.units);
    return Gates::Size(rows, panels) + 2 * Cells::Size(rows, panels) + rows * kNorms;
  }

  // The numbers of the norms of a row.
  T* Inverses(int64_t row) const {
    CheckIndex("row of norms", row, rows_);
    return inverses_ + row * kNorms;
  }

  void SetToZero(Range rows) const {
    gates.SetToZero(rows);
    cells.SetToZero(rows);
    normalized_cells.SetToZero(rows);
    std::fill(inverses_ + rows.begin * kNorms, inverses_ + rows.end * kNorms, T(0));
  }

 private:
  typedef typename std::remove_const<T>::type Number;
  typedef PanelRows<T, kGates> Gates;
  typedef PanelRows<T, 1> Cells;

  NormalizedCache(T* data, int64_t rows, int64_t panels)
      : gates(data, rows, panels),
        cells(data ? data + Gates::Size(rows, panels) : nullptr, rows, panels),
        normalized_cells(data ? data + Gates::Size(rows, panels) + Cells::Size(rows, panels) : nullptr, rows, panels),
        rows_(rows),
        inverses_(data ? data + Gates::Size(rows, panels) + 2 * Cells::Size(rows, panels) : nullptr) {}

 public:
  const Gates gates;
  const Cells cells, normalized_cells;

 private:
  int64_t rows_;
  T* inverses_;
};

// Gains and shifts, or their gradients, in rows of panels [gain or shift, norm, unit], padded with zeros.
template <class T>
using NormPanels = PanelBuffer<T, 2 * kNorms>;

// Where the gains and the shifts of a norm begin in arrays that are not padded.
template <class T>
T* NormArray(const NormWeights<T>& weights, int64_t units, int norm, bool is_shift) {
  if (norm == kCellNorm) return is_shift ? weights.cell_shift : weights.cell_gain;
  return (is_shift ? weights.gate_shift : weights.gate_gain) + norm * units;
}

// Calls work(unpadded array, vector within a panel) for the gain and the shift of each norm.
template <class T, class Work>
void ForEachNormArray(const NormWeights<T>& weights, int64_t units, Work work) {
  for (int k = 0; k < 2 * kNorms; ++k) work(NormArray(weights, units, k % kNorms, k >= kNorms), k);
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZED_LAYOUT_H_
