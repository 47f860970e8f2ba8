// The cell states before and after steps, as the backward pass computes them from its cache.

#ifndef STACKED_LSTM_CELL_STATES_H_
#define STACKED_LSTM_CELL_STATES_H_

#include "arithmetic/cell.h"
#include "arithmetic/vector.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "storage/layer_series.h"
#include "storage/layout.h"

namespace stacked_lstm {

// Cache: a view that has the cell states as `cells`. `New` also needs `gates`, those of `CacheView`.
template <class T, bool has_extras, class Cache = CacheView<const T>>
class CellStates {
 public:
  CellStates(const Plan<T>& plan, const BackwardArrays<T>& arrays)
      : plan_(plan), arrays_(arrays), series_(plan.layer, arrays.extras), cache_(arrays.cache, plan.layer) {}

  // c before step t.
  STACKED_LSTM_INLINE Vec<T> Before(int64_t t, int64_t b, int64_t panel) const {
    const int64_t first = panel * kSize;
    const int count = plan_.Units(panel);
    const Vec<T> c = plan_.IsFirst(t, b) ? LoadFirst(arrays_.c + b * plan_.layer.units + first, count)
                                         : Load(cache_.cells.At(plan_.Before(t) * plan_.layer.batch + b, panel));
    return series_.RestartC(t, b, first, count, c);
  }

  // c as step t reads it. `before` is what `Before` returns.
  STACKED_LSTM_INLINE Vec<T> Read(int64_t t, int64_t b, int64_t panel, Vec<T> before) const {
    return series_.MaskC(t, b, panel * kSize, plan_.Units(panel), before);
  }

  // c' of step t, before zoneout. `c` is what `Read` returns.
  STACKED_LSTM_INLINE Vec<T> New(int64_t t, int64_t b, int64_t panel, Vec<T> c) const {
    const int64_t row = t * plan_.layer.batch + b;
    if (!series_.Has(kZoneoutC)) return Load(cache_.cells.At(row, panel));
    const T* const gates = cache_.gates.At(row, panel);
    const Vec<T> mask = series_.CandidateMask(t, b, panel * kSize, plan_.Units(panel));
    const Vec<T> sum = Load(gates + 2 * kSize) * c + Load(gates) * (Load(gates + kSize) * mask);
    return ClipTo<T>(sum, static_cast<T>(plan_.layer.extras.cell_bound));
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize;

  const Plan<T>& plan_;
  const BackwardArrays<T>& arrays_;
  const LayerSeries<T, has_extras> series_;
  const Cache cache_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_CELL_STATES_H_
