// A stack of LSTM layers over time, forward and backward, on a CPU. This interface does not depend on TensorFlow.
//
//     f = s(z_f)   i = s(z_i)   o = s(z_o)   g = phi(z_c)      z_k = h W_k[h rows] + x W_k[x rows] + b_k
//     c' = f c + i g            h' = o phi(c')
//
// T time steps, B batch, I input width, H units, P outputs. Arrays are row-major and contiguous unless a comment says
// otherwise. Sizes may be zero. The order of the gates is i, c, f, o everywhere.
//
// A layer may have extras. Peepholes p_k [H] let the gates see the cell state. A projection W_p [H, P] follows o
// phi(c'). Both states may have bounds. Without a projection, P is H.
//
//     f = s(z_f + p_f c)   i = s(z_i + p_i c)   c' = clip(f c + i g)
//     o = s(z_o + p_o c')                       h' = clip((o phi(c')) W_p)
//
// A layer may have layer normalization, and then has no biases. normalization.h has its equations and its kernels.
//
// A layer may have series, which change its steps: masks that multiply c, g, and h in the product with W_k; and
// zoneout, the shares q and r of the states that stay as they were before the step. h' and c' above are then v and u,
// and the state after the step is
//
//     c' = q c + (1 - q) u                      h' = r h + (1 - r) v
//
// Here, c is after its mask. Before a step with a reset, c and h are replaced by the starts, and then masked.
//
// The outputs of a layer are h, or x + h if it is residual.

#ifndef STACKED_LSTM_LSTM_H_
#define STACKED_LSTM_LSTM_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "threads/team.h"

namespace stacked_lstm {

constexpr int kGates = 4;

// The maximum batch of one step, and the maximum number of rows [step, sequence] of more steps, for which packing the
// weights takes longer than it saves.
constexpr int64_t kMaxUnpackedBatch = 128, kMaxUnpackedRows = 16;

enum class Activation { kTanh, kSigmoid, kHardSigmoid, kHardSigmoid6, kRelu, kLinear };

// Arrays of [T, B, N], or of [B, N] for all steps. N is H for a series of c, and P for one of h. Entry t belongs to the
// step that reads entry t of x, also in a layer that reads from the end.
enum Series { kHMask, kZoneoutC, kZoneoutH, kCandidateMask, kCMask, kStartC, kStartH, kSeriesCount };

struct SeriesKind {
  const char* name;  // Of the ops' input.
  bool is_of_c;
};
constexpr SeriesKind kSeriesKinds[kSeriesCount] = {
    {"h_masks", false}, {"zoneout_c", true}, {"zoneout_h", false}, {"candidate_masks", true},
    {"c_masks", true},  {"start_c", true},   {"start_h", false}};

// What a layer has beyond the plain equations.
struct Extras {
  static constexpr double kNoBound = std::numeric_limits<double>::infinity();

  bool peepholes = false;
  int64_t projection = 0;                                     // P; 0 without a projection.
  double cell_bound = kNoBound, projection_bound = kNoBound;  // Of |c'|, and of the projected |h'|.
  struct {
    bool exists = false;
    int64_t stride = 0;  // From a step to the next; 0 if one entry is for all steps.
  } series[kSeriesCount];
  const bool* resets = nullptr;  // [T, B], whether the state starts again before a step; null without resets.
  struct {
    bool exists = false;
    bool is_carried = false;  // Whether the next step reads the normalized cell state.
    double epsilon = 0;
  } norm;

  bool HasSeries() const {
    bool any = resets != nullptr;
    for (const auto& one : series) any |= one.exists;
    return any;
  }
  bool None() const {
    return !HasSeries() && !norm.exists && !peepholes && !projection && cell_bound == kNoBound &&
           projection_bound == kNoBound;
  }
  // Whether the layer has resets, and nothing else beyond the plain equations.
  bool OnlyResets() const {
    Extras rest = *this;
    rest.resets = nullptr;
    rest.series[kStartC].exists = rest.series[kStartH].exists = false;
    return resets && rest.None();
  }
  // Whether the backward pass reads the projected h before its clip.
  bool KeepsProjected() const { return projection && (projection_bound < kNoBound || series[kZoneoutH].exists); }
};

// The layers of a stack differ in their sizes and bounds only.
struct Layer {
  int64_t steps, batch, inputs, units;
  Activation candidate, gates;  // phi and s.
  const int32_t* lengths;       // [B], from 0 to T; null if all sequences have T steps.
  Extras extras = {};
  bool from_end = false;      // Whether steps run from the end of each sequence to its start.
  int64_t output_stride = 0;  // From a row of the outputs to the next, if it is not P.
  bool residual = false;      // Whether the outputs are x + h. P is then I.

  int64_t outputs() const { return extras.projection ? extras.projection : units; }  // P
  // Where the outputs of a step and a sequence begin, and the gradients of these outputs.
  int64_t OutputStride() const { return output_stride ? output_stride : outputs(); }
  int64_t OutputIndex(int64_t t, int64_t b) const { return (t * batch + b) * OutputStride(); }
  // Where h after a step begins, in the array with h of all steps.
  int64_t HiddenStride() const { return residual ? outputs() : OutputStride(); }
  int64_t HiddenIndex(int64_t t, int64_t b) const { return (t * batch + b) * HiddenStride(); }
  int64_t SeriesWidth(int series) const { return kSeriesKinds[series].is_of_c ? units : outputs(); }
  int64_t SeriesSize(int series) const {
    return (extras.series[series].stride ? steps : 1) * batch * SeriesWidth(series);
  }
  // Where a series has its numbers for a step and a sequence.
  int64_t SeriesIndex(int series, int64_t t, int64_t b) const {
    return t * extras.series[series].stride + b * SeriesWidth(series);
  }
};

// The matrices of the four gates, which may be parts of a larger matrix, and their biases. T is const for input arrays.
template <class T>
struct Weights {
  T* kernel[kGates];  // Rows of H numbers, `stride` numbers apart.
  int64_t stride;
  int64_t h_row, x_row;  // The first of the P rows for h, and of the I rows for x.
  T* bias[kGates];       // [H]; all null without biases.
};

constexpr int kNormArrays = 4;

// The weights of layer normalization, `kNormArrays` arrays. T is const for input arrays.
template <class T>
struct NormWeights {
  T *gate_gain, *gate_shift;  // [4, H]
  T *cell_gain, *cell_shift;  // [H]
};

constexpr int kPeepholes = 3;

// The weights of `Extras`. Those that a layer does not have are null.
template <class T>
struct ExtraWeights {
  T* peephole[kPeepholes];  // p_i, p_f and p_o, [H].
  T* projection;            // W_p, [H, P].
  T* series[kSeriesCount];
  NormWeights<T> norm;
};

// The number of elements in a vector of this processor.
template <class T>
int64_t VectorSize();

// A small number that differs between processors whose packed weights or caches have different layouts: twice the
// logarithm to base 2 of the vector's size, plus 1 if a tile holds the sums of all vectors of a panel.
template <class T>
int LayoutNumber();

// The weights of a layer as `Forward` reads them, in two arrays; layout.h describes them. Either may be empty. W is the
// type in which the weights are stored.
template <class W>
struct Packed {
  W* full;    // The units that fill whole vectors. It has no padding.
  W* padded;  // The other units, padded to a vector or half of one, and then the projection.

  // Whether there are packed weights.
  explicit operator bool() const { return full || padded; }
};

// The numbers of elements in the arrays of `Packed`.
struct PackedSizes {
  int64_t full, padded;

  int64_t Total() const { return full + padded; }
  // The arrays, side by side in memory from `data` on.
  template <class W>
  Packed<W> Split(W* data) const {
    return {data, data + full};
  }
};

// The sizes of what `Pack` writes. Only the sizes of `layer` matter. `full` is not larger than the matrices, because
// one of TensorFlow's two passes of constant folding leaves a large result that is larger than the op's inputs.
template <class T>
PackedSizes FindPackedSizes(const Layer& layer);

// Arranges the matrices of the gates and the projection, null if there is none, as `Forward` reads them.
template <class T>
void Pack(const Layer& layer, const Weights<const T>& weights, const T* projection, const Packed<T>& packed,
          const Threads& threads);

// Whether `Forward` takes less time with the weights of a layer as they are than packing them and `Forward` together.
inline bool PrefersUnpacked(const Layer& layer) {
  return layer.steps <= 1 ? layer.batch <= kMaxUnpackedBatch : layer.steps * layer.batch <= kMaxUnpackedRows;
}

// The number of elements in the cache of a layer, which the forward pass writes and the backward pass reads.
template <class T>
int64_t CacheSize(const Layer& layer);

// W is the type in which the weights are stored: T, or BFloat16 or int8_t as in low_precision.h.
template <class T, class W = T>
struct ForwardArrays {
  Packed<const W> packed;  // May be empty if `PrefersUnpacked`: `Forward` then reads `weights`.
  const T* bias[kGates];  // [H]; all null without biases.
  const T* x;             // [T, B, I]; never used past the end of a sequence. Upper layers: the outputs below.
  const T* c;             // [B, H], before the first step.
  const T* h;             // [B, P]
  T* outputs;             // [T, B, P], zero past the end of each sequence. Rows may be further apart, as `Layer` says.
  T* c_last;              // [B, H], at the end of each sequence.
  T* h_last;              // [B, P]
  T* cache;               // Null if no backward pass follows. Otherwise it is written whole.
  ExtraWeights<const T> extras;  // `packed` has the projection, too.
  Weights<const T> weights;      // Only read if `packed` is empty. Their biases are not read.
  const T* scales[kGates] = {};  // [H], the scales of columns of 8-bit weights; null for other types.
  T* hidden = nullptr;  // [T, B, P], h of a residual layer, zero past the end; null if the outputs are h.

  T* Hidden() const { return hidden ? hidden : outputs; }
};

// Both lists have one element per layer, from the input upwards. The layers have no layer normalization.
template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads);

// Whether two stacks with these layers should run at the same time, each with half of the threads.
template <class T>
bool PrefersConcurrentStacks(const std::vector<Layer>& layers, int threads);

template <class T>
struct BackwardArrays {
  Weights<const T> weights;  // Biases are not read.
  const T* x;                // x to cache: the arrays of the forward pass.
  const T* c;
  const T* h;
  const T* outputs;
  const T* cache;
  // Gradients of the results. d_outputs is [T, B, P] and ignored past the end of each sequence. In a lower layer it is
  // the d_x of the layer above.
  const T* d_outputs;
  const T* d_c_last;
  const T* d_h_last;

  T* d_x;  // The results, each in the shape of its array above. Null if it is not needed.
  T* d_c;
  T* d_h;
  Weights<T> d_weights;  // Either all kernels are null or none is; likewise the biases.

  ExtraWeights<const T> extras;
  ExtraWeights<T> d_extras;  // Null if it is not needed. Either all peepholes are null or none is; likewise norms.
  const T* hidden = nullptr;  // As in the forward pass.

  const T* Hidden() const { return hidden ? hidden : outputs; }
};

// Like `Forward`, for layers without layer normalization.
template <class T>
void Backward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays, const Threads& threads);

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_LSTM_H_
