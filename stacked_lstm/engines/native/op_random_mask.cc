// The ops StackedLstmRandomMask and StackedLstmStatelessRandomMask. They draw what TensorFlow's ops RandomUniform and
// StatelessRandomUniform draw with the same seeds, also when they run again.
//
// Exported graphs contain these ops. A change of inputs, attributes or results therefore needs an op of another name.

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <random>
#include <vector>

#include "op_kernel.h"
#include "op_ones.h"
#include "op_shapes.h"
#include "op_status.h"
#include "op_threads.h"
#include "random_mask.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace stacked_lstm {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;

Status InferMaskShape(InferenceContext* c) {
  ShapeHandle drawn, scalar, rest;
  DimensionHandle rows;
  int ones;
  RETURN_IF_ERROR(c->GetAttr("ones", &ones));
  RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &drawn));
  RETURN_IF_ERROR(c->WithRank(c->input(1), 0, &scalar));
  RETURN_IF_ERROR(c->WithRank(c->input(2), 0, &scalar));
  if (ones > 0 && c->RankKnown(drawn)) {
    RETURN_IF_ERROR(c->WithRankAtLeast(drawn, 1, &drawn));
    RETURN_IF_ERROR(c->Add(c->Dim(drawn, 0), ones, &rows));
    RETURN_IF_ERROR(c->ReplaceDim(drawn, 0, rows, &drawn));
  }
  c->set_output(0, drawn);
  return Status();
}

Status InferStatelessMaskShape(InferenceContext* c) {
  ShapeHandle seeds;
  DimensionHandle two;
  RETURN_IF_ERROR(c->WithRank(c->input(3), 1, &seeds));
  RETURN_IF_ERROR(c->WithValue(c->Dim(seeds, 0), 2, &two));
  return InferMaskShape(c);
}

// Allocates a mask in memory that earlier calls have used.
template <class T>
Status AllocateMask(OpKernelContext* context, const TensorShape& shape, T** data) {
  Tensor tensor(PoolAllocator::Get(), tensorflow::DataTypeToEnum<T>::value, shape);
  if (shape.num_elements() > 0 && !tensor.IsInitialized()) throw std::bad_alloc();
  *data = tensor.flat<T>().data();
  context->set_output(0, tensor);
  return Status();
}

// The state of Philox in a stateful op. Each call takes as many groups as TensorFlow's op does.
class SharedPhilox {
 public:
  Status Initialize(OpKernelConstruction* construction) {
    tensorflow::int64 seed, seed2;
    RETURN_IF_ERROR(construction->GetAttr("seed", &seed));
    RETURN_IF_ERROR(construction->GetAttr("seed2", &seed2));
    if (seed == 0 && seed2 == 0) {
      std::random_device device;
      std::uniform_int_distribution<uint64_t> any;
      state_ = Philox::FromOpSeeds(any(device), any(device));
    } else {
      state_ = Philox::FromOpSeeds(seed, seed2);
    }
    return Status();
  }

  Philox Reserve(int64_t draws) {
    std::lock_guard<std::mutex> lock(mutex_);
    const Philox state = state_;
    state_.Skip(draws * kGroupsPerDraw);
    return state;
  }

 private:
  static constexpr int64_t kGroupsPerDraw = 256;  // As in TensorFlow's op, which reserves enough for any distribution.
  std::mutex mutex_;
  Philox state_;
};

template <class T>
class MaskOp : public OpKernel {
 public:
  explicit MaskOp(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("ones", &ones_));
    OP_REQUIRES_OK(construction, construction->GetAttr("keep_below", &rule_.keep_below));
  }

  void Compute(OpKernelContext* context) final {
    CatchOutOfMemory(context, [&] {
      std::vector<int64_t> sizes;
      MaskRule<T> rule = rule_;
      OP_REQUIRES_OK(context, ReadShape(context->input(0), &sizes));
      OP_REQUIRES_OK(context, ExpectShape("threshold", context->input(1), {}));
      OP_REQUIRES_OK(context, ExpectShape("value", context->input(2), {}));
      rule.threshold = context->input(1).template scalar<T>()();
      rule.value = context->input(2).template scalar<T>()();
      TensorShape shape;
      OP_REQUIRES_OK(context, stacked_lstm::MakeShape(sizes, &shape));
      int64_t ones = ones_, size = 1;
      for (int64_t length : sizes) size *= length;
      for (size_t axis = 1; axis < sizes.size(); ++axis) ones *= sizes[axis];
      Philox state;
      OP_REQUIRES_OK(context, TakeState(context, size - ones, &state));
      Tensor ones_tensor;
      if (rule.IsOnes() && Ones<T>::Get().Fill(shape, &ones_tensor)) return context->set_output(0, ones_tensor);
      T* mask;
      OP_REQUIRES_OK(context, AllocateMask(context, shape, &mask));
      std::fill_n(mask, ones, T(1));
      DrawMask<T>(state, rule, size - ones, mask + ones, OpThreads(context));
    });
  }

 protected:
  virtual Status TakeState(OpKernelContext* context, int64_t draws, Philox* state) = 0;

 private:
  // Reads the shape of the mask, including the rows of ones.
  Status ReadShape(const Tensor& tensor, std::vector<int64_t>* sizes) const {
    if (tensor.dims() != 1 || (ones_ > 0 && tensor.NumElements() == 0)) {
      return InvalidArgument("StackedLstm: expected `shape` to be the sizes of the mask, got a tensor of shape ",
                             tensor.shape().DebugString());
    }
    const auto lengths = tensor.flat<tensorflow::int32>();
    sizes->assign(lengths.data(), lengths.data() + lengths.size());
    for (int64_t length : *sizes) {
      if (length < 0) return InvalidArgument("StackedLstm: expected sizes of at least 0, got ", length);
    }
    if (ones_ > 0) sizes->front() += ones_;
    return Status();
  }

  int ones_;
  MaskRule<T> rule_;
};

template <class T>
class RandomMaskOp : public MaskOp<T> {
 public:
  explicit RandomMaskOp(OpKernelConstruction* construction) : MaskOp<T>(construction) {
    OP_REQUIRES_OK(construction, philox_.Initialize(construction));
  }

 protected:
  Status TakeState(OpKernelContext* context, int64_t draws, Philox* state) override {
    *state = philox_.Reserve(draws);
    return Status();
  }

 private:
  SharedPhilox philox_;
};

template <class T>
class StatelessRandomMaskOp : public MaskOp<T> {
 public:
  using MaskOp<T>::MaskOp;

 protected:
  Status TakeState(OpKernelContext* context, int64_t draws, Philox* state) override {
    RETURN_IF_ERROR(ExpectShape("seeds", context->input(3), {2}));
    const auto seeds = context->input(3).template flat<tensorflow::int64>();
    *state = Philox::FromStatelessSeeds(seeds(0), seeds(1));
    return Status();
  }
};

#define MASK_ATTRIBUTES                                                                              \
  .Attr("T: {float, double}")                                                                        \
      .Attr("ones: int >= 0 = 0")                                                                    \
      .Attr("keep_below: bool = false")

REGISTER_OP("StackedLstmRandomMask")
    .Input("shape: int32")
    .Input("threshold: T")
    .Input("value: T")
    .Output("mask: T")
    .Attr("seed: int = 0")
    .Attr("seed2: int = 0") MASK_ATTRIBUTES
    .SetIsStateful()
    .SetShapeFn(InferMaskShape)
    .Doc(R"(
Draws a mask. An entry is `value` if a number that is uniform on [0, 1) is at least `threshold`, and 0 otherwise. With
`keep_below`, it is `value` if the number is below `threshold`.

shape: the shape of the random part of the mask.
ones: the number of rows of ones before the random part, on the first axis.
)");

REGISTER_OP("StackedLstmStatelessRandomMask")
    .Input("shape: int32")
    .Input("threshold: T")
    .Input("value: T")
    .Input("seeds: int64")
    .Output("mask: T") MASK_ATTRIBUTES
    .SetShapeFn(InferStatelessMaskShape)
    .Doc("Draws a mask as StackedLstmRandomMask does. The mask depends only on the inputs.");

#define REGISTER_MASK(T)                                                                                       \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmRandomMask").Device(DEVICE_CPU).TypeConstraint<T>("T"),            \
                          RandomMaskOp<T>);                                                                   \
  REGISTER_KERNEL_BUILDER(Name("StackedLstmStatelessRandomMask").Device(DEVICE_CPU).TypeConstraint<T>("T"), \
                          StatelessRandomMaskOp<T>)

REGISTER_MASK(float);
REGISTER_MASK(double);

}  // namespace
}  // namespace stacked_lstm
