// Weights in the order in which the forward pass reads them.

#include "layout.h"
#include "lstm.h"
#include "schedule.h"

namespace stacked_lstm {

template <class T>
void Pack(int64_t inputs, int64_t units, const Weights<const T>& weights, T* packed, const Threads& threads) {
  const PackedWeights<T> target(packed, inputs, units);
  Threads used = threads;
  if (PackedSize(inputs, units) * static_cast<int64_t>(sizeof(T)) < kPackAlone) used.count = 1;
  Team::Run(used, [&](Worker& worker) {
    worker.Each(2 * target.panels(), [&](int64_t k) {
      const Factor factor = kFactors[k / target.panels()];
      const int64_t panel = k % target.panels(), first = factor == Factor::kH ? weights.h_row : weights.x_row;
      const int64_t end = first + target.Rows(factor), column = panel * Vector<T>::kSize;
      const int width = target.Units(panel);
      T* to = target.Panel(factor, panel);
      for (int64_t row = first; row < end; ++row) {
        for (int gate = 0; gate < kGates; ++gate, to += width) {
          StoreFirst(to, LoadFirst(weights.kernel[gate] + row * weights.stride + column, width), width);
        }
      }
    });
  });
}

template void Pack(int64_t, int64_t, const Weights<const float>&, float*, const Threads&);
template void Pack(int64_t, int64_t, const Weights<const double>&, double*, const Threads&);

}  // namespace stacked_lstm
