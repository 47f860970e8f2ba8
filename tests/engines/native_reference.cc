// LSTM layers by the equations, one number at a time.

#include "native_reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

double Clip(double x, double bound) { return std::fmin(std::fmax(x, -bound), bound); }
double ClipSlope(double x, double bound) { return std::fabs(x) <= bound; }

double Value(lstm::Activation activation, double z) {
  switch (activation) {
    case lstm::Activation::kTanh: return std::tanh(z);
    case lstm::Activation::kSigmoid: return 1 / (1 + std::exp(-z));
    case lstm::Activation::kHardSigmoid: return std::fmin(1, std::fmax(0, 0.2 * z + 0.5));
    case lstm::Activation::kHardSigmoid6: return std::fmin(1, std::fmax(0, z / 6 + 0.5));
    case lstm::Activation::kRelu: return std::fmax(0, z);
    default: return z;
  }
}

// The slope where the value is y.
double Slope(lstm::Activation activation, double y) {
  switch (activation) {
    case lstm::Activation::kTanh: return 1 - y * y;
    case lstm::Activation::kSigmoid: return y * (1 - y);
    case lstm::Activation::kHardSigmoid: return y > 0 && y < 1 ? 0.2 : 0;
    case lstm::Activation::kHardSigmoid6: return y > 0 && y < 1 ? 1.0 / 6 : 0;
    case lstm::Activation::kRelu: return y > 0;
    default: return 1;
  }
}

// Forward and backward by the equations, one sequence after the other. Rows of h, then rows of x; gates i, c, f, o.
Results Expected(const Problem& p) {
  const lstm::Activation phi = p.kind.candidate, sigma = p.kind.gates;
  Results r;
  const int64_t P = p.P();
  const double cell_bound = p.kind.extras.cell_bound, bound = p.kind.extras.projection_bound;
  r.outputs.assign(p.T * p.B * P, 0);
  r.c_last = p.c, r.h_last = p.h;
  r.d_c = p.d_c_last, r.d_h = p.d_h_last;
  r.d_x.assign(p.T * p.B * p.I, 0);
  for (int k = 0; k < 4; ++k) r.dW[k].assign((P + p.I) * p.H, 0), r.db[k].assign(p.H, 0);
  for (int k = 0; k < 3; ++k) r.dp[k].assign(p.H, 0);
  r.dWp.assign(p.H * P, 0);
  for (int s = 0; s < lstm::kSeriesCount; ++s) r.d_series[s].assign(p.series[s].size(), 0);
  // Adds to the gradient of a series, if the layer has it.
  const auto add = [&](int s, int64_t t, int64_t b, int64_t n, double d) {
    if (p.Has(s)) r.d_series[s][p.Index(s, t, b, n)] += d;
  };
  for (int64_t b = 0; b < p.B; ++b) {
    const int64_t steps = p.lengths.empty() ? p.T : p.lengths[b];
    std::vector<Numbers> cells(1, Numbers(&p.c[b * p.H], &p.c[b * p.H] + p.H));
    std::vector<Numbers> gates, states, inputs, sums, news, c_read, projected, m;
    double *c = &r.c_last[b * p.H], *h = &r.h_last[b * P];
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t j = 0; p.IsReset(t, b) && j < p.H; ++j) c[j] = cells[t][j] = p.At(lstm::kStartC, t, b, j, 0);
      for (int64_t n = 0; p.IsReset(t, b) && n < P; ++n) h[n] = p.At(lstm::kStartH, t, b, n, 0);
      Numbers hx(h, h + P), all(4 * p.H), sum(p.H), m_t(p.H), before(P), u(p.H);
      const double* x = p.x.data() + (t * p.B + b) * p.I;
      states.push_back(hx);
      for (int64_t j = 0; j < p.H; ++j) c[j] *= p.At(lstm::kCMask, t, b, j, 1);
      c_read.push_back(Numbers(c, c + p.H));
      for (int64_t n = 0; n < P; ++n) hx[n] *= p.At(lstm::kHMask, t, b, n, 1);
      hx.insert(hx.end(), x, x + p.I);
      for (int64_t j = 0; j < p.H; ++j) {
        for (int k = 0; k < 4; ++k) {
          double z = p.b[k][j];
          for (int64_t m = 0; m < P + p.I; ++m) z += hx[m] * p.W[k][m * p.H + j];
          if (k == 3) {
            sum[j] = all[2 * p.H + j] * c[j] + all[j] * p.At(lstm::kCandidateMask, t, b, j, 1) * all[p.H + j];
            u[j] = Clip(sum[j], cell_bound);
          }
          if (p.kind.extras.peepholes && k != 1) z += p.p[k == 0 ? 0 : k - 1][j] * (k == 3 ? u : c_read[t])[j];
          all[k * p.H + j] = Value(k == 1 ? phi : sigma, z);
        }
        m_t[j] = all[3 * p.H + j] * Value(phi, u[j]);
        const double q = p.At(lstm::kZoneoutC, t, b, j, 0);
        c[j] = q * c[j] + (1 - q) * u[j];
      }
      for (int64_t n = 0; n < P; ++n) {
        before[n] = P == p.H && p.Wp.empty() ? m_t[n] : 0;
        for (int64_t j = 0; j < p.H && !p.Wp.empty(); ++j) before[n] += m_t[j] * p.Wp[j * P + n];
        const double q = p.At(lstm::kZoneoutH, t, b, n, 0);
        h[n] = r.outputs[(t * p.B + b) * P + n] = q * h[n] + (1 - q) * Clip(before[n], bound);
      }
      inputs.push_back(hx), gates.push_back(all), cells.push_back(Numbers(c, c + p.H));
      sums.push_back(sum), news.push_back(u), projected.push_back(before), m.push_back(m_t);
    }
    double *dc = &r.d_c[b * p.H], *dh = &r.d_h[b * P];
    for (int64_t t = steps - 1; t >= 0; --t) {
      Numbers dz(4 * p.H), dm(p.H), kept_dh(P);
      for (int64_t n = 0; n < P; ++n) {
        const double d_after = dh[n] + p.d_outputs[(t * p.B + b) * P + n], q = p.At(lstm::kZoneoutH, t, b, n, 0);
        const double d = (1 - q) * d_after * ClipSlope(projected[t][n], bound);
        kept_dh[n] = q * d_after;
        add(lstm::kZoneoutH, t, b, n, d_after * (states[t][n] - Clip(projected[t][n], bound)));
        if (p.Wp.empty()) dm[n] = d;
        for (int64_t j = 0; j < p.H && !p.Wp.empty(); ++j) {
          dm[j] += d * p.Wp[j * P + n], r.dWp[j * P + n] += m[t][j] * d;
        }
        dh[n] = 0;
      }
      for (int64_t j = 0; j < p.H; ++j) {
        const double i = gates[t][j], g = gates[t][p.H + j], f = gates[t][2 * p.H + j], o = gates[t][3 * p.H + j];
        const double phi_c = Value(phi, news[t][j]), q = p.At(lstm::kZoneoutC, t, b, j, 0), kept_dc = q * dc[j];
        add(lstm::kZoneoutC, t, b, j, dc[j] * (c_read[t][j] - news[t][j]));
        dc[j] *= 1 - q;
        dc[j] += dm[j] * o * Slope(phi, phi_c), dz[3 * p.H + j] = dm[j] * phi_c * Slope(sigma, o);
        if (p.kind.extras.peepholes) dc[j] += dz[3 * p.H + j] * p.p[2][j];
        dc[j] *= ClipSlope(sums[t][j], cell_bound);
        const double mask = p.At(lstm::kCandidateMask, t, b, j, 1);
        add(lstm::kCandidateMask, t, b, j, dc[j] * i * g);
        dz[j] = dc[j] * mask * g * Slope(sigma, i), dz[p.H + j] = dc[j] * i * mask * Slope(phi, g);
        dz[2 * p.H + j] = dc[j] * c_read[t][j] * Slope(sigma, f);
        dc[j] = dc[j] * f + kept_dc;
        if (p.kind.extras.peepholes) {
          dc[j] += dz[j] * p.p[0][j] + dz[2 * p.H + j] * p.p[1][j];
          r.dp[0][j] += dz[j] * c_read[t][j], r.dp[1][j] += dz[2 * p.H + j] * c_read[t][j];
          r.dp[2][j] += dz[3 * p.H + j] * news[t][j];
        }
        add(lstm::kCMask, t, b, j, dc[j] * cells[t][j]);
        dc[j] *= p.At(lstm::kCMask, t, b, j, 1);
        if (p.IsReset(t, b)) add(lstm::kStartC, t, b, j, dc[j]), dc[j] = 0;
      }
      for (int k = 0; k < 4; ++k) {
        for (int64_t j = 0; j < p.H; ++j) {
          r.db[k][j] += dz[k * p.H + j];
          for (int64_t m = 0; m < P + p.I; ++m) {
            r.dW[k][m * p.H + j] += inputs[t][m] * dz[k * p.H + j];
            (m < P ? dh[m] : r.d_x[(t * p.B + b) * p.I + m - P]) += dz[k * p.H + j] * p.W[k][m * p.H + j];
          }
        }
      }
      for (int64_t n = 0; n < P; ++n) {
        add(lstm::kHMask, t, b, n, dh[n] * states[t][n]);
        dh[n] = dh[n] * p.At(lstm::kHMask, t, b, n, 1) + kept_dh[n];
        if (p.IsReset(t, b)) add(lstm::kStartH, t, b, n, dh[n]), dh[n] = 0;
      }
    }
  }
  for (Numbers& db : r.db) {
    if (!p.kind.biases) db.assign(p.H, 0);
  }
  return r;
}

// Reverses each sequence of a series [T, B, N] up to its end. N may be 0.
template <class Vector>
void Reverse(const Problem& p, Vector* series) {
  const Vector source = *series;
  const int64_t width = p.T * p.B > 0 ? source.size() / (p.T * p.B) : 0;
  for (int64_t b = 0; b < p.B; ++b) {
    const int64_t length = p.lengths.empty() ? p.T : p.lengths[b];
    for (int64_t t = 0; t < length; ++t) {
      const auto* const from = source.data() + ((length - 1 - t) * p.B + b) * width;
      std::copy_n(from, width, series->data() + (t * p.B + b) * width);
    }
  }
}

// The results of a layer that may be residual.
Results ExpectedSums(const Problem& p) {
  Results r = Expected(p);
  for (int64_t b = 0; p.kind.residual && b < p.B; ++b) {
    for (int64_t t = 0; t < (p.lengths.empty() ? p.T : p.lengths[b]); ++t) {
      for (int64_t k = (t * p.B + b) * p.I; k < (t * p.B + b + 1) * p.I; ++k) {
        r.outputs[k] += p.x[k], r.d_x[k] += p.d_outputs[k];
      }
    }
  }
  return r;
}

// The same for what has an entry per step among the series of `lstm::Series`, and for the resets.
void ReversePerStep(const Problem& p, Numbers* series) {
  for (int s = 0; s < lstm::kSeriesCount; ++s) {
    if (p.kind.extras.series[s].stride) Reverse(p, &series[s]);
  }
}

}  // namespace

// Those that read from the end are computed from reversed series.
std::vector<Results> Expected(std::vector<Problem> stack) {
  std::vector<Results> results(stack.size());
  if (stack[0].kind.from_end) {
    for (Problem& p : stack) {
      p.kind.from_end = false;
      Reverse(p, &p.x), Reverse(p, &p.d_outputs), Reverse(p, &p.resets), ReversePerStep(p, p.series);
    }
    results = Expected(stack);
    for (size_t l = 0; l < stack.size(); ++l) {
      Reverse(stack[l], &results[l].outputs), Reverse(stack[l], &results[l].d_x);
      ReversePerStep(stack[l], results[l].d_series);
    }
    return results;
  }
  for (size_t l = 0; l < stack.size(); ++l) {
    if (l + 1 < stack.size()) stack[l + 1].x = ExpectedSums(stack[l]).outputs;
  }
  for (size_t l = stack.size(); l-- > 0;) {
    results[l] = ExpectedSums(stack[l]);
    if (l) stack[l - 1].d_outputs = results[l].d_x;
  }
  return results;
}
