// The packed weights of a layer in panels of whole vectors.

#ifndef STACKED_LSTM_WHOLE_PANELS_H_
#define STACKED_LSTM_WHOLE_PANELS_H_

#include "buffer.h"
#include "layout.h"
#include "plan.h"
#include "vector.h"

namespace stacked_lstm {

// A copy of the last panel of packed weights in whole vectors, which the tiles read: the rows for h, then those for x.
// It is empty if the units fill whole vectors. W is the type in which the weights are stored.
template <class W>
class PaddedPanel {
 public:
  // packed: null if there are no packed weights. The copy is empty then.
  PaddedPanel(const Layer& layer, const W* packed) : memory_(packed ? Size(layer) : 0) {
    if (!packed || Size(layer) == 0) return;
    constexpr int kWord = kWordWeights<W>;
    const PackedWeights<const W> weights(packed, layer);
    const int64_t panel = weights.panels() - 1;
    const int units = weights.Units(panel);
    W* target = memory_.get();
    for (const Factor factor : kFactors) {
      const W* source = weights.Panel(factor, panel);
      for (int64_t k = 0; k < weights.Rows(factor) * kGates; k += kWord) {
        CopyFirst<kSize * kWord>(source, units * kWord, target);
        source += units * kWord;
        target += kSize * kWord;
      }
    }
  }

  const W* get() const { return memory_.get(); }

 private:
  static constexpr int64_t kSize = Vector<typename Multiplied<W>::type>::kSize;

  static int64_t Size(const Layer& layer) {
    return layer.units % kSize ? (layer.outputs() + layer.inputs) * kGates * kSize : 0;
  }

  const Buffer<W> memory_;
};

// Packed weights in whole vectors. last_panel: a `PaddedPanel` of them, or null. It is then made here.
template <class T, class W = T>
class WholePanels {
 public:
  WholePanels(const Plan<T>& plan, const W* packed, const W* last_panel = nullptr)
      : plan_(plan),
        packed_(packed, plan.layer),
        own_(plan.layer, last_panel ? nullptr : packed),
        last_panel_(last_panel ? last_panel : own_.get()) {}

  const W* Panel(Factor factor, int64_t panel) const {
    if (plan_.Units(panel) == kSize) return packed_.Panel(factor, panel);
    return last_panel_ + (factor == Factor::kH ? 0 : plan_.layer.outputs() * kWidth);
  }

  int64_t Rows(Factor factor) const { return packed_.Rows(factor); }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  const Plan<T>& plan_;
  const PackedWeights<const W> packed_;
  const PaddedPanel<W> own_;
  const W* const last_panel_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_WHOLE_PANELS_H_
