// The pointwise part of a step of the forward pass, which follows the products.

#ifndef STACKED_LSTM_POINTWISE_STEP_H_
#define STACKED_LSTM_POINTWISE_STEP_H_

#include <algorithm>

#include "arithmetic/cell.h"
#include "arithmetic/vector.h"
#include "forward/hidden_states.h"
#include "forward/projection.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "storage/layer_series.h"
#include "storage/layout.h"

namespace stacked_lstm {

// The methods are const because the members of a team share the object. W is the type in which the weights are stored.
template <class T, class Cell, class W>
class PointwiseStep {
 public:
  typedef HiddenStates<T, Cell::kHasExtras, W> Hidden;
  typedef ForwardProjection<T, Cell::kHasExtras, W> Projection;

  // The maximum number of rows of `Run`, one per panel and sequence. The operations of a row are a long chain, so that
  // the processor must work on many rows at the same time. Their z must stay in the first-level cache.
  static constexpr int64_t kMaxRows = 24;

  PointwiseStep(const Plan<T>& plan, const ForwardArrays<T, W>& arrays, const Cell& cell, const Hidden& hidden,
                const Projection& projection)
      : plan_(plan),
        layer_(plan.layer),
        arrays_(arrays),
        cell_(cell),
        plain_cell_(cell.WithoutExtras(plan.layer)),
        hidden_(hidden),
        projection_(projection),
        series_(plan.layer, arrays.extras),
        plain_series_(plan.layer, arrays.extras),
        only_resets_(Cell::kHasExtras && plan.layer.extras.OnlyResets()),
        has_cache_(arrays.cache != nullptr),
        cache_(arrays.cache, plan.layer),
        c_(has_cache_ ? 0 : plan.layer.batch, plan.panels) {}

  // Computes c and h of a step for the units of some panels, for `rows` sequences from `row` on. panels.size() * rows
  // is at most kMaxRows. z: the rows of gates. Those of consecutive sequences are `z_stride` numbers apart, and those
  // of consecutive panels `panel_stride`. The gates after their activation replace them. In several loops, one per kind
  // of work, the processor works on more rows at the same time. The function is not inlined, because its loops would
  // have too few registers.
  __attribute__((noinline)) void Run(int64_t t, Range panels, int64_t row, int64_t rows, T* z, int64_t z_stride,
                                     int64_t panel_stride) const {
    alignas(64) T c[kMaxRows * kSize];
    for (int64_t p = 0; p < panels.size(); ++p) {
      for (int64_t r = 0; r < rows; ++r) cell_.Activate(z + p * panel_stride + r * z_stride);
    }
    for (int64_t p = 0; p < panels.size(); ++p) {
      NewCells(t, panels.begin + p, row, rows, z + p * panel_stride, z_stride, c + p * rows * kSize);
    }
    cell_.ApplyPhi(panels.size(), rows, c, z + kOutputGate * kSize, z_stride, panel_stride);
    for (int64_t p = 0; p < panels.size(); ++p) {
      T* const gates = z + p * panel_stride;
      NewHidden(t, panels.begin + p, row, rows, gates + kOutputGate * kSize, z_stride, c + p * rows * kSize);
      if (has_cache_) KeepGates(t, panels.begin + p, row, rows, gates, z_stride);
    }
  }

  // Asks for the part of the cache that `Run` writes.
  STACKED_LSTM_INLINE void PrefetchCache(int64_t t, int64_t panel, int64_t row, int64_t rows) const {
    for (int64_t k = t * layer_.batch + row; rows > 0; --rows, ++k) {
      Prefetch<Use::kWrite>(cache_.gates.At(k, panel), kGates * kSize);
      Prefetch<Use::kWrite>(cache_.cells.At(k, panel), kSize);
    }
  }

  // Writes what a step past the end of some sequences leaves for the units of some panels: zeros.
  void Skip(int64_t t, Range panels, int64_t row, int64_t rows) const {
    for (int64_t b = row; b < row + rows; ++b) {
      for (int64_t panel = panels.begin; panel < panels.end; ++panel) SkipUnits(t, panel, b);
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kOutputGate = kGates - 1;

  // The compiler knows that plain layers have none.
  bool has_projection() const { return Cell::kHasExtras && layer_.extras.projection; }

  T* C(int64_t t, int64_t b, int64_t panel) const {
    return has_cache_ ? cache_.cells.At(t * layer_.batch + b, panel) : c_.At(b, panel);
  }
  // Where a vector of o phi(c') goes: to h, or to what the projection takes.
  T* H(int64_t t, int64_t b, int64_t panel) const {
    return has_projection() ? projection_.M(b, panel)
                            : arrays_.Hidden() + layer_.HiddenIndex(t, b) + panel * kSize;
  }

  void SkipUnits(int64_t t, int64_t panel, int64_t b) const {
    StoreFirst(H(t, b, panel), Vec<T>{}, plan_.Units(panel));
    if (!has_projection()) hidden_.AddInput(t, b, panel * kSize, Vec<T>{}, plan_.Units(panel));
    if (!has_cache_) return;
    const int64_t row = t * layer_.batch + b;
    for (int gate = 0; gate < kGates; ++gate) Store(cache_.gates.At(row, panel) + gate * kSize, Vec<T>{});
    Store(cache_.cells.At(row, panel), Vec<T>{});
  }

  // Computes c from the gates. `new_c` gets c before its zoneout.
  STACKED_LSTM_INLINE void NewCells(int64_t t, int64_t panel, int64_t row, int64_t rows, T* z, int64_t z_stride,
                                    T* new_c) const {
    T* after = C(t, row, panel);
    for (int64_t b = row; b < row + rows; ++b, z += z_stride, new_c += kSize, after += plan_.panels * kSize) {
      if (t >= plan_.Length(b)) {
        SkipUnits(t, panel, b);
        Store(new_c, Vec<T>{});
      } else if (only_resets_ && !series_.IsReset(t, b)) {
        NewCell(plain_cell_, plain_series_, t, panel, b, z, new_c, after);
      } else {
        NewCell(cell_, series_, t, panel, b, z, new_c, after);
      }
    }
  }

  // Computes c of one sequence. cell, series: those of the layer, or those of a plain one.
  template <class StepCell>
  STACKED_LSTM_INLINE void NewCell(const StepCell& cell, const LayerSeries<T, StepCell::kHasExtras>& series, int64_t t,
                                   int64_t panel, int64_t b, T* gates, T* new_c, T* after) const {
    const int64_t units = layer_.units, first = panel * kSize;
    const int count = plan_.Units(panel);
    const Vec<T> c_after = plan_.IsFirst(t, b) ? LoadFirst(arrays_.c + b * units + first, count)
                                               : Load(C(plan_.Before(t), b, panel));
    const Vec<T> c = series.MaskC(t, b, first, count, series.RestartC(t, b, first, count, c_after));
    Vec<T> value = cell.NewC(gates, c, panel, series.CandidateMask(t, b, first, count));
    Store(new_c, value);
    if (series.Has(kZoneoutC)) value = Mix<T>(series.At(kZoneoutC, t, b, first, count), c, value);
    Store(after, value);
    if (plan_.IsLast(t, b)) StoreFirst(arrays_.c_last + b * units + first, value, count);
  }

  // Computes o phi(c), which is h unless there is a projection. o: rows that are `o_stride` numbers apart.
  STACKED_LSTM_INLINE void NewHidden(int64_t t, int64_t panel, int64_t row, int64_t rows, const T* o, int64_t o_stride,
                                     const T* phi) const {
    const int64_t first = panel * kSize, stride = has_projection() ? plan_.panels * kSize : layer_.HiddenStride();
    const int count = plan_.Units(panel);
    T* const target = H(t, row, panel);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t b = row + r;
      if (t >= plan_.Length(b)) continue;
      Vec<T> h = Load(o + r * o_stride) * Load(phi + r * kSize);
      if (!has_projection()) h = hidden_.ZoneOut(t, b, first, count, h);
      StoreFirst(target + r * stride, h, count);
      if (has_projection()) continue;
      hidden_.AddInput(t, b, first, h, count);
      hidden_.Keep(t, b, first, h, count);
      if (plan_.IsLast(t, b)) StoreFirst(arrays_.h_last + b * layer_.units + first, h, count);
    }
  }

  // Writes the gates to the cache, except those of sequences that have ended.
  void KeepGates(int64_t t, int64_t panel, int64_t row, int64_t rows, const T* gates, int64_t stride) const {
    for (int64_t b = row; b < row + rows; ++b, gates += stride) {
      if (t >= plan_.Length(b)) continue;
      T* const target = cache_.gates.At(t * layer_.batch + b, panel);
      for (int gate = 0; gate < kGates; ++gate) Store(target + gate * kSize, Load(gates + gate * kSize));
    }
  }

  const Plan<T>& plan_;
  const Layer& layer_;
  const ForwardArrays<T, W>& arrays_;
  const Cell cell_;
  const typename Cell::Plain plain_cell_;
  const Hidden& hidden_;
  const Projection& projection_;
  const LayerSeries<T, Cell::kHasExtras> series_;
  const LayerSeries<T, false> plain_series_;
  const bool only_resets_;  // Rows without resets are then computed as those of plain layers.
  const bool has_cache_;
  const CacheView<T> cache_;
  const PanelBuffer<T, 1> c_;  // Without a cache: c of one step.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_POINTWISE_STEP_H_
