// The gradients of the series of a layer, and of the states that pass through them or are results.

#ifndef STACKED_LSTM_SERIES_GRADIENTS_H_
#define STACKED_LSTM_SERIES_GRADIENTS_H_

#include "arithmetic/cell.h"
#include "arithmetic/vector.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "storage/buffer.h"
#include "storage/layer_series.h"
#include "storage/layout.h"

namespace stacked_lstm {

// Methods take and return vectors, for step t and sequence b. They add to the gradients of the series that are needed.
// The compiler knows that plain layers have no series.
template <class T, bool has_extras>
class SeriesGradients {
 public:
  // The gradient of a state after a step, in two parts. `step` is the gradient of what the step computes. `kept` is
  // what zoneout passes on to the state before the step.
  struct Parts {
    Vec<T> step, kept;
  };

  SeriesGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays)
      : plan_(plan),
        layer_(plan.layer),
        arrays_(arrays),
        series_(layer_, arrays.extras),
        kept_dh_(series_.Has(kZoneoutH) ? layer_.batch : 0, VectorCount<T>(layer_.outputs())) {
    for (int k = 0; has_extras && k < kSeriesCount; ++k) {
      const bool is_sum = arrays.d_extras.series[k] && layer_.extras.series[k].stride == 0;
      excess_[k] = is_sum ? buffers_.Take(layer_.SeriesSize(k)) : nullptr;
    }
  }

  void SetToZero() const {
    for (int k = 0; has_extras && k < kSeriesCount; ++k) {
      for (T* const array : {arrays_.d_extras.series[k], excess_[k]}) {
        if (array) std::fill_n(array, layer_.SeriesSize(k), T(0));
      }
    }
    for (int64_t b = 0; series_.Has(kZoneoutH) && b < layer_.batch; ++b) {
      std::fill_n(kept_dh_.At(b, 0), VectorCount<T>(layer_.outputs()) * kSize, T(0));
    }
  }

  // Whether the gradients of the initial h, or of the layer's series, depend on the products of the first step.
  bool NeedsFirstProduct() const {
    return arrays_.d_h || (has_extras && (arrays_.d_extras.series[kHMask] || arrays_.d_extras.series[kStartH]));
  }
  // Whether anything depends on products with the recurrent weights.
  bool NeedsProducts() const { return plan_.longest > 1 || NeedsFirstProduct(); }

  // c: as the step reads it. c_new: what the step computes, before zoneout. dc: the gradient of c after the step.
  STACKED_LSTM_INLINE Parts OfNewC(int64_t t, int64_t b, int64_t panel, Vec<T> c, Vec<T> c_new, Vec<T> dc) const {
    if (!series_.Has(kZoneoutC)) return {dc, Vec<T>{}};
    Add(kZoneoutC, t, b, panel, [&] { return dc * (c - c_new); });
    const Vec<T> share = At(kZoneoutC, t, b, panel);
    return {(T(1) - share) * dc, share * dc};
  }

  // The gradient of c after the step before. c_before: c before the step and its mask. d_step: the gradient of c as the
  // step reads it, from what the step computes. kept: as in `Parts`.
  STACKED_LSTM_INLINE Vec<T> OfCBefore(int64_t t, int64_t b, int64_t panel, Vec<T> c_before, Vec<T> d_step,
                                       Vec<T> kept) const {
    Vec<T> dc = series_.Has(kZoneoutC) ? d_step + kept : d_step;
    if (series_.Has(kCMask)) {
      Add(kCMask, t, b, panel, [&] { return dc * c_before; });
      dc *= At(kCMask, t, b, panel);
    }
    if (!series_.IsReset(t, b)) return dc;
    Add(kStartC, t, b, panel, [&] { return dc; });
    return Vec<T>{};
  }

  // d: the gradient of what multiplies the candidate.
  STACKED_LSTM_INLINE void OfCandidateMask(int64_t t, int64_t b, int64_t panel, Vec<T> d) const {
    if (series_.Has(kCandidateMask)) Add(kCandidateMask, t, b, panel, [&] { return d; });
  }

  // The gradient of what the step computes for h, `h_new`, of the gradient of h after the step. The rest is kept for
  // `OfHBefore`.
  STACKED_LSTM_INLINE Vec<T> OfNewH(int64_t t, int64_t b, int64_t vector, Vec<T> h_new, Vec<T> dh) const {
    if (!series_.Has(kZoneoutH)) return dh;
    Add(kZoneoutH, t, b, vector, [&] { return dh * (HBefore(t, b, vector) - h_new); });
    const Vec<T> share = At(kZoneoutH, t, b, vector);
    Store(kept_dh_.At(b, vector), share * dh);
    return (T(1) - share) * dh;
  }

  // Adds the gradients of the outputs and of the final h to a vector of dh, the gradient of h after the step.
  STACKED_LSTM_INLINE Vec<T> AddResults(int64_t t, int64_t b, int64_t vector, Vec<T> dh) const {
    const int64_t first = vector * kSize, width = layer_.outputs();
    const int count = static_cast<int>(std::min(kSize, width - first));
    dh += LoadFirst(arrays_.d_outputs + layer_.OutputIndex(t, b) + first, count);
    if (plan_.IsLast(t, b)) dh += LoadFirst(arrays_.d_h_last + b * width + first, count);
    return dh;
  }

  // With a projection: the gradient of the projected h before its clip, from that of h after the step. cache: a view
  // that has the projected h as `projected`.
  template <class Cache>
  Vec<T> OfProjected(int64_t t, int64_t b, int64_t vector, const Cache& cache, Vec<T> dh) const {
    if (!layer_.extras.KeepsProjected()) return dh;
    const T bound = static_cast<T>(layer_.extras.projection_bound);
    const Vec<T> projected = Load(cache.projected.At(t * layer_.batch + b, vector));
    return TimesClipSlope<T>(projected, OfNewH(t, b, vector, ClipTo<T>(projected, bound), dh), bound);
  }

  // The product of step t reads h of the step before, after its mask and resets. Turns the gradients of what it reads
  // into those of h of the step before, and adds what zoneout passes on. dh: rows of `vectors` vectors, from vector
  // `first` on, for sequences from b on.
  void OfHBefore(int64_t t, int64_t b, int64_t rows, int64_t first, int64_t vectors, T* dh) const {
    const bool all = series_.Has(kHMask) || series_.Has(kZoneoutH);
    if (!all && !series_.HasResets()) return;
    for (int64_t end = b + rows; b < end; ++b, dh += vectors * kSize) {
      if (t >= plan_.Length(b) || !(all || series_.IsReset(t, b))) continue;  // dh is zero, or stays.
      for (int64_t v = 0; v < vectors; ++v) Store(dh + v * kSize, OfHBefore(t, b, first + v, Load(dh + v * kSize)));
    }
  }

  // Whether other sequences precede a sequence, because they are read from later ends. `KeepInitialH` then stores the
  // gradient of its initial h.
  bool KeepsInitialH(int64_t b) const {
    return layer_.from_end && plan_.Length(b) > 0 && plan_.Length(b) < plan_.longest;
  }

  // It is `dh`, the gradient of h after step t, if such a sequence begins with the step after it.
  void KeepInitialH(int64_t t, int64_t b, int64_t vector, Vec<T> dh) const {
    if (!layer_.from_end || !arrays_.d_h || t != plan_.Length(b)) return;
    const int64_t first = vector * kSize, width = layer_.outputs();
    StoreFirst(arrays_.d_h + b * width + first, dh, static_cast<int>(std::min(kSize, width - first)));
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize;

  STACKED_LSTM_INLINE Vec<T> OfHBefore(int64_t t, int64_t b, int64_t vector, Vec<T> dh) const {
    if (series_.Has(kHMask)) {
      Add(kHMask, t, b, vector, [&] { return dh * HBefore(t, b, vector); });
      dh *= At(kHMask, t, b, vector);
    }
    if (series_.Has(kZoneoutH)) dh += Load(kept_dh_.At(b, vector));
    if (!series_.IsReset(t, b)) return dh;
    Add(kStartH, t, b, vector, [&] { return dh; });
    return Vec<T>{};
  }

  Vec<T> HBefore(int64_t t, int64_t b, int64_t vector) const {
    const int64_t width = layer_.outputs(), first = vector * kSize;
    const T* const h = plan_.IsFirst(t, b) ? arrays_.h + b * width
                                           : arrays_.Hidden() + layer_.HiddenIndex(plan_.Before(t), b);
    return LoadFirst(series_.RestartH(t, b, h) + first, static_cast<int>(std::min(kSize, width - first)));
  }

  // The numbers in a vector of a series: kSize, except in the last one.
  int Count(Series series, int64_t vector) const {
    return static_cast<int>(std::min(kSize, layer_.SeriesWidth(series) - vector * kSize));
  }

  STACKED_LSTM_INLINE Vec<T> At(Series series, int64_t t, int64_t b, int64_t vector) const {
    return series_.At(series, t, b, vector * kSize, Count(series, vector));
  }

  // Adds value() to the gradient of a series, if this gradient is needed. If one entry is for all steps, the sum may
  // have many addends. What rounding added to the sum is subtracted from the next addend (Kahan's summation).
  template <class Value>
  STACKED_LSTM_INLINE void Add(Series series, int64_t t, int64_t b, int64_t vector, Value value) const {
    T* const gradient = arrays_.d_extras.series[series];
    if (!gradient) return;
    T* const target = gradient + layer_.SeriesIndex(series, t, b) + vector * kSize;
    const int count = Count(series, vector);
    const Vec<T> sum = LoadFirst(target, count);
    if (!excess_[series]) return StoreFirst(target, sum + value(), count);
    T* const excess = excess_[series] + (target - gradient);
    const Vec<T> addend = value() - LoadFirst(excess, count), total = sum + addend, error = (total - sum) - addend;
    StoreFirst(target, total, count);
    StoreFirst(excess, error - error == Vec<T>{} ? error : Vec<T>{}, count);  // It is NaN or Inf if the sum is.
  }

  const Plan<T>& plan_;
  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  const LayerSeries<T, has_extras> series_;
  Scratch<T> buffers_;
  T* excess_[kSeriesCount] = {};     // For each series, in the layout of its gradient: what rounding adds to the sums.
  const PanelBuffer<T, 1> kept_dh_;  // With zoneout of h: `Parts::kept` of the step after.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_SERIES_GRADIENTS_H_
