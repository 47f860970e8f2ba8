// The pointwise part of a step and its gradient, for one vector of units.

#ifndef STACKED_LSTM_CELL_H_
#define STACKED_LSTM_CELL_H_

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "arithmetic/activations.h"
#include "arithmetic/vector.h"
#include "lstm.h"

namespace stacked_lstm {

// The gradients of z_i, z_c, z_f, z_o, of c before the step, and of the mask of the candidate.
template <class T>
struct StepGradients {
  Vec<T> i, g, f, o, c, mask;
};

// x clipped to [-bound, bound], as TensorFlow's clip_by_value has it even for a negative bound. NaN stays NaN.
template <class T>
inline Vec<T> ClipTo(Vec<T> x, T bound) {
  x = x > Constant(bound) ? Constant(bound) : x;
  return x < Constant(-bound) ? Constant(-bound) : x;
}

// v times the slope of `ClipTo` at x. The slope at the bound itself is 1.
template <class T>
inline Vec<T> TimesClipSlope(Vec<T> x, Vec<T> v, T bound) {
  return ((x > Constant(bound)) | (x < Constant(-bound))) ? Vec<T>{} : v;
}

// has_extras: whether a layer has anything beyond the plain equations, which then cost nothing.
template <class T, class Candidate, class Gates, bool has_extras>
class Cell {
 public:
  static constexpr bool kHasExtras = has_extras;
  typedef Cell<T, Candidate, Gates, false> Plain;

  Cell(const Layer& layer, const ExtraWeights<const T>& weights, Candidate candidate, Gates gates)
      : units_(layer.units),
        weights_(weights),
        bound_(static_cast<T>(layer.extras.cell_bound)),
        has_peepholes_(layer.extras.peepholes),
        candidate_(candidate),
        gates_(gates) {}

  // The cell of a layer with the same activations and without extras.
  Plain WithoutExtras(const Layer& layer) const { return Plain(layer, weights_, candidate_, gates_); }

  // Replaces z by the gates after their activation, for one row: four vectors. Peepholes need c, so that `NewC` and
  // `ApplyPhi` do it then.
  STACKED_LSTM_INLINE void Activate(T* z) const {
    if (has_peepholes()) return;
    Vec<T> values[] = {Load(z), Load(z + kSize), Load(z + 2 * kSize), Load(z + 3 * kSize)};
    ApplyEach<T>(values, gates_, candidate_, gates_, gates_);
    for (int gate = 0; gate < kGates; ++gate) Store(z + gate * kSize, values[gate]);
  }

  // Returns c'. gates: the result of `Activate`; with peepholes, all except o are activated here. panel: the number of
  // the vector of units. mask: multiplies the candidate. The gates are those without it.
  STACKED_LSTM_INLINE Vec<T> NewC(T* gates, Vec<T> c_before, int64_t panel, Vec<T> mask) const {
    Vec<T> values[] = {Load(gates), Load(gates + kSize), Load(gates + 2 * kSize)};
    if (has_peepholes()) {
      values[0] += Peephole(0, panel) * c_before;
      values[2] += Peephole(1, panel) * c_before;
      ApplyEach<T>(values, gates_, candidate_, gates_);
      for (int gate = 0; gate < 3; ++gate) Store(gates + gate * kSize, values[gate]);
    }
    const Vec<T> c = values[2] * c_before + values[0] * (has_extras ? values[1] * mask : values[1]);
    if (!has_extras) return c;
    const Vec<T> clipped = ClipTo<T>(c, bound_);
    if (!has_peepholes()) return clipped;
    Store(gates + 3 * kSize, Load(gates + 3 * kSize) + Peephole(2, panel) * clipped);
    return clipped;
  }

  // gates: i, g, f and o after their activation. phi_c: phi(c'). dh: the gradient of o phi(c'). dc: the gradient of c'.
  // panel and mask: as for `NewC`.
  StepGradients<T> Gradients(const T* gates, Vec<T> c_before, Vec<T> phi_c, Vec<T> dh, Vec<T> dc, int64_t panel,
                             Vec<T> mask) const {
    const Vec<T> i = Load(gates), g = Load(gates + kSize), f = Load(gates + 2 * kSize), o = Load(gates + 3 * kSize);
    const Vec<T> masked_g = has_extras ? g * mask : g;
    StepGradients<T> d;
    d.o = gates_.template TimesSlope<T>(o, dh * phi_c);
    dc += candidate_.template TimesSlope<T>(phi_c, dh * o);
    if (has_peepholes()) dc += d.o * Peephole(2, panel);
    if (has_extras) dc = TimesClipSlope<T>(f * c_before + i * masked_g, dc, bound_);
    d.i = gates_.template TimesSlope<T>(i, dc * masked_g);
    d.mask = dc * i * g;
    d.g = candidate_.template TimesSlope<T>(g, has_extras ? dc * i * mask : dc * i);
    d.f = gates_.template TimesSlope<T>(f, dc * c_before);
    d.c = dc * f;
    if (has_peepholes()) d.c += d.i * Peephole(0, panel) + d.f * Peephole(1, panel);
    return d;
  }

  // Replaces c' by phi(c') and, with peepholes, o by its activation. c: [panel, row, unit]. o: the vectors of
  // consecutive rows are `stride` numbers apart, and those of consecutive panels `panel_stride`.
  STACKED_LSTM_INLINE void ApplyPhi(int64_t panels, int64_t rows, T* c, T* o, int64_t stride,
                                    int64_t panel_stride) const {
    if (!has_peepholes()) return ApplyPhi(panels * rows, c);
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t r = 0; r < rows; ++r) {
        ApplyToPair(c + (p * rows + r) * kSize, candidate_, o + p * panel_stride + r * stride, gates_);
      }
    }
  }

  // Replaces some vectors of c' by phi(c').
  STACKED_LSTM_INLINE void ApplyPhi(int64_t count, T* c) const {
    int64_t k = 0;
    for (; k + 1 < count; k += 2) ApplyToPair(c + k * kSize, candidate_, c + (k + 1) * kSize, candidate_);
    if (k < count) Store(c + k * kSize, candidate_.template Value<T>(Load(c + k * kSize)));
  }

 private:
  static constexpr int64_t kSize = Vector<T>::kSize;

  // The compiler knows that plain layers have none.
  bool has_peepholes() const { return has_extras && has_peepholes_; }
  template <class First, class Second>
  static STACKED_LSTM_INLINE void ApplyToPair(T* first, const First& f, T* second, const Second& g) {
    Vec<T> pair[] = {Load(first), Load(second)};
    ApplyEach<T>(pair, f, g);
    Store(first, pair[0]);
    Store(second, pair[1]);
  }

  Vec<T> Peephole(int gate, int64_t panel) const {
    const int64_t first = panel * kSize;
    return LoadFirst(weights_.peephole[gate] + first, static_cast<int>(std::min(kSize, units_ - first)));
  }

  const int64_t units_;
  const ExtraWeights<const T> weights_;
  const T bound_;
  const bool has_peepholes_;
  const Candidate candidate_;
  const Gates gates_;
};

// The class of the cells that a function from the number of a layer returns.
template <class MakeCell>
using CellOf = typename std::decay<decltype(std::declval<MakeCell>()(0))>::type;

// Calls visitor(make_cell), where make_cell(l) is the `Cell` of layer l, for arrays with the fields of `ForwardArrays`
// or `BackwardArrays`.
template <class Arrays, class Visitor>
void DispatchCells(const std::vector<Layer>& layers, const std::vector<Arrays>& arrays, Visitor visitor) {
  typedef typename std::remove_const<typename std::remove_pointer<decltype(Arrays::x)>::type>::type T;
  bool plain = true;
  for (const Layer& layer : layers) plain &= layer.extras.None();
  DispatchActivations(layers[0].candidate, layers[0].gates, [&](auto candidate, auto gates) {
    const auto visit = [&](auto has_extras) {
      typedef Cell<T, decltype(candidate), decltype(gates), decltype(has_extras)::value> LayerCell;
      visitor([&](int64_t l) { return LayerCell(layers[l], arrays[l].extras, candidate, gates); });
    };
    if (plain) {
      visit(std::false_type());
    } else {
      visit(std::true_type());
    }
  });
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_CELL_H_
