// Gradients of the norms and of the peepholes of a layer with normalization: sums over all steps and sequences.

#ifndef STACKED_LSTM_NORM_GRADIENTS_H_
#define STACKED_LSTM_NORM_GRADIENTS_H_

#include "backward/block_sums.h"
#include "schedule/plan.h"
#include "storage/normalized_layout.h"

namespace stacked_lstm {

template <class T>
class NormGradients {
 public:
  explicit NormGradients(const Plan<T>& plan)
      : units_(plan.layer.units),
        panels_(plan.panels),
        has_peepholes_(plan.layer.extras.peepholes),
        norms_(plan, true),
        peepholes_(plan, has_peepholes_) {}

  void SetToZero() const {
    norms_.SetToZero();
    peepholes_.SetToZero();
  }

  // The sums of a block: a row of `NormPanels`, and one of `PeepholePanels`, or null.
  T* Norms(int64_t block) const { return norms_.At(block, 0); }
  T* Peepholes(int64_t block) const { return has_peepholes_ ? peepholes_.At(block, 0) : nullptr; }

  void EndStep(int64_t t, int64_t block) const {
    norms_.EndStep(t, block, {0, panels_});
    peepholes_.EndStep(t, block, {0, panels_});
  }

  // Writes the gradients that are needed.
  void Write(const ExtraWeights<T>& gradients) const {
    for (int k = 0; gradients.peephole[0] && k < kPeepholes; ++k) peepholes_.Write(k, gradients.peephole[k]);
    if (!gradients.norm.gate_gain) return;
    ForEachNormArray(gradients.norm, units_, [&](T* array, int k) { norms_.Write(k, array); });
  }

 private:
  const int64_t units_, panels_;
  const bool has_peepholes_;
  const BlockSums<T, 2 * kNorms> norms_;
  const BlockSums<T, kPeepholes> peepholes_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORM_GRADIENTS_H_
