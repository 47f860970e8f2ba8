// The part of a step with layer normalization that follows the products, and its gradient, for one sequence.
//
// A norm needs all units of a row. Each pass over the row therefore ends with the sums that the next pass needs.
//
// has_extras: whether the candidate has a mask, or the layer has peepholes or a bound of c. The code for other steps
// has no checks for them.

#ifndef STACKED_LSTM_NORMALIZED_CELL_H_
#define STACKED_LSTM_NORMALIZED_CELL_H_

#include <algorithm>
#include <memory>
#include <vector>

#include "arithmetic/activations.h"
#include "arithmetic/cell.h"
#include "normalized/row_norms.h"
#include "schedule/plan.h"
#include "storage/normalized_layout.h"

namespace stacked_lstm {

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
  const T* c;           // c'; only read if the layer has peepholes.
  const T* mask;
  const T* normalized_cell;
  const T* inverses;
  const T* dh;          // [panel, unit]: the gradient of o phi(v).
  T* dc;                // The gradient of c'; afterwards that of c before the step.
  T* d_products;        // [panel, gate, unit]: the gradient of the products.
  T* d_norms;           // A row of `NormPanels`, to which the gradients are added.
  T* d_peepholes;       // The same of `PeepholePanels`; only used if the layer has peepholes.
};

template <class T, class Candidate, class Gates>
class NormalizedCell {
 public:
  NormalizedCell(const Plan<T>& plan, const ExtraWeights<const T>& extras, Candidate candidate, Gates gates)
      : panels_(plan.panels),
        is_carried_(plan.layer.extras.norm.is_carried),
        has_peepholes_(plan.layer.extras.peepholes),
        has_extras_(has_peepholes_ || plan.layer.extras.cell_bound != Extras::kNoBound),
        bound_(static_cast<T>(plan.layer.extras.cell_bound)),
        norms_(plan, extras.norm),
        peepholes_(has_peepholes_, plan.panels),
        candidate_(candidate),
        gates_(gates) {
    for (int k = 0; has_peepholes_ && k < kPeepholes; ++k) CopyPadded(plan, extras.peephole[k], k, peepholes_);
  }

  // Writes o phi(v), [H], which is not padded.
  void Step(const NormalizedRow<T>& row, T* h) const {
    if (has_extras_ || row.mask) return StepOf<true>(row, h);
    StepOf<false>(row, h);
  }

  // c' of a vector of units, for zoneout.
  Vec<T> NewC(const NormalizedRowGradient<T>& row, int64_t panel) const {
    return Clip<true>(is_carried_ ? norms_.Affine(kCellNorm, Load(row.normalized_cell + panel * kSize), panel)
                                  : CellSum<true>(row, panel));
  }

  // zone_out(panel, h, dh): returns the gradient of h = o phi(v) from dh, the one in the row.
  // add_mask(panel, d): stores d, the gradient of the candidate's mask.
  template <class ZoneOut, class AddMask>
  void Gradient(const NormalizedRowGradient<T>& row, ZoneOut zone_out, AddMask add_mask) const {
    if (has_extras_ || row.mask) return GradientOf<true>(row, zone_out, add_mask);
    GradientOf<false>(row, zone_out, add_mask);
  }

 private:
  typedef typename RowNorms<T>::Sums Sums;

  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;
  static constexpr int kPeepholeOfGate[kGates] = {0, -1, 1, 2};
  Vec<T> Peephole(int k, int64_t panel) const { return Load(peepholes_.At(0, panel) + k * kSize); }

  // A gate, or the candidate, from N of the products. A gate with a peephole sees a vector of cell states, c.
  template <bool has_extras>
  Vec<T> Gate(int gate, const T* units, int64_t panel, const T* c) const {
    Vec<T> z = norms_.Affine(gate, Load(units + gate * kSize), panel);
    if (has_extras && has_peepholes_) z += Peephole(kPeepholeOfGate[gate], panel) * Load(c + panel * kSize);
    return gates_.template Value<T>(z);
  }
  Vec<T> Memory(const T* units, int64_t panel) const {
    return candidate_.template Value<T>(norms_.Affine(1, Load(units + kSize), panel));
  }

  // A vector times the mask of the candidate, if there is one.
  template <bool has_extras>
  Vec<T> Masked(Vec<T> value, const T* mask, int64_t panel) const {
    return has_extras && mask ? value * LoadFirst(mask + panel * kSize, norms_.Units(panel)) : value;
  }
  template <bool has_extras>
  Vec<T> Clip(Vec<T> c) const {
    return has_extras ? ClipTo<T>(c, bound_) : c;
  }
  // u of a row, which has N of the products.
  template <bool has_extras, class Row>
  Vec<T> CellSum(const Row& row, int64_t panel) const {
    const T *const gates = row.gates + panel * kWidth, *const c = row.c_before;
    return Gate<has_extras>(2, gates, panel, c) * Load(c + panel * kSize) +
           Gate<has_extras>(0, gates, panel, c) * Masked<has_extras>(Memory(gates, panel), row.mask, panel);
  }

  template <bool has_extras>
  void StepOf(const NormalizedRow<T>& row, T* h) const {
    T mean[kGates], inverse[kNorms], cell_mean;
    norms_.GateMoments(row.gates, mean, inverse);
    Vec<T> sum = {};
    for (int64_t panel = 0; panel < panels_; ++panel) {
      T* const gates = row.gates + panel * kWidth;
      for (int k = 0; k < kGates; ++k) {
        Store(gates + k * kSize, norms_.Real((Load(gates + k * kSize) - mean[k]) * inverse[k], panel));
      }
      Vec<T> u = norms_.Real(CellSum<has_extras>(row, panel), panel);
      if (!is_carried_) u = Clip<has_extras>(u);
      Store(row.c + panel * kSize, u);
      sum += u;
    }
    norms_.CellMoments(row.c, sum, &cell_mean, &inverse[kCellNorm]);
    for (int64_t panel = 0; panel < panels_; ++panel) {
      T* const c = row.c + panel * kSize;
      const Vec<T> unit = norms_.Real((Load(c) - cell_mean) * inverse[kCellNorm], panel);
      Vec<T> v = norms_.Affine(kCellNorm, unit, panel);
      if (is_carried_) Store(c, v = Clip<has_extras>(v));
      if (row.normalized_cell) Store(row.normalized_cell + panel * kSize, unit);
      const Vec<T> o = Gate<has_extras>(3, row.gates + panel * kWidth, panel, row.c);
      StoreFirst(h + panel * kSize, o * candidate_.template Value<T>(v), norms_.Units(panel));
    }
    if (row.inverses) std::copy_n(inverse, kNorms, row.inverses);
  }

  template <bool has_extras, class ZoneOut, class AddMask>
  void GradientOf(const NormalizedRowGradient<T>& row, ZoneOut zone_out, AddMask add_mask) const {
    Sums cell = {};
    for (int64_t panel = 0; panel < panels_; ++panel) OutputGradient<has_extras>(row, panel, &cell, zone_out);
    norms_.Means(&cell, 1);
    Sums gates[kGates] = {};
    for (int64_t panel = 0; panel < panels_; ++panel) CellGradient<has_extras>(row, panel, cell, gates, add_mask);
    norms_.Means(gates, kGates);
    for (int64_t panel = 0; panel < panels_; ++panel) {
      const T* const units = row.gates + panel * kWidth;
      T* const d = row.d_products + panel * kWidth;
      for (int k = 0; k < kGates; ++k) {
        const Vec<T> unit = Load(units + k * kSize);
        Store(d + k * kSize, norms_.ProductGradient(Load(d + k * kSize), unit, gates[k], row.inverses[k], panel));
      }
    }
  }

  // Adds to the gradient of a peephole, which multiplies c in the pre-activation of a gate.
  void AddPeephole(int k, Vec<T> dz, const T* c, const NormalizedRowGradient<T>& row, int64_t panel) const {
    T* const d = row.d_peepholes + (panel * kPeepholes + k) * kSize;
    Store(d, Load(d) + dz * Load(c + panel * kSize));
  }

  // From dh to the gradients of z_o and N(u). They stay where those of the products will be.
  template <bool has_extras, class ZoneOut>
  void OutputGradient(const NormalizedRowGradient<T>& row, int64_t panel, Sums* cell, ZoneOut zone_out) const {
    const Vec<T> unit = Load(row.normalized_cell + panel * kSize), v = norms_.Affine(kCellNorm, unit, panel);
    const Vec<T> o = Gate<has_extras>(3, row.gates + panel * kWidth, panel, row.c);
    const Vec<T> phi = candidate_.template Value<T>(is_carried_ ? Clip<has_extras>(v) : v);
    const Vec<T> dh = zone_out(panel, o * phi, norms_.Real(Load(row.dh + panel * kSize), panel));
    const Vec<T> d_o = gates_.template TimesSlope<T>(o, dh * phi);
    Vec<T> dv = candidate_.template TimesSlope<T>(phi, dh * o);
    if (has_extras && has_peepholes_) {
      T* const dc = row.dc + panel * kSize;
      Store(dc, Load(dc) + d_o * Peephole(2, panel));
      AddPeephole(2, d_o, row.c, row, panel);
    }
    if (is_carried_) {
      dv += Load(row.dc + panel * kSize);
      if (has_extras) dv = TimesClipSlope<T>(v, dv, bound_);
    }
    T* const d = row.d_products + panel * kWidth;
    Store(d, norms_.UnitGradient(kCellNorm, dv, unit, panel, row.d_norms, cell));
    Store(d + 3 * kSize, d_o);
  }

  // From the gradient of N(u) to those of N of the gates, and of c before the step.
  template <bool has_extras, class AddMask>
  void CellGradient(const NormalizedRowGradient<T>& row, int64_t panel, const Sums& cell, Sums* sums,
                    AddMask add_mask) const {
    const T* const units = row.gates + panel * kWidth;
    T* const d = row.d_products + panel * kWidth;
    const Vec<T> i = Gate<has_extras>(0, units, panel, row.c_before), g = Memory(units, panel);
    const Vec<T> f = Gate<has_extras>(2, units, panel, row.c_before), c = Load(row.c_before + panel * kSize);
    const Vec<T> masked_g = Masked<has_extras>(g, row.mask, panel);
    const Vec<T> unit = Load(row.normalized_cell + panel * kSize);
    Vec<T> du = norms_.ProductGradient(Load(d), unit, cell, row.inverses[kCellNorm], panel);
    if (!is_carried_) {
      du += Load(row.dc + panel * kSize);
      if (has_extras) du = TimesClipSlope<T>(f * c + i * masked_g, du, bound_);
    }
    if (has_extras) add_mask(panel, du * i * g);
    const Vec<T> dz[] = {gates_.template TimesSlope<T>(i, du * masked_g),
                         candidate_.template TimesSlope<T>(g, Masked<has_extras>(du * i, row.mask, panel)),
                         gates_.template TimesSlope<T>(f, du * c), Load(d + 3 * kSize)};
    Vec<T> dc = du * f;
    if (has_extras && has_peepholes_) {
      dc += dz[0] * Peephole(0, panel) + dz[2] * Peephole(1, panel);
      AddPeephole(0, dz[0], row.c_before, row, panel);
      AddPeephole(1, dz[2], row.c_before, row, panel);
    }
    Store(row.dc + panel * kSize, norms_.Real(dc, panel));
    for (int k = 0; k < kGates; ++k) {
      Store(d + k * kSize, norms_.UnitGradient(k, dz[k], Load(units + k * kSize), panel, row.d_norms, &sums[k]));
    }
  }

  const int64_t panels_;
  const bool is_carried_, has_peepholes_, has_extras_;
  const T bound_;
  const RowNorms<T> norms_;
  const PeepholePanels<T> peepholes_;
  const Candidate candidate_;
  const Gates gates_;
};

// Like `DispatchCells`, with a `NormalizedCell` for each layer.
template <class T, class Arrays, class Visitor>
void DispatchNormalizedCells(const std::vector<Plan<T>>& plans, const std::vector<Arrays>& arrays, Visitor visitor) {
  DispatchActivations(plans[0].layer.candidate, plans[0].layer.gates, [&](auto candidate, auto gates) {
    typedef NormalizedCell<T, decltype(candidate), decltype(gates)> LayerCell;
    std::vector<std::unique_ptr<const LayerCell>> cells;
    for (size_t l = 0; l < plans.size(); ++l) {
      cells.emplace_back(new LayerCell(plans[l], arrays[l].extras, candidate, gates));
    }
    visitor([&](int64_t l) -> const LayerCell& { return *cells[l]; });
  });
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZED_CELL_H_
