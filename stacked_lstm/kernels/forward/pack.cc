// Packs weights in the order in which the forward pass reads them.

#include "forward/projection.h"
#include "lstm.h"
#include "schedule/pieces.h"
#include "schedule/schedule.h"
#include "storage/layout.h"

namespace stacked_lstm {
namespace {

// Rows of weights are pages apart. The panels that are packed together read more of each page.
constexpr int64_t kPanels = 8;
constexpr int64_t kRowsAhead = 8;  // The processor does not fetch the next rows.

// Packs the rows of a factor for some panels.
template <class T>
void PackPanels(const PackedWeights<T>& layout, const Weights<const T>& weights, Factor factor, Range panels) {
  const int64_t first = factor == Factor::kH ? weights.h_row : weights.x_row, rows = layout.Rows(factor);
  for (int64_t row = 0; row < rows; ++row) {
    for (int gate = 0; gate < kGates; ++gate) {
      const T* source = weights.kernel[gate] + (first + row) * weights.stride + panels.begin * Vector<T>::kSize;
      for (int64_t panel = panels.begin; panel < panels.end; ++panel, source += Vector<T>::kSize) {
        const int width = layout.Units(panel);
        __builtin_prefetch(source + kRowsAhead * weights.stride);
        StoreFirst(layout.At(factor, panel, row, gate), LoadFirst(source, width), PaddedUnits<T>(width));
      }
    }
  }
}

}  // namespace

template <class T>
void Pack(const Layer& layer, const Weights<const T>& weights, const T* projection, const Packed<T>& packed,
          const Threads& threads) {
  const PackedWeights<T> layout(packed, layer);
  const ColumnPanels<T> panels(PackedWeights<T>::Projection(packed, layer), layer.units, layer.extras.projection);
  const Pieces groups(layout.panels(), kPanels);
  Threads team_threads = threads;
  if (FindPackedSizes<T>(layer).Total() * static_cast<int64_t>(sizeof(T)) < kOneThreadPackSize) team_threads.count = 1;
  Team::Run(team_threads, [&](Worker& worker) {
    worker.ForEach(panels.panels(), [&](int64_t panel) {
      PackMatrix(panels, panel, projection, layer.extras.projection, 1);
    });
    worker.ForEach(2 * groups.number, [&](int64_t k) {
      PackPanels(layout, weights, kFactors[k / groups.number], groups[k % groups.number]);
    });
  });
}

template void Pack(const Layer&, const Weights<const float>&, const float*, const Packed<float>&, const Threads&);
template void Pack(const Layer&, const Weights<const double>&, const double*, const Packed<double>&,
                   const Threads&);

}  // namespace stacked_lstm
