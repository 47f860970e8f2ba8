// Inference with weights in fewer bits: BFloat16, or 8 bits with a scale per column. All other numbers are floats.

#ifndef STACKED_LSTM_LOW_PRECISION_H_
#define STACKED_LSTM_LOW_PRECISION_H_

#include <cstdint>
#include <vector>

#include "arithmetic/vector.h"
#include "lstm.h"

namespace stacked_lstm {

// The sizes of what `PackRounded` writes. The layer has no projection.
PackedSizes FindRoundedSizes(const Layer& layer);

// Rounds weights to the nearest BFloat16, and ties to the even one. Infinity stays infinity, and NaN stays NaN.
void PackRounded(const Layer& layer, const Weights<const float>& weights, const Packed<BFloat16>& packed,
                 float* const* scales);

// A column has all weights of a unit in a gate, for h and x. Its scale is the maximum of their absolute values / 127.
// Rounds each weight to a multiple of its column's scale. All weights must be finite.
void PackRounded(const Layer& layer, const Weights<const float>& weights, const Packed<int8_t>& packed,
                 float* const* scales);

// Computes what `Forward` of lstm.h computes, from weights that `PackRounded` has packed. The layers have no extras.
template <class W>
void ForwardRounded(const std::vector<Layer>& layers, const std::vector<ForwardArrays<float, W>>& arrays,
                    const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LOW_PRECISION_H_
