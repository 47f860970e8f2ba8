// A layer with layer normalization by the equations, one number at a time: what native_normalization.cc compares with.

#ifndef NATIVE_NORMALIZED_REFERENCE_H_
#define NATIVE_NORMALIZED_REFERENCE_H_

#include <cmath>
#include <vector>

#include "lstm.h"
#include "native_numbers.h"

namespace lstm = stacked_lstm;

// Gates i, c, f, o, and rows of h before rows of x. The last gains and shifts are those of the cell state.
struct Problem {
  int64_t T, B, I, H;
  bool is_carried, fused;
  double epsilon;
  std::vector<int32_t> lengths;
  Numbers W[4], gain[5], shift[5], x, c, h, d_outputs, d_c_last, d_h_last;
  bool has_series, per_step;  // All series and resets, or none; [T, B, N] or [B, N].
  Numbers series[lstm::kSeriesCount];
  std::vector<char> resets;
  bool has_peepholes = false;
  int64_t projection_size = 0;  // 0 without a projection.
  bool from_end = false;
  int64_t gap = 0;  // Numbers between a row of the outputs and the next, which belong to nothing.
  double cell_bound = INFINITY, projection_bound = INFINITY;
  Numbers peephole[3] = {}, projection = {};

  int64_t P() const { return projection_size ? projection_size : H; }
  bool IsResidual() const { return P() == I; }
  int64_t Width(int k) const { return lstm::kSeriesKinds[k].is_of_c ? H : P(); }

  // A number of a series, or where its gradient is.
  int64_t At(int k, int64_t t, int64_t b, int64_t j) const { return ((per_step ? t : 0) * B + b) * Width(k) + j; }
  double Series(int k, int64_t t, int64_t b, int64_t j, double neutral) const {
    return has_series ? series[k][At(k, t, b, j)] : neutral;
  }
  double Peephole(int k, int64_t j) const { return has_peepholes ? peephole[k][j] : 0; }
  bool IsReset(int64_t t, int64_t b) const { return has_series && resets[t * B + b]; }
};

enum { kOutputs, kC, kH, kDx, kDc, kDh, kDW, kGain = kDW + 4, kShift = kGain + 5, kDSeries = kShift + 5,
       kDPeephole = kDSeries + lstm::kSeriesCount, kDProjection = kDPeephole + 3, kResults };
typedef std::vector<Numbers> Results;

inline double Sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

Results Expected(const Problem& p);

#endif  // NATIVE_NORMALIZED_REFERENCE_H_
