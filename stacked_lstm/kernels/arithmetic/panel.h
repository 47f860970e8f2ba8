// The layout of a panel: at most 4 vectors of columns of a matrix, in the order in which tiles read them.
//
// A tile holds the sums of some vectors in registers, and reads the weights of these vectors only. They are a group,
// [row, vector of the group], and the groups follow each other. So a tile reads memory from one end to the other, which
// the processor fetches ahead. With 16 registers, groups of 2 vectors make products of 512 and 650 units 4 to 10%
// faster than rows of 4 vectors, and products of 1024 units 20% (AMD EPYC, Zen 3).

#ifndef STACKED_LSTM_PANEL_H_
#define STACKED_LSTM_PANEL_H_

#include <algorithm>

#include "arithmetic/vector.h"

namespace stacked_lstm {

// The number of vectors of a panel whose sums a tile holds at once: all, or half of them. The sums, the vectors of
// weights and a number of the left factor must fit into the registers. With 16 registers, the tile of 6 rows holds 2 of
// 4 vectors. It multiplies at the rate of 4 rows x 3 vectors, which panels of 4 vectors do not have.
constexpr int SumVectors(int rows, int vectors) {
  return (rows + 1) * vectors + 1 <= kRegisters ? vectors : (vectors + 1) / 2;
}

// The number of vectors in a group, except in the last one of a panel. W is the type in which weights are stored.
template <class W>
constexpr int kGroupVectors = std::max(SumVectors(kTileRows, kPanelVectors), kWordWeights<W>);

// The number of vectors in the group of a vector, in a panel of `vectors` vectors.
template <class W>
constexpr int GroupVectors(int vectors, int vector) {
  return std::min(kGroupVectors<W>, vectors - vector / kGroupVectors<W> * kGroupVectors<W>);
}

// The position of a vector of a row in a panel of `depth` rows and `vectors` vectors, as a number of vectors. The
// vector of the next row is `GroupVectors` further.
template <class W>
constexpr int64_t VectorPosition(int64_t depth, int vectors, int64_t row, int vector) {
  const int first = vector / kGroupVectors<W> * kGroupVectors<W>;
  return first * depth + row * GroupVectors<W>(vectors, vector) + vector - first;
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PANEL_H_
