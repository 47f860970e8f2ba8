// The forward pass with weights in BFloat16 and in 8 bits, beside the one with floats. All weights are numbers that
// these types can hold, so that only the rounding of sums differs.

#include "forward/low_precision.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <type_traits>
#include <vector>

namespace lstm = stacked_lstm;

typedef std::vector<float> Floats;

constexpr int64_t kSteps = 3;
constexpr float kTolerance = 2e-6f;  // Outputs are below 1.

float RandomInteger(int bound) { return static_cast<float>(std::rand() % (2 * bound + 1) - bound); }

// From -127 to 127, but not 0.
float RandomWeight() {
  const float number = RandomInteger(127);
  return number == 0 ? 1 : number;
}

Floats RandomNumbers(int64_t size) {
  Floats numbers(size);
  for (float& number : numbers) number = RandomInteger(1000) / 1000;
  return numbers;
}

// The weights of a layer, [H + I, H] per gate, and what a call reads. The arrays have exactly their sizes.
struct Problem {
  Problem(int64_t inputs, int64_t units, int64_t batch)
      : x(RandomNumbers(kSteps * batch * inputs)), c(RandomNumbers(batch * units)), h(RandomNumbers(batch * units)) {
    weights.stride = units;
    weights.x_row = units;
    for (int gate = 0; gate < lstm::kGates; ++gate) {
      bias[gate] = RandomNumbers(units);
      // Multiples of a power of 2, whose largest one in each column is 127: the scale is this power.
      for (int64_t m = 0; m < (units + inputs) * units; ++m) kernel[gate].push_back(RandomWeight() / 512);
      for (int64_t unit = 0; unit < units; ++unit) kernel[gate][unit] = unit % 2 ? 127 / 512.0f : -127 / 512.0f;
      weights.kernel[gate] = kernel[gate].data();
    }
    for (int64_t b = 0; b < batch; ++b) lengths.push_back(static_cast<int32_t>(b % (kSteps + 1)));
    layer = {kSteps, batch, inputs, units, lstm::Activation::kTanh, lstm::Activation::kSigmoid, lengths.data()};
  }

  Floats kernel[lstm::kGates], bias[lstm::kGates], x, c, h;
  lstm::Weights<const float> weights = {};
  std::vector<int32_t> lengths;
  lstm::Layer layer;
};

// Ends the program if the last units of a layer are padded by anything except zeros. No weight is 0 here.
template <class W>
void CheckPadding(const lstm::Layer& layer, const std::vector<W>& padded) {
  constexpr int kSize = lstm::Vector<float>::kSize;
  const int64_t rest = layer.units % kSize, rows = layer.inputs + layer.units;
  int64_t zeros = 0;
  for (const W& weight : padded) {
    const W zero = {};
    zeros += std::memcmp(&weight, &zero, sizeof(W)) == 0;
  }
  if (zeros == (rest ? rows * lstm::kGates * (kSize - rest) : 0)) return;
  std::printf("H %d: padded by other numbers than zeros\n", (int)layer.units);
  std::exit(1);
}

// The outputs, then c and h at the end, with weights of type W.
template <class W>
Floats Run(const Problem& p, const lstm::Threads& threads) {
  Floats scales[lstm::kGates], outputs(kSteps * p.layer.batch * p.layer.units), c_last(p.c.size()), h_last(p.h.size());
  lstm::ForwardArrays<float, W> arrays = {};
  float* scale[lstm::kGates];
  for (int gate = 0; gate < lstm::kGates; ++gate) {
    scales[gate].resize(p.layer.units);
    arrays.scales[gate] = scale[gate] = scales[gate].data();
    arrays.bias[gate] = p.bias[gate].data();
  }
  std::vector<W> full, padded;
  if constexpr (std::is_same<W, float>::value) {
    const lstm::PackedSizes sizes = lstm::FindPackedSizes<float>(p.layer);
    full.resize(sizes.full), padded.resize(sizes.padded);
    lstm::Pack<float>(p.layer, p.weights, nullptr, {full.data(), padded.data()}, threads);
  } else {
    const lstm::PackedSizes sizes = lstm::FindRoundedSizes(p.layer);
    full.resize(sizes.full), padded.resize(sizes.padded);
    std::fill_n(reinterpret_cast<char*>(padded.data()), padded.size() * sizeof(W), 0x7f);  // What was in the memory.
    lstm::PackRounded(p.layer, p.weights, {full.data(), padded.data()}, scale);
    CheckPadding(p.layer, padded);
  }
  arrays.packed = {full.data(), padded.data()};
  arrays.x = p.x.data(), arrays.c = p.c.data(), arrays.h = p.h.data();
  arrays.outputs = outputs.data(), arrays.c_last = c_last.data(), arrays.h_last = h_last.data();
  if constexpr (std::is_same<W, float>::value) {
    lstm::Forward<float>({p.layer}, {arrays}, threads);
  } else {
    lstm::ForwardRounded<W>({p.layer}, {arrays}, threads);
  }
  for (const Floats& more : {c_last, h_last}) outputs.insert(outputs.end(), more.begin(), more.end());
  return outputs;
}

bool AreClose(const Floats& a, const Floats& b) {
  for (size_t k = 0; k < a.size(); ++k) {
    if (!(std::abs(a[k] - b[k]) <= kTolerance)) return false;
  }
  return a.size() == b.size();
}

int main() {
  std::vector<std::thread> others;
  const auto schedule = [&](std::function<void()> work) { others.emplace_back(std::move(work)); };
  for (const int64_t units : {1, 2, 7, 8, 9, 16, 17, 33}) {
    for (const int64_t inputs : {1, 3, 8}) {
      for (const int64_t batch : {1, 2, 6, 7, 26}) {
        const Problem problem(inputs, units, batch);
        for (const int threads : {1, 3}) {
          const lstm::Threads team = {threads, schedule};
          const Floats expected = Run<float>(problem, team);
          if (!AreClose(Run<lstm::BFloat16>(problem, team), expected) ||
              !AreClose(Run<int8_t>(problem, team), expected)) {
            return std::printf("H %d, I %d, B %d: differs\n", (int)units, (int)inputs, (int)batch), 1;
          }
          for (std::thread& thread : others) thread.join();
          others.clear();
        }
      }
    }
  }
  std::puts("all close");
  return 0;
}
