// Gradients of the norms and of the peepholes of a layer with normalization: sums over all steps and sequences.

#ifndef STACKED_LSTM_NORM_GRADIENTS_H_
#define STACKED_LSTM_NORM_GRADIENTS_H_

#include <algorithm>

#include "normalized_layout.h"
#include "plan.h"

namespace stacked_lstm {

// Each block of the batch has its own sums, so that the order of the additions does not depend on the threads.
template <class T>
class NormGradients {
 public:
  explicit NormGradients(const Plan<T>& plan)
      : plan_(plan),
        has_peepholes_(plan.layer.extras.peepholes),
        norms_(plan.blocks.number, plan.panels),
        peepholes_(has_peepholes_ ? plan.blocks.number : 0, plan.panels) {}

  void SetToZero() const {
    const int64_t size = plan_.blocks.number * plan_.panels * Plan<T>::kSize;
    if (size == 0) return;
    std::fill_n(norms_.At(0, 0), size * 2 * kNorms, T(0));
    if (has_peepholes_) std::fill_n(peepholes_.At(0, 0), size * kPeepholes, T(0));
  }

  // The sums of a block: a row of `NormPanels`, and one of `PeepholePanels`, or null.
  T* Norms(int64_t block) const { return norms_.At(block, 0); }
  T* Peepholes(int64_t block) const { return has_peepholes_ ? peepholes_.At(block, 0) : nullptr; }

  // Writes the gradients that are needed; see `NormalizedBackward`.
  void Write(const NormWeights<T>& d_norms, T* const (&d_peepholes)[kPeepholes]) const {
    for (int k = 0; d_peepholes[0] && k < kPeepholes; ++k) Sum(peepholes_, k, d_peepholes[k]);
    if (!d_norms.gate_gain) return;
    ForEachNormArray(d_norms, plan_.layer.units, [&](T* array, int k) { Sum(norms_, k, array); });
  }

 private:
  // Adds up the vectors k of the panels of all blocks.
  template <class Panels>
  void Sum(const Panels& panels, int k, T* target) const {
    constexpr int64_t kSize = Plan<T>::kSize;
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      Vec<T> sum = {};
      for (int64_t m = 0; m < plan_.blocks.number; ++m) sum += Load(panels.At(m, panel) + k * kSize);
      StoreFirst(target + panel * kSize, sum, plan_.Units(panel));
    }
  }

  const Plan<T>& plan_;
  const bool has_peepholes_;
  const NormPanels<T> norms_;
  const PeepholePanels<T> peepholes_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORM_GRADIENTS_H_
