// The packed weights of a layer in panels of whole vectors.

#ifndef STACKED_LSTM_WHOLE_PANELS_H_
#define STACKED_LSTM_WHOLE_PANELS_H_

#include <algorithm>

#include "buffer.h"
#include "layout.h"
#include "plan.h"
#include "vector.h"

namespace stacked_lstm {

// The last panel may be narrower than a vector. It is then copied, because the tiles read whole vectors. W is the type
// in which the weights are stored.
template <class T, class W = T>
class WholePanels {
 public:
  WholePanels(const Plan<T>& plan, const W* packed)
      : plan_(plan), packed_(packed, plan.layer), last_panel_((plan.layer.outputs() + plan.layer.inputs) * kWidth) {
    const int64_t panel = plan.panels - 1;
    const int units = plan.Units(panel);
    if (!packed || units == kSize) return;
    constexpr int kWord = kWordWeights<W>;
    W* target = last_panel_.get();
    for (const Factor factor : kFactors) {
      const W* source = packed_.Panel(factor, panel);
      for (int64_t k = 0; k < packed_.Rows(factor) * kGates; k += kWord) {
        std::fill_n(std::copy_n(source, units * kWord, target), (kSize - units) * kWord, W{});
        source += units * kWord;
        target += kSize * kWord;
      }
    }
  }

  const W* Panel(Factor factor, int64_t panel) const {
    if (plan_.Units(panel) == kSize) return packed_.Panel(factor, panel);
    return last_panel_.get() + (factor == Factor::kH ? 0 : plan_.layer.outputs() * kWidth);
  }

  int64_t Rows(Factor factor) const { return packed_.Rows(factor); }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  const Plan<T>& plan_;
  const PackedWeights<const W> packed_;
  const Buffer<W> last_panel_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_WHOLE_PANELS_H_
