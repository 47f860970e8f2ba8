// The kernels as TensorFlow ops; op_definitions.cc says what these are.
//
// Packing the weights is an op of its own so that TensorFlow's constant folding does it once where they are constants,
// as in a frozen graph. Every size is checked here before a byte is read, whatever the shape functions know.

#include <algorithm>
#include <initializer_list>
#include <new>
#include <string>
#include <vector>

#include "lstm.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"

#define RETURN_IF_ERROR(...)                         \
  do {                                               \
    const ::tensorflow::Status made = (__VA_ARGS__); \
    if (!made.ok()) return made;                     \
  } while (0)

namespace stacked_lstm {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;

// TensorFlow's threads of the session. How many there are may be set per session.
Threads ThreadsOf(OpKernelContext* context) {
  const auto* workers = context->device()->tensorflow_cpu_worker_threads();
  return {workers->num_threads,
          [workers](std::function<void()> work) { workers->workers->Schedule(std::move(work)); }};
}

// Runs `work`, whose scratch memory may not be there.
template <class Work>
void WithMemory(OpKernelContext* context, Work work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    context->CtxFailure(tensorflow::errors::ResourceExhausted("StackedLstm: out of memory"));
  }
}

Status ExpectShape(const char* name, const Tensor& tensor, std::initializer_list<int64_t> sizes) {
  TensorShape expected;
  for (int64_t size : sizes) expected.AddDim(size);
  if (tensor.shape() == expected) return Status();
  return InvalidArgument("StackedLstm: expected `", name, "` of shape ", expected.DebugString(), ", got ",
                         tensor.shape().DebugString());
}

// Shapes of kernels, and what the sizes are by the first of them.
Status ReadKernels(const OpInputList& kernels, int64_t* inputs, int64_t* units) {
  if (kernels.size() != 1 && kernels.size() != kGates) {
    return InvalidArgument("StackedLstm: expected 1 or 4 `kernels`, got ", kernels.size());
  }
  if (kernels[0].dims() != 2) {
    return InvalidArgument("StackedLstm: expected `kernels` of rank 2, got shape ", kernels[0].shape().DebugString());
  }
  const int64_t columns = kernels[0].dim_size(1), gates = kernels.size() == 1 ? kGates : 1;
  *units = columns / gates;
  *inputs = kernels[0].dim_size(0) - *units;
  if (*units == 0 || columns % gates || *inputs < 0) {
    return InvalidArgument("StackedLstm: expected `kernels` of shape [H + I, ", gates == 1 ? "" : "4 ", "H], got ",
                           kernels[0].shape().DebugString());
  }
  for (int k = 1; k < kernels.size(); ++k) {
    RETURN_IF_ERROR(ExpectShape("kernels", kernels[k], {*inputs + *units, *units}));
  }
  return Status();
}

// Where the gates are in 1 or 4 kernels and in 0, 1 or 4 biases.
template <class T, class KernelOf, class BiasOf>
Weights<T> WeightsOf(int64_t inputs, int64_t units, int kernels, int biases, KernelOf kernel_of, BiasOf bias_of) {
  Weights<T> weights = {};
  const bool fused = kernels == 1;
  weights.stride = fused ? kGates * units : units;
  weights.h_row = fused ? inputs : 0;
  weights.x_row = fused ? 0 : units;
  for (int gate = 0; gate < kGates; ++gate) {
    T* const kernel = kernel_of(fused ? 0 : gate);
    T* const bias = biases ? bias_of(biases == 1 ? 0 : gate) : nullptr;
    weights.kernel[gate] = kernel && fused ? kernel + gate * units : kernel;
    weights.bias[gate] = bias && biases == 1 ? bias + gate * units : bias;
  }
  return weights;
}

template <class T>
Weights<const T> WeightsOf(const OpInputList& kernels, const OpInputList& biases, int64_t inputs, int64_t units) {
  return WeightsOf<const T>(
      inputs, units, kernels.size(), biases.size(), [&](int k) { return kernels[k].flat<T>().data(); },
      [&](int k) { return biases[k].flat<T>().data(); });
}

template <class T>
class PackOp : public OpKernel {
 public:
  explicit PackOp(OpKernelConstruction* construction) : OpKernel(construction) {}

  void Compute(OpKernelContext* context) override {
    OpInputList kernels;
    int64_t inputs, units;
    OP_REQUIRES_OK(context, context->input_list("kernels", &kernels));
    OP_REQUIRES_OK(context, ReadKernels(kernels, &inputs, &units));
    Tensor* packed = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({PackedSize(inputs, units)}), &packed));
    const Weights<const T> weights = WeightsOf<T>(kernels, OpInputList(), inputs, units);
    Pack<T>(inputs, units, weights, packed->flat<T>().data(), ThreadsOf(context));
  }
};

Status ActivationByName(const std::string& name, Activation* activation) {
  static const struct {
    const char* name;
    Activation activation;
  } kActivations[] = {{"tanh", Activation::kTanh},
                      {"sigmoid", Activation::kSigmoid},
                      {"hard_sigmoid", Activation::kHardSigmoid},
                      {"hard_sigmoid_6", Activation::kHardSigmoid6},
                      {"relu", Activation::kRelu},
                      {"linear", Activation::kLinear}};
  for (const auto& known : kActivations) {
    if (name == known.name) {
      *activation = known.activation;
      return Status();
    }
  }
  return InvalidArgument("StackedLstm: expected a known activation, got '", name, "'");
}

// What the forward and the backward op have in common: their first inputs.
class LayerOp : public OpKernel {
 public:
  explicit LayerOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::string name;
    OP_REQUIRES_OK(construction, construction->GetAttr("activation", &name));
    OP_REQUIRES_OK(construction, ActivationByName(name, &candidate_));
    OP_REQUIRES_OK(construction, construction->GetAttr("recurrent_activation", &name));
    OP_REQUIRES_OK(construction, ActivationByName(name, &gates_));
  }

 protected:
  Status Read(OpKernelContext* context, Layer* layer, OpInputList* kernels, OpInputList* biases) const {
    const Tensor &x = context->input(0), &c = context->input(1), &h = context->input(2);
    OpInputList lengths;
    RETURN_IF_ERROR(context->input_list("lengths", &lengths));
    RETURN_IF_ERROR(context->input_list("kernels", kernels));
    RETURN_IF_ERROR(context->input_list("biases", biases));
    if (x.dims() != 3) {
      return InvalidArgument("StackedLstm: expected `x` of rank 3, got shape ", x.shape().DebugString());
    }
    *layer = {x.dim_size(0), x.dim_size(1), x.dim_size(2), 0, candidate_, gates_, nullptr};
    int64_t inputs;
    RETURN_IF_ERROR(ReadKernels(*kernels, &inputs, &layer->units));
    if (inputs != layer->inputs) {
      return InvalidArgument("StackedLstm: expected `x` [T, B, I] with I = ", inputs, " as in `kernels`, got shape ",
                             x.shape().DebugString());
    }
    RETURN_IF_ERROR(ExpectShape("c", c, {layer->batch, layer->units}));
    RETURN_IF_ERROR(ExpectShape("h", h, {layer->batch, layer->units}));
    if (biases->size() > 1 && biases->size() != kGates) {
      return InvalidArgument("StackedLstm: expected 0, 1 or 4 `biases`, got ", biases->size());
    }
    for (int k = 0; k < biases->size(); ++k) {
      const int64_t size = biases->size() == 1 ? kGates * layer->units : layer->units;
      RETURN_IF_ERROR(ExpectShape("biases", (*biases)[k], {size}));
    }
    return ReadLengths(lengths, layer);
  }

 private:
  static Status ReadLengths(const OpInputList& lengths, Layer* layer) {
    if (lengths.size() == 0) return Status();
    if (lengths.size() > 1) return InvalidArgument("StackedLstm: expected 0 or 1 `lengths`, got ", lengths.size());
    RETURN_IF_ERROR(ExpectShape("lengths", lengths[0], {layer->batch}));
    layer->lengths = lengths[0].flat<tensorflow::int32>().data();
    for (int64_t b = 0; b < layer->batch; ++b) {
      if (layer->lengths[b] < 0 || layer->lengths[b] > layer->steps) {
        return InvalidArgument("StackedLstm: expected `lengths` from 0 to ", layer->steps, ", got ", layer->lengths[b]);
      }
    }
    return Status();
  }

  Activation candidate_, gates_;
};

template <class T>
class ForwardOp : public LayerOp {
 public:
  using LayerOp::LayerOp;

  void Compute(OpKernelContext* context) override {
    Layer layer;
    OpInputList kernels, biases;
    OP_REQUIRES_OK(context, Read(context, &layer, &kernels, &biases));
    const Tensor& packed = context->input(context->num_inputs() - 1);
    OP_REQUIRES_OK(context, ExpectShape("packed", packed, {PackedSize(layer.inputs, layer.units)}));
    const bool keep = context->output_required(3);
    const int64_t cached = keep ? CacheSize<T>(layer.steps, layer.batch, layer.units) : 0;
    const TensorShape state({layer.batch, layer.units});
    Tensor *outputs, *c_last, *h_last, *cache;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, TensorShape({layer.steps, layer.batch, layer.units}), &outputs));
    OP_REQUIRES_OK(context, context->allocate_output(1, state, &c_last));
    OP_REQUIRES_OK(context, context->allocate_output(2, state, &h_last));
    OP_REQUIRES_OK(context, context->allocate_output(3, TensorShape({cached}), &cache));
    ForwardArrays<T> arrays = {};
    arrays.packed = packed.flat<T>().data();
    const Weights<const T> weights = WeightsOf<T>(kernels, biases, layer.inputs, layer.units);
    std::copy_n(weights.bias, kGates, arrays.bias);
    arrays.x = context->input(0).flat<T>().data();
    arrays.c = context->input(1).flat<T>().data();
    arrays.h = context->input(2).flat<T>().data();
    arrays.outputs = outputs->flat<T>().data();
    arrays.c_last = c_last->flat<T>().data();
    arrays.h_last = h_last->flat<T>().data();
    arrays.cache = keep ? cache->flat<T>().data() : nullptr;
    WithMemory(context, [&] { Forward<T>(layer, arrays, ThreadsOf(context)); });
  }
};

template <class T>
class BackwardOp : public LayerOp {
 public:
  using LayerOp::LayerOp;

  void Compute(OpKernelContext* context) override {
    Layer layer;
    OpInputList kernels, biases;
    OP_REQUIRES_OK(context, Read(context, &layer, &kernels, &biases));
    const int first = context->num_inputs() - 5;
    const Tensor &outputs = context->input(first), &cache = context->input(first + 1);
    const Tensor &d_outputs = context->input(first + 2), &d_c_last = context->input(first + 3);
    const Tensor& d_h_last = context->input(first + 4);
    OP_REQUIRES_OK(context, ExpectShape("outputs", outputs, {layer.steps, layer.batch, layer.units}));
    OP_REQUIRES_OK(context, ExpectShape("cache", cache, {CacheSize<T>(layer.steps, layer.batch, layer.units)}));
    OP_REQUIRES_OK(context, ExpectShape("d_outputs", d_outputs, {layer.steps, layer.batch, layer.units}));
    OP_REQUIRES_OK(context, ExpectShape("d_c_last", d_c_last, {layer.batch, layer.units}));
    OP_REQUIRES_OK(context, ExpectShape("d_h_last", d_h_last, {layer.batch, layer.units}));
    BackwardArrays<T> arrays = {};
    arrays.weights = WeightsOf<T>(kernels, biases, layer.inputs, layer.units);
    arrays.x = context->input(0).flat<T>().data();
    arrays.c = context->input(1).flat<T>().data();
    arrays.h = context->input(2).flat<T>().data();
    arrays.outputs = outputs.flat<T>().data();
    arrays.cache = cache.flat<T>().data();
    arrays.d_outputs = d_outputs.flat<T>().data();
    arrays.d_c_last = d_c_last.flat<T>().data();
    arrays.d_h_last = d_h_last.flat<T>().data();
    T** const of_states[] = {&arrays.d_x, &arrays.d_c, &arrays.d_h};
    for (int k = 0; k < 3; ++k) OP_REQUIRES_OK(context, Result(context, k, context->input(k).shape(), of_states[k]));
    std::vector<T*> of_weights(kernels.size() + biases.size());
    OP_REQUIRES_OK(context, Results(context, 3, kernels, of_weights.data()));
    OP_REQUIRES_OK(context, Results(context, 3 + kernels.size(), biases, of_weights.data() + kernels.size()));
    arrays.d_weights = WeightsOf<T>(
        layer.inputs, layer.units, kernels.size(), biases.size(), [&](int k) { return of_weights[k]; },
        [&](int k) { return of_weights[kernels.size() + k]; });
    WithMemory(context, [&] { Backward<T>(layer, arrays, ThreadsOf(context)); });
  }

 private:
  // Memory for an output of the shape of what it is the gradient of.
  static Status Allocate(OpKernelContext* context, int output, const TensorShape& shape, T** data) {
    Tensor* tensor = nullptr;
    RETURN_IF_ERROR(context->allocate_output(output, shape, &tensor));
    *data = tensor->flat<T>().data();
    return Status();
  }

  // The same if something reads the output.
  static Status Result(OpKernelContext* context, int output, const TensorShape& shape, T** data) {
    if (context->output_required(output)) return Allocate(context, output, shape, data);
    RETURN_IF_ERROR(Allocate(context, output, TensorShape({0}), data));
    *data = nullptr;
    return Status();
  }

  // The same for all outputs of a list, if something reads any.
  static Status Results(OpKernelContext* context, int first, const OpInputList& like, T** data) {
    bool any = false;
    for (int k = 0; k < like.size(); ++k) any |= context->output_required(first + k);
    for (int k = 0; k < like.size(); ++k) {
      RETURN_IF_ERROR(Allocate(context, first + k, any ? like[k].shape() : TensorShape({0}), &data[k]));
      if (!any) data[k] = nullptr;
    }
    return Status();
  }
};

#define REGISTER(T)                                                                                        \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmPack").Device(DEVICE_CPU).TypeConstraint<T>("T"), PackOp<T>);       \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmForward").Device(DEVICE_CPU).TypeConstraint<T>("T"), ForwardOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmBackward").Device(DEVICE_CPU).TypeConstraint<T>("T"), BackwardOp<T>)

REGISTER(float);
REGISTER(double);

}  // namespace
}  // namespace stacked_lstm
