// The products of a single step with weights that are not packed. Packing reads and writes all weights, which takes
// longer than one step of a few sequences.

#ifndef STACKED_LSTM_UNPACKED_PRODUCTS_H_
#define STACKED_LSTM_UNPACKED_PRODUCTS_H_

#include <algorithm>
#include <utility>

#include "lstm.h"
#include "pieces.h"
#include "plan.h"
#include "vector.h"

namespace stacked_lstm {

template <class T>
class UnpackedProducts {
 public:
  UnpackedProducts(const Plan<T>& plan, const Weights<const T>& weights)
      : plan_(plan), weights_(weights), blocks_((plan.panels + kPanels - 1) / kPanels) {}

  // The number of pieces of the products. A piece is kPanels vectors of units of one gate.
  int64_t pieces() const { return kGates * blocks_; }

  // Computes z = b + x W + h W of all sequences for the units of a piece.
  //
  //   h, x: [B, P] and [B, I].
  //   bias: a row of gates, [panel, gate, unit].
  //   z: [B, row of gates].
  void Compute(int64_t piece, const T* h, const T* x, const T* bias, T* z) const {
    const int gate = static_cast<int>(piece / blocks_);
    const int64_t first = piece % blocks_ * kPanels;
    const Range panels = {first, std::min(plan_.panels, first + kPanels)};
    for (int64_t block = 0; block < plan_.blocks.number; ++block) {
      const int64_t b = plan_.blocks.Begin(block), rows = plan_.blocks.Size(block);
      const auto add = Select(rows, std::make_index_sequence<kTileRows>());
      const int64_t h_width = plan_.layer.outputs(), x_width = plan_.layer.inputs;
      T* const z_rows = z + b * plan_.row_width;
      // The order of the sums is that of packed weights, so that the results are the same bits.
      (this->*add)(gate, panels, weights_.x_row, x + b * x_width, x_width, bias, 0, z_rows);
      (this->*add)(gate, panels, weights_.h_row, h + b * h_width, h_width, z_rows, plan_.row_width, z_rows);
    }
  }

 private:
  typedef void (UnpackedProducts::*AddFunction)(int, Range, int64_t, const T*, int64_t, const T*, int64_t, T*) const;

  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;
  // A row of a piece is some cache lines long. Rows are pages apart, so the processor does not fetch the next ones.
  static constexpr int kPanels = 8;
  static constexpr int64_t kRowsAhead = 8;

  // The vectors of a piece whose sums stay in the registers, together with the weights and a number of h or x.
  static constexpr int SumVectors(int rows) {
    int vectors = kPanels;
    while ((rows + 1) * vectors + 1 > kRegisters) vectors /= 2;
    return vectors;
  }

  // z = init + left W, for the vectors of one gate in some panels, `Rows` rows of z, and `depth` rows of W, from `first`
  // on. The rows of `init` are `init_stride` numbers apart.
  template <int Rows>
  void Add(int gate, Range panels, int64_t first, const T* left, int64_t depth, const T* init, int64_t init_stride,
           T* z) const {
    constexpr int kVectors = SumVectors(Rows);
    for (int64_t panel = panels.begin; panel < panels.end; panel += kVectors) {
      const T* const weights = weights_.kernel[gate] + first * weights_.stride + panel * kSize;
      const int64_t column = panel * kWidth + gate * kSize, units = plan_.layer.units - panel * kSize;
      const auto add = units >= kVectors * kSize ? AddVectors<Rows, kVectors, true> : AddVectors<Rows, kVectors, false>;
      add(weights, weights_.stride, units, left, depth, init + column, init_stride, z + column, plan_.row_width);
    }
  }

  // The same for the first `Vectors` vectors of `weights`. If `weights` has fewer columns, it has `units` columns.
  template <int Rows, int Vectors, bool has_all>
  static void AddVectors(const T* weights, int64_t stride, int64_t units, const T* left, int64_t depth, const T* init,
                         int64_t init_stride, T* z, int64_t z_stride) {
    const int vectors = has_all ? Vectors : static_cast<int>(VectorCount<T>(units));
    Vec<T> sum[Rows][Vectors];
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < vectors; ++v) sum[r][v] = Load(init + r * init_stride + v * kWidth);
    }
    for (int64_t k = 0; k < depth; ++k, weights += stride) {
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) {
        const int count = static_cast<int>(std::min(kSize, units - v * kSize));
        Vec<T> vector = has_all ? Load(weights + v * kSize) : LoadFirst(weights + v * kSize, count);
        __builtin_prefetch(weights + kRowsAhead * stride + v * kSize);
        HoldInRegister<T>(&vector);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) sum[r][v] += vector * left[r * depth + k];
      }
    }
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < vectors; ++v) Store(z + r * z_stride + v * kWidth, sum[r][v]);
    }
  }

  template <size_t... r>
  static AddFunction Select(int64_t rows, std::index_sequence<r...>) {
    static constexpr AddFunction kFunctions[] = {&UnpackedProducts::Add<r + 1>...};
    return kFunctions[rows - 1];
  }

  const Plan<T>& plan_;
  const Weights<const T>& weights_;
  const int64_t blocks_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_UNPACKED_PRODUCTS_H_
