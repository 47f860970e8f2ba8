// The native engine's kernels without TensorFlow, for sanitizers: beside the equations, one number at a time.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
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

// The same for layers one on the other.
std::vector<Results> Expected(std::vector<Problem> stack) {
  std::vector<Results> results(stack.size());
  for (size_t l = 0; l < stack.size(); ++l) {
    if (l + 1 < stack.size()) stack[l + 1].x = Expected(stack[l]).outputs;
  }
  for (size_t l = stack.size(); l-- > 0;) {
    results[l] = Expected(stack[l]);
    if (l) stack[l - 1].d_outputs = results[l].d_x;
  }
  return results;
}

// An array of exactly this size, so that AddressSanitizer sees the first byte beyond it.
template <class T>
std::vector<T> As(const Numbers& numbers) {
  return std::vector<T>(numbers.begin(), numbers.end());
}

// What a call needs, in arrays of its own.
template <class T>
struct Arrays {
  explicit Arrays(const Problem& p)
      : b{As<T>(p.b[0]), As<T>(p.b[1]), As<T>(p.b[2]), As<T>(p.b[3])},
        x(As<T>(p.x)), c(As<T>(p.c)), h(As<T>(p.h)), d_outputs(As<T>(p.d_outputs)), d_c_last(As<T>(p.d_c_last)),
        d_h_last(As<T>(p.d_h_last)), packed(lstm::PackedSize(p.I, p.H)), cache(lstm::CacheSize<T>(p.T, p.B, p.H)),
        outputs(p.T * p.B * p.H, NAN), c_last(c.size(), NAN), h_last(c.size(), NAN), d_x(x.size(), NAN),
        d_c(c.size(), NAN), d_h(c.size(), NAN) {
    for (int k = 0; k < 4; ++k) W[k] = As<T>(p.W[k]), dW[k].assign(W[k].size(), NAN), db[k].assign(p.H, NAN);
    for (int k = 0; k < 4; ++k) weights.kernel[k] = W[k].data(), weights.bias[k] = b[k].data();
    for (int k = 0; k < 4; ++k) d_weights.kernel[k] = dW[k].data(), d_weights.bias[k] = db[k].data();
    weights.stride = weights.x_row = d_weights.stride = d_weights.x_row = p.H;
  }

  lstm::ForwardArrays<T> Forward() {
    return {packed.data(), {b[0].data(), b[1].data(), b[2].data(), b[3].data()}, x.data(), c.data(), h.data(),
            outputs.data(), c_last.data(), h_last.data(), nullptr};
  }
  lstm::BackwardArrays<T> Backward() {
    return {weights, x.data(), c.data(), h.data(), outputs.data(), cache.data(), d_outputs.data(), d_c_last.data(),
            d_h_last.data(), d_x.data(), d_c.data(), d_h.data(), d_weights};
  }
  Results Found() const {
    const auto numbers = [](const std::vector<T>& v) { return Numbers(v.begin(), v.end()); };
    Results r = {numbers(outputs), numbers(c_last), numbers(h_last), {}, {}, numbers(d_x), numbers(d_c), numbers(d_h)};
    for (int k = 0; k < 4; ++k) r.dW[k] = numbers(dW[k]), r.db[k] = numbers(db[k]);
    return r;
  }

  std::vector<T> W[4], b[4], x, c, h, d_outputs, d_c_last, d_h_last, packed, cache;
  std::vector<T> outputs, c_last, h_last, dW[4], db[4], d_x, d_c, d_h;
  lstm::Weights<const T> weights = {};
  lstm::Weights<T> d_weights = {};
};

template <class T>
std::vector<Results> Got(const std::vector<Problem>& stack, int count) {
  std::vector<std::thread> helpers;
  const lstm::Threads threads = {count, [&helpers](std::function<void()> f) { helpers.emplace_back(std::move(f)); }};
  std::vector<lstm::Layer> layers;
  std::vector<std::unique_ptr<Arrays<T>>> arrays;
  std::vector<lstm::ForwardArrays<T>> forward;
  std::vector<lstm::BackwardArrays<T>> backward;
  for (const Problem& p : stack) {
    layers.push_back({p.T, p.B, p.I, p.H, lstm::Activation::kTanh, lstm::Activation::kSigmoid,
                      p.lengths.empty() ? nullptr : p.lengths.data()});
    arrays.emplace_back(new Arrays<T>(p));
    lstm::Pack<T>(p.I, p.H, arrays.back()->weights, arrays.back()->packed.data(), threads);
    forward.push_back(arrays.back()->Forward()), backward.push_back(arrays.back()->Backward());
    if (forward.size() == 1) continue;
    forward.back().x = backward.back().x = arrays[arrays.size() - 2]->outputs.data();
    backward[backward.size() - 2].d_outputs = backward.back().d_x;
  }
  lstm::Forward<T>(layers, forward, threads);  // Without a cache, then with one.
  const std::vector<T> without = arrays.back()->outputs;
  for (size_t l = 0; l < forward.size(); ++l) forward[l].cache = arrays[l]->cache.data();
  lstm::Forward<T>(layers, forward, threads);
  lstm::Backward<T>(layers, backward, threads);
  std::vector<Results> found;
  for (const auto& of_layer : arrays) found.push_back(of_layer->Found());
  if (without != arrays.back()->outputs) found.back().outputs.assign(without.size(), NAN);
  // The gradients of the weights alone, then those of the input alone.
  for (auto& a : backward) a.d_c = a.d_h = nullptr, a.d_x = &a == &backward[0] ? nullptr : a.d_x;
  lstm::Backward<T>(layers, backward, threads);
  for (size_t l = 0; l < arrays.size(); ++l) {
    for (int k = 0; k < 4; ++k) {
      if (As<T>(found[l].dW[k]) != arrays[l]->dW[k]) found[l].dW[k].assign(found[l].dW[k].size(), NAN);
    }
  }
  backward[0].d_x = arrays[0]->d_x.data();
  for (auto& a : backward) a.d_weights = {};
  lstm::Backward<T>(layers, backward, threads);
  if (As<T>(found[0].d_x) != arrays[0]->d_x) found[0].d_x.assign(found[0].d_x.size(), NAN);
  for (std::thread& helper : helpers) helper.join();
  return found;
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

// Whether layers come out as they should, and the same to the last bit with any number of threads.
template <class T>
bool Same(const std::vector<Problem>& stack, const std::vector<Results>& expected) {
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  const std::vector<Results> alone = Got<T>(stack, 1);
  bool same = true;
  for (const int threads : {1, 2, 5}) {
    const std::vector<Results> got = threads == 1 ? alone : Got<T>(stack, threads);
    for (size_t l = 0; l < stack.size(); ++l) {
      const Results &g = got[l], &e = expected[l], &a = alone[l];
      const Numbers* of[][3] = {{&g.outputs, &e.outputs, &a.outputs}, {&g.c_last, &e.c_last, &a.c_last},
                                {&g.h_last, &e.h_last, &a.h_last},    {&g.d_x, &e.d_x, &a.d_x},
                                {&g.d_c, &e.d_c, &a.d_c},             {&g.d_h, &e.d_h, &a.d_h}};
      const char* names[] = {"outputs", "c", "h", "d_x", "d_c", "d_h"};
      for (int k = 0; k < 6; ++k) same &= Near(names[k], *of[k][0], *of[k][1], tolerance) && *of[k][0] == *of[k][2];
      for (int k = 0; k < 4; ++k) {
        same &= Near("dW", g.dW[k], e.dW[k], tolerance) && Near("db", g.db[k], e.db[k], tolerance);
        same &= g.dW[k] == a.dW[k] && g.db[k] == a.db[k];
      }
    }
    if (!same) std::printf("with %d threads, of %zu bytes\n", threads, sizeof(T));
    if (!same) return false;
  }
  return true;
}

std::mt19937 generator(7);

Numbers Random(int64_t size, double scale) {
  std::normal_distribution<double> normal;
  Numbers values(size);
  for (double& value : values) value = scale * normal(generator);
  return values;
}

Problem RandomProblem(int64_t T, int64_t B, int64_t I, int64_t H, const std::vector<int32_t>& lengths) {
  Problem p = {T, B, I, H, lengths, {}, {}, {}, {}, {}, {}, {}, {}};
  for (int k = 0; k < 4; ++k) p.W[k] = Random((H + I) * H, 1 / std::sqrt(double(H + I))), p.b[k] = Random(H, 1);
  p.x = Random(T * B * I, 1), p.d_outputs = Random(T * B * H, 1);
  p.c = Random(B * H, 1), p.h = Random(B * H, 1), p.d_c_last = Random(B * H, 1), p.d_h_last = Random(B * H, 1);
  for (int64_t b = 0; b < B && !lengths.empty(); ++b) {  // What is past an end changes nothing.
    for (int64_t t = lengths[b]; t < T; ++t) {
      for (int64_t k = 0; k < I; ++k) p.x[(t * B + b) * I + k] = NAN;
      for (int64_t k = 0; k < H; ++k) p.d_outputs[(t * B + b) * H + k] = NAN;
    }
  }
  return p;
}

// Helpers that come late, more than there are cores, so that they stop anywhere: each piece of each phase is done once,
// after those of the phase before.
bool TeamWorks() {
  for (int round = 0; round < 25; ++round) {
    std::vector<std::thread> helpers;
    const lstm::Threads threads = {8, [&](std::function<void()> f) {
                                     const int late = generator() % 1000;
                                     helpers.emplace_back([f, late] {
                                       std::this_thread::sleep_for(std::chrono::microseconds(late));
                                       f();
                                     });
                                   }};
    const int phases = 2000, pieces = 9;
    std::vector<int> done(pieces, 0);  // Not atomic: the phases keep threads apart.
    bool in_order = true;
    lstm::Team::Run(threads, [&](lstm::Worker& worker) {
      for (int phase = 0; phase < phases; ++phase) {
        worker.Each(pieces, [&](int64_t k) { ++done[(k + phase) % pieces]; });
        worker.Each(1, [&](int64_t) {
          for (int times : done) in_order &= times == phase + 1;
        });
      }
    });
    for (std::thread& helper : helpers) helper.join();
    if (!in_order || done != std::vector<int>(pieces, phases)) return false;
  }
  return true;
}

int main() {
  if (!TeamWorks()) return std::puts("a team's pieces are lost, or done twice, or too early"), 1;
  // T, B, I, H of each layer: around the edges of tiles and vectors, without steps, sequences or inputs, enough for
  // threads to share rows, units, or layers.
  const std::vector<std::vector<int64_t>> shapes = {
      {1, 1, 1, 1},      {3, 2, 5, 3},     {2, 5, 7, 4},     {4, 6, 3, 15},       {3, 7, 16, 16},   {2, 13, 65, 17},
      {5, 3, 1, 33},     {0, 3, 2, 5},     {4, 0, 2, 5},     {3, 2, 0, 5},        {6, 12, 9, 64},   {3, 19, 40, 65},
      {400, 3, 2, 8},    {33, 32, 40, 35}, {5, 40, 3, 130},  {0, 3, 2, 5, 4},     {3, 2, 5, 7, 3},  {120, 1, 3, 20, 17},
      {700, 2, 3, 9, 5}, {60, 2, 5, 33, 16, 20}};
  for (const auto& shape : shapes) {
    for (const bool ends : {false, true}) {
      std::vector<int32_t> lengths;
      for (int64_t b = 0; ends && b < shape[1]; ++b) lengths.push_back(b % 3 == 1 ? 0 : generator() % (shape[0] + 1));
      std::vector<Problem> stack;
      for (size_t l = 3; l < shape.size(); ++l) {
        stack.push_back(RandomProblem(shape[0], shape[1], shape[l - 1], shape[l], lengths));
      }
      const std::vector<Results> expected = Expected(stack);
      if (Same<float>(stack, expected) && Same<double>(stack, expected)) continue;
      std::printf("T %d, B %d, I %d, ends %d\n", int(shape[0]), int(shape[1]), int(shape[2]), ends);
      return 1;
    }
  }
  std::puts("all equal");
  return 0;
}
