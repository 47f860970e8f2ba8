// The native engine's kernels without TensorFlow, for sanitizers: beside the equations, one number at a time.

#include <cmath>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "lstm.h"

namespace lstm = stacked_lstm;

typedef std::vector<double> Numbers;

// What a layer has and what its gradients are.
struct Problem {
  int64_t T, B, I, H;
  std::vector<int32_t> lengths;
  Numbers W[4], b[4], x, c, h, d_outputs, d_c_last, d_h_last;
};

struct Results {
  Numbers outputs, c_last, h_last, dW[4], db[4], d_x, d_c, d_h;
};

double Sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// Forward and backward by the equations, one sequence after the other. Rows of h, then rows of x; gates i, c, f, o.
Results Expected(const Problem& p) {
  Results r;
  r.outputs.assign(p.T * p.B * p.H, 0);
  r.c_last = p.c, r.h_last = p.h;
  r.d_c = p.d_c_last, r.d_h = p.d_h_last;
  r.d_x.assign(p.T * p.B * p.I, 0);
  for (int k = 0; k < 4; ++k) r.dW[k].assign((p.H + p.I) * p.H, 0), r.db[k].assign(p.H, 0);
  for (int64_t b = 0; b < p.B; ++b) {
    const int64_t steps = p.lengths.empty() ? p.T : p.lengths[b];
    std::vector<Numbers> gates, cells(1, Numbers(&p.c[b * p.H], &p.c[b * p.H] + p.H)), inputs;
    double *c = &r.c_last[b * p.H], *h = &r.h_last[b * p.H];
    for (int64_t t = 0; t < steps; ++t) {
      Numbers hx(h, h + p.H), all(4 * p.H);
      const double* x = p.x.data() + (t * p.B + b) * p.I;
      hx.insert(hx.end(), x, x + p.I);
      for (int64_t j = 0; j < p.H; ++j) {
        for (int k = 0; k < 4; ++k) {
          double z = p.b[k][j];
          for (int64_t m = 0; m < p.H + p.I; ++m) z += hx[m] * p.W[k][m * p.H + j];
          all[k * p.H + j] = k == 1 ? std::tanh(z) : Sigmoid(z);
        }
        c[j] = all[2 * p.H + j] * c[j] + all[j] * all[p.H + j];
        h[j] = r.outputs[(t * p.B + b) * p.H + j] = all[3 * p.H + j] * std::tanh(c[j]);
      }
      inputs.push_back(hx), gates.push_back(all), cells.push_back(Numbers(c, c + p.H));
    }
    double *dc = &r.d_c[b * p.H], *dh = &r.d_h[b * p.H];
    for (int64_t t = steps - 1; t >= 0; --t) {
      Numbers dz(4 * p.H);
      for (int64_t j = 0; j < p.H; ++j) {
        const double i = gates[t][j], g = gates[t][p.H + j], f = gates[t][2 * p.H + j], o = gates[t][3 * p.H + j];
        const double squashed = std::tanh(cells[t + 1][j]), d = dh[j] + p.d_outputs[(t * p.B + b) * p.H + j];
        dc[j] += d * o * (1 - squashed * squashed);
        dz[j] = dc[j] * g * i * (1 - i), dz[p.H + j] = dc[j] * i * (1 - g * g);
        dz[2 * p.H + j] = dc[j] * cells[t][j] * f * (1 - f), dz[3 * p.H + j] = d * squashed * o * (1 - o);
        dc[j] *= f, dh[j] = 0;
      }
      for (int k = 0; k < 4; ++k) {
        for (int64_t j = 0; j < p.H; ++j) {
          r.db[k][j] += dz[k * p.H + j];
          for (int64_t m = 0; m < p.H + p.I; ++m) {
            r.dW[k][m * p.H + j] += inputs[t][m] * dz[k * p.H + j];
            (m < p.H ? dh[m] : r.d_x[(t * p.B + b) * p.I + m - p.H]) += dz[k * p.H + j] * p.W[k][m * p.H + j];
          }
        }
      }
    }
  }
  return r;
}

// An array of exactly this size, so that AddressSanitizer sees the first byte beyond it.
template <class T>
std::vector<T> As(const Numbers& numbers) {
  return std::vector<T>(numbers.begin(), numbers.end());
}

template <class T>
Results Got(const Problem& p, int count) {
  std::vector<std::thread> helpers;
  const lstm::Threads threads = {count, [&helpers](std::function<void()> f) { helpers.emplace_back(std::move(f)); }};
  const lstm::Layer layer = {p.T, p.B, p.I, p.H, lstm::Activation::kTanh, lstm::Activation::kSigmoid,
                             p.lengths.empty() ? nullptr : p.lengths.data()};
  std::vector<T> W[4], b[4], dW[4], db[4], x = As<T>(p.x), c = As<T>(p.c), h = As<T>(p.h);
  std::vector<T> d_outputs = As<T>(p.d_outputs), d_c_last = As<T>(p.d_c_last), d_h_last = As<T>(p.d_h_last);
  std::vector<T> packed(lstm::PackedSize(p.I, p.H)), cache(lstm::CacheSize<T>(p.T, p.B, p.H));
  std::vector<T> outputs(p.T * p.B * p.H, NAN), c_last(c.size(), NAN), h_last(c.size(), NAN), again(outputs);
  std::vector<T> d_x(x.size(), NAN), d_c(c.size(), NAN), d_h(c.size(), NAN);
  lstm::ForwardArrays<T> forward = {packed.data(), {}, x.data(), c.data(), h.data(), outputs.data(), c_last.data(),
                                    h_last.data(), nullptr};
  lstm::Weights<const T> weights = {{}, p.H, 0, p.H, {}};
  lstm::Weights<T> d_weights = {{}, p.H, 0, p.H, {}};
  for (int k = 0; k < 4; ++k) {
    W[k] = As<T>(p.W[k]), b[k] = As<T>(p.b[k]);
    dW[k].assign(W[k].size(), NAN), db[k].assign(p.H, NAN);
    weights.kernel[k] = W[k].data(), weights.bias[k] = forward.bias[k] = b[k].data();
    d_weights.kernel[k] = dW[k].data(), d_weights.bias[k] = db[k].data();
  }
  lstm::Pack<T>(p.I, p.H, weights, packed.data(), threads);
  lstm::Forward<T>(layer, forward, threads);  // Without a cache, then with one.
  again = outputs;
  forward.cache = cache.data();
  lstm::Forward<T>(layer, forward, threads);
  lstm::Backward<T>(layer, {weights, x.data(), c.data(), h.data(), outputs.data(), cache.data(), d_outputs.data(),
                            d_c_last.data(), d_h_last.data(), d_x.data(), d_c.data(), d_h.data(), d_weights}, threads);
  for (std::thread& helper : helpers) helper.join();
  const auto numbers = [](const std::vector<T>& v) { return Numbers(v.begin(), v.end()); };
  Results r = {numbers(outputs), numbers(c_last), numbers(h_last), {}, {}, numbers(d_x), numbers(d_c), numbers(d_h)};
  for (int k = 0; k < 4; ++k) r.dW[k] = numbers(dW[k]), r.db[k] = numbers(db[k]);
  if (again != outputs) r.outputs.assign(outputs.size(), NAN);
  return r;
}

bool Near(const char* name, const Numbers& got, const Numbers& expected, double tolerance) {
  double worst = 0, size = 1e-30;
  for (size_t k = 0; k < got.size(); ++k) {
    const double off = std::fabs(got[k] - expected[k]);
    worst = off <= worst ? worst : off;  // NaN stays.
    size = std::fmax(size, std::fabs(expected[k]));
  }
  if (worst <= tolerance * size) return true;
  std::printf("%s: off by %g, of %g\n", name, worst, size);
  return false;
}

template <class T>
bool Same(const Problem& p, const Results& expected, int threads) {
  const Results got = Got<T>(p, threads);
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  bool same = Near("outputs", got.outputs, expected.outputs, tolerance);
  same &= Near("c", got.c_last, expected.c_last, tolerance) & Near("h", got.h_last, expected.h_last, tolerance);
  same &= Near("d_x", got.d_x, expected.d_x, tolerance) & Near("d_c", got.d_c, expected.d_c, tolerance);
  same &= Near("d_h", got.d_h, expected.d_h, tolerance);
  for (int k = 0; k < 4; ++k) {
    same &= Near("dW", got.dW[k], expected.dW[k], tolerance) & Near("db", got.db[k], expected.db[k], tolerance);
  }
  return same;
}

int main() {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  const auto numbers = [&](int64_t size, double scale) {
    Numbers values(size);
    for (double& value : values) value = scale * normal(random);
    return values;
  };
  // T, B, I, H: around the edges of tiles and vectors, without steps, sequences or inputs, enough for threads.
  const int64_t shapes[][4] = {{1, 1, 1, 1},   {3, 2, 5, 3},   {2, 5, 7, 4},   {4, 6, 3, 15}, {3, 7, 16, 16},
                               {2, 13, 65, 17}, {5, 3, 1, 33},  {0, 3, 2, 5},   {4, 0, 2, 5},  {3, 2, 0, 5},
                               {6, 12, 9, 64},  {3, 19, 40, 65}, {400, 3, 2, 8}, {40, 33, 70, 49}, {5, 40, 3, 130}};
  for (const auto& shape : shapes) {
    for (const bool ends : {false, true}) {
      Problem p = {shape[0], shape[1], shape[2], shape[3], {}, {}, {}, {}, {}, {}, {}, {}, {}};
      const double scale = 1 / std::sqrt(double(p.H + p.I));
      for (int k = 0; k < 4; ++k) p.W[k] = numbers((p.H + p.I) * p.H, scale), p.b[k] = numbers(p.H, 1);
      p.x = numbers(p.T * p.B * p.I, 1), p.d_outputs = numbers(p.T * p.B * p.H, 1);
      p.c = numbers(p.B * p.H, 1), p.h = numbers(p.B * p.H, 1);
      p.d_c_last = numbers(p.B * p.H, 1), p.d_h_last = numbers(p.B * p.H, 1);
      for (int64_t b = 0; ends && b < p.B; ++b) p.lengths.push_back(b % 3 == 1 ? 0 : random() % (p.T + 1));
      for (int64_t b = 0; ends && b < p.B; ++b) {  // What is past an end changes nothing.
        for (int64_t t = p.lengths[b]; t < p.T; ++t) {
          for (int64_t k = 0; k < p.I; ++k) p.x[(t * p.B + b) * p.I + k] = NAN;
          for (int64_t k = 0; k < p.H; ++k) p.d_outputs[(t * p.B + b) * p.H + k] = NAN;
        }
      }
      const Results expected = Expected(p);
      for (const int threads : {1, 2, 5}) {
        if (!Same<float>(p, expected, threads) || !Same<double>(p, expected, threads)) {
          std::printf("T %ld, B %ld, I %ld, H %ld, ends %d, threads %d\n", long(p.T), long(p.B), long(p.I), long(p.H),
                      ends, threads);
          return 1;
        }
      }
    }
  }
  std::puts("all equal");
  return 0;
}
