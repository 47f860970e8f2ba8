// The memory layouts of a layer with normalization: its cache, and the weights of its norms. layout.h has the others.

#ifndef STACKED_LSTM_NORMALIZED_LAYOUT_H_
#define STACKED_LSTM_NORMALIZED_LAYOUT_H_

#include "lstm.h"
#include "schedule/plan.h"
#include "storage/layout.h"

namespace stacked_lstm {

// The norms of a layer: those of the gates, then that of the cell state.
constexpr int kNorms = kGates + 1, kCellNorm = kGates;

// What the forward pass keeps for each step and sequence: as `gates`, N of the gates before the gains; `cells` and
// `projected` as without normalization; N(u) in panels [unit]; and 1 / sqrt(variance + epsilon) of each norm. T is
// const for a view that only reads.
template <class T>
class NormalizedCache : public CacheView<T> {
 public:
  // data: null if there is no cache. The view must not be used then.
  NormalizedCache(T* data, const Layer& layer)
      : NormalizedCache(data, layer, layer.steps * layer.batch, VectorCount<Number>(layer.units)) {}

  static int64_t Size(const Layer& layer) {
    const int64_t rows = layer.steps * layer.batch;
    return CacheView<T>::Size(layer) + Cells::Size(rows, VectorCount<Number>(layer.units)) + rows * kNorms;
  }

  // The numbers of the norms of a row.
  T* Inverses(int64_t row) const {
    CheckIndex("row of norms", row, rows_);
    return inverses_ + row * kNorms;
  }

  void SetToZero(Range rows) const {
    CacheView<T>::SetToZero(rows);
    normalized_cells.SetToZero(rows);
    std::fill(inverses_ + rows.begin * kNorms, inverses_ + rows.end * kNorms, T(0));
  }

 private:
  typedef typename std::remove_const<T>::type Number;
  typedef PanelRows<T, 1> Cells;

  NormalizedCache(T* data, const Layer& layer, int64_t rows, int64_t panels)
      : CacheView<T>(data, layer),
        normalized_cells(data ? data + CacheView<T>::Size(layer) : nullptr, rows, panels),
        rows_(rows),
        inverses_(data ? data + CacheView<T>::Size(layer) + Cells::Size(rows, panels) : nullptr) {}

 public:
  const Cells normalized_cells;

 private:
  int64_t rows_;
  T* inverses_;
};

// Gains and shifts, or their gradients, in rows of panels [gain or shift, norm, unit], padded with zeros.
template <class T>
using NormPanels = PanelBuffer<T, 2 * kNorms>;

// The same for peepholes, in rows of panels [i f o, unit].
template <class T>
using PeepholePanels = PanelBuffer<T, kPeepholes>;

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

// Copies an array of H numbers to the vectors k of the panels in row 0, and pads it with zeros.
template <class T, class Panels>
void CopyPadded(const Plan<T>& plan, const T* array, int k, const Panels& panels) {
  constexpr int64_t kSize = Plan<T>::kSize;
  for (int64_t panel = 0; panel < plan.panels; ++panel) {
    Store(panels.At(0, panel) + k * kSize, LoadFirst(array + panel * kSize, plan.Units(panel)));
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZED_LAYOUT_H_
