// Products with the packed weights of a layer, panel by panel: x W and h W of all gates.

#ifndef STACKED_LSTM_GATE_PRODUCTS_H_
#define STACKED_LSTM_GATE_PRODUCTS_H_

#include "buffer.h"
#include "layout.h"
#include "plan.h"
#include "tile.h"

namespace stacked_lstm {

template <class T>
class GateProducts {
 public:
  GateProducts(const Plan<T>& plan, const T* packed)
      : plan_(plan), packed_(packed, plan.layer), last_panel_((plan.layer.outputs() + plan.layer.inputs) * kWidth) {
    const int64_t panel = plan.panels - 1;
    const int units = plan.Units(panel);
    if (units == kSize) return;
    T* target = last_panel_.get();
    for (const Factor factor : kFactors) {
      const T* source = packed_.Panel(factor, panel);
      for (int64_t k = 0; k < packed_.Rows(factor) * kGates; ++k, source += units, target += kSize) {
        Store(target, LoadFirst(source, units));
      }
    }
  }

  // Computes z = left W, or z += left W, for the gates of a panel of units. The rows of `left` are contiguous, those of z
  // are a row of gates apart.
  void Multiply(Factor factor, int64_t panel, const T* left, int64_t rows, bool add, T* z) const {
    const int64_t depth = packed_.Rows(factor);
    const T* const init = add ? z : nullptr;
    SelectTile<T>(rows)(depth, left, depth, Panel(factor, panel), init, plan_.row_width, z, plan_.row_width);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // A panel of weights in whole vectors.
  const T* Panel(Factor factor, int64_t panel) const {
    if (plan_.Units(panel) == kSize) return packed_.Panel(factor, panel);
    return last_panel_.get() + (factor == Factor::kH ? 0 : plan_.layer.outputs() * kWidth);
  }

  const Plan<T>& plan_;
  const PackedWeights<const T> packed_;
  const Buffer<T> last_panel_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_GATE_PRODUCTS_H_
