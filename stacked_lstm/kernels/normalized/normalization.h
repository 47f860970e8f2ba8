// Layers with layer normalization, forward and backward. Letters, shapes and arrays are those of lstm.h.
//
//     z_k = N(h W_k[h rows] + x W_k[x rows]) gain_k + shift_k      N(y) = (y - mean) / sqrt(variance + epsilon)
//     u = f c + i g      v = N(u) gain_cell + shift_cell           h' = o phi(v)
//     c' = v if the normalized cell state is carried to the next step, otherwise c' = u
//
// Extras, series and resets are as in lstm.h. Peepholes are added to z_k. The bound is that of c': if c' is u, then v
// comes from the clipped u; if c' is v, then h' comes from the clipped v. A projection follows o phi(v).
//
// Mean and variance are those of the H numbers of one gate, or of the cell state, of one sequence.

#ifndef STACKED_LSTM_NORMALIZATION_H_
#define STACKED_LSTM_NORMALIZATION_H_

#include <vector>

#include "lstm.h"

namespace stacked_lstm {

// `Forward` and `Backward` for layers that all have norms. `ForwardArrays::bias` is not read, and the gradients of
// biases are null. These functions are apart, because compiling them takes long and runtime/ has no such layers.
template <class T>
void NormalizedForward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays,
                       const Threads& threads);
template <class T>
void NormalizedBackward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays,
                        const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZATION_H_
