// The ops StackedLstmNormalizedForward and StackedLstmNormalizedBackward: one layer with layer normalization.
//
// Kernels and lengths are as in op_definitions.cc. gate_gain and gate_shift are [4, H], cell_gain and cell_shift [H].
// epsilon is a scalar. It is not an attribute, because attributes are float32. The series and resets of op_series.h
// follow.

#include <algorithm>
#include <string>
#include <vector>

#include "buffer.h"
#include "normalization.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_kernel.h"
#include "op_series.h"
#include "op_shapes.h"
#include "tensorflow/core/framework/op.h"

namespace stacked_lstm {
namespace {

constexpr const char* kNormNames[] = {"gate_gain", "gate_shift", "cell_gain", "cell_shift"};

// Merges the sizes of the shared inputs. Sets the indices of the first kernel and of the input after the resets.
Status MergeNormalized(InferenceContext* c, int* first_kernel, int* next_input, Sizes* sizes) {
  int lengths, kernels;
  RETURN_IF_ERROR(c->GetAttr("number_of_lengths", &lengths));
  RETURN_IF_ERROR(c->GetAttr("number_of_kernels", &kernels));
  DimensionHandle gates = c->MakeDim(kGates);
  *sizes = {c->UnknownDim(), c->UnknownDim(), c->UnknownDim(), {c->UnknownDim()}, {}};
  DimensionHandle *const batch = &sizes->batch, *const units = &sizes->units[0];
  RETURN_IF_ERROR(MergeShape(c, 0, {&sizes->steps, batch, &sizes->inputs}));
  RETURN_IF_ERROR(MergeShape(c, 1, {batch, units}));
  RETURN_IF_ERROR(MergeShape(c, 2, {batch, units}));
  *first_kernel = 3 + lengths;
  for (int k = 3; k < *first_kernel; ++k) {  // As in op_definitions.cc, an unknown rank is not merged.
    if (c->RankKnown(c->input(k))) RETURN_IF_ERROR(MergeShape(c, k, {batch}));
  }
  const int norms = *first_kernel + kernels;
  for (int k = norms; k < norms + 2; ++k) RETURN_IF_ERROR(MergeShape(c, k, {&gates, units}));
  for (int k = norms + 2; k < norms + 4; ++k) RETURN_IF_ERROR(MergeShape(c, k, {units}));
  RETURN_IF_ERROR(MergeShape(c, norms + 4, {}));
  *next_input = norms + 5;
  RETURN_IF_ERROR(MergeAllSeries(c, next_input, sizes));
  DimensionHandle outputs = *units;
  return MergeWeights(c, *first_kernel, kernels, 0, 0, &sizes->inputs, units, &outputs);
}

#define NORMALIZED_INPUTS                          \
  .Input("x: T")                                   \
      .Input("c: T")                               \
      .Input("h: T")                               \
      .Input("lengths: number_of_lengths * int32") \
      .Input("kernels: number_of_kernels * T")     \
      .Input("gate_gain: T")                       \
      .Input("gate_shift: T")                      \
      .Input("cell_gain: T")                       \
      .Input("cell_shift: T")                      \
      .Input("epsilon: T")                         \
      SERIES_INPUTS

#define NORMALIZED_ATTRIBUTES              \
  .Attr("T: {float, double}")              \
      .Attr("number_of_kernels: int >= 1") \
      .Attr("number_of_lengths: int >= 0") \
      SERIES_ATTRIBUTES                    \
      .Attr("is_carried: bool")            \
      .Attr("activation: string")          \
      .Attr("recurrent_activation: string")

REGISTER_OP("StackedLstmNormalizedForward")
NORMALIZED_INPUTS.Input("packed: T")
    .Output("outputs: T")
    .Output("c_last: T")
    .Output("h_last: T")
    .Output("cache: T") NORMALIZED_ATTRIBUTES
    .SetShapeFn([](InferenceContext* c) {
      int first_kernel, next_input;
      Sizes sizes;
      RETURN_IF_ERROR(MergeNormalized(c, &first_kernel, &next_input, &sizes));
      c->set_output(0, c->MakeShape({sizes.steps, sizes.batch, sizes.units[0]}));
      for (int k : {1, 2}) c->set_output(k, c->Matrix(sizes.batch, sizes.units[0]));
      c->set_output(3, c->UnknownShape());  // It depends on the processor.
      return Status();
    })
    .Doc("An LSTM layer with layer normalization over time. `cache` is made where something reads it.");

REGISTER_OP("StackedLstmNormalizedBackward")
NORMALIZED_INPUTS.Input("outputs: T")
    .Input("cache: T")
    .Input("d_outputs: T")
    .Input("d_c_last: T")
    .Input("d_h_last: T")
    .Output("d_x: T")
    .Output("d_c: T")
    .Output("d_h: T")
    .Output("d_kernels: number_of_kernels * T")
    .Output("d_gate_gain: T")
    .Output("d_gate_shift: T")
    .Output("d_cell_gain: T")
    .Output("d_cell_shift: T")
    SERIES_GRADIENTS NORMALIZED_ATTRIBUTES
    .SetShapeFn([](InferenceContext* c) {
      int first_kernel, next_input, series;
      Sizes sizes;
      RETURN_IF_ERROR(MergeNormalized(c, &first_kernel, &next_input, &sizes));
      DimensionHandle *const batch = &sizes.batch, *const units = &sizes.units[0];
      for (int k : {0, 2}) RETURN_IF_ERROR(MergeShape(c, next_input + k, {&sizes.steps, batch, units}));
      for (int k : {3, 4}) RETURN_IF_ERROR(MergeShape(c, next_input + k, {batch, units}));
      RETURN_IF_ERROR(CountSeries(c, &series));
      c->set_output(0, c->MakeShape({sizes.steps, *batch, sizes.inputs}));
      for (int k : {1, 2}) c->set_output(k, c->Matrix(*batch, *units));
      const int first_d_series = c->num_outputs() - series;
      for (int k = 3; k < c->num_outputs(); ++k) {  // epsilon is between the norms and the series.
        c->set_output(k, c->input(first_kernel + k - 3 + (k >= first_d_series)));
      }
      return Status();
    })
    .Doc("The gradient of StackedLstmNormalizedForward. Results that nothing reads are not made.");

// The inputs that both ops share, checked.
template <class T>
struct NormalizedInputs {
  NormalizedInputs() = default;
  NormalizedInputs(const NormalizedInputs&) = delete;  // `layer` and `kernels` point into it.

  Status Read(OpKernelContext* context, Activation candidate, Activation gates) {
    RETURN_IF_ERROR(Array(context, "x", &x));
    RETURN_IF_ERROR(Array(context, "c", &c));
    RETURN_IF_ERROR(Array(context, "h", &h));
    RETURN_IF_ERROR(Array(context, "epsilon", &epsilon));
    RETURN_IF_ERROR(context->input_list("kernels", &kernel_list));
    if (x->dims() != 3) {
      return InvalidArgument("StackedLstm: expected `x` of rank 3, got shape ", x->shape().DebugString());
    }
    std::vector<TensorRange> ranges;
    RETURN_IF_ERROR(SplitByLayer("kernels", kernel_list, 1, {1, kGates}, &ranges));
    kernels = ranges[0];
    layer = {x->dim_size(0), x->dim_size(1), x->dim_size(2), 0, candidate, gates, nullptr};
    RETURN_IF_ERROR(ReadLengths(context, layer.steps, layer.batch, &lengths));
    if (!lengths.empty()) layer.lengths = lengths.data();
    RETURN_IF_ERROR(ReadSizes(kernels, {nullptr, 0, 0}, &layer));
    if (layer.inputs != x->dim_size(2)) {
      return InvalidArgument("StackedLstm: expected inputs of width ", layer.inputs,
                             ", as the kernels have, got width ", x->dim_size(2));
    }
    RETURN_IF_ERROR(ExpectShape("c", *c, {layer.batch, layer.units}));
    RETURN_IF_ERROR(ExpectShape("h", *h, {layer.batch, layer.units}));
    RETURN_IF_ERROR(ExpectShape("epsilon", *epsilon, {}));
    for (int k = 0; k < 4; ++k) {
      RETURN_IF_ERROR(Array(context, kNormNames[k], &norms[k]));
      const std::vector<int64_t> gate_shape = {kGates, layer.units}, cell_shape = {layer.units};
      RETURN_IF_ERROR(ExpectShape(kNormNames[k], *norms[k], k < 2 ? gate_shape : cell_shape));
    }
    RETURN_IF_ERROR(series_inputs.Read(context, 1));
    RETURN_IF_ERROR(series_inputs.Describe(0, &layer));
    TensorShape bound;  // An upper bound of the size of the cache: it has at most 11 numbers for each unit.
    return MakeShape({layer.steps, layer.batch, layer.units + VectorSize<T>(), 11}, &bound);
  }

  static Status Array(OpKernelContext* context, const char* name, const Tensor** tensor) {
    return context->input(name, tensor);
  }
  // Reads another input, and checks its shape.
  Status Array(OpKernelContext* context, const char* name, const std::vector<int64_t>& shape, const T** data) const {
    const Tensor* tensor;
    RETURN_IF_ERROR(context->input(name, &tensor));
    RETURN_IF_ERROR(ExpectShape(name, *tensor, shape));
    *data = tensor->flat<T>().data();
    return Status();
  }

  Normalization Kind(bool is_carried) const { return {static_cast<double>(epsilon->scalar<T>()()), is_carried}; }
  std::vector<int64_t> StateShape() const { return {layer.batch, layer.units}; }
  std::vector<int64_t> OutputsShape() const { return {layer.steps, layer.batch, layer.units}; }
  NormWeights<const T> Norms() const {
    const auto data = [this](int k) { return norms[k]->template flat<T>().data(); };
    return {data(0), data(1), data(2), data(3)};
  }

  ExtraWeights<const T> Series() const {
    std::vector<const T*> data[kSeriesCount];
    series_inputs.Data(0, data);
    return MakeExtraWeights<const T>({}, {}, data);
  }

  Layer layer = {};
  const Tensor *x, *c, *h, *epsilon, *norms[4];
  OpInputList kernel_list;
  TensorRange kernels;
  SeriesInputs series_inputs;
  std::vector<int32_t> lengths;
};

template <class T>
class NormalizedOp : public tensorflow::OpKernel {
 public:
  explicit NormalizedOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::string name;
    OP_REQUIRES_OK(construction, construction->GetAttr("activation", &name));
    OP_REQUIRES_OK(construction, ActivationByName(name, &candidate_));
    OP_REQUIRES_OK(construction, construction->GetAttr("recurrent_activation", &name));
    OP_REQUIRES_OK(construction, ActivationByName(name, &gates_));
    OP_REQUIRES_OK(construction, construction->GetAttr("is_carried", &is_carried_));
  }

  void Compute(OpKernelContext* context) final {
    CatchOutOfMemory(context, [&] {
      NormalizedInputs<T> inputs;
      OP_REQUIRES_OK(context, inputs.Read(context, candidate_, gates_));
      OP_REQUIRES_OK(context, Work(context, inputs, inputs.Kind(is_carried_)));
    });
  }

 protected:
  virtual Status Work(OpKernelContext* context, const NormalizedInputs<T>& inputs, const Normalization& kind) = 0;

 private:
  Activation candidate_, gates_;
  bool is_carried_;
};

template <class T>
class NormalizedForwardOp : public NormalizedOp<T> {
 public:
  using NormalizedOp<T>::NormalizedOp;

  Status Work(OpKernelContext* context, const NormalizedInputs<T>& inputs, const Normalization& kind) override {
    const Layer& layer = inputs.layer;
    const bool needs_cache = context->output_required(3);
    const Tensor* packed;
    ForwardArrays<T> arrays = {};
    RETURN_IF_ERROR(context->input("packed", &packed));
    const Buffer<T> own_packed(packed->NumElements() ? 0 : PackedSize<T>(layer));  // Only constants come packed.
    if (packed->NumElements()) {
      RETURN_IF_ERROR(ExpectVectorLayout<T>("packed", *packed, PackedSize<T>(layer)));
      arrays.packed = packed->flat<T>().data();
    } else {
      const Weights<const T> weights = MakeWeights<const T>(layer, DataPointers<T>(inputs.kernels), {});
      Pack<T>(layer, weights, nullptr, own_packed.get(), SessionThreads(context));
      arrays.packed = own_packed.get();
    }
    RETURN_IF_ERROR(Allocate(context, 0, inputs.OutputsShape(), &arrays.outputs));
    RETURN_IF_ERROR(Allocate(context, 1, inputs.StateShape(), &arrays.c_last));
    RETURN_IF_ERROR(Allocate(context, 2, inputs.StateShape(), &arrays.h_last));
    T* cache;
    const int64_t cache_size = needs_cache ? NormalizedCacheSize<T>(layer) : 0;
    RETURN_IF_ERROR(AllocateCache(context, 3, cache_size, &cache));
    arrays.cache = needs_cache ? cache : nullptr;
    arrays.x = inputs.x->template flat<T>().data();
    arrays.c = inputs.c->template flat<T>().data();
    arrays.h = inputs.h->template flat<T>().data();
    arrays.extras = inputs.Series();
    NormalizedForward<T>(layer, kind, arrays, inputs.Norms(), SessionThreads(context));
    return Status();
  }
};

template <class T>
class NormalizedBackwardOp : public NormalizedOp<T> {
 public:
  using NormalizedOp<T>::NormalizedOp;

  Status Work(OpKernelContext* context, const NormalizedInputs<T>& inputs, const Normalization& kind) override {
    const Layer& layer = inputs.layer;
    const Tensor* cache;
    BackwardArrays<T> arrays = {};
    RETURN_IF_ERROR(context->input("cache", &cache));
    RETURN_IF_ERROR(ExpectVectorLayout<T>("cache", *cache, NormalizedCacheSize<T>(layer)));
    RETURN_IF_ERROR(inputs.Array(context, "outputs", inputs.OutputsShape(), &arrays.outputs));
    RETURN_IF_ERROR(inputs.Array(context, "d_outputs", inputs.OutputsShape(), &arrays.d_outputs));
    RETURN_IF_ERROR(inputs.Array(context, "d_c_last", inputs.StateShape(), &arrays.d_c_last));
    RETURN_IF_ERROR(inputs.Array(context, "d_h_last", inputs.StateShape(), &arrays.d_h_last));
    arrays.cache = cache->flat<T>().data();
    arrays.x = inputs.x->template flat<T>().data();
    arrays.c = inputs.c->template flat<T>().data();
    arrays.h = inputs.h->template flat<T>().data();
    arrays.extras = inputs.Series();
    arrays.weights = MakeWeights<const T>(layer, DataPointers<T>(inputs.kernels), {});
    const auto is_required = [context](int k) { return context->output_required(k); };
    RETURN_IF_ERROR(Result(context, 0, inputs.x->shape(), is_required(0), &arrays.d_x));
    RETURN_IF_ERROR(Result(context, 1, inputs.c->shape(), is_required(1), &arrays.d_c));
    RETURN_IF_ERROR(Result(context, 2, inputs.h->shape(), is_required(2), &arrays.d_h));
    int output = 3;
    bool any_norm = false;
    std::vector<T*> d_kernels, d_series[kSeriesCount];
    RETURN_IF_ERROR(Results(context, &output, inputs.kernels, &d_kernels));
    arrays.d_weights = MakeWeights<T>(layer, d_kernels, {});
    for (int k = 0; k < 4; ++k) any_norm |= is_required(output + k);
    NormWeights<T> d_norms;
    T** const d_norm[] = {&d_norms.gate_gain, &d_norms.gate_shift, &d_norms.cell_gain, &d_norms.cell_shift};
    for (int k = 0; k < 4; ++k, ++output) {
      RETURN_IF_ERROR(Result(context, output, inputs.norms[k]->shape(), any_norm, d_norm[k]));
    }
    for (int k = 0; k < kSeriesCount; ++k) {
      RETURN_IF_ERROR(Results(context, &output, inputs.series_inputs.series[k][0], &d_series[k]));
    }
    arrays.d_extras = MakeExtraWeights<T>({}, {}, d_series);
    NormalizedBackward<T>(layer, kind, arrays, inputs.Norms(), d_norms, SessionThreads(context));
    return Status();
  }
};

#define REGISTER_NORMALIZED(T)                                                                     \
  REGISTER_KERNEL_BUILDER(                                                                         \
      Name("StackedLstmNormalizedForward").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),  \
      NormalizedForwardOp<T>);                                                                     \
  REGISTER_KERNEL_BUILDER(                                                                         \
      Name("StackedLstmNormalizedBackward").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
      NormalizedBackwardOp<T>)

REGISTER_NORMALIZED(float);
REGISTER_NORMALIZED(double);

}  // namespace
}  // namespace stacked_lstm
