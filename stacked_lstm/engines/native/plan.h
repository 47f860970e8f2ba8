// What the forward and the backward pass have in common: how the work of a layer is laid out and cut, and how the
// layers of a stack share the threads.

#ifndef STACKED_LSTM_PLAN_H_
#define STACKED_LSTM_PLAN_H_

#include "lstm.h"
#include "tile.h"

namespace stacked_lstm {

// Rates of a core on which decisions rest, in operations of float32 per nanosecond and nanoseconds per vector: only the
// order of magnitude matters. Below kTooShort nanoseconds a step is not worth a barrier.
constexpr double kRate = 50, kPointwise = 30, kTooShort = 1500, kWorthThreads = 30000;

// Nanoseconds of work between two barriers where nothing else says how much it should be.
constexpr double kBetweenBarriers = 6000;

// Bytes of weights that stay in a core's own cache.
constexpr int64_t kWeightsOfACache = 1 << 19;

template <class T>
struct Plan {
  static constexpr int64_t kSize = Vector<T>::kSize, kWidth = kGates * kSize;  // Units and columns of a panel.

  explicit Plan(const Layer& of)
      : layer(of), panels((of.units + kSize - 1) / kSize), row_width(panels * kWidth), blocks(of.batch, kTileRows) {
    for (int64_t block = 0; block < blocks.number; ++block) {
      int64_t end = 0;
      for (int64_t b = blocks.Begin(block); b < blocks.Begin(block + 1); ++b) end = std::max(end, Length(b));
      ends.push_back(end);
      longest = std::max(longest, end);
    }
  }

  int64_t Length(int64_t b) const { return layer.lengths ? layer.lengths[b] : layer.steps; }

  // Of a panel, how many units there are: all but the last have kSize.
  int Units(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(kSize, layer.units - panel * kSize));
  }

  // Nanoseconds that one step takes one thread, with products of `depth` numbers for each column.
  double StepTime(int64_t depth) const {
    return layer.batch * (2.0 * row_width * depth / kRate * sizeof(T) / 4 + panels * kPointwise);
  }

  // Whether steps are too short to be shared.
  bool Alone() const { return StepTime(layer.units) < kTooShort; }

  // How many of some threads a step is worth: more would wait for each other longer than they work.
  int UsefulThreads(int threads) const {
    return static_cast<int>(std::min<double>(threads, 1 + StepTime(layer.units) / kTooShort));
  }

  // The same for all steps; their products of `depth` numbers are all that is to do.
  int WorthThreads(int64_t depth, int threads) const {
    return static_cast<int>(std::max(1.0, std::min<double>(threads, 2 * longest * StepTime(depth) / kWorthThreads)));
  }

  // Bytes of weights.
  int64_t Bytes() const { return row_width * (layer.units + layer.inputs) * sizeof(T); }

  // Whether each thread shall keep to its own rows of the batch, with all weights in its cache, so that no state moves
  // between cores; otherwise it keeps to its own units.
  bool ByRows(int threads) const { return Bytes() <= kWeightsOfACache && blocks.number >= 2 * threads; }

  // How many steps are about kBetweenBarriers of work for one of some threads.
  int64_t StepsOfAChunk(int threads) const {
    return static_cast<int64_t>(1 + kBetweenBarriers * threads / (1 + StepTime(layer.units + layer.inputs)));
  }

  // The same where nobody waits for others' rows: how many groups of rows there are, and most steps of a piece.
  int64_t RowGroups(int threads) const { return std::min<int64_t>(blocks.number, 2 * threads); }
  int64_t StepsOfRows(int threads) const { return 8 * StepsOfAChunk(threads); }

  // How many groups the row blocks of a step are put into, so that there are pieces enough for all threads.
  int64_t Groups(int threads, int64_t columns) const {
    const int64_t enough = (32 * threads + columns - 1) / std::max<int64_t>(columns, 1);
    return std::max<int64_t>(1, std::min(blocks.number, enough));
  }

  const Layer layer;
  const int64_t panels;
  const int64_t row_width;    // Numbers in a row of the gates, or of their gradients: [panel, gate, unit].
  const Pieces blocks;        // The batch in rows of tiles.
  std::vector<int64_t> ends;  // Of each block, the steps that any of its sequences has.
  int64_t longest = 0;        // Steps that any sequence has.
};

template <class T>
std::vector<Plan<T>> PlansOf(const std::vector<Layer>& layers) {
  return std::vector<Plan<T>>(layers.begin(), layers.end());
}

// Whether each of some threads shall take whole layers, a few steps behind that of the layer it depends on: where steps
// are so short that there is little in one of them to be shared.
template <class T>
bool ByLayers(const std::vector<Plan<T>>& plans, int threads) {
  if (threads < 2 || plans.size() < 2) return false;
  double time = 0;
  for (const Plan<T>& plan : plans) {
    if (plan.StepTime(plan.layer.units) > 8 * kTooShort || plan.Bytes() > kWeightsOfACache) return false;
    time += plan.longest * plan.StepTime(plan.layer.units + plan.layer.inputs);
  }
  return time >= kWorthThreads;
}

// Calls work(layer, chunk) for each layer and each of the chunks of time, those in turn that depend on each other: a
// layer's chunks, and the same chunk of one layer and the next.
template <class Work>
void ForDiagonals(Worker& worker, int64_t layers, int64_t chunks, Work work) {
  for (int64_t diagonal = 0; diagonal < chunks + layers - 1; ++diagonal) {
    worker.Each(layers, [&](int64_t layer) {
      const int64_t chunk = diagonal - layer;
      if (chunk >= 0 && chunk < chunks) work(layer, chunk);
    });
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PLAN_H_
