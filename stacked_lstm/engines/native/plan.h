// The sizes of a layer's work, for the forward and the backward pass.

#ifndef STACKED_LSTM_PLAN_H_
#define STACKED_LSTM_PLAN_H_

#include <algorithm>
#include <vector>

#include "lstm.h"
#include "pieces.h"
#include "vector.h"

namespace stacked_lstm {

template <class T>
struct Plan {
  static constexpr int64_t kSize = Vector<T>::kSize, kWidth = kGates * kSize;  // Units and columns in a panel.

  explicit Plan(const Layer& layer)
      : layer(layer), panels(VectorCount<T>(layer.units)), row_width(panels * kWidth), blocks(layer.batch, kTileRows) {
    for (int64_t block = 0; block < blocks.number; ++block) {
      int64_t end = 0;
      for (int64_t b = blocks.Begin(block); b < blocks.Begin(block + 1); ++b) end = std::max(end, Length(b));
      ends.push_back(end);
      longest = std::max(longest, end);
    }
  }

  int64_t Length(int64_t b) const { return layer.lengths ? layer.lengths[b] : layer.steps; }

  // The order of the steps. `Nth` is step k of a range, or range k of several, in the order in which the layer reads.
  int64_t Nth(Range range, int64_t k) const { return layer.from_end ? range.end - 1 - k : range.begin + k; }
  int64_t Before(int64_t t) const { return layer.from_end ? t + 1 : t - 1; }
  int64_t After(int64_t t) const { return layer.from_end ? t - 1 : t + 1; }
  bool IsFirst(int64_t t, int64_t b) const { return t == (layer.from_end ? Length(b) - 1 : 0); }
  bool IsLast(int64_t t, int64_t b) const { return t == (layer.from_end ? 0 : Length(b) - 1); }

  // The number of units in a panel: kSize, except in the last one.
  int Units(int64_t panel) const { return static_cast<int>(std::min<int64_t>(kSize, layer.units - panel * kSize)); }

  // Calls work(first sequence, number of sequences, longest length among them) for each block in a share of the batch.
  template <class Work>
  void ForEachBlock(Share share, Work work) const {
    const Range range = share.Slice(blocks.number);
    for (int64_t block = range.begin; block < range.end; ++block) {
      work(blocks.Begin(block), blocks.Size(block), ends[block]);
    }
  }

  const Layer layer;
  const int64_t panels;
  const int64_t row_width;    // Numbers in a row of gates, or of their gradients: [panel, gate, unit].
  const Pieces blocks;        // The batch, cut into the rows of tiles.
  std::vector<int64_t> ends;  // For each block, the length of its longest sequence.
  int64_t longest = 0;        // The length of the longest sequence.
};

template <class T>
std::vector<Plan<T>> MakePlans(const std::vector<Layer>& layers) {
  return std::vector<Plan<T>>(layers.begin(), layers.end());
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PLAN_H_
