// Weights in fewer bits, for inference: BFloat16, or 8 bits with a scale per column. Everything else is float.

#ifndef STACKED_LSTM_LOW_PRECISION_H_
#define STACKED_LSTM_LOW_PRECISION_H_

#include <cstdint>
#include <vector>

#include "lstm.h"
#include "vector.h"

namespace stacked_lstm {

// The number of elements that `PackRounded` writes. The layer has no projection.
int64_t RoundedSize(const Layer& layer);

// Rounds weights to the nearest BFloat16, and to the even one of two. Infinity and NaN stay what they are.
void PackRounded(const Layer& layer, const Weights<const float>& weights, BFloat16* packed, float* const* scales);

// Rounds the weights of each column, of h and x together, to multiples of a scale, its maximum / 127. All must be finite.
void PackRounded(const Layer& layer, const Weights<const float>& weights, int8_t* packed, float* const* scales);

// As the `Forward` of lstm.h. The layers have no extras.
template <class W>
void ForwardRounded(const std::vector<Layer>& layers, const std::vector<ForwardArrays<float, W>>& arrays,
                    const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LOW_PRECISION_H_
