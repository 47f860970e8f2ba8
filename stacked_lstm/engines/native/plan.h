// What the forward and the backward pass have in common: how the work of a layer is laid out and cut.

#ifndef STACKED_LSTM_PLAN_H_
#define STACKED_LSTM_PLAN_H_

#include "lstm.h"
#include "tile.h"

namespace stacked_lstm {

// Rates of a core on which decisions rest, in operations of float32 per nanosecond and nanoseconds per vector: only the
// order of magnitude matters. Below kTooShort nanoseconds a step is not worth a barrier.
constexpr double kRate = 50, kPointwise = 30, kTooShort = 1500, kWorthThreads = 30000;

// Bytes of weights that stay in a core's own cache.
constexpr int64_t kWeightsOfACache = 1 << 19;

template <class T>
struct Plan {
  static constexpr int64_t kSize = Vector<T>::kSize, kWidth = kGates * kSize;  // Units and columns of a panel.

  explicit Plan(const Layer& layer)
      : panels((layer.units + kSize - 1) / kSize), row_width(panels * kWidth), blocks(layer.batch, kTileRows) {
    longest = layer.steps;
    if (layer.lengths) {
      longest = layer.batch ? *std::max_element(layer.lengths, layer.lengths + layer.batch) : 0;
    }
  }

  // Of a panel, how many units there are: all but the last have kSize.
  int Units(const Layer& layer, int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(kSize, layer.units - panel * kSize));
  }

  // Nanoseconds that one step takes one thread, with products of `depth` numbers for each column.
  double StepTime(const Layer& layer, int64_t depth) const {
    return layer.batch * (2.0 * row_width * depth / kRate * sizeof(T) / 4 + panels * kPointwise);
  }

  // How many of some threads a step is worth: more would wait for each other longer than they work.
  int UsefulThreads(const Layer& layer, int threads) const {
    return static_cast<int>(std::min<double>(threads, 1 + StepTime(layer, layer.units) / kTooShort));
  }

  // Whether each thread shall keep to its own rows of the batch, with all weights in its cache, so that no state moves
  // between cores; otherwise it keeps to its own units.
  bool ByRows(const Layer& layer, int threads) const {
    const int64_t bytes = row_width * (layer.units + layer.inputs) * sizeof(T);
    return bytes <= kWeightsOfACache && blocks.number >= 2 * threads;
  }

  // How many groups the row blocks of a step are put into, so that there are pieces enough for all threads.
  int64_t Groups(int threads, int64_t columns) const {
    const int64_t enough = (32 * threads + columns - 1) / std::max<int64_t>(columns, 1);
    return std::max<int64_t>(1, std::min(blocks.number, enough));
  }

  int64_t panels;
  int64_t row_width;  // Numbers in a row of the gates, or of their gradients: [panel, gate, unit].
  Pieces blocks;      // The batch in rows of tiles.
  int64_t longest;    // Steps that any sequence has.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PLAN_H_
