#include "forward/low_precision.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "arithmetic/cell.h"
#include "forward/forward_pass.h"
#include "forward/forward_stack.h"
#include "storage/layout.h"

namespace stacked_lstm {
namespace {

BFloat16 Round(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) return {static_cast<uint16_t>(bits >> 16 | 0x40)};  // The result must stay a NaN.
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

// round: function from a weight, its gate and its unit to the number to store.
template <class W, class Rounding>
void PackEach(const Layer& layer, const Weights<const float>& weights, const Packed<W>& packed, Rounding round) {
  constexpr int kWord = kWordWeights<W>;
  const PackedWeights<W> layout(packed, layer);
  for (const Factor factor : kFactors) {
    const int64_t first = factor == Factor::kH ? weights.h_row : weights.x_row, end = first + layout.Rows(factor);
    for (int64_t panel = 0; panel < layout.panels(); ++panel) {
      const int64_t unit = panel * Vector<float>::kSize;
      const int units = layout.Units(panel), padded_units = PaddedUnits<W>(units);
      for (int64_t row = first; row < end; ++row) {
        for (int gate = 0; gate < kGates; ++gate) {
          const float* const source = weights.kernel[gate] + row * weights.stride + unit;
          W* const word = layout.At(factor, panel, row - first, gate / kWord * kWord) + gate % kWord;
          for (int u = 0; u < padded_units; ++u) word[u * kWord] = u < units ? round(source[u], gate, unit + u) : W{};
        }
      }
    }
  }
}

}  // namespace

PackedSizes FindRoundedSizes(const Layer& layer) { return PackedWeights<BFloat16>::Sizes(layer); }

void PackRounded(const Layer& layer, const Weights<const float>& weights, const Packed<BFloat16>& packed,
                 float* const*) {
  PackEach(layer, weights, packed, [](float value, int, int64_t) { return Round(value); });
}

void PackRounded(const Layer& layer, const Weights<const float>& weights, const Packed<int8_t>& packed,
                 float* const* scales) {
  for (int gate = 0; gate < kGates; ++gate) {
    std::fill_n(scales[gate], layer.units, 0.0f);
    for (const Factor factor : kFactors) {
      const int64_t first = factor == Factor::kH ? weights.h_row : weights.x_row;
      const int64_t end = first + (factor == Factor::kH ? layer.outputs() : layer.inputs);
      for (int64_t row = first; row < end; ++row) {
        const float* const source = weights.kernel[gate] + row * weights.stride;
        for (int64_t u = 0; u < layer.units; ++u) scales[gate][u] = std::max(scales[gate][u], std::abs(source[u]));
      }
    }
    for (int64_t u = 0; u < layer.units; ++u) scales[gate][u] /= 127;
  }
  PackEach(layer, weights, packed, [&](float value, int gate, int64_t unit) {
    const float scale = scales[gate][unit];
    // The bounds matter if the scale is denormal.
    const float multiple = scale > 0 ? std::nearbyint(value / scale) : 0;
    return static_cast<int8_t>(std::max(-127.0f, std::min(127.0f, multiple)));
  });
}

template <class W>
void ForwardRounded(const std::vector<Layer>& layers, const std::vector<ForwardArrays<float, W>>& arrays,
                    const Threads& threads) {
  const std::vector<Plan<float>> plans = MakePlans<float>(layers, threads.count);
  DispatchCells(layers, arrays, [&](auto make_cell) {
    typedef CellOf<decltype(make_cell)> Cell;
    if constexpr (!Cell::kHasExtras) RunForward<ForwardPass<float, Cell, W>>(plans, arrays, make_cell, threads);
  });
}

template void ForwardRounded(const std::vector<Layer>&, const std::vector<ForwardArrays<float, BFloat16>>&,
                             const Threads&);
template void ForwardRounded(const std::vector<Layer>&, const std::vector<ForwardArrays<float, int8_t>>&,
                             const Threads&);

}  // namespace stacked_lstm
