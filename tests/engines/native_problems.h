// Random layers for the programs that test kernels.

#ifndef NATIVE_PROBLEMS_H_
#define NATIVE_PROBLEMS_H_

#include <cmath>
#include <vector>

#include "native_reference.h"

// Shares of zoneout are from 0 to 1.
Numbers RandomSeries(int s, int64_t size) {
  Numbers values = Random(size, 1);
  const bool is_share = s == lstm::kZoneoutC || s == lstm::kZoneoutH;
  for (double& value : values) value = is_share ? std::fmin(1, std::fabs(value)) : value;
  return values;
}

Problem RandomProblem(Kind kind, int64_t T, int64_t B, int64_t I, int64_t H, const std::vector<int32_t>& lengths) {
  Problem p = {kind, T, B, I, H, lengths, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {{}}, {}};
  const int64_t P = p.P();
  for (int s = 0; s < lstm::kSeriesCount; ++s) {
    if (kind.extras.series[s].stride) p.kind.extras.series[s].stride = B * p.Width(s);
    const int64_t entries = kind.extras.series[s].stride ? T * B : B;
    if (kind.extras.series[s].exists) p.series[s] = RandomSeries(s, entries * p.Width(s));
  }
  for (int64_t k = 0; p.Has(lstm::kStartC) && k < T * B; ++k) p.resets.push_back(generator() % 3 == 0);
  for (int k = 0; k < 4; ++k) {
    p.W[k] = Random((P + I) * H, 1 / std::sqrt(double(P + I))), p.b[k] = Random(H, kind.biases);
  }
  for (int k = 0; k < 3 && kind.extras.peepholes; ++k) p.p[k] = Random(H, 1);
  p.Wp = Random(kind.extras.projection ? H * P : 0, 1 / std::sqrt(double(H)));
  p.x = Random(T * B * I, 1), p.d_outputs = Random(T * B * P, 1);
  p.c = Random(B * H, 1), p.h = Random(B * P, !kind.from_zeros);
  p.d_c_last = Random(B * H, 1), p.d_h_last = Random(B * P, 1);
  for (int64_t b = 0; b < B && !lengths.empty(); ++b) {  // What is past an end changes nothing.
    for (int64_t t = lengths[b]; t < T; ++t) {
      for (int64_t k = 0; k < I; ++k) p.x[(t * B + b) * I + k] = NAN;
      for (int64_t k = 0; k < P; ++k) p.d_outputs[(t * B + b) * P + k] = NAN;
      for (int s = 0; s < lstm::kSeriesCount; ++s) {
        if (!p.kind.extras.series[s].stride) continue;
        for (int64_t k = 0; k < p.Width(s); ++k) p.series[s][p.Index(s, t, b, k)] = NAN;
      }
    }
  }
  return p;
}

#endif  // NATIVE_PROBLEMS_H_
