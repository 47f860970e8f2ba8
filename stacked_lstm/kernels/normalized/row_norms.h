// The norms of a row, which is one step of one sequence, and their gradients.

#ifndef STACKED_LSTM_ROW_NORMS_H_
#define STACKED_LSTM_ROW_NORMS_H_

#include <cmath>

#include "schedule/plan.h"
#include "storage/normalized_layout.h"

namespace stacked_lstm {

// The sum of the numbers in a vector.
template <class T>
inline T Total(Vec<T> value) {
  T sum = 0;
  for (int k = 0; k < Vector<T>::kSize; ++k) sum += value[k];
  return sum;
}

template <class T>
class RowNorms {
 public:
  // Sums of a, the gradient of N(y), and of a N(y); and their means.
  struct Sums {
    Vec<T> a, a_unit;
    T mean, unit_mean;
  };

  RowNorms(const Plan<T>& plan, const NormWeights<const T>& weights)
      : units_(plan.layer.units),
        panels_(plan.panels),
        last_units_(plan.Units(plan.panels - 1)),
        epsilon_(static_cast<T>(plan.layer.extras.norm.epsilon)),
        norms_(1, plan.panels) {
    ForEachNormArray(weights, units_, [&](const T* array, int k) { CopyPadded(plan, array, k, norms_); });
  }

  // The number of units in a panel.
  int Units(int64_t panel) const { return static_cast<int>(panel + 1 < panels_ ? kSize : last_units_); }

  // A vector of units, with zeros after the last unit of the layer.
  Vec<T> Real(Vec<T> value, int64_t panel) const {
    return panel + 1 < panels_ || last_units_ == kSize ? value : First(value, static_cast<int>(last_units_));
  }

  // A vector of N(y) times the gain, plus the shift.
  Vec<T> Affine(int norm, Vec<T> unit, int64_t panel) const {
    return unit * Gain(norm, panel) + Load(norms_.At(0, panel) + (kNorms + norm) * kSize);
  }

  // Mean, and 1 / sqrt(variance + epsilon), of the products of each gate, in panels [gate, unit].
  void GateMoments(const T* products, T* mean, T* inverse) const {
    Vec<T> sums[kGates] = {}, squares[kGates] = {};
    for (int64_t panel = 0; panel < panels_; ++panel) {
      for (int k = 0; k < kGates; ++k) sums[k] += Load(products + panel * kWidth + k * kSize);
    }
    for (int k = 0; k < kGates; ++k) mean[k] = Total<T>(sums[k]) / static_cast<T>(units_);
    for (int64_t panel = 0; panel < panels_; ++panel) {
      for (int k = 0; k < kGates; ++k) {
        const Vec<T> centered = Real(Load(products + panel * kWidth + k * kSize) - mean[k], panel);
        squares[k] += centered * centered;
      }
    }
    for (int k = 0; k < kGates; ++k) inverse[k] = Inverse(squares[k]);
  }

  // The same of a row of cell states, in panels [unit]. `sum`: their sum.
  void CellMoments(const T* u, Vec<T> sum, T* mean, T* inverse) const {
    *mean = Total<T>(sum) / static_cast<T>(units_);
    Vec<T> squares = {};
    for (int64_t panel = 0; panel < panels_; ++panel) {
      const Vec<T> centered = Real(Load(u + panel * kSize) - *mean, panel);
      squares += centered * centered;
    }
    *inverse = Inverse(squares);
  }

  // Adds to the gradients of a norm's gain and shift, which are in a row of `NormPanels`, and to its sums. Returns a,
  // the gradient of N(y).
  Vec<T> UnitGradient(int norm, Vec<T> d, Vec<T> unit, int64_t panel, T* d_norms, Sums* sums) const {
    T* const d_gain = d_norms + (panel * 2 * kNorms + norm) * kSize;
    T* const d_shift = d_gain + kNorms * kSize;
    Store(d_gain, Load(d_gain) + d * unit);
    Store(d_shift, Load(d_shift) + d);
    const Vec<T> a = d * Gain(norm, panel);
    sums->a += a;
    sums->a_unit += a * unit;
    return a;
  }

  // Computes the means from the sums.
  void Means(Sums* sums, int number) const {
    for (int k = 0; k < number; ++k) {
      sums[k].mean = Total<T>(sums[k].a) / static_cast<T>(units_);
      sums[k].unit_mean = Total<T>(sums[k].a_unit) / static_cast<T>(units_);
    }
  }

  // The gradient of y from a, the gradient of N(y).
  Vec<T> ProductGradient(Vec<T> a, Vec<T> unit, const Sums& sums, T inverse, int64_t panel) const {
    return Real((a - sums.mean - unit * sums.unit_mean) * inverse, panel);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  T Inverse(Vec<T> squares) const { return 1 / std::sqrt(Total<T>(squares) / static_cast<T>(units_) + epsilon_); }
  Vec<T> Gain(int norm, int64_t panel) const { return Load(norms_.At(0, panel) + norm * kSize); }

  const int64_t units_, panels_, last_units_;
  const T epsilon_;
  const NormPanels<T> norms_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_ROW_NORMS_H_
