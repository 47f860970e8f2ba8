// The matrix product of this engine: a tile of at most kTileRows x 4 vectors that stays in registers.

#ifndef STACKED_LSTM_TILE_H_
#define STACKED_LSTM_TILE_H_

#include <utility>

#include "vector.h"

namespace stacked_lstm {

// The layout of the left factor: rows that are `stride` numbers apart; strips [depth, rows], which are contiguous; or
// columns [depth, rows], which are `stride` numbers apart.
enum class Left { kRows, kStrips, kColumns };

// out[r, :] = init[r, :] + sum over k < depth of left(r, k) * panel[k, :], for `Rows` rows and `Vectors` vectors.
//
//   left: [Rows, depth], with rows `left_stride` numbers apart; a strip [depth, Rows]; or [depth, Rows], with the numbers
//     of each k `left_stride` numbers apart.
//   panel: [depth, Vectors * kSize], contiguous.
//   init: rows `init_stride` numbers apart (0 repeats one row), or null for zeros. It may be `out`.
template <class T, int Rows, int Vectors, Left layout>
void Tile(int64_t depth, const T* left, int64_t left_stride, const T* panel, const T* init, int64_t init_stride, T* out,
          int64_t out_stride) {
  constexpr int kSize = Vector<T>::kSize;
  Vec<T> sum[Rows][Vectors];
  const T* row[Rows];
  for (int r = 0; r < Rows; ++r) {
    row[r] = left + r * left_stride;
    for (int v = 0; v < Vectors; ++v) sum[r][v] = init ? Load(init + r * init_stride + v * kSize) : Vec<T>{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec<T> weights[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      weights[v] = Load(panel + v * kSize);
      HoldInRegister<T>(&weights[v]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const T factor = layout == Left::kRows ? row[r][k] : left[r];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] += weights[v] * factor;
    }
    panel += Vectors * kSize;
    if (layout == Left::kStrips) left += Rows;
    if (layout == Left::kColumns) left += left_stride;
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) Store(out + r * out_stride + v * kSize, sum[r][v]);
  }
}

template <class T>
using TileFunction = void (*)(int64_t, const T*, int64_t, const T*, const T*, int64_t, T*, int64_t);

template <class T, int Vectors, Left layout, size_t... r>
inline TileFunction<T> SelectTileByRows(int64_t rows, std::index_sequence<r...>) {
  static constexpr TileFunction<T> kTiles[] = {Tile<T, r + 1, Vectors, layout>...};
  return kTiles[rows - 1];
}

// The `Tile` function for 1 to kTileRows rows and all vectors of a panel.
template <class T, int Vectors = kPanelVectors, Left layout = Left::kRows>
inline TileFunction<T> SelectTile(int64_t rows) {
  return SelectTileByRows<T, Vectors, layout>(rows, std::make_index_sequence<kTileRows>());
}

// The `Tile` function for a panel with fewer vectors, as the last one may be.
template <class T>
inline TileFunction<T> SelectTile(int64_t rows, int vectors) {
  static_assert(kPanelVectors == 4, "one case each");
  switch (vectors) {
    case 1: return SelectTile<T, 1>(rows);
    case 2: return SelectTile<T, 2>(rows);
    case 3: return SelectTile<T, 3>(rows);
    default: return SelectTile<T, 4>(rows);
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_TILE_H_
