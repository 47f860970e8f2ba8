// LSTM layers by the equations, one number at a time: what native_kernels.cc compares with.

#ifndef NATIVE_REFERENCE_H_
#define NATIVE_REFERENCE_H_

#include <vector>

#include "lstm.h"
#include "native_numbers.h"

namespace lstm = stacked_lstm;

// The form of a layer's weights, and its functions: one matrix for all gates or four, with biases or without, with
// extras or without.
struct Kind {
  bool fused, biases;
  lstm::Activation candidate, gates;
  lstm::Extras extras = {};
  bool from_end = false;
  bool from_zeros = false;  // Whether h is zero before the first step.
  bool residual = false;    // Whether the outputs are x + h. I is then P.
};

// What a layer has and what its gradients are. p are the peepholes of i, f and o; Wp is the projection.
struct Problem {
  Kind kind;
  int64_t T, B, I, H;
  std::vector<int32_t> lengths;
  Numbers W[4], b[4], x, c, h, d_outputs, d_c_last, d_h_last;
  Numbers p[3], Wp, series[lstm::kSeriesCount];
  std::vector<char> resets;  // [T, B], or empty.

  int64_t P() const { return kind.extras.projection ? kind.extras.projection : H; }
  bool Has(int s) const { return kind.extras.series[s].exists; }
  int64_t Width(int s) const { return lstm::kSeriesKinds[s].is_of_c ? H : P(); }
  // Where a series has the entry of a step.
  int64_t Index(int s, int64_t t, int64_t b, int64_t n) const {
    return t * kind.extras.series[s].stride + b * Width(s) + n;
  }
  bool IsReset(int64_t t, int64_t b) const { return !resets.empty() && resets[t * B + b]; }
  double At(int s, int64_t t, int64_t b, int64_t n, double otherwise) const {
    return Has(s) ? series[s][Index(s, t, b, n)] : otherwise;
  }
};

struct Results {
  Numbers outputs, c_last, h_last, dW[4], db[4], d_x, d_c, d_h, dp[3], dWp, d_series[lstm::kSeriesCount];
};

// Layers from the input upwards.
std::vector<Results> Expected(std::vector<Problem> stack);

#endif  // NATIVE_REFERENCE_H_
