// Products with the packed weights of a layer, panel by panel: x W and h W of all gates.

#ifndef STACKED_LSTM_GATE_PRODUCTS_H_
#define STACKED_LSTM_GATE_PRODUCTS_H_

#include "arithmetic/tile.h"
#include "arithmetic/vector.h"
#include "schedule/plan.h"
#include "storage/layout.h"

namespace stacked_lstm {

// W is the type in which the weights are stored.
template <class T, class W = T>
class GateProducts {
 public:
  GateProducts(const Layer& layer, const Packed<const W>& packed) : weights_(packed, layer) {}

  // Computes out = init + left W for the gates of a panel of units, [row, gate, unit], and at most kTileRows rows.
  // `left`, `init`, `out` and their strides are those of `Tile`. It is inlined, because a call with so many arguments
  // takes 1 to 3% of the time of a small layer.
  STACKED_LSTM_INLINE void Multiply(Factor factor, int64_t panel, int64_t rows, const T* left, int64_t left_stride,
                                    const T* init, int64_t init_stride, T* out, int64_t out_stride) const {
    const int64_t depth = weights_.Rows(factor);
    const W* const weights = weights_.Panel(factor, panel);
    if constexpr (kWordWeights<W> == 1) {
      if (weights_.IsHalf(panel)) {
        alignas(64) T sums[kTileRows * kWidth / 2] = {};  // GCC for ARM warns without the zeros.
        if (init) JoinGates(rows, init, init_stride, sums);
        SelectTile<T, kPanelVectors / 2, Left::kRows, W>(rows)(depth, left, left_stride, weights, init ? sums : nullptr,
                                                               kWidth / 2, sums, kWidth / 2);
        return SplitGates(rows, sums, out, out_stride);
      }
    }
    SelectTile<T, kPanelVectors, Left::kRows, W>(rows)(depth, left, left_stride, weights, init, init_stride, out,
                                                       out_stride);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Copies the first halves of the four vectors of each row of z, side by side. The rows of z are `stride` apart.
  static void JoinGates(int64_t rows, const T* z, int64_t stride, T* halves) {
    for (int64_t r = 0; r < rows; ++r, z += stride, halves += kWidth / 2) {
      for (int v = 0; v < kGates / 2; ++v) {
        Store(halves + v * kSize, JoinHalves<T>(Load(z + 2 * v * kSize), Load(z + (2 * v + 1) * kSize)));
      }
    }
  }

  // The reverse of `JoinGates`. The second halves of the four vectors become zero.
  static void SplitGates(int64_t rows, const T* halves, T* z, int64_t stride) {
    for (int64_t r = 0; r < rows; ++r, z += stride, halves += kWidth / 2) {
      for (int v = 0; v < kGates / 2; ++v) {
        const Vec<T> pair = Load(halves + v * kSize);
        Store(z + 2 * v * kSize, Half<T, 0>(pair));
        Store(z + (2 * v + 1) * kSize, Half<T, 1>(pair));
      }
    }
  }

  const PackedWeights<const W> weights_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_GATE_PRODUCTS_H_
