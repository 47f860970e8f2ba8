// A stack of layers in arrays of exactly their sizes, and the kernels' results for it.

#ifndef NATIVE_ARRAYS_H_
#define NATIVE_ARRAYS_H_

#include <cmath>
#include <memory>
#include <vector>

#include "native_helpers.h"
#include "native_reference.h"
#include "native_sharing.h"

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

// The results of the kernels with `count` threads, which run several times. A result is NaN if it depends on what else
// is computed, or if the cache is not written whole.
template <class T>
std::vector<Results> Compute(const std::vector<Problem>& stack, int count) {
  HelperThreads helpers;
  const lstm::Threads threads = helpers.ForTeam(count);
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
  helpers.Join();
  return found;
}

#endif  // NATIVE_ARRAYS_H_
