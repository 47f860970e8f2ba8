// A layer with layer normalization, forward and backward. Letters, shapes and arrays are those of lstm.h.
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

#include "lstm.h"

namespace stacked_lstm {

// How a layer is normalized.
struct Normalization {
  double epsilon;
  bool is_carried;
};

// The weights of the normalizations, or their gradients. T is const for input arrays.
template <class T>
struct NormWeights {
  T *gate_gain, *gate_shift;  // [4, H]
  T *cell_gain, *cell_shift;  // [H]
};

// The number of elements in the cache, which the forward pass writes and the backward pass reads.
template <class T>
int64_t NormalizedCacheSize(const Layer& layer);

// `arrays.bias` is not read.
template <class T>
void NormalizedForward(const Layer& layer, const Normalization& normalization, const ForwardArrays<T>& arrays,
                       const NormWeights<const T>& norms, const Threads& threads);

// The biases of `arrays.d_weights` are null. All gradients in `d_norms` are null, or none is.
template <class T>
void NormalizedBackward(const Layer& layer, const Normalization& normalization, const BackwardArrays<T>& arrays,
                        const NormWeights<const T>& norms, const NormWeights<T>& d_norms, const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZATION_H_
