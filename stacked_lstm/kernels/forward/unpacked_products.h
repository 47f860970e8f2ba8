// The products of a step with weights that are not packed. Packing reads and writes all weights, which takes longer
// than a few steps of a few sequences.

#ifndef STACKED_LSTM_UNPACKED_PRODUCTS_H_
#define STACKED_LSTM_UNPACKED_PRODUCTS_H_

#include <algorithm>
#include <utility>

#include "arithmetic/vector.h"
#include "lstm.h"
#include "schedule/pieces.h"
#include "schedule/plan.h"

namespace stacked_lstm {

template <class T>
class UnpackedProducts {
 public:
  // threads: the number of threads that share the pieces.
  UnpackedProducts(const Plan<T>& plan, const Weights<const T>& weights, int threads)
      : plan_(plan), weights_(weights), parts_(plan.panels, MaxPartSize(plan, threads)) {}

  // The number of pieces of the products. A piece is a part of the units of one gate.
  int64_t pieces() const { return kGates * parts_.number; }

  // Computes z = b + x W + h W of all sequences for the units of a piece.
  //
  //   h, x: [B, P] and [B, I]. The rows of h are `h_stride` numbers apart.
  //   bias: a row of gates, [panel, gate, unit], or null.
  //   z: [B, row of gates].
  void Compute(int64_t piece, const T* h, int64_t h_stride, const T* x, const T* bias, T* z) const {
    const int gate = static_cast<int>(piece / parts_.number);
    const Range panels = parts_[piece % parts_.number];
    const int64_t first = panels.begin * kWidth + gate * kSize;
    z += first;
    for (int64_t b = 0; b < plan_.layer.batch; ++b) {
      for (int64_t v = 0; v < panels.size(); ++v) {
        Store(z + b * plan_.row_width + v * kWidth, bias ? Load(bias + first + v * kWidth) : Vec<T>{});
      }
    }
    // The order of the sums is that of packed weights, so that the results are the same bits.
    Add(gate, panels, weights_.x_row, x, plan_.layer.inputs, plan_.layer.inputs, z);
    Add(gate, panels, weights_.h_row, h, h_stride, plan_.layer.outputs(), z);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;
  // The rows of weights that are added at a time. The processor itself fetches the next numbers of a few rows. The sums
  // of several sequences take time to load and store, which more rows share.
  static constexpr int64_t kFewRows = 8, kManyRows = 256;
  // If at least so many blocks of sequences read a narrow block of weights, they read a copy. Its rows are aligned and
  // side by side. Those of wide layers are in a page of memory each.
  static constexpr int64_t kCopiedFrom = 8, kCopiedVectors = 2;
  // Wide parts are faster, because they read more of each page of memory. But there must be pieces for all threads.
  static constexpr int64_t kMinPartSize = 8, kPiecesPerThread = 2;

  static int64_t MaxPartSize(const Plan<T>& plan, int threads) {
    return std::max(kMinPartSize, plan.panels * kGates / (kPiecesPerThread * threads));
  }

  // The vectors whose sums stay in the registers, together with the weights and a number of the other factor.
  static int SumVectors(int64_t rows) {
    int vectors = 8;
    while ((rows + 1) * vectors + 1 > kRegisters) vectors /= 2;
    return vectors;
  }

  // Some rows and columns of weights, one or more vectors wide.
  struct Block {
    const T* weights;
    int64_t stride, rows;
    const T* next;  // The block that is read after this one.
    int64_t next_stride;
  };

  // z += left W, for `depth` rows of W from `first` on, and the units of some panels of a gate. The rows of `left` are
  // `left_stride` numbers apart.
  void Add(int gate, Range panels, int64_t first, const T* left, int64_t left_stride, int64_t depth, T* z) const {
    const int64_t stride = weights_.stride, max_rows = plan_.layer.batch == 1 ? kFewRows : kManyRows;
    const int64_t whole = std::min(panels.size(), plan_.layer.units / kSize - panels.begin);
    const T* weights = weights_.kernel[gate] + first * stride + panels.begin * kSize;
    for (int64_t k = 0; k < depth; k += max_rows, weights += max_rows * stride) {
      const int64_t rows = std::min(max_rows, depth - k);
      const T* const next_rows = weights + rows * stride;
      int vectors = SumVectors(plan_.blocks.largest);
      alignas(64) T copy[kManyRows * kCopiedVectors * kSize];
      for (int64_t v = 0; v < whole; v += vectors) {
        while (v + vectors > whole) vectors /= 2;
        const T* const next = v + vectors < panels.size() ? weights + (v + vectors) * kSize : next_rows;
        Block block = {weights + v * kSize, stride, rows, next, stride};
        if (plan_.blocks.number >= kCopiedFrom && vectors <= kCopiedVectors) {
          block.stride = vectors * kSize;
          for (int64_t row = 0; row < rows; ++row) {
            for (int64_t n = 0; n < block.stride; n += kSize) {
              Store(copy + row * block.stride + n, Load(block.weights + row * stride + n));
            }
          }
          block.weights = copy;
        }
        AddBlock(block, vectors, left + k, left_stride, z + v * kWidth);
      }
      if (whole == panels.size()) continue;
      const int count = static_cast<int>(plan_.layer.units % kSize);
      for (int64_t row = 0; row < rows; ++row) {  // Nothing beyond the last unit may be read.
        Store(copy + row * kSize, LoadFirst(weights + row * stride + whole * kSize, count));
      }
      AddBlock({copy, kSize, rows, next_rows, stride}, 1, left + k, left_stride, z + whole * kWidth);
    }
  }

  // Adds the products of all sequences with a block to z. left: rows that are `stride` numbers apart.
  void AddBlock(const Block& block, int vectors, const T* left, int64_t stride, T* z) const {
    for (int64_t k = 0; k < plan_.blocks.number; ++k) {
      const int64_t b = plan_.blocks.Begin(k), size = plan_.blocks.Size(k);
      const AddFunction add = k == 0 ? Select<true>(size, vectors) : Select<false>(size, vectors);
      add(block, left + b * stride, stride, z + b * plan_.row_width, plan_.row_width);
    }
  }

  typedef void (*AddFunction)(const Block&, const T*, int64_t, T*, int64_t);

  // The same for `Rows` sequences and `Vectors` vectors. prefetches: whether it asks for the next block.
  template <int Rows, int Vectors, bool prefetches>
  static void AddVectors(const Block& block, const T* left, int64_t stride, T* z, int64_t z_stride) {
    const T *weights = block.weights, *next = block.next;
    Vec<T> sum[Rows][Vectors];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = Load(z + r * z_stride + v * kWidth);
    }
    for (int64_t k = 0; k < block.rows; ++k, weights += block.stride, next += block.next_stride) {
      Vec<T> vectors[Vectors];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        vectors[v] = Load(weights + v * kSize);
        if (prefetches) __builtin_prefetch(next + v * kSize);
        HoldInRegister<T>(&vectors[v]);
      }
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const T factor = left[r * stride + k];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sum[r][v] += vectors[v] * factor;
      }
      if (Rows * Vectors == 1) FuseSingleSum<T>(&sum[0][0]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) Store(z + r * z_stride + v * kWidth, sum[r][v]);
    }
  }

  template <bool prefetches>
  static AddFunction Select(int64_t rows, int vectors) {
    constexpr auto kRows = std::make_index_sequence<kTileRows>();
    switch (vectors) {
      case 1: return SelectByRows<1, prefetches>(rows, kRows);
      case 2: return SelectByRows<2, prefetches>(rows, kRows);
      case 4: return SelectByRows<4, prefetches>(rows, kRows);
      default: return SelectByRows<8, prefetches>(rows, kRows);
    }
  }
  template <int Vectors, bool prefetches, size_t... r>
  static AddFunction SelectByRows(int64_t rows, std::index_sequence<r...>) {
    static constexpr AddFunction kFunctions[] = {&UnpackedProducts::AddVectors<r + 1, Vectors, prefetches>...};
    return kFunctions[rows - 1];
  }

  const Plan<T>& plan_;
  const Weights<const T>& weights_;
  const Pieces parts_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_UNPACKED_PRODUCTS_H_
