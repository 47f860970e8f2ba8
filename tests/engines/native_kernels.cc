// The native engine's kernels without TensorFlow, for sanitizers: beside the equations, one number at a time.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "native_arrays.h"
#include "native_problems.h"

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

// Whether layers come out as they should, and the same to the last bit with all of these numbers of threads.
template <class T>
bool CheckResults(const std::vector<Problem>& stack, const std::vector<Results>& expected,
                  const std::vector<int>& counts) {
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  const std::vector<Results> first = Compute<T>(stack, counts[0]);
  bool same = true;
  for (const int threads : counts) {
    const std::vector<Results> got = threads == counts[0] ? first : Compute<T>(stack, threads);
    for (size_t l = 0; l < stack.size(); ++l) {
      const Results &g = got[l], &e = expected[l], &a = first[l];
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

// T, B, I, and H of each layer.
typedef std::vector<int64_t> Shape;

constexpr lstm::Activation kTanh = lstm::Activation::kTanh, kSigmoid = lstm::Activation::kSigmoid;
constexpr double kNone = lstm::Extras::kNoBound;
const Kind kPlain = {false, true, kTanh, kSigmoid};
// More than most machines have cores, and than the layers have rows, panels or layers.
const std::vector<int> kManyThreads = {1, 7, 33};

// Whether the program is short: no sequence is longer than 40 steps, at most 5 threads run a layer, no layer runs on
// one thread alone, and large stacks only have plain layers. This is for other vectors than this machine's, whose tiles
// depend on none of these numbers, and for races, which need two threads and few steps.
bool is_short = false;
constexpr int64_t kMaxShortProducts = 1000000;

bool IsLeftOut(const Kind& kind, const Shape& shape) {
  int64_t products = 0;
  for (size_t l = 3; l < shape.size(); ++l) products += shape[0] * shape[1] * (shape[l - 1] + shape[l]) * shape[l];
  return is_short && products > kMaxShortProducts && (!kind.extras.None() || kind.from_end || kind.residual);
}

// Whether a stack has the reference's results. Its sequences end anywhere or at T. With a projection, each layer has
// another width: that of `kind`, and one more for each layer below. A layer is residual if `kind` is, and if it is as
// wide as its inputs.
bool CheckStack(Kind kind, const Shape& shape, bool ends, std::vector<int> counts = {1, 5}) {
  if (is_short) counts.erase(counts.begin());
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
  if (IsLeftOut(kind, shape)) return true;  // The random numbers of the other stacks are the same all the same.
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

// Around the edges of tiles and vectors, without steps, sequences or inputs, enough for threads to share rows, units,
// or layers, and a step of more rows than one sum of the gradients of weights has.
std::vector<Shape> MakeShapes() {
  std::vector<Shape> shapes = {
      {1, 1, 1, 1},      {3, 2, 5, 3},     {2, 5, 7, 4},     {4, 6, 3, 15},       {3, 7, 16, 16},   {2, 13, 65, 17},
      {5, 3, 1, 33},     {0, 3, 2, 5},     {4, 0, 2, 5},     {3, 2, 0, 5},        {6, 12, 9, 64},   {3, 19, 40, 65},
      {400, 3, 2, 8},    {33, 32, 40, 35}, {5, 40, 3, 130},  {0, 3, 2, 5, 4},     {3, 2, 5, 7, 3},  {120, 1, 3, 20, 17},
      {700, 2, 3, 9, 5}, {60, 2, 5, 33, 16, 20},
      {2, 1030, 2, 3}};
  for (Shape& shape : shapes) shape[0] = is_short ? std::min<int64_t>(shape[0], 40) : shape[0];
  return shapes;
}

bool CheckPlainLayers() {
  for (const Shape& shape : MakeShapes()) {
    for (const bool ends : {false, true}) {
      if (!CheckStack(kPlain, shape, ends, {1, 2, 5})) return false;
    }
  }
  for (const Kind& kind : {Kind{true, true, kTanh, kSigmoid}, Kind{false, false, kTanh, kSigmoid},
                           Kind{true, false, kSigmoid, lstm::Activation::kHardSigmoid},
                           Kind{false, true, lstm::Activation::kRelu, lstm::Activation::kHardSigmoid6},
                           Kind{false, true, lstm::Activation::kLinear, kTanh}}) {
    if (!CheckStack(kind, {6, 5, 7, 19, 33}, true)) return false;
  }
  return true;
}

// All extras together, with series that are for all steps or per step: with a projection and both bounds; with a
// projection and no bound; without a projection.
lstm::Extras AllExtras() {
  lstm::Extras all = {true, 7, 0.5, 0.3};
  for (int s = 0; s < lstm::kSeriesCount; ++s) all.series[s] = {true, s % 2 ? 0 : 1};
  return all;
}
lstm::Extras UnboundedExtras() {
  lstm::Extras unbounded = {false, 11, kNone, kNone};
  for (int s = 0; s < lstm::kSeriesCount; ++s) unbounded.series[s] = {true, s % 2 ? 1 : 0};
  return unbounded;
}
lstm::Extras UnprojectedExtras() {
  lstm::Extras all = AllExtras();
  all.projection = 0, all.projection_bound = kNone;
  return all;
}

// Each extra alone, with values on both sides of each bound.
std::vector<lstm::Extras> SingleExtras() {
  std::vector<lstm::Extras> extras = {{true, 0, kNone, kNone}, {false, 0, 0.4, kNone}, {false, 5, kNone, kNone},
                                      {false, 21, kNone, 0.3}, {true, 7, 0.5, 0.3}};
  for (int s = 0; s < lstm::kSeriesCount; ++s) {
    for (const int stride : {0, 1}) {
      extras.push_back({}), extras.back().series[s] = {true, stride};
      if (s == lstm::kStartC || s == lstm::kStartH) {  // Resets need both.
        extras.back().series[s == lstm::kStartC ? lstm::kStartH : lstm::kStartC].exists = true;
      }
    }
  }
  return extras;
}

bool CheckExtras() {
  std::vector<lstm::Extras> extras = SingleExtras();
  extras.push_back(AllExtras()), extras.push_back(UnboundedExtras());
  for (const lstm::Extras& extra : extras) {
    for (const Shape& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 4, 16, 33}}) {
      if (!CheckStack({false, true, kTanh, kSigmoid, extra}, shape, true)) return false;
      if (!CheckStack({true, false, lstm::Activation::kRelu, kSigmoid, extra}, shape, false)) return false;
    }
  }
  lstm::Extras wide = AllExtras();
  wide.projection = 130;
  bool ends = false;
  for (const Shape& shape : MakeShapes()) {
    if (!CheckStack({false, true, kTanh, kSigmoid, AllExtras()}, shape, ends)) return false;
    if (!CheckStack({true, true, kTanh, kSigmoid, wide}, shape, true)) return false;
    ends = !ends;
  }
  return true;
}

// Without a projection, a single step needs no packed weights.
bool CheckSingleSteps() {
  for (const bool fused : {false, true}) {
    for (const Shape& shape :
         {Shape{1, 13, 9, 5, 33}, Shape{1, 2, 40, 300}, Shape{1, 1, 7, 130}, Shape{1, 60, 270, 45}}) {
      if (!CheckStack({fused, !fused, kTanh, kSigmoid}, shape, fused)) return false;
      if (!CheckStack({fused, true, kTanh, kSigmoid, UnprojectedExtras()}, shape, !fused)) return false;
    }
  }
  return true;
}

bool CheckManyThreads() {
  for (const Shape& shape : {Shape{33, 32, 40, 35}, Shape{5, 40, 3, 130}, Shape{60, 2, 5, 33, 16}, Shape{5, 3, 1, 300},
                             Shape{2, 6, 3, 90}}) {
    if (is_short) break;
    for (const Kind& kind : {kPlain, Kind{false, true, kTanh, kSigmoid, AllExtras()}}) {
      if (!CheckStack(kind, shape, true, kManyThreads)) return false;
    }
  }
  return true;
}

// From the end of each sequence to its start. A single step is the same in both directions.
bool CheckFromTheEnd() {
  bool ends = false;
  for (const Shape& shape : MakeShapes()) {
    if (shape[0] != 1 && !CheckStack({false, true, kTanh, kSigmoid, {}, true}, shape, ends)) return false;
    ends = !ends;
  }
  for (const lstm::Extras& extra : {lstm::Extras{true, 0, 0.4, kNone}, lstm::Extras{false, 21, kNone, 0.3}}) {
    for (const Shape& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 4, 16, 33}, Shape{120, 5, 3, 20, 17}}) {
      if (!CheckStack({true, true, kTanh, kSigmoid, extra, true}, shape, true)) return false;
    }
  }
  for (const lstm::Extras& extra : {AllExtras(), UnboundedExtras(), UnprojectedExtras()}) {
    for (const Shape& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 4, 16, 33}, Shape{33, 32, 40, 35}, Shape{5, 40, 3, 130},
                               Shape{60, 2, 5, 33, 16}, Shape{2, 1, 7, 130}, Shape{0, 3, 5, 5}, Shape{4, 0, 5, 5}}) {
      if (!CheckStack({false, true, kTanh, kSigmoid, extra, true}, shape, true)) return false;
      if (!CheckStack({true, true, kTanh, kSigmoid, extra, true}, shape, false)) return false;
    }
  }
  return true;
}

// Residual connections around some layers or all, in each way of sharing. `AllExtras` has a projection to 7.
bool CheckResidualLayers() {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{0, 3, 5, 5}, Shape{4, 0, 5, 5}, Shape{3, 2, 5, 5, 7, 7},
                             Shape{6, 5, 19, 33, 33, 16}, Shape{4, 9, 64, 64}, Shape{1, 13, 17, 17},
                             Shape{33, 32, 35, 35}, Shape{5, 40, 130, 130}, Shape{60, 2, 20, 20, 20, 20}}) {
    for (const bool ends : {false, true}) {
      if (!CheckStack({false, true, kTanh, kSigmoid, {}, false, ends, true}, shape, ends, {1, 2, 5})) return false;
      if (shape[0] != 1 && !CheckStack({true, true, kTanh, kSigmoid, {}, true, false, true}, shape, ends)) return false;
    }
  }
  for (const Shape& shape : {Shape{6, 5, 7, 19}, Shape{3, 8, 7, 33, 4}, Shape{5, 40, 7, 130, 35}}) {
    if (!CheckStack({false, true, kTanh, kSigmoid, AllExtras(), false, false, true}, shape, true)) return false;
  }
  return CheckStack({true, true, kTanh, kSigmoid, UnprojectedExtras(), false, false, true}, {6, 5, 19, 19}, true);
}

// The first step multiplies h = 0 only once for all sequences. The blocks of a thread begin with its rows.
bool CheckZeroStates() {
  for (const Shape& shape : {Shape{3, 7, 16, 16}, Shape{2, 9, 5, 33}, Shape{4, 16, 40, 65, 17}, Shape{3, 75, 3, 130}}) {
    for (const bool from_end : {false, true}) {
      if (!CheckStack({false, true, kTanh, kSigmoid, {}, from_end, true}, shape, false)) return false;
    }
    if (!CheckStack({false, true, kTanh, kSigmoid, AllExtras(), false, true}, shape, true)) return false;
  }
  return true;
}

// With an argument, the program is short.
int main(int argc, char**) {
  is_short = argc > 1;
  generator.seed(10);  // For some seeds, the gradients of a layer with a single unit cancel, in any correct rounding.
  for (const auto check : {CheckPlainLayers, CheckExtras, CheckSingleSteps, CheckManyThreads, CheckFromTheEnd,
                           CheckResidualLayers, CheckZeroStates, CheckSharing}) {
    if (!check()) return 1;
  }
  std::puts("all equal");
  return 0;
}
