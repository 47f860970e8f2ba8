// The kernels of layers with normalization, without TensorFlow, for sanitizers: beside the equations in double
// precision, one number at a time.

#include <cmath>
#include <cstdio>
#include <vector>

#include "native_normalized_reference.h"
#include "native_normalized_stack.h"

// Whether the program is short: no layer runs on one thread alone, and each shape has half of the combinations that it
// would have. This is for races.
bool is_short = false;

// Whether the layers of a stack have the expected results, and the same bits with all of these numbers of threads.
template <class T>
bool Check(const std::vector<Problem>& stack, const std::vector<Results>& expected, const std::vector<int>& counts) {
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  const std::vector<Results> first = Compute<T>(stack, counts[0]);
  for (const int threads : counts) {
    const std::vector<Results> got = threads == counts[0] ? first : Compute<T>(stack, threads);
    for (size_t n = 0; n < stack.size() * kResults; ++n) {
      const size_t l = n / kResults, k = n % kResults;
      double worst = 0, size = 1e-30;
      for (size_t m = 0; m < expected[l][k].size() && got[l][k].size() == expected[l][k].size(); ++m) {
        const double difference = std::fabs(got[l][k][m] - expected[l][k][m]);
        worst = difference <= worst ? worst : difference;  // NaN stays.
        size = std::fmax(size, std::fabs(expected[l][k][m]));
      }
      const bool is_whole = got[l][k].size() == expected[l][k].size();
      if (worst <= tolerance * size && got[l][k] == first[l][k] && is_whole) continue;
      std::printf("layer %zu, result %zu: off by %g, of %g, with %d threads, of %zu bytes\n", l, k, worst, size,
                  threads, sizeof(T));
      return false;
    }
  }
  return true;
}

enum { kIsCarried = 1, kEnds = 2, kHasSeries = 4, kOptions = 8 };

// shape: T, B, I, H. P: the width of a projection, which has a bound, and comes with peepholes and a bound of c; 0
// without these. options: a combination of bits.
// lengths: those of the layer if it has ends; null for random ones.
Problem MakeProblem(const int64_t* shape, int64_t P, int options, const std::vector<int32_t>* lengths = nullptr) {
  const int64_t T = shape[0], B = shape[1], I = shape[2], H = shape[3];
  const bool is_carried = options & kIsCarried, ends = options & kEnds, has_series = options & kHasSeries;
  const bool fused = ends != is_carried;
  Problem p = {T, B, I, H, is_carried, fused, 0.1, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, has_series, !fused, {}, {}};
  if (P) {
    p.has_peepholes = true, p.projection_size = P, p.cell_bound = 1, p.projection_bound = 0.5;
    for (Numbers& peephole : p.peephole) peephole = Random(H, 0.5);
    p.projection = Random(H * P, 1 / std::sqrt(double(H)));
  }
  for (int k = 0; has_series && k < lstm::kSeriesCount; ++k) {
    p.series[k] = Random((p.per_step ? T : 1) * B * p.Width(k), 0.5);
    const bool is_share = k == lstm::kZoneoutC || k == lstm::kZoneoutH;
    for (double& number : p.series[k]) number = is_share ? Sigmoid(number) : number;
  }
  for (int64_t row = 0; has_series && row < T * B; ++row) p.resets.push_back(generator() % 4 == 0);
  for (int64_t b = 0; ends && b < B; ++b) p.lengths.push_back(b % 3 == 1 ? 0 : generator() % (T + 1));
  if (lengths) p.lengths = *lengths;
  for (Numbers& kernel : p.W) kernel = Random((p.P() + I) * H, 1 / std::sqrt(double(p.P() + I)));
  for (Numbers& gain : p.gain) gain = Random(H, 0.5);
  for (Numbers& shift : p.shift) shift = Random(H, 1);
  p.x = Random(T * B * I, 1), p.d_outputs = Random(T * B * p.P(), 1);
  p.c = Random(B * H, 1), p.h = Random(B * p.P(), 1), p.d_c_last = Random(B * H, 1), p.d_h_last = Random(B * p.P(), 1);
  for (int64_t b = 0; ends && b < B; ++b) {  // What is past an end changes nothing.
    for (int64_t t = p.lengths[b]; t < T; ++t) {
      for (int64_t k = 0; k < I; ++k) p.x[(t * B + b) * I + k] = NAN;
      for (int64_t k = 0; k < p.P(); ++k) p.d_outputs[(t * B + b) * p.P() + k] = NAN;
      for (int s = 0; has_series && p.per_step && s < lstm::kSeriesCount; ++s) {
        for (int64_t k = 0; k < p.Width(s); ++k) p.series[s][p.At(s, t, b, k)] = NAN;
      }
    }
  }
  return p;
}

// The expected results of each layer. The layers above the first get the outputs below as x, and those below the last
// the gradients above.
std::vector<Results> ExpectedOfStack(std::vector<Problem>* stack) {
  std::vector<Results> expected;
  for (size_t l = 0; l < stack->size(); ++l) {
    if (l > 0) (*stack)[l].x = expected[l - 1][kOutputs];
    expected.push_back(Expected((*stack)[l]));
  }
  for (size_t l = stack->size() - 1; l-- > 0;) {
    (*stack)[l].d_outputs = expected[l + 1][kDx];
    expected[l] = Expected((*stack)[l]);
  }
  return expected;
}

bool Check(std::vector<Problem> stack) {
  const std::vector<Results> expected = ExpectedOfStack(&stack);
  const Problem& p = stack.back();
  std::vector<int> counts = {1, p.fused ? 2 : 5};
  if (is_short) counts.erase(counts.begin());
  if (Check<float>(stack, expected, counts) && Check<double>(stack, expected, counts)) return true;
  std::printf("%zu layers, T %d, B %d, I %d, H %d, P %d, ends %d, carried %d, fused %d, series %d, from the end %d\n",
              stack.size(), int(p.T), int(p.B), int(p.I), int(p.H), int(p.P()), !p.lengths.empty(), p.is_carried,
              p.fused, p.has_series, p.from_end);
  return false;
}

// Checks a shape with all combinations of options, in both orders of the steps. A large shape has half of the
// combinations, with all pairs of values, each in one order. The next shape has the others. A layer that is as wide as
// its inputs is residual. Half of the combinations have gaps in the outputs.
bool CheckShapes(const int64_t* shape, int64_t P, int64_t index) {
  const bool is_large = is_short || shape[0] * shape[1] * shape[3] > 5000;
  for (int options = 0; options < kOptions; ++options) {
    const int count = (options & 1) + (options >> 1 & 1) + (options >> 2);
    if (is_large && count % 2 != index % 2) continue;
    Problem p = MakeProblem(shape, P, options);
    for (const bool from_end : {false, true}) {
      if (is_large && from_end != ((options ^ index / 2) & 1)) continue;
      p.from_end = from_end, p.gap = (options & kIsCarried) == from_end ? 3 : 0;
      if (!Check({p})) return false;
    }
  }
  return true;
}

// Checks three layers with all combinations of options. All three have the same lengths. H and P: as for `MakeProblem`.
bool CheckStacks(int64_t T, int64_t B, int64_t I, int64_t H, int64_t P) {
  const int64_t width = P ? P : H, shapes[][4] = {{T, B, I, H}, {T, B, width, H}, {T, B, width, H}};
  for (int options = 0; options < kOptions; ++options) {
    std::vector<Problem> stack;
    for (const auto& shape : shapes) {
      stack.push_back(MakeProblem(shape, P, options, stack.empty() ? nullptr : &stack[0].lengths));
      stack.back().from_end = options == 3 || options == 4;
    }
    if (!Check(stack)) return false;
  }
  return true;
}

// With an argument, the program is short.
int main(int argc, char**) {
  is_short = argc > 1;
  // T, B, I, H: around the edges of tiles and vectors, without steps, sequences or inputs, more than a part of the
  // backward pass, enough for threads to share rows or units, a single step that threads share, and a step of more
  // rows than one sum of the gradients of weights has.
  const int64_t shapes[][4] = {{1, 1, 1, 1},    {3, 2, 5, 3},  {2, 5, 7, 4},     {4, 6, 3, 15},  {3, 7, 16, 16},
                               {2, 13, 65, 17}, {5, 3, 1, 33}, {0, 3, 2, 5},     {4, 0, 2, 5},   {3, 2, 0, 5},
                               {6, 12, 9, 64},  {400, 3, 2, 8}, {33, 32, 40, 35}, {5, 40, 3, 130},
                               {3, 5, 33, 33}, {40, 32, 9, 9}, {1, 2, 200, 250},
                               {2, 1030, 2, 3}};
  for (const auto& shape : shapes) {
    if (!CheckShapes(shape, 0, &shape - shapes)) return 1;
  }
  // The same with peepholes, bounds and a projection, whose width comes last.
  const int64_t projected[][5] = {{1, 3, 1, 2, 3}, {3, 2, 5, 3, 17}, {2, 13, 65, 17, 9},   {0, 3, 2, 5, 3},
                                  {4, 0, 2, 5, 3}, {3, 2, 0, 5, 16}, {400, 3, 2, 8, 5}, {33, 32, 10, 35, 40},
                                  {5, 40, 3, 130, 70}, {3, 5, 9, 20, 9}, {40, 32, 17, 6, 17},
                                  {2, 1030, 2, 3, 5}};
  for (const auto& shape : projected) {
    if (!CheckShapes(shape, shape[4], &shape - projected)) return 1;
  }
  // Stacks in which each thread has its own layers, sequences or units; single steps; many sequences.
  if (!CheckStacks(150, 2, 5, 17, 0) || !CheckStacks(60, 2, 9, 17, 6) || !CheckStacks(40, 24, 5, 8, 0)) return 1;
  if (!CheckStacks(5, 6, 20, 130, 0) || !CheckStacks(1, 1, 40, 200, 0) || !CheckStacks(2, 1030, 2, 3, 0)) return 1;
  if (!CheckSharing()) return 1;
  std::puts("all equal");
  return 0;
}
