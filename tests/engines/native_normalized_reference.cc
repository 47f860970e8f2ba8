// A layer with layer normalization by the equations, one number at a time.

#include "native_normalized_reference.h"

#include <cmath>
#include <vector>

namespace {

// N(y); returns 1 / sqrt(variance + epsilon).
double Normalize(const Numbers& y, double epsilon, Numbers* unit) {
  double mean = 0, variance = 0;
  for (double value : y) mean += value / y.size();
  for (double value : y) variance += (value - mean) * (value - mean) / y.size();
  const double inverse = 1 / std::sqrt(variance + epsilon);
  unit->clear();
  for (double value : y) unit->push_back((value - mean) * inverse);
  return inverse;
}

// The gradient of y from that of N(y).
Numbers NormGradient(const Numbers& a, const Numbers& unit, double inverse) {
  double mean = 0, unit_mean = 0;
  for (size_t k = 0; k < a.size(); ++k) mean += a[k] / a.size(), unit_mean += a[k] * unit[k] / a.size();
  Numbers d(a.size());
  for (size_t k = 0; k < a.size(); ++k) d[k] = inverse * (a[k] - mean - unit[k] * unit_mean);
  return d;
}

double Clip(double value, double bound) { return std::fmin(std::fmax(value, -bound), bound); }
double ClipSlope(double value, double bound) { return std::fabs(value) <= bound; }

}  // namespace

Results Expected(const Problem& p) {
  struct Step {
    Numbers h, hx, before, c, unit[5], gate[4], u, v, phi, new_c, m, projected, new_h;
    double inverse[5];
  };
  const int64_t H = p.H, I = p.I, P = p.P();
  Results r(kResults);
  r[kOutputs].assign(p.T * p.B * P, 0), r[kDx].assign(p.T * p.B * I, 0);
  r[kC] = p.c, r[kH] = p.h, r[kDc] = p.d_c_last, r[kDh] = p.d_h_last;
  for (int k = 0; k < 4; ++k) r[kDW + k].assign((P + I) * H, 0);
  for (int k = 0; p.has_peepholes && k < 3; ++k) r[kDPeephole + k].assign(H, 0);
  r[kDProjection].assign(p.projection.size(), 0);
  for (int k = 0; k < 5; ++k) r[kGain + k].assign(H, 0), r[kShift + k].assign(H, 0);
  for (int k = 0; k < lstm::kSeriesCount; ++k) r[kDSeries + k].assign(p.series[k].size(), 0);
  for (int64_t b = 0; b < p.B; ++b) {
    std::vector<Step> steps(p.lengths.empty() ? p.T : p.lengths[b]);
    double *c = r[kC].data() + b * H, *h = r[kH].data() + b * P;
    double *dc = r[kDc].data() + b * H, *dh = r[kDh].data() + b * P;
    for (size_t k = 0; k < steps.size(); ++k) {
      const size_t t = p.from_end ? steps.size() - 1 - k : k;
      Step& s = steps[t];
      const double* x = p.x.data() + (t * p.B + b) * I;
      for (int64_t j = 0; j < H; ++j) {
        if (p.IsReset(t, b)) c[j] = p.Series(lstm::kStartC, t, b, j, 0);
        s.before.push_back(c[j]);
        s.c.push_back(c[j] * p.Series(lstm::kCMask, t, b, j, 1));
      }
      for (int64_t n = 0; n < P; ++n) {
        if (p.IsReset(t, b)) h[n] = p.Series(lstm::kStartH, t, b, n, 0);
        s.h.push_back(h[n]);
        s.hx.push_back(h[n] * p.Series(lstm::kHMask, t, b, n, 1));
      }
      s.hx.insert(s.hx.end(), x, x + I);
      for (int k = 0; k < 4; ++k) {
        Numbers y(H);
        for (int64_t m = 0; m < (P + I) * H; ++m) y[m % H] += s.hx[m / H] * p.W[k][m];
        s.inverse[k] = Normalize(y, p.epsilon, &s.unit[k]);
        for (int64_t j = 0; k < 3 && j < H; ++j) {
          const double z = s.unit[k][j] * p.gain[k][j] + p.shift[k][j];
          s.gate[k].push_back(k == 1 ? std::tanh(z) : Sigmoid(z + p.Peephole(k / 2, j) * s.c[j]));
        }
      }
      for (int64_t j = 0; j < H; ++j) {
        const double mask = p.Series(lstm::kCandidateMask, t, b, j, 1);
        s.u.push_back(s.gate[2][j] * s.c[j] + s.gate[0][j] * s.gate[1][j] * mask);
        if (!p.is_carried) s.new_c.push_back(Clip(s.u[j], p.cell_bound));
      }
      s.inverse[4] = Normalize(p.is_carried ? s.u : s.new_c, p.epsilon, &s.unit[4]);
      for (int64_t j = 0; j < H; ++j) {
        s.v.push_back(s.unit[4][j] * p.gain[4][j] + p.shift[4][j]);
        if (p.is_carried) s.new_c.push_back(Clip(s.v[j], p.cell_bound));
        s.phi.push_back(std::tanh(p.is_carried ? s.new_c[j] : s.v[j]));
        const double z = s.unit[3][j] * p.gain[3][j] + p.shift[3][j] + p.Peephole(2, j) * s.new_c[j];
        s.gate[3].push_back(Sigmoid(z));
        s.m.push_back(s.gate[3][j] * s.phi[j]);
        const double q = p.Series(lstm::kZoneoutC, t, b, j, 0);
        c[j] = q * s.c[j] + (1 - q) * s.new_c[j];
      }
      for (int64_t n = 0; n < P; ++n) {
        double sum = 0;
        for (int64_t j = 0; p.projection_size && j < H; ++j) sum += s.m[j] * p.projection[j * P + n];
        s.projected.push_back(p.projection_size ? sum : s.m[n]);
        s.new_h.push_back(Clip(s.projected[n], p.projection_bound));
        const double q = p.Series(lstm::kZoneoutH, t, b, n, 0);
        h[n] = q * s.h[n] + (1 - q) * s.new_h[n];
        r[kOutputs][(t * p.B + b) * P + n] = h[n] + (p.IsResidual() ? x[n] : 0);
      }
    }
    for (size_t k = steps.size(); k-- > 0;) {
      const size_t t = p.from_end ? steps.size() - 1 - k : k;
      const Step& s = steps[t];
      Numbers dz[4], a(H), du, kept_dc, d_hx(P), dm(H);
      const auto add = [&](int k, int64_t j, double d) {
        if (p.has_series) r[kDSeries + k][p.At(k, t, b, j)] += d;
      };
      const auto add_peephole = [&](int k, int64_t j, double d) {
        if (p.has_peepholes) r[kDPeephole + k][j] += d;
      };
      for (int64_t n = 0; n < P; ++n) {
        const double d_output = p.d_outputs[(t * p.B + b) * P + n], dh_after = dh[n] + d_output;
        if (p.IsResidual()) r[kDx][(t * p.B + b) * I + n] += d_output;
        const double q = p.Series(lstm::kZoneoutH, t, b, n, 0);
        add(lstm::kZoneoutH, n, dh_after * (s.h[n] - s.new_h[n]));
        dh[n] = q * dh_after;
        const double d = (1 - q) * dh_after * ClipSlope(s.projected[n], p.projection_bound);
        if (!p.projection_size) dm[n] = d;
        for (int64_t j = 0; p.projection_size && j < H; ++j) {
          dm[j] += d * p.projection[j * P + n], r[kDProjection][j * P + n] += s.m[j] * d;
        }
      }
      for (int64_t j = 0; j < H; ++j) {
        const double o = s.gate[3][j], q = p.Series(lstm::kZoneoutC, t, b, j, 0);
        add(lstm::kZoneoutC, j, dc[j] * (s.c[j] - s.new_c[j]));
        kept_dc.push_back(q * dc[j]), dc[j] *= 1 - q;
        dz[3].push_back(dm[j] * s.phi[j] * o * (1 - o));
        dc[j] += dz[3][j] * p.Peephole(2, j);
        add_peephole(2, j, dz[3][j] * s.new_c[j]);
        double dv = dm[j] * o * (1 - s.phi[j] * s.phi[j]);
        if (p.is_carried) dv = (dv + dc[j]) * ClipSlope(s.v[j], p.cell_bound);
        r[kGain + 4][j] += dv * s.unit[4][j], r[kShift + 4][j] += dv;
        a[j] = dv * p.gain[4][j];
      }
      du = NormGradient(a, s.unit[4], s.inverse[4]);
      for (int64_t j = 0; j < H; ++j) {
        if (!p.is_carried) du[j] = (du[j] + dc[j]) * ClipSlope(s.u[j], p.cell_bound);
        const double i = s.gate[0][j], g = s.gate[1][j], f = s.gate[2][j];
        const double mask = p.Series(lstm::kCandidateMask, t, b, j, 1);
        add(lstm::kCandidateMask, j, du[j] * i * g);
        dz[0].push_back(du[j] * g * mask * i * (1 - i)), dz[1].push_back(du[j] * i * mask * (1 - g * g));
        dz[2].push_back(du[j] * s.c[j] * f * (1 - f));
        for (const int k : {0, 1}) add_peephole(k, j, dz[2 * k][j] * s.c[j]);
        dc[j] = du[j] * f + dz[0][j] * p.Peephole(0, j) + dz[2][j] * p.Peephole(1, j) + kept_dc[j];
        add(lstm::kCMask, j, dc[j] * s.before[j]);
        dc[j] *= p.Series(lstm::kCMask, t, b, j, 1);
        if (p.IsReset(t, b)) add(lstm::kStartC, j, dc[j]), dc[j] = 0;
      }
      for (int k = 0; k < 4; ++k) {
        for (int64_t j = 0; j < H; ++j) {
          r[kGain + k][j] += dz[k][j] * s.unit[k][j], r[kShift + k][j] += dz[k][j];
          a[j] = dz[k][j] * p.gain[k][j];
        }
        const Numbers dy = NormGradient(a, s.unit[k], s.inverse[k]);
        for (int64_t m = 0; m < (P + I) * H; ++m) {
          const int64_t row = m / H;
          r[kDW + k][m] += s.hx[row] * dy[m % H];
          (row < P ? d_hx[row] : r[kDx][(t * p.B + b) * I + row - P]) += p.W[k][m] * dy[m % H];
        }
      }
      for (int64_t j = 0; j < P; ++j) {
        add(lstm::kHMask, j, d_hx[j] * s.h[j]);
        dh[j] += d_hx[j] * p.Series(lstm::kHMask, t, b, j, 1);
        if (p.IsReset(t, b)) add(lstm::kStartH, j, dh[j]), dh[j] = 0;
      }
    }
  }
  return r;
}
