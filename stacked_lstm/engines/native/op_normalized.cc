// The kernels of the ops StackedLstmNormalizedForward and StackedLstmNormalizedBackward.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "normalization.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_kernel.h"
#include "op_packed.h"
#include "op_stack_inputs.h"
#include "op_threads.h"

namespace stacked_lstm {
namespace {

constexpr const char* kNormNames[] = {"gate_gain", "gate_shift", "cell_gain", "cell_shift"};

// The inputs that both ops share, checked.
template <class T>
struct NormalizedInputs {
  Status Read(OpKernelContext* context, Activation candidate, Activation gates, bool from_end) {
    stack.from_end = from_end;
    RETURN_IF_ERROR(stack.Read(context, candidate, gates, false));
    const int64_t units = layer().units;
    for (int k = 0; k < 4; ++k) {
      const std::vector<int64_t> gate_shape = {kGates, units}, cell_shape = {units};
      RETURN_IF_ERROR(context->input(kNormNames[k], &norms[k]));
      RETURN_IF_ERROR(ExpectShape(kNormNames[k], *norms[k], k < 2 ? gate_shape : cell_shape));
    }
    RETURN_IF_ERROR(context->input("epsilon", &epsilon));
    RETURN_IF_ERROR(ExpectShape("epsilon", *epsilon, {}));
    TensorShape bound;  // An upper bound of the size of the cache: it has at most 12 numbers for each unit.
    const int64_t width = std::max(units, layer().outputs()) + VectorSize<T>();
    return MakeShape({layer().steps, layer().batch, width, 12}, &bound);
  }

  // Reads another input, and checks its shape.
  Status Array(OpKernelContext* context, const char* name, absl::Span<const int64_t> shape, const T** data) const {
    const Tensor* tensor;
    RETURN_IF_ERROR(context->input(name, &tensor));
    RETURN_IF_ERROR(ExpectShape(name, *tensor, shape));
    *data = tensor->flat<T>().data();
    return Status();
  }

  const Layer& layer() const { return stack.layers[0]; }
  Normalization Kind(bool is_carried) const { return {static_cast<double>(epsilon->scalar<T>()()), is_carried}; }
  std::array<int64_t, 2> CShape() const { return {{layer().batch, layer().units}}; }
  std::array<int64_t, 2> HShape() const { return {{layer().batch, layer().outputs()}}; }
  NormWeights<const T> Norms() const {
    const auto data = [this](int k) { return norms[k]->template flat<T>().data(); };
    return {data(0), data(1), data(2), data(3)};
  }

  StackInputs stack;  // Of one layer.
  const Tensor *epsilon, *norms[4];
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
    OP_REQUIRES_OK(construction, construction->GetAttr("from_end", &from_end_));
  }

  void Compute(OpKernelContext* context) final {
    CatchOutOfMemory(context, [&] {
      NormalizedInputs<T> inputs;
      OP_REQUIRES_OK(context, inputs.Read(context, candidate_, gates_, from_end_));
      OP_REQUIRES_OK(context, Work(context, inputs, inputs.Kind(is_carried_)));
    });
  }

 protected:
  virtual Status Work(OpKernelContext* context, const NormalizedInputs<T>& inputs, const Normalization& kind) = 0;

 private:
  Activation candidate_, gates_;
  bool is_carried_, from_end_;
};

template <class T>
class NormalizedForwardOp : public NormalizedOp<T> {
 public:
  using NormalizedOp<T>::NormalizedOp;

  Status Work(OpKernelContext* context, const NormalizedInputs<T>& inputs, const Normalization& kind) override {
    const Layer& layer = inputs.layer();
    const bool needs_cache = context->output_required(3);
    ForwardArrays<T> arrays = {};
    RETURN_IF_ERROR(Allocate(context, 0, inputs.stack.OutputsShape(), &arrays.outputs));
    RETURN_IF_ERROR(Allocate(context, 1, inputs.CShape(), &arrays.c_last));
    RETURN_IF_ERROR(Allocate(context, 2, inputs.HShape(), &arrays.h_last));
    T* cache;
    const int64_t cache_size = needs_cache ? NormalizedCacheSize<T>(layer) : 0;
    RETURN_IF_ERROR(AllocateCache(context, 3, cache_size, &cache));
    arrays.cache = needs_cache ? cache : nullptr;
    arrays.x = inputs.stack.x.template flat<T>().data();
    arrays.c = inputs.stack.c[0].template flat<T>().data();
    arrays.h = inputs.stack.h[0].template flat<T>().data();
    arrays.extras = inputs.stack.template LayerExtraWeights<T>(0);
    arrays.weights = inputs.stack.template LayerWeights<T>(0);
    PackedInputs<T> packed;
    RETURN_IF_ERROR(packed.Read(context, 1));
    RETURN_IF_ERROR(packed.SetPacked(context, 0, layer, &arrays));
    NormalizedForward<T>(layer, kind, arrays, inputs.Norms(), OpThreads(context));
    return Status();
  }
};

template <class T>
class NormalizedBackwardOp : public NormalizedOp<T> {
 public:
  using NormalizedOp<T>::NormalizedOp;

  Status Work(OpKernelContext* context, const NormalizedInputs<T>& inputs, const Normalization& kind) override {
    const Layer& layer = inputs.layer();
    const StackInputs& stack = inputs.stack;
    const Tensor* cache;
    BackwardArrays<T> arrays = {};
    RETURN_IF_ERROR(context->input("cache", &cache));
    RETURN_IF_ERROR(ExpectVectorLayout<T>("cache", *cache, NormalizedCacheSize<T>(layer)));
    RETURN_IF_ERROR(inputs.Array(context, "outputs", stack.OutputsShape(), &arrays.outputs));
    RETURN_IF_ERROR(inputs.Array(context, "d_outputs", stack.OutputsShape(), &arrays.d_outputs));
    RETURN_IF_ERROR(inputs.Array(context, "d_c_last", inputs.CShape(), &arrays.d_c_last));
    RETURN_IF_ERROR(inputs.Array(context, "d_h_last", inputs.HShape(), &arrays.d_h_last));
    arrays.cache = cache->flat<T>().data();
    arrays.x = stack.x.template flat<T>().data();
    arrays.c = stack.c[0].template flat<T>().data();
    arrays.h = stack.h[0].template flat<T>().data();
    arrays.extras = stack.template LayerExtraWeights<T>(0);
    arrays.weights = stack.template LayerWeights<T>(0);
    const auto is_required = [context](int k) { return context->output_required(k); };
    RETURN_IF_ERROR(Result(context, 0, stack.x.shape(), is_required(0), &arrays.d_x));
    RETURN_IF_ERROR(Result(context, 1, stack.c[0].shape(), is_required(1), &arrays.d_c));
    RETURN_IF_ERROR(Result(context, 2, stack.h[0].shape(), is_required(2), &arrays.d_h));
    int output = 3;
    bool any_norm = false;
    std::vector<T*> d_kernels, d_peepholes, d_projection, d_series[kSeriesCount];
    RETURN_IF_ERROR(Results(context, &output, stack.kernels[0], &d_kernels));
    arrays.d_weights = MakeWeights<T>(layer, d_kernels, {});
    for (int k = 0; k < 4; ++k) any_norm |= is_required(output + k);
    NormWeights<T> d_norms;
    T** const d_norm[] = {&d_norms.gate_gain, &d_norms.gate_shift, &d_norms.cell_gain, &d_norms.cell_shift};
    for (int k = 0; k < 4; ++k, ++output) {
      RETURN_IF_ERROR(Result(context, output, inputs.norms[k]->shape(), any_norm, d_norm[k]));
    }
    RETURN_IF_ERROR(Results(context, &output, stack.peepholes[0], &d_peepholes));
    RETURN_IF_ERROR(Results(context, &output, stack.projections[0], &d_projection));
    for (int k = 0; k < kSeriesCount; ++k) {
      RETURN_IF_ERROR(Results(context, &output, stack.series_inputs.series[k][0], &d_series[k]));
    }
    arrays.d_extras = MakeExtraWeights<T>(d_peepholes, d_projection, d_series);
    NormalizedBackward<T>(layer, kind, arrays, inputs.Norms(), d_norms, OpThreads(context));
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
