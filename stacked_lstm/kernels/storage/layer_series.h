// The series of a layer, as vectors.

#ifndef STACKED_LSTM_LAYER_SERIES_H_
#define STACKED_LSTM_LAYER_SERIES_H_

#include "arithmetic/activations.h"
#include "arithmetic/vector.h"
#include "lstm.h"
#include "storage/layout.h"

namespace stacked_lstm {

// q old + (1 - q) value.
template <class T>
inline Vec<T> Mix(Vec<T> q, Vec<T> old, Vec<T> value) {
  return q * old + (T(1) - q) * value;
}

// has_extras: whether the layer may have series. The compiler knows that plain layers have none.
template <class T, bool has_extras>
class LayerSeries {
 public:
  LayerSeries(const Layer& layer, const ExtraWeights<const T>& weights) : layer_(layer), weights_(weights) {}

  bool Has(Series series) const { return has_extras && layer_.extras.series[series].exists; }

  // `count` numbers of a step and a sequence, from unit or column `first` on.
  __attribute__((always_inline)) Vec<T> At(Series series, int64_t t, int64_t b, int64_t first, int count) const {
    return LoadFirst(weights_.series[series] + layer_.SeriesIndex(series, t, b) + first, count);
  }

  // The mask of the candidate in a step, [H], or null if there is none.
  const T* CandidateMask(int64_t t, int64_t b) const {
    return Has(kCandidateMask) ? weights_.series[kCandidateMask] + layer_.SeriesIndex(kCandidateMask, t, b) : nullptr;
  }

  // What multiplies the candidate of a step.
  Vec<T> CandidateMask(int64_t t, int64_t b, int64_t first, int count) const {
    return Has(kCandidateMask) ? At(kCandidateMask, t, b, first, count) : Constant(T(1));
  }

  bool HasResets() const { return has_extras && layer_.extras.resets; }
  bool IsReset(int64_t t, int64_t b) const { return HasResets() && layer_.extras.resets[t * layer_.batch + b]; }

  // c before step t, from c after the step before, `c`.
  Vec<T> RestartC(int64_t t, int64_t b, int64_t first, int count, Vec<T> c) const {
    return IsReset(t, b) ? At(kStartC, t, b, first, count) : c;
  }

  // h before step t, from h after the step before: [P].
  const T* RestartH(int64_t t, int64_t b, const T* h) const {
    return IsReset(t, b) ? weights_.series[kStartH] + layer_.SeriesIndex(kStartH, t, b) : h;
  }

  // c as step t reads it, from c before the step.
  Vec<T> MaskC(int64_t t, int64_t b, int64_t first, int count, Vec<T> c) const {
    return Has(kCMask) ? c * At(kCMask, t, b, first, count) : c;
  }

  // Prefetches the masks and shares that `At` will read for some vectors of some sequences. A step reads each number
  // once, so without prefetches it would wait for the memory every time. `first` is a unit of both h and c. As
  // `Prefetch` of vector.h, the function must be inlined.
  STACKED_LSTM_INLINE void PrefetchSeries(int64_t t, int64_t b, int64_t rows, int64_t first, int vectors) const {
    if (!has_extras || t >= layer_.steps) return;
    for (int k = 0; k < kStartC; ++k) {
      if (!layer_.extras.series[k].exists) continue;
      for (int64_t r = 0; r < rows; ++r) {
        const T* const row = weights_.series[k] + layer_.SeriesIndex(k, t, b + r);
        Prefetch<Use::kRead>(row + first, vectors * Vector<T>::kSize);
      }
    }
  }

 private:
  const Layer& layer_;
  const ExtraWeights<const T>& weights_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LAYER_SERIES_H_
