// The packed weights of a layer in panels of whole vectors.

#ifndef STACKED_LSTM_WHOLE_PANELS_H_
#define STACKED_LSTM_WHOLE_PANELS_H_

#include "buffer.h"
#include "layout.h"
#include "plan.h"
#include "vector.h"

namespace stacked_lstm {

// The number of units of a padded panel. A panel of few units has half a vector of them: its rows are 2 vectors instead
// of 4, so that products take half as long. Weights of fewer bits have interleaved gates, and need whole vectors.
template <class W>
constexpr int PaddedUnits(int units) {
  constexpr int kSize = Vector<typename Multiplied<W>::type>::kSize;
  return kWordWeights<W> == 1 && units <= kSize / 2 ? kSize / 2 : kSize;
}

// A copy of the last panel of packed weights in whole vectors, which the tiles read: the rows for h, then those for x.
// It is empty if the units fill whole vectors. W is the type in which the weights are stored.
template <class W>
class PaddedPanel {
 public:
  // packed: null if there are no packed weights. The copy is empty then.
  PaddedPanel(const Layer& layer, const W* packed) : memory_(packed ? Size(layer) : 0) {
    if (!packed || Size(layer) == 0) return;
    const PackedWeights<const W> weights(packed, layer);
    constexpr int kFewUnits = PaddedUnits<W>(1);
    layer.units % kSize <= kFewUnits ? Copy<kFewUnits>(weights) : Copy<kSize>(weights);
  }

  const W* get() const { return memory_.get(); }

 private:
  static constexpr int kSize = Vector<typename Multiplied<W>::type>::kSize;

  static int64_t Size(const Layer& layer) {
    const int units = layer.units % kSize;
    return units ? (layer.outputs() + layer.inputs) * kGates * PaddedUnits<W>(units) : 0;
  }

  template <int padded_units>
  void Copy(const PackedWeights<const W>& weights) {
    constexpr int kWord = kWordWeights<W>, kVectors = kGates * padded_units / kSize;
    const int64_t panel = weights.panels() - 1;
    const int units = weights.Units(panel);
    W* target = memory_.get();
    for (const Factor factor : kFactors) {
      const int64_t rows = weights.Rows(factor);
      for (int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 4
        for (int gate = 0; gate < kGates; gate += kWord) {
          const int position = gate * padded_units;
          CopyFirst<padded_units * kWord>(weights.At(factor, panel, row, gate), units * kWord,
                                          target + VectorPosition<W>(rows, kVectors, row, position / kSize) * kSize +
                                              position % kSize);
        }
      }
      target += rows * kGates * padded_units;
    }
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
    const int units = plan_.Units(panel);
    if (units == kSize) return packed_.Panel(factor, panel);
    return last_panel_ + (factor == Factor::kH ? 0 : plan_.layer.outputs() * kGates * PaddedUnits<W>(units));
  }

  // Whether a panel has at most half a vector of units. Its rows are then 2 vectors.
  bool IsHalf(int64_t panel) const { return PaddedUnits<W>(plan_.Units(panel)) < kSize; }

  int64_t Rows(Factor factor) const { return packed_.Rows(factor); }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize;

  const Plan<T>& plan_;
  const PackedWeights<const W> packed_;
  const PaddedPanel<W> own_;
  const W* const last_panel_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_WHOLE_PANELS_H_
