// The forward pass of a stack as C functions, for programs without TensorFlow. stacked_lstm/runtime calls them.

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "forward/low_precision.h"
#include "lstm.h"
#include "storage/buffer.h"
#include "threads/thread_pool.h"

namespace stacked_lstm {
namespace {

// The sequences of one call, and where its results go.
struct Call {
  int64_t steps, batch;
  const int32_t* lengths;  // [B], from 0 to T; null if all sequences have T steps.
  const void* x;           // [T, B, I]
  const void* states;      // Before the first step: c [B, H] and h [B, H] of each layer, the lowest layer first. Null for
                           // zeros.
  void* outputs;           // [T, B, H] of the last layer.
  void* finals;            // In the form of `states`, at the end of each sequence.
};

class Predictor {
 public:
  virtual ~Predictor() {}

  // Several threads may call it at once.
  virtual void Run(const Call& call) = 0;
};

// How a predictor stores weights: in their own type, or rounded to fewer bits.
template <class T, class W>
struct Storage {
  static PackedSizes Sizes(const Layer& layer) { return FindRoundedSizes(layer); }
  static void Store(const Layer& layer, const Weights<const T>& weights, const Packed<W>& packed, T* const* scales,
                    const Threads&) {
    PackRounded(layer, weights, packed, scales);
  }
  static void Run(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T, W>>& arrays,
                  const Threads& threads) {
    ForwardRounded<W>(layers, arrays, threads);
  }
};

template <class T>
struct Storage<T, T> {
  static PackedSizes Sizes(const Layer& layer) { return FindPackedSizes<T>(layer); }
  static void Store(const Layer& layer, const Weights<const T>& weights, const Packed<T>& packed, T* const*,
                    const Threads& threads) {
    Pack<T>(layer, weights, nullptr, packed, threads);
  }
  static void Run(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays,
                  const Threads& threads) {
    Forward<T>(layers, arrays, threads);
  }
};

// A predictor that computes in T. W is the type in which the weights are stored.
template <class T, class W>
class StackPredictor : public Predictor {
 public:
  // widths: I, and the H of each layer. kernels: 4 per layer, [H + I, H], in the order i, c, f, o, with the rows for h
  // first. biases: 4 per layer, [H]; null without biases.
  StackPredictor(int layers, const int64_t* widths, Activation candidate, Activation gates, const T* const* kernels,
                 const T* const* biases, int threads)
      : candidate_(candidate),
        gates_(gates),
        pool_(new ThreadPool(threads - 1, threads <= UsableCores())),
        threads_{threads, [this](std::function<void()> work) { pool_->Schedule(std::move(work)); }} {
    for (int l = 0; l < layers; ++l) {
      stack_.emplace_back(new StackLayer(widths[l], widths[l + 1]));
      StackLayer& layer = *stack_.back();
      units_ += layer.units;
      Weights<const T> weights = {};
      weights.stride = layer.units;
      weights.x_row = layer.units;
      for (int gate = 0; gate < kGates; ++gate) {
        weights.kernel[gate] = kernels[l * kGates + gate];
        if (!biases) continue;
        const T* const bias = biases[l * kGates + gate];
        layer.bias[gate].assign(bias, bias + layer.units);
      }
      T* scales[kGates];
      for (int gate = 0; gate < kGates; ++gate) {
        layer.scales[gate].resize(layer.units);
        scales[gate] = layer.scales[gate].data();
      }
      Storage<T, W>::Store(layer.Sizes(), weights, layer.template PackedAs<W>(), scales, threads_);
    }
  }

  void Run(const Call& call) override {
    const int number = stack_.size();
    std::vector<Layer> layers;
    std::vector<ForwardArrays<T, W>> arrays(number);
    Scratch<T> between;  // The outputs of all layers except the last.
    const std::vector<T> zeros(call.states ? 0 : 2 * call.batch * units_);
    const T* c = call.states ? static_cast<const T*>(call.states) : zeros.data();
    T* c_last = static_cast<T*>(call.finals);
    layers.reserve(number);
    for (int l = 0; l < number; ++l) {
      const StackLayer& layer = *stack_[l];
      const int64_t size = call.batch * layer.units;
      layers.push_back({call.steps, call.batch, layer.inputs, layer.units, candidate_, gates_, call.lengths});
      arrays[l].packed = layer.template PackedAs<const W>();
      for (int gate = 0; gate < kGates; ++gate) {
        arrays[l].scales[gate] = layer.scales[gate].data();
        arrays[l].bias[gate] = layer.bias[gate].empty() ? nullptr : layer.bias[gate].data();
      }
      arrays[l].x = l ? arrays[l - 1].outputs : static_cast<const T*>(call.x);
      arrays[l].c = c;
      arrays[l].h = c + size;
      const bool is_top = l == number - 1;
      arrays[l].outputs = is_top ? static_cast<T*>(call.outputs) : between.Take(call.steps * call.batch * layer.units);
      arrays[l].c_last = c_last;
      arrays[l].h_last = c_last + size;
      arrays[l].cache = nullptr;
      c += 2 * size;
      c_last += 2 * size;
    }
    Storage<T, W>::Run(layers, arrays, threads_);
  }

 private:
  struct StackLayer {
    StackLayer(int64_t inputs, int64_t units)
        : inputs(inputs), units(units), memory(Storage<T, W>::Sizes(Sizes()).Total()) {}

    // A layer of these sizes.
    Layer Sizes() const { return {0, 0, inputs, units, Activation::kTanh, Activation::kSigmoid, nullptr}; }

    // The packed weights. V is W or const W.
    template <class V>
    Packed<V> PackedAs() const {
      return Storage<T, W>::Sizes(Sizes()).template Split<V>(memory.get());
    }

    const int64_t inputs, units;
    const Buffer<W> memory;
    std::vector<T> bias[kGates], scales[kGates];
  };

  const Activation candidate_, gates_;
  const std::unique_ptr<ThreadPool, EndThreads> pool_;
  const Threads threads_;
  std::vector<std::unique_ptr<StackLayer>> stack_;
  int64_t units_ = 0;  // The sum of the units of all layers.
};

template <class T, class W = T>
Predictor* Make(int layers, const int64_t* widths, int candidate, int gates, const void* const* kernels,
                const void* const* biases, int threads) {
  std::vector<const T*> typed_kernels, typed_biases;
  for (int k = 0; k < layers * kGates; ++k) {
    typed_kernels.push_back(static_cast<const T*>(kernels[k]));
    if (biases) typed_biases.push_back(static_cast<const T*>(biases[k]));
  }
  return new StackPredictor<T, W>(layers, widths, static_cast<Activation>(candidate), static_cast<Activation>(gates),
                               typed_kernels.data(), biases ? typed_biases.data() : nullptr, threads);
}

}  // namespace
}  // namespace stacked_lstm

#define STACKED_LSTM_EXPORT extern "C" __attribute__((visibility("default")))

// Returns a predictor, which keeps no pointer to the arguments; null if there is not enough memory. The arguments are
// those of `StackPredictor`, with activations as numbers in the order of lstm.h. type: 0 for float, 1 for
// double, 2 for float with weights in BFloat16, 3 for float with weights in 8 bits.
STACKED_LSTM_EXPORT void* stacked_lstm_predictor_make(int type, int layers, const int64_t* widths, int candidate,
                                                      int gates, const void* const* kernels,
                                                      const void* const* biases, int threads) {
  try {
    using namespace stacked_lstm;
    static constexpr auto kMake = {Make<float>, Make<double>, Make<float, BFloat16>, Make<float, int8_t>};
    return kMake.begin()[type](layers, widths, candidate, gates, kernels, biases, threads);
  } catch (const std::exception&) {  // Neither memory nor a thread may be left.
    return nullptr;
  }
}

// Returns 0, or 1 if there is not enough memory. The arguments are the fields of `Call`.
STACKED_LSTM_EXPORT int stacked_lstm_predictor_run(void* predictor, int64_t steps, int64_t batch,
                                                   const int32_t* lengths, const void* x, const void* states,
                                                   void* outputs, void* finals) {
  try {
    static_cast<stacked_lstm::Predictor*>(predictor)->Run({steps, batch, lengths, x, states, outputs, finals});
    return 0;
  } catch (const std::bad_alloc&) {
    return 1;
  }
}

STACKED_LSTM_EXPORT void stacked_lstm_predictor_delete(void* predictor) {
  delete static_cast<stacked_lstm::Predictor*>(predictor);
}
