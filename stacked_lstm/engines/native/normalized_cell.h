// The part of a step with layer normalization that follows the products, and its gradient, for one sequence.
//
// A norm needs all units of a row. Each pass over the row therefore ends with the sums that the next pass needs.
//
// has_mask: whether the candidate has a mask. The code for steps without a mask has no check for it.

#ifndef STACKED_LSTM_NORMALIZED_CELL_H_
#define STACKED_LSTM_NORMALIZED_CELL_H_

#include <cmath>

#include "activations.h"
#include "normalized_layout.h"
#include "plan.h"

namespace stacked_lstm {

// The sum of the numbers in a vector.
template <class T>
inline T Total(Vec<T> value) {
  T sum = 0;
  for (int k = 0; k < Vector<T>::kSize; ++k) sum += value[k];
  return sum;
}

// The rows of one step of one sequence. They are padded to whole vectors.
template <class T>
struct NormalizedRow {
  T* gates;            // [panel, gate, unit]: the products; afterwards N of them.
  const T* c_before;   // [panel, unit]
  T* c;                // c'. It may be `c_before`.
  const T* mask;       // [H], the mask of the candidate, not padded; or null.
  T* normalized_cell;  // N(u), or null if no backward pass follows.
  T* inverses;         // [kNorms]: 1 / sqrt(variance + epsilon), or null.
};

// What the gradient of a row reads and writes.
template <class T>
struct NormalizedRowGradient {
  const T* gates;
  const T* c_before;
  const T* mask;
  const T* normalized_cell;
  const T* inverses;
  const T* dh;         // [panel, unit], from the step after.
  const T* d_output;   // [H], not padded.
  const T* d_h_last;   // [H], not padded, or null.
  T* dc;               // The gradient of c'; afterwards that of c before the step.
  T* d_products;       // [panel, gate, unit]: the gradient of the products.
  T* d_norms;          // A row of `NormPanels`, to which the gradients are added.
};

template <class T, class Candidate, class Gates>
class NormalizedCell {
 public:
  NormalizedCell(const Plan<T>& plan, const Normalization& normalization, const NormWeights<const T>& weights,
                 Candidate candidate, Gates gates)
      : units_(plan.layer.units),
        panels_(plan.panels),
        last_units_(plan.Units(plan.panels - 1)),
        epsilon_(static_cast<T>(normalization.epsilon)),
        is_carried_(normalization.is_carried),
        norms_(1, plan.panels),
        candidate_(candidate),
        gates_(gates) {
    ForEachNormArray(weights, units_, [&](const T* array, int k) {
      for (int64_t panel = 0; panel < panels_; ++panel) {
        Store(norms_.At(0, panel) + k * kSize, LoadFirst(array + panel * kSize, Units(panel)));
      }
    });
  }

  // Writes h' [H], which is not padded.
  void Step(const NormalizedRow<T>& row, T* h) const {
    if (row.mask) return StepOf<true>(row, h);
    StepOf<false>(row, h);
  }

  // c' of a vector of units, for zoneout.
  Vec<T> NewC(const NormalizedRowGradient<T>& row, int64_t panel) const {
    return is_carried_ ? Affine(kCellNorm, Load(row.normalized_cell + panel * kSize), panel)
           : row.mask  ? CellSum<true>(row, panel)
                       : CellSum<false>(row, panel);
  }

  // zone_out(panel, h', dh): returns the gradient of h' from dh, the gradient of h after the step.
  // add_mask(panel, d): stores d, the gradient of the candidate's mask.
  template <class ZoneOut, class AddMask>
  void Gradient(const NormalizedRowGradient<T>& row, ZoneOut zone_out, AddMask add_mask) const {
    if (row.mask) return GradientOf<true>(row, zone_out, add_mask);
    GradientOf<false>(row, zone_out, add_mask);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Sums of a, the gradient of N(y), and of a N(y); and their means.
  struct Sums {
    Vec<T> a, a_unit;
    T mean, unit_mean;
  };

  int Units(int64_t panel) const { return static_cast<int>(panel + 1 < panels_ ? kSize : last_units_); }

  // A vector of units, with zeros after the last unit of the layer.
  Vec<T> Real(Vec<T> value, int64_t panel) const {
    return panel + 1 < panels_ || last_units_ == kSize ? value : First(value, static_cast<int>(last_units_));
  }

  Vec<T> Gain(int norm, int64_t panel) const { return Load(norms_.At(0, panel) + norm * kSize); }
  Vec<T> Affine(int norm, Vec<T> unit, int64_t panel) const {
    return unit * Gain(norm, panel) + Load(norms_.At(0, panel) + (kNorms + norm) * kSize);
  }
  // A gate, or the candidate, from N of the products.
  Vec<T> Gate(int gate, const T* units, int64_t panel) const {
    return gates_.template Value<T>(Affine(gate, Load(units + gate * kSize), panel));
  }
  Vec<T> Memory(const T* units, int64_t panel) const {
    return candidate_.template Value<T>(Affine(1, Load(units + kSize), panel));
  }

  // A vector times the mask of the candidate, if there is one.
  template <bool has_mask>
  Vec<T> Masked(Vec<T> value, const T* mask, int64_t panel) const {
    return has_mask ? value * LoadFirst(mask + panel * kSize, Units(panel)) : value;
  }
  // u of a row, which has N of the products.
  template <bool has_mask, class Row>
  Vec<T> CellSum(const Row& row, int64_t panel) const {
    const T* const gates = row.gates + panel * kWidth;
    const Vec<T> c = Load(row.c_before + panel * kSize);
    return Gate(2, gates, panel) * c + Gate(0, gates, panel) * Masked<has_mask>(Memory(gates, panel), row.mask, panel);
  }

  template <bool has_mask>
  void StepOf(const NormalizedRow<T>& row, T* h) const {
    T mean[kGates], inverse[kNorms], cell_mean;
    GateMoments(row.gates, mean, inverse);
    Vec<T> sum = {};
    for (int64_t panel = 0; panel < panels_; ++panel) {
      T* const gates = row.gates + panel * kWidth;
      for (int k = 0; k < kGates; ++k) {
        Store(gates + k * kSize, Real((Load(gates + k * kSize) - mean[k]) * inverse[k], panel));
      }
      const Vec<T> u = Real(CellSum<has_mask>(row, panel), panel);
      Store(row.c + panel * kSize, u);
      sum += u;
    }
    CellMoments(row.c, sum, &cell_mean, &inverse[kCellNorm]);
    for (int64_t panel = 0; panel < panels_; ++panel) {
      T* const c = row.c + panel * kSize;
      const Vec<T> unit = Real((Load(c) - cell_mean) * inverse[kCellNorm], panel);
      const Vec<T> v = Affine(kCellNorm, unit, panel);
      if (is_carried_) Store(c, v);
      if (row.normalized_cell) Store(row.normalized_cell + panel * kSize, unit);
      const Vec<T> o = Gate(3, row.gates + panel * kWidth, panel);
      StoreFirst(h + panel * kSize, o * candidate_.template Value<T>(v), Units(panel));
    }
    if (row.inverses) std::copy_n(inverse, kNorms, row.inverses);
  }

  template <bool has_mask, class ZoneOut, class AddMask>
  void GradientOf(const NormalizedRowGradient<T>& row, ZoneOut zone_out, AddMask add_mask) const {
    Sums cell = {};
    for (int64_t panel = 0; panel < panels_; ++panel) OutputGradient(row, panel, &cell, zone_out);
    Means(&cell, 1);
    Sums gates[kGates] = {};
    for (int64_t panel = 0; panel < panels_; ++panel) CellGradient<has_mask>(row, panel, cell, gates, add_mask);
    Means(gates, kGates);
    for (int64_t panel = 0; panel < panels_; ++panel) {
      const T* const units = row.gates + panel * kWidth;
      T* const d = row.d_products + panel * kWidth;
      for (int k = 0; k < kGates; ++k) {
        const Vec<T> unit = Load(units + k * kSize);
        Store(d + k * kSize, ProductGradient(Load(d + k * kSize), unit, gates[k], row.inverses[k], panel));
      }
    }
  }

  T Inverse(Vec<T> squares) const { return 1 / std::sqrt(Total<T>(squares) / static_cast<T>(units_) + epsilon_); }

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

  void CellMoments(const T* u, Vec<T> sum, T* mean, T* inverse) const {
    *mean = Total<T>(sum) / static_cast<T>(units_);
    Vec<T> squares = {};
    for (int64_t panel = 0; panel < panels_; ++panel) {
      const Vec<T> centered = Real(Load(u + panel * kSize) - *mean, panel);
      squares += centered * centered;
    }
    *inverse = Inverse(squares);
  }

  // Adds to the gradients of a norm's gain and shift, and to its sums. Returns a, the gradient of N(y).
  Vec<T> UnitGradient(int norm, Vec<T> d, Vec<T> unit, const NormalizedRowGradient<T>& row, int64_t panel,
                      Sums* sums) const {
    T* const d_gain = row.d_norms + (panel * 2 * kNorms + norm) * kSize;
    T* const d_shift = d_gain + kNorms * kSize;
    Store(d_gain, Load(d_gain) + d * unit);
    Store(d_shift, Load(d_shift) + d);
    const Vec<T> a = d * Gain(norm, panel);
    sums->a += a;
    sums->a_unit += a * unit;
    return a;
  }

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

  // From dh to the gradients of z_o and N(u). They stay where those of the products will be.
  template <class ZoneOut>
  void OutputGradient(const NormalizedRowGradient<T>& row, int64_t panel, Sums* cell, ZoneOut zone_out) const {
    const int count = Units(panel);
    const Vec<T> unit = Load(row.normalized_cell + panel * kSize), o = Gate(3, row.gates + panel * kWidth, panel);
    const Vec<T> phi = candidate_.template Value<T>(Affine(kCellNorm, unit, panel));
    Vec<T> dh = Load(row.dh + panel * kSize) + LoadFirst(row.d_output + panel * kSize, count);
    if (row.d_h_last) dh += LoadFirst(row.d_h_last + panel * kSize, count);
    dh = zone_out(panel, o * phi, Real(dh, panel));
    Vec<T> dv = candidate_.template TimesSlope<T>(phi, dh * o);
    if (is_carried_) dv += Load(row.dc + panel * kSize);
    T* const d = row.d_products + panel * kWidth;
    Store(d, UnitGradient(kCellNorm, dv, unit, row, panel, cell));
    Store(d + 3 * kSize, gates_.template TimesSlope<T>(o, dh * phi));
  }

  // From the gradient of N(u) to those of N of the gates, and of c before the step.
  template <bool has_mask, class AddMask>
  void CellGradient(const NormalizedRowGradient<T>& row, int64_t panel, const Sums& cell, Sums* sums,
                    AddMask add_mask) const {
    const T* const units = row.gates + panel * kWidth;
    T* const d = row.d_products + panel * kWidth;
    const Vec<T> i = Gate(0, units, panel), g = Memory(units, panel), f = Gate(2, units, panel);
    const Vec<T> unit = Load(row.normalized_cell + panel * kSize);
    Vec<T> du = ProductGradient(Load(d), unit, cell, row.inverses[kCellNorm], panel);
    if (!is_carried_) du += Load(row.dc + panel * kSize);
    if (has_mask) add_mask(panel, du * i * g);
    const Vec<T> dz[] = {gates_.template TimesSlope<T>(i, du * Masked<has_mask>(g, row.mask, panel)),
                         candidate_.template TimesSlope<T>(g, Masked<has_mask>(du * i, row.mask, panel)),
                         gates_.template TimesSlope<T>(f, du * Load(row.c_before + panel * kSize)),
                         Load(d + 3 * kSize)};
    Store(row.dc + panel * kSize, Real(du * f, panel));
    for (int k = 0; k < kGates; ++k) {
      Store(d + k * kSize, UnitGradient(k, dz[k], Load(units + k * kSize), row, panel, &sums[k]));
    }
  }

  const int64_t units_, panels_, last_units_;
  const T epsilon_;
  const bool is_carried_;
  const NormPanels<T> norms_;
  const Candidate candidate_;
  const Gates gates_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZED_CELL_H_
