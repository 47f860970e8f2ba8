// The kernels of the TensorFlow ops. op_definitions.cc defines the ops, op_inputs.h checks their inputs.
//
// Packing the weights is an op of its own. If the weights are constants, as in a frozen graph, TensorFlow's constant
// folding then packs them once. In the steps of a session, this op does nothing: the forward op then packs the weights,
// or reads them as they are, depending on the number of time steps and sequences.

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "lstm.h"
#include "normalized/normalization.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_kernel.h"
#include "op_packed.h"
#include "op_stack_inputs.h"
#include "op_stacks.h"
#include "op_threads.h"
#include "storage/buffer.h"

namespace stacked_lstm {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;

template <class T>
class PackOp : public OpKernel {
 public:
  explicit PackOp(OpKernelConstruction* construction) : OpKernel(construction) {}

  void Compute(OpKernelContext* context) override {
    LayerTensors kernels, projections;
    Layer layer = {};
    Packed<T> packed;
    OP_REQUIRES_OK(context, kernels.Read(context, "kernels", 1, {1, kGates}));
    OP_REQUIRES_OK(context, projections.Read(context, "projections", 1, {0, 1}));
    OP_REQUIRES_OK(context, ReadSizes(kernels[0], projections[0], &layer));
    const bool in_session = context->step_id() > 0;  // Constant folding has other numbers.
    const PackedSizes sizes = in_session ? PackedSizes{0, 0} : FindPackedSizes<T>(layer);
    OP_REQUIRES_OK(context, Allocate(context, 0, VectorLayoutShape<T>(sizes.full), &packed.full));
    OP_REQUIRES_OK(context, Allocate(context, 1, VectorLayoutShape<T>(sizes.padded), &packed.padded));
    if (in_session) return;
    const Weights<const T> weights = MakeWeights<const T>(layer, DataPointers<T>(kernels[0]), {});
    const ExtraWeights<const T> extras = MakeExtraWeights<const T>({}, DataPointers<T>(projections[0]), {}, {{}});
    CatchOutOfMemory(context,
                     [&] { Pack<T>(layer, weights, extras.projection, packed, OpThreads(context)); });
  }
};

// What the forward and the backward op share: attributes, their first inputs, and the layout of the cache.
template <class T>
class StackOp : public OpKernel {
 public:
  explicit StackOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::string name;
    OP_REQUIRES_OK(construction, construction->GetAttr("activation", &name));
    OP_REQUIRES_OK(construction, ActivationByName(name, &candidate_));
    OP_REQUIRES_OK(construction, construction->GetAttr("recurrent_activation", &name));
    OP_REQUIRES_OK(construction, ActivationByName(name, &gates_));
    OP_REQUIRES_OK(construction, construction->GetAttr("from_end", &from_end_));
    OP_REQUIRES_OK(construction, construction->GetAttr("residual", &residual_));
    OP_REQUIRES_OK(construction, construction->GetAttr("is_carried", &is_carried_));
  }

  void Compute(OpKernelContext* context) final {
    CatchOutOfMemory(context, [&] {
      StackInputs inputs;
      Stacks stacks;
      int64_t cache_size;
      inputs.from_end = from_end_;
      inputs.residual = residual_;
      inputs.is_carried = is_carried_;
      OP_REQUIRES_OK(context, inputs.Read(context, candidate_, gates_));
      OP_REQUIRES_OK(context, FindStacks(inputs, &stacks, &cache_size));
      Work(context, inputs, stacks, cache_size);
    });
  }

 protected:
  typedef std::vector<Stack<T>> Stacks;

  virtual void Work(OpKernelContext* context, const StackInputs& inputs, const Stacks& stacks, int64_t cache_size) = 0;

 private:
  Activation candidate_, gates_;
  int from_end_;
  std::vector<bool> residual_;
  bool is_carried_;
};

template <class T>
class ForwardOp : public StackOp<T> {
 public:
  using StackOp<T>::StackOp;

  void Work(OpKernelContext* context, const StackInputs& inputs, const typename StackOp<T>::Stacks& stacks,
            int64_t cache_size) override {
    const int number = inputs.layers.size(), cache_output = 1 + 2 * number;
    const bool needs_cache = context->output_required(cache_output);
    T *outputs, *cache;
    OP_REQUIRES_OK(context, Allocate(context, 0, inputs.OutputsShape(), &outputs));
    OP_REQUIRES_OK(context, AllocateCache(context, cache_output, needs_cache ? cache_size : 0, &cache));
    std::vector<ForwardArrays<T>> arrays(number);
    PackedInputs<T> packed;
    OP_REQUIRES_OK(context, packed.Read(context, number));
    Scratch<T> scratch;
    for (const Stack<T>& stack : stacks) {
      for (int l = stack.first; l < stack.end; ++l) {
        const Layer& layer = inputs.layers[l];
        OP_REQUIRES_OK(context, Arrays(context, inputs, l, &packed, &arrays[l]));
        if (needs_cache) arrays[l].cache = cache + stack.CacheOf(l);
        arrays[l].x = l > stack.first ? arrays[l - 1].outputs : inputs.x.flat<T>().data();
        arrays[l].outputs = stack.IsTop(l) ? outputs + stack.column
                            : needs_cache  ? cache + stack.OutputsOf(l)
                                           : scratch.Take(layer.steps * layer.batch * layer.outputs());
        if (!layer.residual) continue;
        arrays[l].hidden = needs_cache ? cache + stack.HiddenOf(l)
                                       : scratch.Take(layer.steps * layer.batch * layer.outputs());
      }
    }
    ForEachStack(stacks, inputs.layers, OpThreads(context), [&](const Stack<T>& stack, const Threads& threads) {
      const std::vector<Layer> layers = stack.Slice(inputs.layers);
      const auto forward = layers[0].extras.norm.exists ? NormalizedForward<T> : Forward<T>;
      forward(layers, stack.Slice(arrays), threads);
      if (needs_cache) stack.cache.SetGapsToZero(layers, cache + stack.cache_begin);
    });
  }

 private:
  // The arrays of one layer that no other layer shares.
  static Status Arrays(OpKernelContext* context, const StackInputs& inputs, int l, PackedInputs<T>* packed,
                       ForwardArrays<T>* arrays) {
    const Layer& layer = inputs.layers[l];
    const int number = inputs.layers.size();
    RETURN_IF_ERROR(Allocate(context, 1 + l, {layer.batch, layer.units}, &arrays->c_last));
    RETURN_IF_ERROR(Allocate(context, 1 + number + l, {layer.batch, layer.outputs()}, &arrays->h_last));
    arrays->weights = inputs.LayerWeights<T>(l);
    arrays->c = inputs.c[l].flat<T>().data();
    arrays->h = inputs.h[l].flat<T>().data();
    std::copy_n(arrays->weights.bias, kGates, arrays->bias);
    arrays->extras = inputs.LayerExtraWeights<T>(l);
    return packed->SetPacked(context, l, layer, arrays);
  }
};

template <class T>
class BackwardOp : public StackOp<T> {
 public:
  using StackOp<T>::StackOp;

  void Work(OpKernelContext* context, const StackInputs& inputs, const typename StackOp<T>::Stacks& stacks,
            int64_t cache_size) override {
    const Tensor *outputs, *cache, *d_outputs;
    OP_REQUIRES_OK(context, context->input("outputs", &outputs));
    OP_REQUIRES_OK(context, context->input("cache", &cache));
    OP_REQUIRES_OK(context, context->input("d_outputs", &d_outputs));
    OP_REQUIRES_OK(context, ExpectShape("outputs", *outputs, inputs.OutputsShape()));
    OP_REQUIRES_OK(context, ExpectVectorLayout<T>("cache", *cache, cache_size));
    OP_REQUIRES_OK(context, ExpectShape("d_outputs", *d_outputs, inputs.OutputsShape()));
    const int number = inputs.layers.size();
    std::vector<BackwardArrays<T>> arrays(number);
    for (int l = 0; l < number; ++l) OP_REQUIRES_OK(context, Arrays(context, inputs, l, &arrays[l]));
    T* d_x;
    OP_REQUIRES_OK(context, Result(context, 0, inputs.x.shape(), context->output_required(0), &d_x));
    Scratch<T> scratch;
    const T* const cache_data = cache->flat<T>().data();
    for (const Stack<T>& stack : stacks) {
      for (int l = stack.first; l < stack.end; ++l) {
        const Layer& layer = inputs.layers[l];
        const bool is_above = l > stack.first;
        arrays[l].cache = cache_data + stack.CacheOf(l);
        arrays[l].x = is_above ? arrays[l - 1].outputs : inputs.x.flat<T>().data();
        arrays[l].outputs = stack.IsTop(l) ? outputs->flat<T>().data() + stack.column : cache_data + stack.OutputsOf(l);
        if (layer.residual) arrays[l].hidden = cache_data + stack.HiddenOf(l);
        if (stack.IsTop(l)) arrays[l].d_outputs = d_outputs->flat<T>().data() + stack.column;
        // Both stacks have gradients of x, which are added at the end.
        const bool needs_own = is_above || (d_x && stack.first > 0);
        arrays[l].d_x = needs_own ? scratch.Take(layer.steps * layer.batch * layer.inputs) : d_x;
        if (is_above) arrays[l - 1].d_outputs = arrays[l].d_x;
      }
    }
    ForEachStack(stacks, inputs.layers, OpThreads(context), [&](const Stack<T>& stack, const Threads& threads) {
      const auto backward = inputs.layers[0].extras.norm.exists ? NormalizedBackward<T> : Backward<T>;
      backward(stack.Slice(inputs.layers), stack.Slice(arrays), threads);
    });
    if (d_x && stacks.size() > 1) {
      AddNumbers(arrays[stacks[1].first].d_x, inputs.x.NumElements(), d_x, OpThreads(context));
    }
  }

 private:
  // The arrays of one layer that no other layer shares.
  static Status Arrays(OpKernelContext* context, const StackInputs& inputs, int l, BackwardArrays<T>* arrays) {
    const Layer& layer = inputs.layers[l];
    const int number = inputs.layers.size();
    OpInputList d_c_last, d_h_last;
    RETURN_IF_ERROR(context->input_list("d_c_last", &d_c_last));
    RETURN_IF_ERROR(context->input_list("d_h_last", &d_h_last));
    RETURN_IF_ERROR(ExpectShape("d_c_last", d_c_last[l], {layer.batch, layer.units}));
    RETURN_IF_ERROR(ExpectShape("d_h_last", d_h_last[l], {layer.batch, layer.outputs()}));
    arrays->c = inputs.c[l].flat<T>().data();
    arrays->h = inputs.h[l].flat<T>().data();
    arrays->d_c_last = d_c_last[l].flat<T>().data();
    arrays->d_h_last = d_h_last[l].flat<T>().data();
    arrays->weights = inputs.LayerWeights<T>(l);
    arrays->extras = inputs.LayerExtraWeights<T>(l);
    const int d_c = 1 + l, d_h = 1 + number + l;
    RETURN_IF_ERROR(Result(context, d_c, inputs.c[l].shape(), context->output_required(d_c), &arrays->d_c));
    RETURN_IF_ERROR(Result(context, d_h, inputs.h[l].shape(), context->output_required(d_h), &arrays->d_h));
    std::vector<T*> d_kernels, d_biases, d_peepholes, d_projection, d_norms, d_series[kSeriesCount];
    int first = 1 + 2 * number;
    RETURN_IF_ERROR(Results(context, &first, inputs.kernels[l], &d_kernels));
    RETURN_IF_ERROR(Results(context, &first, inputs.biases[l], &d_biases));
    RETURN_IF_ERROR(Results(context, &first, inputs.peepholes[l], &d_peepholes));
    RETURN_IF_ERROR(Results(context, &first, inputs.projections[l], &d_projection));
    RETURN_IF_ERROR(Results(context, &first, inputs.norms[l], &d_norms));
    for (int k = 0; k < kSeriesCount; ++k) {
      RETURN_IF_ERROR(Results(context, &first, inputs.series_inputs.series[k][l], &d_series[k]));
    }
    arrays->d_weights = MakeWeights<T>(layer, d_kernels, d_biases);
    arrays->d_extras = MakeExtraWeights<T>(d_peepholes, d_projection, d_norms, d_series);
    return Status();
  }
};

#define REGISTER(T)                                                                                            \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmPack").Device(DEVICE_CPU).TypeConstraint<T>("T"), PackOp<T>);       \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmForward").Device(DEVICE_CPU).TypeConstraint<T>("T"), ForwardOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmBackward").Device(DEVICE_CPU).TypeConstraint<T>("T"), BackwardOp<T>)

REGISTER(float);
REGISTER(double);

}  // namespace
}  // namespace stacked_lstm
