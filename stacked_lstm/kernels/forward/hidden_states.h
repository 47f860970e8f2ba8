// The hidden states that the steps of the forward pass read and write.

#ifndef STACKED_LSTM_HIDDEN_STATES_H_
#define STACKED_LSTM_HIDDEN_STATES_H_

#include <algorithm>

#include "arithmetic/vector.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "storage/buffer.h"
#include "storage/layer_series.h"

namespace stacked_lstm {

// has_extras: whether the layer may have series. The code for plain layers has no checks for series. The methods are
// const because the members of a team share the object. W is the type in which the weights are stored.
template <class T, bool has_extras, class W = T>
class HiddenStates {
 public:
  HiddenStates(const Plan<T>& plan, const ForwardArrays<T, W>& arrays)
      : plan_(plan),
        arrays_(arrays),
        series_(plan.layer, arrays.extras),
        batch_(plan.layer.batch),
        width_(plan.layer.outputs()),
        copies_(is_copied() ? 2 * batch_ * width_ : 0),
        starts_from_zero_(!is_copied() && batch_ > 1 && IsZero(arrays.h, batch_ * width_)) {
    if (is_copied()) CopyInitial();
  }

  // Whether a step must call `ZoneOut` and `Keep`.
  bool ChangesSteps() const { return is_copied() || series_.Has(kZoneoutH); }

  // The factor of the recurrent product of step t, [B, P], and the distance of its rows.
  const T* Factor(int64_t t) const {
    return is_copied() ? Copy(t, 0) : FollowsStep(t) ? After(plan_.Before(t), 0) : arrays_.h;
  }
  int64_t FactorStride(int64_t t) const {
    return !is_copied() && FollowsStep(t) ? plan_.layer.HiddenStride() : width_;
  }

  // Whether the factor of step t is known to be zero in all rows.
  bool IsZero(int64_t t) const { return starts_from_zero_ && !FollowsStep(t); }

  // Returns h after step t. `h` is what the step computes: `count` numbers from column `first` on.
  STACKED_LSTM_INLINE Vec<T> ZoneOut(int64_t t, int64_t b, int64_t first, int count, Vec<T> h) const {
    if (!series_.Has(kZoneoutH)) return h;
    return Mix<T>(series_.At(kZoneoutH, t, b, first, count), LoadFirst(Before(t, b) + first, count), h);
  }

  // If the layer is residual: writes its outputs, from a vector of h after step t. Past the end, x may be anything.
  STACKED_LSTM_INLINE void AddInput(int64_t t, int64_t b, int64_t first, Vec<T> h, int count) const {
    if (!plan_.layer.residual) return;
    const T* const x = arrays_.x + (t * batch_ + b) * width_ + first;
    const Vec<T> sum = t < plan_.Length(b) ? LoadFirst(x, count) + h : Vec<T>{};
    StoreFirst(arrays_.outputs + plan_.layer.OutputIndex(t, b) + first, sum, count);
  }

  // Stores a vector of h after step t for the product of the next step.
  STACKED_LSTM_INLINE void Keep(int64_t t, int64_t b, int64_t first, Vec<T> h, int count) const {
    if (!is_copied() || t >= plan_.Length(b) || plan_.IsLast(t, b)) return;
    const int64_t next = plan_.After(t);
    if (series_.IsReset(next, b)) h = series_.At(kStartH, next, b, first, count);
    if (series_.Has(kHMask)) h *= series_.At(kHMask, next, b, first, count);
    StoreFirst(Copy(next, b) + first, h, count);
  }

 private:
  static bool IsZero(const T* numbers, int64_t size) {
    bool differs = false;
    for (int64_t k = 0; k < size; ++k) differs |= numbers[k] != 0;
    return !differs;
  }

  // Whether the product of a step reads a copy of h, after resets and times the mask. A layer that reads from the end
  // needs a copy if there are lengths: the copy keeps the initial h of a sequence until the sequence begins.
  bool is_copied() const {
    return series_.Has(kHMask) || series_.HasResets() || (plan_.layer.from_end && plan_.layer.lengths);
  }

  // Whether a step follows another one, if all sequences have T steps.
  bool FollowsStep(int64_t t) const { return plan_.Before(t) >= 0 && plan_.Before(t) < plan_.layer.steps; }
  const T* After(int64_t t, int64_t b) const { return arrays_.Hidden() + plan_.layer.HiddenIndex(t, b); }

  // Even steps use one buffer, and odd steps use another one.
  T* Copy(int64_t t, int64_t b) const { return copies_.get() + (t % 2 * batch_ + b) * width_; }

  // h before step t, [P].
  const T* Before(int64_t t, int64_t b) const {
    return series_.RestartH(t, b, plan_.IsFirst(t, b) ? arrays_.h + b * width_ : After(plan_.Before(t), b));
  }

  void CopyInitial() const {
    std::fill(copies_.get(), copies_.get() + 2 * batch_ * width_, T(0));
    for (int64_t b = 0; b < batch_; ++b) {
      if (plan_.Length(b) == 0) continue;
      const int64_t first = plan_.Nth({0, plan_.Length(b)}, 0);
      T* const copy = Copy(first, b);
      std::copy_n(Before(first, b), width_, copy);
      if (!series_.Has(kHMask)) continue;
      const T* const mask = arrays_.extras.series[kHMask] + plan_.layer.SeriesIndex(kHMask, first, b);
      for (int64_t k = 0; k < width_; ++k) copy[k] *= mask[k];
    }
  }

  const Plan<T>& plan_;
  const ForwardArrays<T, W>& arrays_;
  const LayerSeries<T, has_extras> series_;
  const int64_t batch_, width_;
  const Buffer<T> copies_;
  const bool starts_from_zero_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_HIDDEN_STATES_H_
