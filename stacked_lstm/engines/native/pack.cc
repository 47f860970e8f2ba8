// Packs weights in the order in which the forward pass reads them.

#include "layout.h"
#include "lstm.h"
#include "projection.h"
#include "schedule.h"

namespace stacked_lstm {

constexpr int64_t kRowsAhead = 16;

template <class T>
void Pack(const Layer& layer, const Weights<const T>& weights, const T* projection, T* packed, const Threads& threads) {
  const PackedWeights<T> layout(packed, layer);
  const ColumnPanels<T> panels(packed + PackedWeights<T>::Size(layer), layer.units, layer.extras.projection);
  Threads team_threads = threads;
  if (PackedSize<T>(layer) * static_cast<int64_t>(sizeof(T)) < kOneThreadPackSize) team_threads.count = 1;
  Team::Run(team_threads, [&](Worker& worker) {
    worker.ForEach(panels.panels(), [&](int64_t panel) { PackMatrix(panels, panel, projection, layer.extras.projection, 1); });
    worker.ForEach(2 * layout.panels(), [&](int64_t k) {
      const Factor factor = kFactors[k / layout.panels()];
      const int64_t panel = k % layout.panels(), first = factor == Factor::kH ? weights.h_row : weights.x_row;
      const int64_t end = first + layout.Rows(factor), column = panel * Vector<T>::kSize;
      const int width = layout.Units(panel);
      T* target = layout.Panel(factor, panel);
      for (int64_t row = first; row < end; ++row) {
        for (int gate = 0; gate < kGates; ++gate, target += width) {
          // The rows are so far apart that the processor does not fetch the next ones.
          __builtin_prefetch(weights.kernel[gate] + (row + kRowsAhead) * weights.stride + column);
          StoreFirst(target, LoadFirst(weights.kernel[gate] + row * weights.stride + column, width), width);
        }
      }
    });
  });
}

template void Pack(const Layer&, const Weights<const float>&, const float*, float*, const Threads&);
template void Pack(const Layer&, const Weights<const double>&, const double*, double*, const Threads&);

}  // namespace stacked_lstm
