// The matrix product of this engine: a tile of at most kTileRows x 4 vectors whose sums stay in registers.

#ifndef STACKED_LSTM_TILE_H_
#define STACKED_LSTM_TILE_H_

#include <algorithm>
#include <utility>

#include "arithmetic/panel.h"
#include "arithmetic/vector.h"

namespace stacked_lstm {

// The layout of the left factor: rows that are `stride` numbers apart; strips [depth, rows], which are contiguous; or
// columns [depth, rows], which are `stride` numbers apart.
enum class Left { kRows, kStrips, kColumns };

// The number of rows of the next tile, if `rows` rows are left. On an AMD EPYC (Zen 5) with AVX2, a tile of 6 rows
// computes 131 operations per ns. Tiles of 5, 4 and 2 rows compute 120 to 123, of 3 rows 96, and of one row 70. With
// AVX-512, tiles of 3 to 6 rows compute 250. Tiles of equal height are best there.
inline int64_t NextTileRows(int64_t rows) {
  constexpr int64_t kMax = kTileRows;
  if (SumVectors(kTileRows, kPanelVectors) == kPanelVectors) return rows / ((rows + kMax - 1) / kMax);
  return rows == kMax + 1 || rows == kMax + 3 ? kMax - 1 : std::min(rows, kMax);
}

// How far ahead of its use a panel is fetched, in bytes: 160 rows of a group of AVX2, and 40 of AVX-512. If the weights
// of a layer are larger than a core's cache, the processor's own prefetches come too late.
constexpr int64_t kPrefetchBytes = 10240;

// A tile of few rows with vectors of whole cache lines loads as fast as the core can, and has no time for prefetches.
// With smaller vectors, a shallow panel is not fetched: it probably belongs to a layer that is in the core's cache. A
// tile of 2 rows takes 20% less time then.
constexpr bool Prefetches(int rows, int64_t depth) { return kVectorBytes < kCacheLine ? depth >= 256 : rows > 3; }

// Adds the products of some vectors of a panel of `Width` vectors, from `First` on. `init` and `out` begin with the
// first of these vectors. The arguments are those of `Tile`.
template <class T, int Rows, int First, int Vectors, int Width, Left layout, class W>
inline void AddProducts(int64_t depth, const T* left, int64_t left_stride, const W* panel, const T* init,
                        int64_t init_stride, T* out, int64_t out_stride) {
  constexpr int64_t kSize = Vector<T>::kSize;
  constexpr int kGroup = kGroupVectors<W>, kFirstGroup = First / kGroup;
  constexpr int kGroups = (First + Vectors - 1) / kGroup - kFirstGroup + 1;
  // Every loop over the sums is unrolled. Otherwise GCC copies all sums to memory before and after the loop over k,
  // which takes 6% of the time if the depth is 100.
  Vec<T> sum[Rows][Vectors];
  const T* row[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    row[r] = left + r * left_stride;
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[r][v] = init ? Load(init + r * init_stride + v * kSize) : Vec<T>{};
  }
  const W* group_row[kGroups];
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
    group_row[g] = panel + VectorPosition<W>(depth, Width, 0, (kFirstGroup + g) * kGroup) * kSize;
  }
  const bool prefetches = Prefetches(Rows, depth);
  // Fewer instructions per product help most while another thread runs on the same core, such as that of another
  // virtual machine. The core then decodes half as many of them.
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k) {
    Vec<T> weights[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      weights[v] = LoadWeights(group_row[(First + v) / kGroup - kFirstGroup], (First + v) % kGroup);
      HoldInRegister<T>(&weights[v]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const int64_t size = GroupVectors<W>(Width, (kFirstGroup + g) * kGroup) * kSize;
      for (int64_t byte = 0; prefetches && byte < size * int64_t(sizeof(W)); byte += kCacheLine) {
        __builtin_prefetch(reinterpret_cast<const char*>(group_row[g]) + kPrefetchBytes / kGroups + byte);
      }
      group_row[g] += size;
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const T factor = layout == Left::kRows ? row[r][k] : left[r];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] += weights[v] * factor;
    }
    if (Rows * Vectors == 1) FuseSingleSum<T>(&sum[0][0]);
    if (layout == Left::kStrips) left += Rows;
    if (layout == Left::kColumns) left += left_stride;
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) Store(out + r * out_stride + v * kSize, sum[r][v]);
  }
}

// out[r, :] = init[r, :] + sum over k < depth of left(r, k) * panel[k, :], for `Rows` rows and `Vectors` vectors. The
// order of each sum is that of k, on every processor.
//
//   left: [Rows, depth], with rows `left_stride` numbers apart; a strip [depth, Rows]; or [depth, Rows], with the
//     numbers of each k `left_stride` numbers apart.
//   panel: [depth, Vectors * kSize], in the layout of panel.h, of the type W in which weights are stored.
//   init: rows `init_stride` numbers apart (0 repeats one row), or null for zeros. It may be `out`.
template <class T, int Rows, int Vectors, Left layout, class W>
void Tile(int64_t depth, const T* left, int64_t left_stride, const W* panel, const T* init, int64_t init_stride, T* out,
          int64_t out_stride) {
  constexpr int kFirst = SumVectors(Rows, Vectors), kRest = Vectors - kFirst, kSize = Vector<T>::kSize;
  AddProducts<T, Rows, 0, kFirst, Vectors, layout>(depth, left, left_stride, panel, init, init_stride, out, out_stride);
  if constexpr (kRest > 0) {
    AddProducts<T, Rows, kFirst, kRest, Vectors, layout>(depth, left, left_stride, panel,
                                                         init ? init + kFirst * kSize : nullptr, init_stride,
                                                         out + kFirst * kSize, out_stride);
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
