// Gradients of peepholes and projections. Both are sums over all steps and sequences.

#ifndef STACKED_LSTM_EXTRA_GRADIENTS_H_
#define STACKED_LSTM_EXTRA_GRADIENTS_H_

#include "buffer.h"
#include "cell_states.h"
#include "layout.h"
#include "lstm.h"
#include "plan.h"
#include "schedule.h"
#include "tile.h"

namespace stacked_lstm {

template <class T>
class ExtraGradients {
 public:
  // max_rows: the maximum number of rows of [step, sequence] that the methods take.
  ExtraGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays, int64_t max_rows, const LayerSchedule& schedule)
      : layer_(plan.layer),
        plan_(plan),
        arrays_(arrays),
        schedule_(schedule),
        cells_(plan, arrays),
        strips_(layer_.units, kTileRows),
        max_rows_(max_rows),
        panels_(arrays.d_extras.projection ? schedule.threads * max_rows * kWidth : 0) {}

  void SetToZero() const {
    for (T* peephole : arrays_.d_extras.peephole) {
      if (peephole) std::fill(peephole, peephole + layer_.units, T(0));
    }
    T* const projection = arrays_.d_extras.projection;
    if (projection) std::fill(projection, projection + layer_.units * layer_.extras.projection, T(0));
  }

  // Both methods add the gradients of some steps. The first call sets the gradients instead of adding.

  // dz: the gradients of pre-activations of these steps.
  void AddPeepholes(Worker& worker, Range steps, const T* dz, bool first) const {
    if (!arrays_.d_extras.peephole[0]) return;
    worker.ForEach((plan_.panels + kPanelVectors - 1) / kPanelVectors, [&](int64_t k) {
      AddPeepholePanels({k * kPanelVectors, std::min(plan_.panels, (k + 1) * kPanelVectors)}, steps, dz, first);
    });
  }

  // m: o phi(c') of these steps, in rows padded to whole vectors. d: the gradients of its projection, likewise. Both
  // are zero past the end of each sequence.
  void AddProjection(Worker& worker, Range steps, const T* m, const T* d, bool first) const {
    if (!arrays_.d_extras.projection) return;
    const int64_t rows = steps.size() * layer_.batch, panels = (layer_.extras.projection + kWidth - 1) / kWidth;
    const int64_t shares = std::min(schedule_.GradientShares(panels), (strips_.number + kSize - 1) / kSize);
    ForEachShare(worker, panels, shares, [&](int64_t panel, Share share) {
      T* const packed = panels_.get() + worker.index() * max_rows_ * kWidth;
      PackPanel(panel, rows, d, packed);
      const Range range = share.Slice(strips_.number);
      for (int64_t k = range.begin; k < range.end; ++k) AddRows(panel, strips_[k], rows, m, packed, first);
    });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // At most `kPanelVectors` panels: the numbers that a row has for them are in few cache lines.
  void AddPeepholePanels(Range panels, Range steps, const T* dz, bool first) const {
    Vec<T> sums[kPanelVectors][3] = {};
    for (int64_t t = steps.begin; t < steps.end; ++t) {
      for (int64_t b = 0; b < layer_.batch; ++b, dz += plan_.row_width) {
        if (t >= plan_.Length(b)) continue;
        for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
          const T* const d = dz + panel * kWidth;
          const Vec<T> c = cells_.Read(t, b, panel, cells_.Before(t, b, panel));
          Vec<T>* const sum = sums[panel - panels.begin];
          sum[0] += Load(d) * c;
          sum[1] += Load(d + 2 * kSize) * c;
          sum[2] += Load(d + 3 * kSize) * cells_.New(t, b, panel, c);
        }
      }
    }
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      const int count = plan_.Units(panel);
      for (int k = 0; k < 3; ++k) {
        T* const target = arrays_.d_extras.peephole[k] + panel * kSize;
        const Vec<T> sum = sums[panel - panels.begin][k];
        StoreFirst(target, first ? sum : LoadFirst(target, count) + sum, count);
      }
    }
  }

  // Copies a panel of columns of `d` to memory in the layout of panel.h, padded to 4 vectors.
  void PackPanel(int64_t panel, int64_t rows, const T* d, T* target) const {
    const int64_t stride = VectorCount<T>(layer_.extras.projection) * kSize, column = panel * kWidth;
    for (int64_t row = 0; row < rows; ++row) {
      for (int v = 0; v < kPanelVectors; ++v) {
        const int64_t first = column + v * kSize;
        const Vec<T> value = first < stride ? Load(d + row * stride + first) : Vec<T>{};
        Store(target + VectorPosition<T>(rows, kPanelVectors, row, v) * kSize, value);
      }
    }
  }

  // Adds to the rows of some units for a panel of columns.
  void AddRows(int64_t panel, Range units, int64_t rows, const T* m, const T* d, bool first) const {
    alignas(64) T sum[kTileRows * kWidth];
    const int64_t width = layer_.extras.projection, count = std::min(kWidth, width - panel * kWidth);
    SelectTile<T, kPanelVectors, Left::kColumns>(units.size())(rows, m + units.begin, plan_.panels * kSize, d, nullptr,
                                                               0, sum, kWidth);
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
      T* const target = arrays_.d_extras.projection + unit * width + panel * kWidth;
      const T* const source = sum + (unit - units.begin) * kWidth;
      for (int64_t n = 0; n < count; ++n) target[n] = first ? source[n] : target[n] + source[n];
    }
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const BackwardArrays<T>& arrays_;
  const LayerSchedule& schedule_;
  const CellStates<T, true> cells_;
  const Pieces strips_;  // The units.
  const int64_t max_rows_;
  const Buffer<T> panels_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_EXTRA_GRADIENTS_H_
