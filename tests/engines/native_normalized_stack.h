// The arrays of layers with layer normalization, and the kernels run on them: for native_normalization.cc.

#ifndef NATIVE_NORMALIZED_STACK_H_
#define NATIVE_NORMALIZED_STACK_H_

#include <cmath>
#include <memory>
#include <vector>

#include "native_helpers.h"
#include "native_normalized_reference.h"
#include "native_sharing.h"
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

// The arrays of one layer, each of exactly its size. Results are NaN until the kernels write them.
template <class T>
class LayerArrays {
 public:
  explicit LayerArrays(const Problem& p)
      : layer{p.T, p.B, p.I, p.H, lstm::Activation::kTanh, lstm::Activation::kSigmoid,
              p.lengths.empty() ? nullptr : p.lengths.data(), {}, p.from_end},
        p_(p),
        x_(Convert<T>(p.x)), c_(Convert<T>(p.c)), h_(Convert<T>(p.h)) {
    MakeExtras();
    MakeWeights();
    const int64_t P = p.P();
    layer.output_stride = P + p.gap, layer.residual = p.IsResidual();
    outputs.assign(p.T * p.B * (P + p.gap), NAN), c_last_.assign(c_.size(), NAN), h_last_.assign(h_.size(), NAN);
    hidden_.assign(p.IsResidual() ? p.T * p.B * P : 0, NAN);
    forward.x = x_.data(), forward.c = c_.data(), forward.h = h_.data(), forward.extras = extras_;
    forward.outputs = outputs.data(), forward.c_last = c_last_.data(), forward.h_last = h_last_.data();
    forward.hidden = hidden_.empty() ? nullptr : hidden_.data();
  }

  // Packs the weights for `forward`.
  void Pack(const lstm::Threads& threads) {
    const lstm::PackedSizes sizes = lstm::FindPackedSizes<T>(layer);
    full_.assign(sizes.full, NAN), padded_.assign(sizes.padded, NAN);
    lstm::Pack<T>(layer, const_weights(), extras_.projection, {full_.data(), padded_.data()}, threads);
    forward.packed = {full_.data(), padded_.data()};
  }

  // The arrays of `forward` with the weights themselves.
  lstm::ForwardArrays<T> Unpacked() {
    lstm::ForwardArrays<T> unpacked = forward;
    outputs.assign(outputs.size(), NAN);
    unpacked.packed = {}, unpacked.weights = const_weights();
    return unpacked;
  }

  void MakeCache() {
    cache_.assign(lstm::CacheSize<T>(layer), NAN);
    forward.cache = cache_.data();
  }

  // The outputs without their gaps.
  Numbers Outputs(bool* as_it_should) const { return RemoveGaps(outputs, p_.P(), p_.gap, as_it_should); }
  // Whether each number of the cache, and of h of a residual layer, is written.
  bool IsWhole() const {
    bool whole = true;
    for (const auto* part : {&cache_, &hidden_}) {
      for (const T number : *part) whole &= std::isfinite(number);
    }
    return whole;
  }

  // Prepares `backward` without results. x and d_outputs: those of the layer itself.
  void MakeBackward() {
    d_outputs_ = AddGaps<T>(p_.d_outputs, p_.P(), p_.gap);
    d_c_last_ = Convert<T>(p_.d_c_last), d_h_last_ = Convert<T>(p_.d_h_last);
    d_x.assign(x_.size(), NAN), d_c_.assign(c_.size(), NAN), d_h_.assign(h_.size(), NAN);
    backward.extras = extras_, backward.weights = const_weights();
    backward.x = forward.x, backward.c = c_.data(), backward.h = h_.data(), backward.outputs = outputs.data();
    backward.hidden = forward.hidden, backward.cache = cache_.data(), backward.d_outputs = d_outputs_.data();
    backward.d_c_last = d_c_last_.data(), backward.d_h_last = d_h_last_.data();
  }
  void AskForInputs() { backward.d_x = d_x.data(); }
  void AskForNorms() { backward.d_weights = d_weights_, backward.d_extras.norm = d_extras_.norm; }
  void AskForAll() {
    backward.d_x = d_x.data(), backward.d_c = d_c_.data(), backward.d_h = d_h_.data();
    backward.d_weights = d_weights_, backward.d_extras = d_extras_;
  }

  Results All(bool as_it_should) const {
    const int64_t H = p_.H;
    Results r = {Outputs(&as_it_should)};
    for (const auto* part : {&c_last_, &h_last_, &d_x, &d_c_, &d_h_}) r.emplace_back(part->begin(), part->end());
    for (int k = 0; k < 4; ++k) {
      r.emplace_back();
      for (int64_t m = 0; m < (p_.P() + p_.I) * H; ++m) r.back().push_back(d_weights_.kernel[k][At(m)]);
    }
    for (int n = 0; n < 2; ++n) {
      for (int k = 0; k < 4; ++k) r.emplace_back(d_gates_[n].begin() + k * H, d_gates_[n].begin() + (k + 1) * H);
      r.emplace_back(d_cell_[n].begin(), d_cell_[n].end());
    }
    for (const std::vector<T>& d : d_series_) r.emplace_back(d.begin(), d.end());
    for (const std::vector<T>& d : d_peephole_) r.emplace_back(d.begin(), d.end());
    r.emplace_back(d_projection_.begin(), d_projection_.end());
    if (!as_it_should) r[kOutputs].assign(r[kOutputs].size() + 1, NAN);
    return r;
  }

  lstm::Layer layer;
  lstm::ForwardArrays<T> forward = {};
  lstm::BackwardArrays<T> backward = {};
  std::vector<T> outputs, d_x;

 private:
  void MakeExtras() {
    for (int k = 0; p_.has_series && k < lstm::kSeriesCount; ++k) {
      series_[k] = Convert<T>(p_.series[k]), d_series_[k].assign(series_[k].size(), NAN);
      extras_.series[k] = series_[k].data(), d_extras_.series[k] = d_series_[k].data();
      layer.extras.series[k] = {true, p_.per_step ? p_.B * p_.Width(k) : 0};
    }
    layer.extras.peepholes = p_.has_peepholes, layer.extras.projection = p_.projection_size;
    layer.extras.cell_bound = p_.cell_bound, layer.extras.projection_bound = p_.projection_bound;
    projection_ = Convert<T>(p_.projection), d_projection_.assign(projection_.size(), NAN);
    for (int k = 0; p_.has_peepholes && k < 3; ++k) {
      peephole_[k] = Convert<T>(p_.peephole[k]), d_peephole_[k].assign(p_.H, NAN);
      extras_.peephole[k] = peephole_[k].data(), d_extras_.peephole[k] = d_peephole_[k].data();
    }
    if (p_.projection_size) extras_.projection = projection_.data(), d_extras_.projection = d_projection_.data();
    if (p_.has_series) layer.extras.resets = reinterpret_cast<const bool*>(p_.resets.data());
    layer.extras.norm = {true, p_.is_carried, p_.epsilon};
    gate_gain_ = Convert<T>(Join(p_.gain)), gate_shift_ = Convert<T>(Join(p_.shift));
    cell_gain_ = Convert<T>(p_.gain[4]), cell_shift_ = Convert<T>(p_.shift[4]);
    for (int n = 0; n < 2; ++n) d_gates_[n] = gate_gain_, d_cell_[n] = cell_gain_;
    extras_.norm = {gate_gain_.data(), gate_shift_.data(), cell_gain_.data(), cell_shift_.data()};
    d_extras_.norm = {d_gates_[0].data(), d_gates_[1].data(), d_cell_[0].data(), d_cell_[1].data()};
  }

  void MakeWeights() {
    for (int k = 0; k < (p_.fused ? 1 : 4); ++k) {
      W_[k].resize((p_.P() + p_.I) * (p_.fused ? 4 : 1) * p_.H), dW_[k].assign(W_[k].size(), NAN);
    }
    weights_ = ::MakeWeights(p_, W_), d_weights_ = ::MakeWeights(p_, dW_);
    for (int k = 0; k < 4; ++k) {
      for (int64_t m = 0; m < (p_.P() + p_.I) * p_.H; ++m) weights_.kernel[k][At(m)] = p_.W[k][m];
    }
  }
  lstm::Weights<const T> const_weights() const {
    return {{weights_.kernel[0], weights_.kernel[1], weights_.kernel[2], weights_.kernel[3]}, weights_.stride,
            weights_.h_row, weights_.x_row, {}};
  }
  // Where number m of a gate's matrix is. Rows of h come first in the problem.
  int64_t At(int64_t m) const {
    const int64_t row = m / p_.H, P = p_.P();
    return (row < P ? weights_.h_row + row : weights_.x_row + row - P) * weights_.stride + m % p_.H;
  }

  const Problem& p_;
  const std::vector<T> x_, c_, h_;
  std::vector<T> W_[4], dW_[4], series_[lstm::kSeriesCount], d_series_[lstm::kSeriesCount];
  std::vector<T> peephole_[3], d_peephole_[3], projection_, d_projection_;
  std::vector<T> gate_gain_, gate_shift_, cell_gain_, cell_shift_, d_gates_[2], d_cell_[2];
  std::vector<T> full_, padded_, c_last_, h_last_, hidden_, cache_;
  std::vector<T> d_outputs_, d_c_last_, d_h_last_, d_c_, d_h_;
  lstm::Weights<T> weights_ = {}, d_weights_ = {};
  lstm::ExtraWeights<const T> extras_ = {};
  lstm::ExtraWeights<T> d_extras_ = {};
};

// The results of each layer of a stack, by `count` threads. Layers above the first read the outputs below instead of
// their own x, and layers below the last the gradients above.
template <class T>
std::vector<Results> Compute(const std::vector<Problem>& problems, int count) {
  HelperThreads helpers;
  const lstm::Threads threads = helpers.ForTeam(count);
  std::vector<std::unique_ptr<LayerArrays<T>>> stack;
  bool prefers_unpacked = true, as_it_should = true;
  for (const Problem& p : problems) {
    stack.emplace_back(new LayerArrays<T>(p));
    stack.back()->Pack(threads);
    if (stack.size() > 1) stack.back()->forward.x = stack[stack.size() - 2]->outputs.data();
    prefers_unpacked &= lstm::PrefersUnpacked(stack.back()->layer);
  }
  std::vector<lstm::Layer> layers;
  for (const auto& layer : stack) layers.push_back(layer->layer);
  RecordSharing<T>(layers, count);
  const auto run_forward = [&] {
    std::vector<lstm::ForwardArrays<T>> arrays;
    for (const auto& layer : stack) arrays.push_back(layer->forward);
    lstm::NormalizedForward<T>(layers, arrays, threads);
  };
  const auto run_backward = [&] {
    std::vector<lstm::BackwardArrays<T>> arrays;
    for (const auto& layer : stack) arrays.push_back(layer->backward);
    lstm::NormalizedBackward<T>(layers, arrays, threads);
  };
  LayerArrays<T>& top = *stack.back();
  run_forward();  // Without a cache, then with one.
  const Numbers without = top.Outputs(&as_it_should);
  if (prefers_unpacked) {  // The weights themselves have the same bits.
    std::vector<lstm::ForwardArrays<T>> arrays;
    for (const auto& layer : stack) arrays.push_back(layer->Unpacked());
    lstm::NormalizedForward<T>(layers, arrays, threads);
    as_it_should &= without == top.Outputs(&as_it_should);
  }
  for (const auto& layer : stack) layer->MakeCache();
  run_forward();
  as_it_should &= without == top.Outputs(&as_it_should);
  for (size_t l = 0; l < stack.size(); ++l) {
    as_it_should &= stack[l]->IsWhole();
    stack[l]->MakeBackward();
    stack[l]->AskForInputs();  // No other result is needed.
  }
  for (size_t l = 0; l + 1 < stack.size(); ++l) stack[l]->backward.d_outputs = stack[l + 1]->d_x.data();
  run_backward();
  const std::vector<T> d_x_alone = stack[0]->d_x;
  stack[0]->backward.d_x = nullptr;
  for (const auto& layer : stack) layer->AskForNorms();
  run_backward();
  for (const auto& layer : stack) layer->AskForAll();
  run_backward();
  as_it_should &= d_x_alone == stack[0]->d_x;
  helpers.Join();
  std::vector<Results> results;
  for (const auto& layer : stack) results.push_back(layer->All(as_it_should));
  return results;
}

#endif  // NATIVE_NORMALIZED_STACK_H_
