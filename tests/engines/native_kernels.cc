// The native engine's kernels without TensorFlow, for sanitizers: beside the equations, one number at a time.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "native_reference.h"
#include "schedule.h"

// An array of exactly this size, so that AddressSanitizer sees the first byte beyond it.
template <class T>
std::vector<T> Convert(const Numbers& numbers) {
  return std::vector<T>(numbers.begin(), numbers.end());
}

lstm::Layer MakeLayer(const Problem& p) {
  const int32_t* const lengths = p.lengths.empty() ? nullptr : p.lengths.data();
  lstm::Extras extras = p.kind.extras;
  if (!p.resets.empty()) extras.resets = reinterpret_cast<const bool*>(p.resets.data());
  lstm::Layer layer = {p.T, p.B, p.I, p.H, p.kind.candidate, p.kind.gates, lengths, extras, p.kind.from_end};
  layer.residual = p.kind.residual;
  return layer;
}

// What a call needs, in arrays of its own.
template <class T>
struct Arrays {
  explicit Arrays(const Problem& p)
      : fused(p.kind.fused), I(p.I), H(p.H), P(p.P()), x(Convert<T>(p.x)), c(Convert<T>(p.c)), h(Convert<T>(p.h)),
        d_outputs(Convert<T>(p.d_outputs)), d_c_last(Convert<T>(p.d_c_last)), d_h_last(Convert<T>(p.d_h_last)),
        Wp(Convert<T>(p.Wp)), full(lstm::FindPackedSizes<T>(MakeLayer(p)).full, NAN),
        padded(lstm::FindPackedSizes<T>(MakeLayer(p)).padded, NAN),
        cache(lstm::CacheSize<T>(MakeLayer(p)), NAN), outputs(p.T * p.B * P, NAN),
        hidden(p.kind.residual ? outputs.size() : 0, NAN), c_last(c.size(), NAN),
        h_last(h.size(), NAN), d_x(x.size(), NAN), d_c(c.size(), NAN), d_h(h.size(), NAN), dWp(Wp.size(), NAN) {
    weights.stride = d_weights.stride = fused ? 4 * H : H;
    weights.h_row = d_weights.h_row = fused ? I : 0;
    weights.x_row = d_weights.x_row = fused ? 0 : P;
    for (int k = 0; k < (fused ? 1 : 4); ++k) {
      W[k].resize((P + I) * weights.stride), dW[k].assign((P + I) * weights.stride, NAN);
    }
    for (int k = 0; k < 3; ++k) {
      p_[k] = Convert<T>(p.p[k]), dp[k].assign(p_[k].size(), NAN);
      if (p.kind.extras.peepholes) extras.peephole[k] = p_[k].data(), d_extras.peephole[k] = dp[k].data();
    }
    if (p.kind.extras.projection) extras.projection = Wp.data(), d_extras.projection = dWp.data();
    for (int s = 0; s < lstm::kSeriesCount; ++s) {
      series[s] = Convert<T>(p.series[s]), d_series[s].assign(series[s].size(), NAN);
      if (p.Has(s)) extras.series[s] = series[s].data(), d_extras.series[s] = d_series[s].data();
    }
    for (int k = 0; k < 4; ++k) {
      b[k] = Convert<T>(p.b[k]), db[k].assign(H, p.kind.biases ? NAN : 0);
      weights.kernel[k] = fused ? &W[0][k * H] : W[k].data();
      d_weights.kernel[k] = fused ? &dW[0][k * H] : dW[k].data();
      for (int64_t m = 0; m < (P + I) * H; ++m) const_cast<T*>(weights.kernel[k])[At(m)] = p.W[k][m];
      weights.bias[k] = p.kind.biases ? b[k].data() : nullptr;
      d_weights.bias[k] = p.kind.biases ? db[k].data() : nullptr;
    }
  }

  // Where the number m of [P + I, H] is, rows of h first.
  int64_t At(int64_t m) const {
    const int64_t row = m / H;
    return (row < P ? weights.h_row + row : weights.x_row + row - P) * weights.stride + m % H;
  }
  Numbers Kernel(int k) const {
    Numbers values((P + I) * H);
    for (int64_t m = 0; m < (P + I) * H; ++m) values[m] = d_weights.kernel[k][At(m)];
    return values;
  }

  lstm::ForwardArrays<T> Forward() {
    lstm::ForwardArrays<T> arrays = {{full.data(), padded.data()}, {}, x.data(), c.data(), h.data(), outputs.data(),
                                     c_last.data(), h_last.data(), nullptr, extras};
    for (int k = 0; k < 4; ++k) arrays.bias[k] = weights.bias[k];
    arrays.hidden = hidden.empty() ? nullptr : hidden.data();
    return arrays;
  }
  lstm::BackwardArrays<T> Backward() {
    return {weights, x.data(), c.data(), h.data(), outputs.data(), cache.data(), d_outputs.data(), d_c_last.data(),
            d_h_last.data(), d_x.data(), d_c.data(), d_h.data(), d_weights, extras, d_extras,
            hidden.empty() ? nullptr : hidden.data()};
  }
  Results GetResults() const {
    const auto numbers = [](const std::vector<T>& v) { return Numbers(v.begin(), v.end()); };
    Results r = {numbers(outputs), numbers(c_last), numbers(h_last), {}, {}, numbers(d_x), numbers(d_c), numbers(d_h)};
    for (int k = 0; k < 4; ++k) r.dW[k] = Kernel(k), r.db[k] = numbers(db[k]);
    for (int k = 0; k < 3; ++k) r.dp[k] = numbers(dp[k]);
    r.dWp = numbers(dWp);
    for (int s = 0; s < lstm::kSeriesCount; ++s) r.d_series[s] = numbers(d_series[s]);
    return r;
  }

  bool fused;
  int64_t I, H, P;
  std::vector<T> W[4], b[4], x, c, h, d_outputs, d_c_last, d_h_last, p_[3], Wp, full, padded, cache;
  std::vector<T> outputs, hidden, c_last, h_last, dW[4], db[4], d_x, d_c, d_h, dp[3], dWp;
  std::vector<T> series[lstm::kSeriesCount], d_series[lstm::kSeriesCount];
  lstm::Weights<const T> weights = {};
  lstm::Weights<T> d_weights = {};
  lstm::ExtraWeights<const T> extras = {};
  lstm::ExtraWeights<T> d_extras = {};
};

// Whether any pass came along each way of sharing: [direction][sharing].
bool seen_sharing[2][4];

template <class T>
void RecordSharing(const std::vector<lstm::Layer>& layers, int threads) {
  for (const auto direction : {lstm::Direction::kForward, lstm::Direction::kBackward}) {
    for (const auto& layer : lstm::MakeSchedule(direction, lstm::MakePlans<T>(layers), threads).layers) {
      seen_sharing[int(direction)][int(layer.sharing)] = true;
    }
  }
}

template <class T>
std::vector<Results> Compute(const std::vector<Problem>& stack, int count) {
  std::vector<std::thread> helpers;
  const lstm::Threads threads = {count, [&helpers](std::function<void()> f) { helpers.emplace_back(std::move(f)); }};
  std::vector<lstm::Layer> layers;
  std::vector<std::unique_ptr<Arrays<T>>> arrays;
  std::vector<lstm::ForwardArrays<T>> forward;
  std::vector<lstm::BackwardArrays<T>> backward;
  for (const Problem& p : stack) {
    layers.push_back(MakeLayer(p));
    arrays.emplace_back(new Arrays<T>(p));
    lstm::Pack<T>(layers.back(), arrays.back()->weights, arrays.back()->extras.projection,
                  {arrays.back()->full.data(), arrays.back()->padded.data()}, threads);
    forward.push_back(arrays.back()->Forward()), backward.push_back(arrays.back()->Backward());
    if (forward.size() == 1) continue;
    forward.back().x = backward.back().x = arrays[arrays.size() - 2]->outputs.data();
    backward[backward.size() - 2].d_outputs = backward.back().d_x;
  }
  RecordSharing<T>(layers, count);
  lstm::Forward<T>(layers, forward, threads);  // Without a cache, then with one.
  const std::vector<T> without = arrays.back()->outputs;
  bool same_unpacked = true;  // A few steps with the weights themselves have the same bits. The cache becomes theirs.
  if (lstm::PrefersUnpacked(layers[0])) {
    for (size_t l = 0; l < forward.size(); ++l) {
      forward[l].packed = {}, forward[l].weights = arrays[l]->weights;
      arrays[l]->outputs.assign(arrays[l]->outputs.size(), NAN);
    }
    lstm::Forward<T>(layers, forward, threads);
    same_unpacked = without == arrays.back()->outputs;
  }
  for (size_t l = 0; l < forward.size(); ++l) forward[l].cache = arrays[l]->cache.data();
  lstm::Forward<T>(layers, forward, threads);
  lstm::Backward<T>(layers, backward, threads);
  std::vector<Results> found;
  for (const auto& layer_arrays : arrays) {
    found.push_back(layer_arrays->GetResults());
    bool is_written = true;  // NaN was everywhere in the cache before.
    for (const T number : layer_arrays->cache) is_written &= std::isfinite(number);
    for (const T number : layer_arrays->hidden) is_written &= std::isfinite(number);
    if (!is_written) found.back().c_last.assign(found.back().c_last.size(), NAN);
  }
  if (!same_unpacked || without != arrays.back()->outputs) found.back().outputs.assign(without.size(), NAN);
  // The gradients of the weights alone, then those of the input alone.
  for (auto& a : backward) a.d_c = a.d_h = nullptr, a.d_x = &a == &backward[0] ? nullptr : a.d_x;
  lstm::Backward<T>(layers, backward, threads);
  for (size_t l = 0; l < arrays.size(); ++l) {
    for (int k = 0; k < 4; ++k) {
      if (found[l].dW[k] != arrays[l]->Kernel(k)) found[l].dW[k].assign(found[l].dW[k].size(), NAN);
    }
    for (int s = 0; s < lstm::kSeriesCount; ++s) {
      if (Convert<T>(found[l].d_series[s]) != arrays[l]->d_series[s]) found[l].d_series[s].assign(1, NAN);
    }
  }
  backward[0].d_x = arrays[0]->d_x.data();
  for (auto& a : backward) a.d_weights = {}, a.d_extras = {};
  lstm::Backward<T>(layers, backward, threads);
  if (Convert<T>(found[0].d_x) != arrays[0]->d_x) found[0].d_x.assign(found[0].d_x.size(), NAN);
  for (std::thread& helper : helpers) helper.join();
  return found;
}

bool CheckNear(const char* name, const Numbers& got, const Numbers& expected, double tolerance) {
  double worst = 0, size = 1e-30;
  for (size_t k = 0; k < got.size(); ++k) {
    const double difference = std::fabs(got[k] - expected[k]);
    worst = difference <= worst ? worst : difference;  // NaN stays.
    size = std::fmax(size, std::fabs(expected[k]));
  }
  if (worst <= tolerance * size) return true;
  std::printf("%s: off by %g, of %g\n", name, worst, size);
  return false;
}

// Whether layers come out as they should, and the same to the last bit with any of these numbers of threads.
template <class T>
bool CheckResults(const std::vector<Problem>& stack, const std::vector<Results>& expected,
                  const std::vector<int>& counts) {
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  const std::vector<Results> alone = Compute<T>(stack, 1);
  bool same = true;
  for (const int threads : counts) {
    const std::vector<Results> got = threads == 1 ? alone : Compute<T>(stack, threads);
    for (size_t l = 0; l < stack.size(); ++l) {
      const Results &g = got[l], &e = expected[l], &a = alone[l];
      const Numbers* parts[][3] = {{&g.outputs, &e.outputs, &a.outputs}, {&g.c_last, &e.c_last, &a.c_last},
                                {&g.h_last, &e.h_last, &a.h_last},    {&g.d_x, &e.d_x, &a.d_x},
                                {&g.d_c, &e.d_c, &a.d_c},             {&g.d_h, &e.d_h, &a.d_h}};
      const char* names[] = {"outputs", "c", "h", "d_x", "d_c", "d_h"};
      for (int k = 0; k < 6; ++k) {
        same &= CheckNear(names[k], *parts[k][0], *parts[k][1], tolerance) && *parts[k][0] == *parts[k][2];
      }
      for (int k = 0; k < 4; ++k) {
        same &= CheckNear("dW", g.dW[k], e.dW[k], tolerance) && CheckNear("db", g.db[k], e.db[k], tolerance);
        same &= g.dW[k] == a.dW[k] && g.db[k] == a.db[k];
      }
      for (int k = 0; k < 3; ++k) same &= CheckNear("dp", g.dp[k], e.dp[k], tolerance) && g.dp[k] == a.dp[k];
      same &= CheckNear("dWp", g.dWp, e.dWp, tolerance) && g.dWp == a.dWp;
      for (int s = 0; s < lstm::kSeriesCount; ++s) {
        same &= CheckNear(lstm::kSeriesKinds[s].name, g.d_series[s], e.d_series[s], tolerance);
        same &= g.d_series[s] == a.d_series[s];
      }
    }
    if (!same) std::printf("with %d threads, of %zu bytes\n", threads, sizeof(T));
    if (!same) return false;
  }
  return true;
}

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
    if (kind.extras.series[s].exists) p.series[s] = RandomSeries(s, (kind.extras.series[s].stride ? T : 1) * B * p.Width(s));
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
        for (int64_t k = 0; k < p.Width(s) && p.kind.extras.series[s].stride; ++k) p.series[s][p.Index(s, t, b, k)] = NAN;
      }
    }
  }
  return p;
}

// Helpers that come late, more than there are cores, so that they stop anywhere: each piece of each phase is done once,
// after those of the phase before.
bool CheckTeam(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::thread> helpers;
    const lstm::Threads threads = {8, [&](std::function<void()> f) {
                                     const int delay = generator() % 1000;
                                     helpers.emplace_back([f, delay] {
                                       std::this_thread::sleep_for(std::chrono::microseconds(delay));
                                       f();
                                     });
                                   }};
    const int phases = 2000, pieces = 9;
    std::vector<int> done(pieces, 0);  // Not atomic: the phases keep threads apart.
    bool in_order = true;
    lstm::Team::Run(threads, [&](lstm::Worker& worker) {
      for (int phase = 0; phase < phases; ++phase) {
        worker.ForEach(pieces, [&](int64_t k) { ++done[(k + phase) % pieces]; });
        worker.ForEach(1, [&](int64_t) {
          for (int times : done) in_order &= times == phase + 1;
        });
      }
    });
    for (std::thread& helper : helpers) helper.join();
    if (!in_order || done != std::vector<int>(pieces, phases)) return false;
  }
  return true;
}

// Whether a stack of T, B, I, H, H and so on has the reference's results. Its sequences end anywhere or at T. With a
// projection, each layer has another width: that of `kind`, and one more for each layer below. A layer is residual if
// `kind` is, and if it is as wide as its inputs.
bool CheckStack(Kind kind, const std::vector<int64_t>& shape, bool ends, const std::vector<int>& counts = {1, 5}) {
  std::vector<int32_t> lengths;
  for (int64_t b = 0; ends && b < shape[1]; ++b) lengths.push_back(b % 3 == 1 ? 0 : generator() % (shape[0] + 1));
  std::vector<Problem> stack;
  for (size_t l = 3; l < shape.size(); ++l) {
    const int64_t inputs = l == 3 ? shape[2] : stack.back().P();
    const int64_t width = kind.extras.projection ? kind.extras.projection : shape[l];
    Kind layer_kind = kind;
    layer_kind.residual = kind.residual && inputs == width;
    stack.push_back(RandomProblem(layer_kind, shape[0], shape[1], inputs, shape[l], lengths));
    if (kind.extras.projection && !kind.residual) ++kind.extras.projection;
  }
  const std::vector<Results> expected = Expected(stack);
  if (CheckResults<float>(stack, expected, counts) && CheckResults<double>(stack, expected, counts)) return true;
  std::printf("T %d, B %d, I %d, H %d, fused %d, biases %d, activations %d %d, ends %d, peepholes %d, P %d, %g, %g",
              int(shape[0]), int(shape[1]), int(shape[2]), int(shape[3]), kind.fused, kind.biases, int(kind.candidate),
              int(kind.gates), ends, kind.extras.peepholes, int(kind.extras.projection), kind.extras.cell_bound,
              kind.extras.projection_bound);
  if (kind.from_end) std::printf(", from the end");
  if (kind.residual) std::printf(", residual");
  for (int s = 0; s < lstm::kSeriesCount; ++s) {
    const auto& series = kind.extras.series[s];
    if (series.exists) std::printf(", %s%s", lstm::kSeriesKinds[s].name, series.stride ? " per step" : "");
  }
  std::puts("");
  return false;
}

// With an argument, no sequence is longer than 40 steps, at most 5 threads run a layer, and the team has fewer rounds.
// This is for programs with other vectors than this machine's. Their tiles depend on none of these numbers.
int main(int argc, char**) {
  const bool is_short = argc > 1;
  generator.seed(8);  // For some seeds, the gradients of a layer with a single unit cancel, in any correct rounding.
  if (!CheckTeam(is_short ? 5 : 25)) return std::puts("a team's pieces are lost, or done twice, or too early"), 1;
  // T, B, I, H of each layer: around the edges of tiles and vectors, without steps, sequences or inputs, enough for
  // threads to share rows, units, or layers.
  typedef std::vector<int64_t> Shape;
  std::vector<Shape> shapes = {
      {1, 1, 1, 1},      {3, 2, 5, 3},     {2, 5, 7, 4},     {4, 6, 3, 15},       {3, 7, 16, 16},   {2, 13, 65, 17},
      {5, 3, 1, 33},     {0, 3, 2, 5},     {4, 0, 2, 5},     {3, 2, 0, 5},        {6, 12, 9, 64},   {3, 19, 40, 65},
      {400, 3, 2, 8},    {33, 32, 40, 35}, {5, 40, 3, 130},  {0, 3, 2, 5, 4},     {3, 2, 5, 7, 3},  {120, 1, 3, 20, 17},
      {700, 2, 3, 9, 5}, {60, 2, 5, 33, 16, 20}};
  for (Shape& shape : shapes) shape[0] = is_short ? std::min<int64_t>(shape[0], 40) : shape[0];
  // Every other shape has sequences that end before T.
  const auto has_ends = [&shapes](const Shape& shape) { return (&shape - shapes.data()) % 2 == 1; };
  const lstm::Activation tanh = lstm::Activation::kTanh, sigmoid = lstm::Activation::kSigmoid;
  const Kind plain = {false, true, tanh, sigmoid};
  for (const auto& shape : shapes) {
    for (const bool ends : {false, true}) {
      if (!CheckStack(plain, shape, ends, {1, 2, 5})) return 1;
    }
  }
  for (const Kind& kind : {Kind{true, true, tanh, sigmoid}, Kind{false, false, tanh, sigmoid},
                           Kind{true, false, sigmoid, lstm::Activation::kHardSigmoid},
                           Kind{false, true, lstm::Activation::kRelu, lstm::Activation::kHardSigmoid6},
                           Kind{false, true, lstm::Activation::kLinear, tanh}}) {
    if (!CheckStack(kind, {6, 5, 7, 19, 33}, true)) return 1;
  }
  // Extras: each alone and all together, with values on both sides of each bound. A series is for all steps, or per step.
  const double none = lstm::Extras::kNoBound;
  std::vector<lstm::Extras> extras = {{true, 0, none, none},   {false, 0, 0.4, none}, {false, 5, none, none},
                                      {false, 21, none, 0.3}, {true, 7, 0.5, 0.3}};
  lstm::Extras all = {true, 7, 0.5, 0.3}, unbounded = {false, 11, none, none};
  for (int s = 0; s < lstm::kSeriesCount; ++s) {
    for (const int stride : {0, 1}) {
      extras.push_back({}), extras.back().series[s] = {true, stride};
      if (s == lstm::kStartC || s == lstm::kStartH) {  // Resets need both.
        extras.back().series[s == lstm::kStartC ? lstm::kStartH : lstm::kStartC].exists = true;
      }
    }
    all.series[s] = {true, s % 2 ? 0 : 1}, unbounded.series[s] = {true, s % 2 ? 1 : 0};
  }
  extras.push_back(all), extras.push_back(unbounded);
  for (const lstm::Extras& extra : extras) {
    for (const auto& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 4, 16, 33}}) {
      if (!CheckStack({false, true, tanh, sigmoid, extra}, shape, true)) return 1;
      if (!CheckStack({true, false, lstm::Activation::kRelu, sigmoid, extra}, shape, false)) return 1;
    }
  }
  lstm::Extras wide = all;
  wide.projection = 130;
  for (const auto& shape : shapes) {
    if (!CheckStack({false, true, tanh, sigmoid, all}, shape, has_ends(shape))) return 1;
    if (!CheckStack({true, true, tanh, sigmoid, wide}, shape, true)) return 1;
  }
  lstm::Extras single = all;  // Without a projection, a single step needs no packed weights.
  single.projection = 0, single.projection_bound = none;
  for (const bool fused : {false, true}) {
    for (const auto& shape :
         {Shape{1, 13, 9, 5, 33}, Shape{1, 2, 40, 300}, Shape{1, 1, 7, 130}, Shape{1, 60, 270, 45}}) {
      if (!CheckStack({fused, !fused, tanh, sigmoid}, shape, fused)) return 1;
      if (!CheckStack({fused, true, tanh, sigmoid, single}, shape, !fused)) return 1;
    }
  }
  // More threads than most machines have cores, and than the layers have rows, panels or layers.
  for (const auto& shape : {Shape{33, 32, 40, 35}, Shape{5, 40, 3, 130}, Shape{60, 2, 5, 33, 16}, Shape{5, 3, 1, 300},
                            Shape{2, 6, 3, 90}}) {
    if (is_short) break;
    for (const Kind& kind : {plain, Kind{false, true, tanh, sigmoid, all}}) {
      if (!CheckStack(kind, shape, true, {1, 7, 33})) return 1;
    }
  }
  // From the end of each sequence to its start. A single step is the same in both directions.
  for (const auto& shape : shapes) {
    if (shape[0] == 1) continue;
    if (!CheckStack({false, true, tanh, sigmoid, {}, true}, shape, has_ends(shape))) return 1;
  }
  for (const lstm::Extras& extra : {lstm::Extras{true, 0, 0.4, none}, lstm::Extras{false, 21, none, 0.3}}) {
    for (const auto& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 4, 16, 33}, Shape{120, 5, 3, 20, 17}}) {
      if (!CheckStack({true, true, tanh, sigmoid, extra, true}, shape, true)) return 1;
    }
  }
  for (const lstm::Extras& extra : {all, unbounded, single}) {
    for (const auto& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 4, 16, 33}, Shape{33, 32, 40, 35}, Shape{5, 40, 3, 130},
                              Shape{60, 2, 5, 33, 16}, Shape{2, 1, 7, 130}, Shape{0, 3, 5, 5}, Shape{4, 0, 5, 5}}) {
      if (!CheckStack({false, true, tanh, sigmoid, extra, true}, shape, true)) return 1;
      if (!CheckStack({true, true, tanh, sigmoid, extra, true}, shape, false)) return 1;
    }
  }
  // Residual connections around some layers or all, in each way of sharing. `all` has a projection to 7.
  for (const auto& shape : {Shape{1, 1, 1, 1}, Shape{0, 3, 5, 5}, Shape{4, 0, 5, 5}, Shape{3, 2, 5, 5, 7, 7},
                            Shape{6, 5, 19, 33, 33, 16}, Shape{4, 9, 64, 64}, Shape{1, 13, 17, 17},
                            Shape{33, 32, 35, 35}, Shape{5, 40, 130, 130}, Shape{60, 2, 20, 20, 20, 20}}) {
    for (const bool ends : {false, true}) {
      if (!CheckStack({false, true, tanh, sigmoid, {}, false, ends, true}, shape, ends, {1, 2, 5})) return 1;
      if (shape[0] != 1 && !CheckStack({true, true, tanh, sigmoid, {}, true, false, true}, shape, ends)) return 1;
    }
  }
  for (const auto& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 7, 33, 4}, Shape{5, 40, 7, 130, 35}}) {
    if (!CheckStack({false, true, tanh, sigmoid, all, false, false, true}, shape, true)) return 1;
  }
  if (!CheckStack({true, true, tanh, sigmoid, single, false, false, true}, {6, 5, 19, 19}, true)) return 1;
  // The first step multiplies h = 0 only once for all sequences. The blocks of a thread begin with its rows.
  for (const auto& shape : {Shape{3, 7, 16, 16}, Shape{2, 9, 5, 33}, Shape{4, 16, 40, 65, 17}, Shape{3, 75, 3, 130}}) {
    for (const bool from_end : {false, true}) {
      if (!CheckStack({false, true, tanh, sigmoid, {}, from_end, true}, shape, false)) return 1;
    }
    if (!CheckStack({false, true, tanh, sigmoid, all, false, true}, shape, true)) return 1;
  }
  for (const auto& direction : seen_sharing) {
    for (const bool sharing : direction) {
      if (!sharing) return std::puts("the shapes leave out a way of sharing"), 1;
    }
  }
  std::puts("all equal");
  return 0;
}
