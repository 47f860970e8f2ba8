// A stack of LSTM layers over time, forward and backward, on a CPU. This interface does not depend on TensorFlow.
//
//     f = s(z_f)   i = s(z_i)   o = s(z_o)   g = phi(z_c)      z_k = h W_k[h rows] + x W_k[x rows] + b_k
//     c' = f c + i g            h' = o phi(c')
//
// T time steps, B batch, I input width, H units. Arrays are row-major and contiguous unless a comment says otherwise.
// Sizes may be zero. The order of the gates is i, c, f, o everywhere.

#ifndef STACKED_LSTM_LSTM_H_
#define STACKED_LSTM_LSTM_H_

#include <cstdint>
#include <vector>

#include "team.h"

namespace stacked_lstm {

constexpr int kGates = 4;

enum class Activation { kTanh, kSigmoid, kHardSigmoid, kHardSigmoid6, kRelu, kLinear };

// The layers of a stack differ in `inputs` and `units` only.
struct Layer {
  int64_t steps, batch, inputs, units;
  Activation candidate, gates;  // phi and s.
  const int32_t* lengths;       // [B], from 0 to T; null if all sequences have T steps.
};

// The matrices of the four gates, which may be parts of a larger matrix, and their biases. T is const for input arrays.
template <class T>
struct Weights {
  T* kernel[kGates];  // Rows of H numbers, `stride` numbers apart.
  int64_t stride;
  int64_t h_row, x_row;  // The first of the H rows for h, and of the I rows for x.
  T* bias[kGates];       // [H]; all null without biases.
};

// The number of elements in a vector of this processor. It determines the layout of packed weights and caches.
template <class T>
int64_t VectorSize();

// The number of elements that `Pack` writes, which is the number of elements in the matrices.
int64_t PackedSize(int64_t inputs, int64_t units);

// Arranges the matrices as `Forward` reads them. layout.h describes the layout.
template <class T>
void Pack(int64_t inputs, int64_t units, const Weights<const T>& weights, T* packed, const Threads& threads);

// The number of elements in the cache of a layer, which the forward pass writes and the backward pass reads.
template <class T>
int64_t CacheSize(int64_t steps, int64_t batch, int64_t units);

template <class T>
struct ForwardArrays {
  const T* packed;
  const T* bias[kGates];  // [H]; all null without biases.
  const T* x;             // [T, B, I]; never used past the end of a sequence. Upper layers: the outputs below.
  const T* c;             // [B, H], before the first step.
  const T* h;
  T* outputs;  // [T, B, H], zero past the end of each sequence.
  T* c_last;   // [B, H], at the end of each sequence.
  T* h_last;
  T* cache;  // Null if no backward pass follows.
};

// Both lists have one element per layer, from the input upwards.
template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads);

template <class T>
struct BackwardArrays {
  Weights<const T> weights;  // Biases are not read.
  const T* x;                // x to cache: the arrays of the forward pass.
  const T* c;
  const T* h;
  const T* outputs;
  const T* cache;
  // Gradients of the results. d_outputs is [T, B, H] and ignored past the end of each sequence. In a lower layer it is
  // the d_x of the layer above.
  const T* d_outputs;
  const T* d_c_last;
  const T* d_h_last;

  T* d_x;  // The results, each in the shape of its array above. Null if it is not needed.
  T* d_c;
  T* d_h;
  Weights<T> d_weights;  // Either all kernels are null or none is; likewise the biases.
};

template <class T>
void Backward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays, const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LSTM_H_
