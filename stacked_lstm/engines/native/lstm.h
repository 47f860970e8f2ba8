// A stack of LSTM layers over time, forward and backward, on a CPU. Free of TensorFlow.
//
//     f = s(z_f)   i = s(z_i)   o = s(z_o)   g = phi(z_c)      z_k = h W_k[h rows] + x W_k[x rows] + b_k
//     c' = f c + i g            h' = o phi(c')
//
// T time steps, B batch, I input width, H units. Arrays are row-major and contiguous unless it says otherwise; sizes
// may be zero. The order of the gates is i, c, f, o everywhere.

#ifndef STACKED_LSTM_LSTM_H_
#define STACKED_LSTM_LSTM_H_

#include <cstdint>
#include <vector>

#include "team.h"

namespace stacked_lstm {

constexpr int kGates = 4;

enum class Activation { kTanh, kSigmoid, kHardSigmoid, kHardSigmoid6, kRelu, kLinear };

// Layers of a stack differ in inputs and units only.
struct Layer {
  int64_t steps, batch, inputs, units;
  Activation candidate, gates;  // phi and s.
  const int32_t* lengths;       // [B], from 0 to T; null where all sequences have T steps.
};

// The matrices of the four gates, which may be parts of a larger one, and their biases. T is const where they are read.
template <class T>
struct Weights {
  T* kernel[kGates];      // Rows `stride` apart, H numbers each.
  int64_t stride;
  int64_t h_row, x_row;   // The first of the H rows of h, and of the I rows of x.
  T* bias[kGates];        // [H]; all null without biases.
};

// How many numbers a vector of this processor has: packed weights and caches are laid out by it.
template <class T>
int64_t VectorSize();

// How many numbers `Pack` writes: as many as the matrices have.
int64_t PackedSize(int64_t inputs, int64_t units);

// Arranges the matrices as `Forward` reads them; layout.h says how.
template <class T>
void Pack(int64_t inputs, int64_t units, const Weights<const T>& weights, T* packed, const Threads& threads);

// How many numbers the cache has that the backward pass reads, of all steps and sequences.
template <class T>
int64_t CacheSize(int64_t steps, int64_t batch, int64_t units);

template <class T>
struct ForwardArrays {
  const T* packed;
  const T* bias[kGates];  // [H]; all null without biases.
  const T* x;             // [T, B, I]; what is past an end is never used. Of upper layers: the outputs below.
  const T* c;             // [B, H], before the first step.
  const T* h;
  T* outputs;             // [T, B, H], zero past each end.
  T* c_last;              // [B, H], at each end.
  T* h_last;
  T* cache;               // Null where no backward pass will follow.
};

// Both lists have one element per layer, the lowest first.
template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads);

template <class T>
struct BackwardArrays {
  Weights<const T> weights;  // Biases are not read.
  const T* x;                // As in `ForwardArrays`, and what the forward pass made of it.
  const T* c;
  const T* h;
  const T* outputs;
  const T* cache;
  // Gradients of these. [T, B, H]; past an end they count for nothing. Those of lower layers are the d_x above.
  const T* d_outputs;
  const T* d_c_last;
  const T* d_h_last;

  T* d_x;                    // The results, in the shapes of what they are gradients of; null where not wanted.
  T* d_c;
  T* d_h;
  Weights<T> d_weights;      // Either all of the kernels are wanted or none, likewise the biases.
};

template <class T>
void Backward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays, const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LSTM_H_
