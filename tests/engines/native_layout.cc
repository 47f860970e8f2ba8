// Checks where packed weights are. Prints the numbers of the layouts that a compiler makes, for floats and for doubles.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "lstm.h"
#include "storage/layout.h"

namespace lstm = stacked_lstm;

// Whether packed weights are where they should be: full vectors without padding, and a last panel of at most half a
// vector of units in rows of two vectors, the gates side by side. int8_t weights have whole vectors.
bool CheckPackedWeights() {
  constexpr int64_t kSize = lstm::Vector<float>::kSize, kHalf = kSize / 2;
  for (int64_t units = 1; units <= 3 * kSize; ++units) {
    const lstm::Layer layer = {0, 0, 3, units, lstm::Activation::kTanh, lstm::Activation::kSigmoid, nullptr};
    const int64_t rows = 3 + units, last = (units - 1) / kSize, rest = units % kSize;
    const int64_t padded_units = rest == 0 ? 0 : rest <= kHalf ? kHalf : kSize;
    const lstm::PackedSizes sizes = lstm::PackedWeights<float>::Sizes(layer);
    if (sizes.full != rows * 4 * (units - rest) || sizes.padded != rows * 4 * padded_units) return false;
    if (lstm::PackedWeights<int8_t>::Sizes(layer).padded != (rest ? rows * 4 * kSize : 0)) return false;
    std::vector<float> full(sizes.full, NAN), padded(sizes.padded, NAN), kernels[4];
    lstm::Weights<const float> weights = {{}, units, 0, units, {}};
    for (int gate = 0; gate < 4; ++gate) {  // Each weight is another number.
      for (int64_t k = 0; k < rows * units; ++k) kernels[gate].push_back(4 * k + gate + 1);
      weights.kernel[gate] = kernels[gate].data();
    }
    lstm::Pack<float>(layer, weights, nullptr, {full.data(), padded.data()}, {1, nullptr});
    const lstm::PackedWeights<float> view({full.data(), padded.data()}, layer);
    for (int64_t panel = 0; panel <= last; ++panel) {
      if (view.IsHalf(panel) != (panel == last && padded_units == kHalf)) return false;
    }
    for (int64_t k = 0; k < rows * 4 * units; ++k) {
      const int64_t row = k / (4 * units), gate = k / units % 4, unit = k % units;
      const lstm::Factor factor = row < units ? lstm::Factor::kH : lstm::Factor::kX;
      const int64_t factor_row = factor == lstm::Factor::kH ? row : row - units;
      const float packed = view.At(factor, unit / kSize, factor_row, gate)[unit % kSize];
      if (packed != kernels[gate][row * units + unit]) return false;
      if (unit / kSize == last && padded_units == kHalf) {  // Half panels are [row, gate, unit].
        const float* const panel = padded.data() + (factor == lstm::Factor::kH ? 0 : units * 4 * kHalf);
        if (panel[(factor_row * 4 + gate) * kHalf + unit % kSize] != packed) return false;
      }
    }
    const auto zeros = std::count(padded.begin(), padded.end(), 0.0f);
    if (zeros != rows * 4 * (padded_units - rest)) return false;
  }
  return true;
}

int main() {
  if (!CheckPackedWeights()) return std::puts("packed weights are not where they should be"), 1;
  std::printf("%d %d\n", lstm::LayoutNumber<float>(), lstm::LayoutNumber<double>());
  return 0;
}
