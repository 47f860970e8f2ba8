// The pointwise part of a step and its gradient, for one vector of units.

#ifndef STACKED_LSTM_CELL_H_
#define STACKED_LSTM_CELL_H_

#include <algorithm>
#include <type_traits>
#include <vector>

#include "activations.h"
#include "lstm.h"
#include "vector.h"

namespace stacked_lstm {

// What a step computes before phi(c'): the gates after their activation, and c'.
template <class T>
struct StepValues {
  Vec<T> i, g, f, o, c;
};

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

  Cell(const Layer& layer, const ExtraWeights<const T>& weights, Candidate candidate, Gates gates)
      : units_(layer.units),
        weights_(weights),
        bound_(static_cast<T>(layer.extras.cell_bound)),
        has_peepholes_(layer.extras.peepholes),
        candidate_(candidate),
        gates_(gates) {}

  // z: four vectors. panel: the number of the vector of units. mask: multiplies the candidate. The result has the
  // candidate without it.
  STACKED_LSTM_INLINE StepValues<T> Step(const T* z, Vec<T> c_before, int64_t panel, Vec<T> mask) const {
    Vec<T> z_i = Load(z), z_f = Load(z + 2 * kSize), z_o = Load(z + 3 * kSize);
    if (has_extras && has_peepholes_) {
      z_i += Peephole(0, panel) * c_before;
      z_f += Peephole(1, panel) * c_before;
    }
    const Vec<T> i = gates_.template Value<T>(z_i), g = candidate_.template Value<T>(Load(z + kSize));
    const Vec<T> f = gates_.template Value<T>(z_f);
    Vec<T> c = f * c_before + i * (has_extras ? g * mask : g);
    if (has_extras) c = ClipTo<T>(c, bound_);
    if (has_extras && has_peepholes_) z_o += Peephole(2, panel) * c;
    return {i, g, f, gates_.template Value<T>(z_o), c};
  }

  // gates: i, g, f and o after their activation. phi_c: phi(c'). dh: the gradient of o phi(c'). dc: the gradient of c'.
  // panel and mask: as for `Step`.
  StepGradients<T> Gradients(const T* gates, Vec<T> c_before, Vec<T> phi_c, Vec<T> dh, Vec<T> dc, int64_t panel,
                             Vec<T> mask) const {
    const Vec<T> i = Load(gates), g = Load(gates + kSize), f = Load(gates + 2 * kSize), o = Load(gates + 3 * kSize);
    const Vec<T> masked_g = has_extras ? g * mask : g;
    StepGradients<T> d;
    d.o = gates_.template TimesSlope<T>(o, dh * phi_c);
    dc += candidate_.template TimesSlope<T>(phi_c, dh * o);
    if (has_extras && has_peepholes_) dc += d.o * Peephole(2, panel);
    if (has_extras) dc = TimesClipSlope<T>(f * c_before + i * masked_g, dc, bound_);
    d.i = gates_.template TimesSlope<T>(i, dc * masked_g);
    d.mask = dc * i * g;
    d.g = candidate_.template TimesSlope<T>(g, has_extras ? dc * i * mask : dc * i);
    d.f = gates_.template TimesSlope<T>(f, dc * c_before);
    d.c = dc * f;
    if (has_extras && has_peepholes_) d.c += d.i * Peephole(0, panel) + d.f * Peephole(1, panel);
    return d;
  }

  // phi of a vector of cell states.
  STACKED_LSTM_INLINE Vec<T> Phi(Vec<T> c) const { return candidate_.template Value<T>(c); }

 private:
  static constexpr int64_t kSize = Vector<T>::kSize;

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
