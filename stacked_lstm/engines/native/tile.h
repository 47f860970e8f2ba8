// The matrix product of this engine: a tile of at most kTileRows x 4 vectors whose sums stay in registers.

#ifndef STACKED_LSTM_TILE_H_
#define STACKED_LSTM_TILE_H_

#include <algorithm>
#include <utility>

#include "vector.h"

namespace stacked_lstm {

// The layout of the left factor: rows that are `stride` numbers apart; strips [depth, rows], which are contiguous; or
// columns [depth, rows], which are `stride` numbers apart.
enum class Left { kRows, kStrips, kColumns };

// The number of vectors of a panel whose sums a tile holds at once: all, or half of them. The sums, the vectors of
// weights and a number of the left factor must fit into the registers. With 16 registers, the tile of 6 rows holds 2 of
// 4 vectors. It multiplies at the rate of 4 rows x 3 vectors, which panels of 4 vectors do not have.
constexpr int SumVectors(int rows, int vectors) {
  return (rows + 1) * vectors + 1 <= kRegisters ? vectors : (vectors + 1) / 2;
}

// The number of rows of the next tile, if `rows` rows are left. On an AMD EPYC (Zen 5) with AVX2, a tile of 6 rows
// computes 131 operations per ns. Tiles of 5, 4 and 2 rows compute 120 to 123, of 3 rows 96, and of one row 70. With
// AVX-512, tiles of 3 to 6 rows compute 250. Tiles of equal height are best there.
inline int64_t NextTileRows(int64_t rows) {
  constexpr int64_t kMax = kTileRows;
  if (SumVectors(kTileRows, kPanelVectors) == kPanelVectors) return rows / ((rows + kMax - 1) / kMax);
  return rows == kMax + 1 || rows == kMax + 3 ? kMax - 1 : std::min(rows, kMax);
}

// The depth after which a tile goes on to the other half of a panel's vectors. The two halves are neighbors in memory,
// and must both be in the first-level cache. On an AMD EPYC (Zen 5), depths of 64 and 256 take the same time, to 2%.
// Loops over two rows of weights do, too.
constexpr int64_t kHalvesDepth = 128;

// How far ahead of its use a panel is fetched, in bytes: 64 to 96 rows of AVX2, and 32 to 48 of AVX-512. If the weights
// of a layer are larger than a core's cache, the processor's own prefetches come too late.
constexpr int64_t kPrefetchBytes = 10240;

// A tile of few rows with vectors of whole cache lines loads as fast as the core can, and has no time for prefetches.
constexpr bool Prefetches(int rows) { return kVectorBytes < kCacheLine || rows > 3; }

// Adds the products of some vectors of a panel, from `First` on. Its rows have `Width` vectors. The arguments are
// those of `Tile`.
template <class T, int Rows, int First, int Vectors, int Width, Left layout, class W>
inline void AddProducts(int64_t depth, const T* left, int64_t left_stride, const W* panel, const T* init,
                        int64_t init_stride, T* out, int64_t out_stride) {
  constexpr int64_t kSize = Vector<T>::kSize, kWeightBytes = sizeof(W);
  Vec<T> sum[Rows][Vectors];
  const T* row[Rows];
  for (int r = 0; r < Rows; ++r) {
    row[r] = left + r * left_stride;
    for (int v = 0; v < Vectors; ++v) sum[r][v] = init ? Load(init + r * init_stride + v * kSize) : Vec<T>{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec<T> weights[Vectors];
    for (int64_t byte = 0; Prefetches(Rows) && byte < Vectors * kSize * kWeightBytes; byte += kCacheLine) {
      __builtin_prefetch(reinterpret_cast<const char*>(panel + First * kSize) + kPrefetchBytes + byte);
    }
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      weights[v] = LoadWeights(panel, First + v);
      HoldInRegister<T>(&weights[v]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const T factor = layout == Left::kRows ? row[r][k] : left[r];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] += weights[v] * factor;
    }
    panel += Width * kSize;
    if (layout == Left::kStrips) left += Rows;
    if (layout == Left::kColumns) left += left_stride;
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) Store(out + r * out_stride + v * kSize, sum[r][v]);
  }
}

// out[r, :] = init[r, :] + sum over k < depth of left(r, k) * panel[k, :], for `Rows` rows and `Vectors` vectors. The
// order of each sum is that of k, on every processor.
//
//   left: [Rows, depth], with rows `left_stride` numbers apart; a strip [depth, Rows]; or [depth, Rows], with the
//     numbers of each k `left_stride` numbers apart.
//   panel: [depth, Vectors * kSize], contiguous, of the type W in which weights are stored.
//   init: rows `init_stride` numbers apart (0 repeats one row), or null for zeros. It may be `out`.
template <class T, int Rows, int Vectors, Left layout, class W>
void Tile(int64_t depth, const T* left, int64_t left_stride, const W* panel, const T* init, int64_t init_stride, T* out,
          int64_t out_stride) {
  constexpr int kSize = Vector<T>::kSize, kFirst = SumVectors(Rows, Vectors), kRest = Vectors - kFirst;
  if constexpr (kRest == 0) {
    AddProducts<T, Rows, 0, Vectors, Vectors, layout>(depth, left, left_stride, panel, init, init_stride, out, out_stride);
  } else {
    const int64_t left_step = layout == Left::kRows ? 1 : layout == Left::kStrips ? Rows : left_stride;
    int64_t k = 0;
    do {
      const int64_t count = std::min(kHalvesDepth, depth - k);
      AddProducts<T, Rows, 0, kFirst, Vectors, layout>(count, left, left_stride, panel, init, init_stride, out, out_stride);
      AddProducts<T, Rows, kFirst, kRest, Vectors, layout>(count, left, left_stride, panel,
                                                   init ? init + kFirst * kSize : nullptr, init_stride,
                                                   out + kFirst * kSize, out_stride);
      k += count;
      left += count * left_step;
      panel += count * Vectors * kSize;
      init = out;
      init_stride = out_stride;
    } while (k < depth);
  }
}

template <class T, class W = T>
using TileFunction = void (*)(int64_t, const T*, int64_t, const W*, const T*, int64_t, T*, int64_t);

template <class T, int Vectors, Left layout, class W, size_t... r>
inline TileFunction<T, W> SelectTileByRows(int64_t rows, std::index_sequence<r...>) {
  static constexpr TileFunction<T, W> kTiles[] = {Tile<T, r + 1, Vectors, layout, W>...};
  return kTiles[rows - 1];
}

// The `Tile` function for 1 to kTileRows rows and all vectors of a panel.
template <class T, int Vectors = kPanelVectors, Left layout = Left::kRows, class W = T>
inline TileFunction<T, W> SelectTile(int64_t rows) {
  return SelectTileByRows<T, Vectors, layout, W>(rows, std::make_index_sequence<kTileRows>());
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
