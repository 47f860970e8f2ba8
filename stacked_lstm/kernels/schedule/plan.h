// The sizes of a layer's work, for the forward and the backward pass.

#ifndef STACKED_LSTM_PLAN_H_
#define STACKED_LSTM_PLAN_H_

#include <algorithm>
#include <vector>

#include "arithmetic/tile.h"
#include "arithmetic/vector.h"
#include "lstm.h"
#include "schedule/pieces.h"

namespace stacked_lstm {

// The rows of the batch, cut into blocks of the height of tiles. The rows are first cut into shares, as equal as
// possible. No block has rows of two shares.
class RowBlocks {
 public:
  RowBlocks(int64_t rows, int64_t shares) {
    for (int64_t k = 0; k < shares; ++k) {
      const Range range = Share{k, shares}.Slice(rows);
      for (int64_t row = range.begin; row < range.end; row += NextTileRows(range.end - row)) begins_.push_back(row);
    }
    number = static_cast<int64_t>(begins_.size());
    begins_.push_back(rows);
    for (int64_t block = 0; block < number; ++block) largest = std::max(largest, Size(block));
  }

  int64_t Begin(int64_t k) const { return begins_[k]; }
  int64_t Size(int64_t k) const { return begins_[k + 1] - begins_[k]; }
  // The number of rows in the largest share, if the blocks are cut into `shares` shares.
  int64_t LargestShare(int64_t shares) const {
    int64_t rows = 0;
    for (int64_t k = 0; k < shares; ++k) {
      const Range range = Share{k, shares}.Slice(number);
      rows = std::max(rows, begins_[range.end] - begins_[range.begin]);
    }
    return rows;
  }
  // The number of the block that begins with a row.
  int64_t Index(int64_t row) const { return std::lower_bound(begins_.begin(), begins_.end(), row) - begins_.begin(); }

  int64_t number, largest = 0;  // The number of blocks, and the rows of the largest one.

 private:
  std::vector<int64_t> begins_;
};

template <class T>
struct Plan {
  static constexpr int64_t kSize = Vector<T>::kSize, kWidth = kGates * kSize;  // Units and columns in a panel.

  // row_shares: as for `RowBlocks`.
  explicit Plan(const Layer& layer, int64_t row_shares = 1)
      : layer(layer), panels(VectorCount<T>(layer.units)), row_width(panels * kWidth), blocks(layer.batch, row_shares) {
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
  const RowBlocks blocks;
  std::vector<int64_t> ends;  // For each block, the length of its longest sequence.
  int64_t longest = 0;        // The length of the longest sequence.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PLAN_H_
