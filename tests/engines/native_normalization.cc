// The kernels of layers with normalization, without TensorFlow, for sanitizers: beside the equations in double
// precision, one number at a time.

#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>

#include "native_normalized_reference.h"
#include "normalized/normalization.h"

template <class T>
std::vector<T> Convert(const Numbers& numbers) {
  return std::vector<T>(numbers.begin(), numbers.end());
}

// The four gates one after the other: those of a norm, or the columns of a fused kernel.
Numbers Join(const Numbers* parts) {
  Numbers all;
  for (int k = 0; k < 4; ++k) all.insert(all.end(), parts[k].begin(), parts[k].end());
  return all;
}

// Rows of `width` numbers, with gaps of NaN after them.
template <class T>
std::vector<T> AddGaps(const Numbers& rows, int64_t width, int64_t gap) {
  std::vector<T> spread;
  for (size_t k = 0; k < rows.size(); k += width) {
    spread.insert(spread.end(), rows.begin() + k, rows.begin() + k + width);
    spread.resize(spread.size() + gap, NAN);
  }
  return spread;
}

// The reverse. Sets `*as_it_should` to false if there are other numbers in the gaps.
template <class T>
Numbers RemoveGaps(const std::vector<T>& spread, int64_t width, int64_t gap, bool* as_it_should) {
  Numbers rows;
  for (size_t k = 0; k < spread.size(); ++k) {
    const bool is_in_gap = int64_t(k) % (width + gap) >= width;
    if (!is_in_gap) rows.push_back(spread[k]);
    if (is_in_gap) *as_it_should &= std::isnan(spread[k]);
  }
  return rows;
}

template <class T>
lstm::Weights<T> MakeWeights(const Problem& p, std::vector<T>* kernels) {
  lstm::Weights<T> weights = {};
  weights.stride = p.fused ? 4 * p.H : p.H;
  weights.h_row = p.fused ? p.I : 0, weights.x_row = p.fused ? 0 : p.P();
  for (int k = 0; k < 4; ++k) weights.kernel[k] = p.fused ? kernels[0].data() + k * p.H : kernels[k].data();
  return weights;
}

template <class T>
Results Compute(const Problem& p, int count) {
  std::vector<std::thread> helpers;
  const lstm::Threads threads = {count, [&helpers](std::function<void()> f) { helpers.emplace_back(std::move(f)); }};
  const int64_t H = p.H, I = p.I, P = p.P();
  lstm::Layer layer = {p.T, p.B, I, H, lstm::Activation::kTanh, lstm::Activation::kSigmoid,
                       p.lengths.empty() ? nullptr : p.lengths.data(), {}, p.from_end};
  std::vector<T> series[lstm::kSeriesCount], d_series[lstm::kSeriesCount];
  lstm::ExtraWeights<const T> extras = {};
  lstm::ExtraWeights<T> d_extras = {};
  for (int k = 0; p.has_series && k < lstm::kSeriesCount; ++k) {
    series[k] = Convert<T>(p.series[k]), d_series[k].assign(series[k].size(), NAN);
    extras.series[k] = series[k].data(), d_extras.series[k] = d_series[k].data();
    layer.extras.series[k] = {true, p.per_step ? p.B * p.Width(k) : 0};
  }
  layer.extras.peepholes = p.has_peepholes, layer.extras.projection = p.projection_size;
  layer.extras.cell_bound = p.cell_bound, layer.extras.projection_bound = p.projection_bound;
  std::vector<T> peephole[3], d_peephole[3], projection = Convert<T>(p.projection);
  std::vector<T> d_projection(projection.size(), NAN);
  for (int k = 0; p.has_peepholes && k < 3; ++k) {
    peephole[k] = Convert<T>(p.peephole[k]), d_peephole[k].assign(H, NAN);
    extras.peephole[k] = peephole[k].data(), d_extras.peephole[k] = d_peephole[k].data();
  }
  if (p.projection_size) extras.projection = projection.data(), d_extras.projection = d_projection.data();
  if (p.has_series) layer.extras.resets = reinterpret_cast<const bool*>(p.resets.data());
  layer.extras.norm = {true, p.is_carried, p.epsilon};
  layer.output_stride = P + p.gap, layer.residual = p.IsResidual();
  std::vector<T> W[4], dW[4], x = Convert<T>(p.x), c = Convert<T>(p.c), h = Convert<T>(p.h);
  for (int k = 0; k < (p.fused ? 1 : 4); ++k) {
    W[k].resize((P + I) * (p.fused ? 4 : 1) * H), dW[k].assign(W[k].size(), NAN);
  }
  lstm::Weights<T> weights = MakeWeights(p, W), d_weights = MakeWeights(p, dW);
  const auto at = [&](int64_t m) {
    const int64_t row = m / H;
    return (row < P ? weights.h_row + row : weights.x_row + row - P) * weights.stride + m % H;
  };
  for (int k = 0; k < 4; ++k) {
    for (int64_t m = 0; m < (P + I) * H; ++m) weights.kernel[k][at(m)] = p.W[k][m];
  }
  const lstm::Weights<const T> const_weights = {
      {weights.kernel[0], weights.kernel[1], weights.kernel[2], weights.kernel[3]}, weights.stride, weights.h_row,
      weights.x_row, {}};
  std::vector<T> gate_gain = Convert<T>(Join(p.gain)), gate_shift = Convert<T>(Join(p.shift));
  std::vector<T> cell_gain = Convert<T>(p.gain[4]), cell_shift = Convert<T>(p.shift[4]);
  std::vector<T> d_gates[2] = {gate_gain, gate_gain}, d_cell[2] = {cell_gain, cell_gain};
  extras.norm = {gate_gain.data(), gate_shift.data(), cell_gain.data(), cell_shift.data()};
  d_extras.norm = {d_gates[0].data(), d_gates[1].data(), d_cell[0].data(), d_cell[1].data()};
  const lstm::PackedSizes sizes = lstm::FindPackedSizes<T>(layer);
  std::vector<T> full(sizes.full, NAN), padded(sizes.padded, NAN), cache(lstm::CacheSize<T>(layer), NAN);
  std::vector<T> outputs(p.T * p.B * (P + p.gap), NAN), c_last(c.size(), NAN), h_last(h.size(), NAN);
  std::vector<T> hidden(p.IsResidual() ? p.T * p.B * P : 0, NAN);
  lstm::Pack<T>(layer, const_weights, extras.projection, {full.data(), padded.data()}, threads);
  lstm::ForwardArrays<T> forward = {};
  forward.packed = {full.data(), padded.data()}, forward.x = x.data(), forward.c = c.data(), forward.h = h.data();
  forward.extras = extras;
  forward.outputs = outputs.data(), forward.c_last = c_last.data(), forward.h_last = h_last.data();
  forward.hidden = hidden.empty() ? nullptr : hidden.data();
  lstm::NormalizedForward<T>({layer}, {forward}, threads);  // Without a cache, then with one.
  bool as_it_should = true;
  const Numbers without = RemoveGaps(outputs, P, p.gap, &as_it_should);
  if (lstm::PrefersUnpacked(layer)) {  // The weights themselves have the same bits.
    lstm::ForwardArrays<T> unpacked = forward;
    unpacked.packed = {}, unpacked.weights = const_weights;
    outputs.assign(outputs.size(), NAN);
    lstm::NormalizedForward<T>({layer}, {unpacked}, threads);
    as_it_should &= without == RemoveGaps(outputs, P, p.gap, &as_it_should);
  }
  forward.cache = cache.data();
  lstm::NormalizedForward<T>({layer}, {forward}, threads);
  as_it_should &= without == RemoveGaps(outputs, P, p.gap, &as_it_should);
  for (const T number : cache) as_it_should &= std::isfinite(number);
  for (const T number : hidden) as_it_should &= std::isfinite(number);
  const std::vector<T> d_outputs = AddGaps<T>(p.d_outputs, P, p.gap), d_c_last = Convert<T>(p.d_c_last),
                       d_h_last = Convert<T>(p.d_h_last);
  std::vector<T> d_x(x.size(), NAN), d_c(c.size(), NAN), d_h(h.size(), NAN);
  lstm::BackwardArrays<T> backward = {};
  backward.extras = extras;
  backward.weights = const_weights, backward.d_weights = d_weights;
  backward.x = x.data(), backward.c = c.data(), backward.h = h.data(), backward.outputs = outputs.data();
  backward.hidden = forward.hidden;
  backward.cache = cache.data(), backward.d_outputs = d_outputs.data();
  backward.d_c_last = d_c_last.data(), backward.d_h_last = d_h_last.data();
  lstm::BackwardArrays<T> input_alone = backward;  // No other result is needed.
  input_alone.d_weights = {}, input_alone.d_x = d_x.data();
  lstm::NormalizedBackward<T>({layer}, {input_alone}, threads);
  const std::vector<T> d_x_alone = d_x;
  backward.d_extras.norm = d_extras.norm;
  lstm::NormalizedBackward<T>({layer}, {backward}, threads);
  backward.d_x = d_x.data(), backward.d_c = d_c.data(), backward.d_h = d_h.data(), backward.d_extras = d_extras;
  lstm::NormalizedBackward<T>({layer}, {backward}, threads);
  as_it_should &= d_x_alone == d_x;
  for (std::thread& helper : helpers) helper.join();
  Results r = {without};
  for (const auto* part : {&c_last, &h_last, &d_x, &d_c, &d_h}) r.emplace_back(part->begin(), part->end());
  for (int k = 0; k < 4; ++k) {
    r.emplace_back();
    for (int64_t m = 0; m < (P + I) * H; ++m) r.back().push_back(d_weights.kernel[k][at(m)]);
  }
  for (int n = 0; n < 2; ++n) {
    for (int k = 0; k < 4; ++k) r.emplace_back(d_gates[n].begin() + k * H, d_gates[n].begin() + (k + 1) * H);
    r.emplace_back(d_cell[n].begin(), d_cell[n].end());
  }
  for (const std::vector<T>& d : d_series) r.emplace_back(d.begin(), d.end());
  for (const std::vector<T>& d : d_peephole) r.emplace_back(d.begin(), d.end());
  r.emplace_back(d_projection.begin(), d_projection.end());
  if (!as_it_should) r[kOutputs].assign(r[kOutputs].size() + 1, NAN);
  return r;
}

// Whether the program is short: no layer runs on one thread alone, and each shape has half of the combinations that it
// would have. This is for races.
bool is_short = false;

// Whether a layer has the expected results, and the same bits with all of these numbers of threads.
template <class T>
bool Check(const Problem& p, const Results& expected, const std::vector<int>& counts) {
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  const Results first = Compute<T>(p, counts[0]);
  for (const int threads : counts) {
    const Results got = threads == counts[0] ? first : Compute<T>(p, threads);
    for (int k = 0; k < kResults; ++k) {
      double worst = 0, size = 1e-30;
      for (size_t m = 0; m < expected[k].size() && got[k].size() == expected[k].size(); ++m) {
        const double difference = std::fabs(got[k][m] - expected[k][m]);
        worst = difference <= worst ? worst : difference;  // NaN stays.
        size = std::fmax(size, std::fabs(expected[k][m]));
      }
      if (worst <= tolerance * size && got[k] == first[k] && got[k].size() == expected[k].size()) continue;
      std::printf("result %d: off by %g, of %g, with %d threads, of %zu bytes\n", k, worst, size, threads, sizeof(T));
      return false;
    }
  }
  return true;
}

enum { kIsCarried = 1, kEnds = 2, kHasSeries = 4, kOptions = 8 };

// shape: T, B, I, H. P: the width of a projection, which has a bound, and comes with peepholes and a bound of c; 0
// without these. options: a combination of bits.
Problem MakeProblem(const int64_t* shape, int64_t P, int options) {
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

bool Check(const Problem& p) {
  const Results expected = Expected(p);
  std::vector<int> counts = {1, p.fused ? 2 : 5};
  if (is_short) counts.erase(counts.begin());
  if (Check<float>(p, expected, counts) && Check<double>(p, expected, counts)) return true;
  std::printf("T %d, B %d, I %d, H %d, P %d, ends %d, carried %d, fused %d, series %d, from the end %d\n", int(p.T),
              int(p.B), int(p.I), int(p.H), int(p.P()), !p.lengths.empty(), p.is_carried, p.fused, p.has_series,
              p.from_end);
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
      if (!Check(p)) return false;
    }
  }
  return true;
}

// With an argument, the program is short.
int main(int argc, char**) {
  is_short = argc > 1;
  // T, B, I, H: around the edges of tiles and vectors, without steps, sequences or inputs, more than a part of the
  // backward pass, enough for threads to share rows or units, and a single step that threads share.
  const int64_t shapes[][4] = {{1, 1, 1, 1},    {3, 2, 5, 3},  {2, 5, 7, 4},     {4, 6, 3, 15},  {3, 7, 16, 16},
                               {2, 13, 65, 17}, {5, 3, 1, 33}, {0, 3, 2, 5},     {4, 0, 2, 5},   {3, 2, 0, 5},
                               {6, 12, 9, 64},  {400, 3, 2, 8}, {33, 32, 40, 35}, {5, 40, 3, 130},
                               {3, 5, 33, 33}, {40, 32, 9, 9}, {1, 2, 200, 250}};
  for (const auto& shape : shapes) {
    if (!CheckShapes(shape, 0, &shape - shapes)) return 1;
  }
  // The same with peepholes, bounds and a projection, whose width comes last.
  const int64_t projected[][5] = {{1, 3, 1, 2, 3}, {3, 2, 5, 3, 17}, {2, 13, 65, 17, 9},   {0, 3, 2, 5, 3},
                                  {4, 0, 2, 5, 3}, {3, 2, 0, 5, 16}, {400, 3, 2, 8, 5}, {33, 32, 10, 35, 40},
                                  {5, 40, 3, 130, 70}, {3, 5, 9, 20, 9}, {40, 32, 17, 6, 17}};
  for (const auto& shape : projected) {
    if (!CheckShapes(shape, shape[4], &shape - projected)) return 1;
  }
  std::puts("all equal");
  return 0;
}
