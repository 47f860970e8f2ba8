// What TensorFlow knows of the ops: StackedLstmPack, StackedLstmForward, StackedLstmBackward. Shape functions merge the
// sizes of a layer wherever one appears.
//
// `kernels`: four of [H + I, H] in the order of the gates i, c, f, o, rows of h first; or one of [I + H, 4H] with the
// gates side by side, rows of x first. `biases`: none, four of [H], or one of [4H]. `lengths`: none or one of [B].

#include <initializer_list>

#include "lstm.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

#define RETURN_IF_ERROR(...)                         \
  do {                                               \
    const ::tensorflow::Status made = (__VA_ARGS__); \
    if (!made.ok()) return made;                     \
  } while (0)

namespace stacked_lstm {
namespace {

using tensorflow::Status;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

struct Sizes {
  DimensionHandle steps, batch, inputs, units;
};

Status MergeShape(InferenceContext* c, int input, std::initializer_list<DimensionHandle*> sizes) {
  ShapeHandle shape;
  RETURN_IF_ERROR(c->WithRank(c->input(input), sizes.size(), &shape));
  int axis = 0;
  for (DimensionHandle* size : sizes) RETURN_IF_ERROR(c->Merge(c->Dim(shape, axis++), *size, size));
  return Status();
}

// Merges the sizes of weights, of which the first is input number `first`; returns the number behind the last.
Status MergeWeights(InferenceContext* c, int* first, Sizes* sizes) {
  int kernels, biases;
  RETURN_IF_ERROR(c->GetAttr("number_of_kernels", &kernels));
  RETURN_IF_ERROR(c->GetAttr("number_of_biases", &biases));
  DimensionHandle rows, columns = sizes->units;
  RETURN_IF_ERROR(c->Add(sizes->inputs, sizes->units, &rows));
  if (kernels == 1) RETURN_IF_ERROR(c->Multiply(sizes->units, kGates, &columns));
  for (int k = 0; k < kernels; ++k) RETURN_IF_ERROR(MergeShape(c, (*first)++, {&rows, &columns}));
  columns = sizes->units;
  if (biases == 1) RETURN_IF_ERROR(c->Multiply(sizes->units, kGates, &columns));
  for (int k = 0; k < biases; ++k) RETURN_IF_ERROR(MergeShape(c, (*first)++, {&columns}));
  return Status();
}

// Merges x, c, h, lengths, kernels and biases; returns the number of the next input.
Status MergeLayer(InferenceContext* c, int* next, Sizes* sizes) {
  int lengths;
  RETURN_IF_ERROR(c->GetAttr("number_of_lengths", &lengths));
  *sizes = {c->UnknownDim(), c->UnknownDim(), c->UnknownDim(), c->UnknownDim()};
  RETURN_IF_ERROR(MergeShape(c, 0, {&sizes->steps, &sizes->batch, &sizes->inputs}));
  RETURN_IF_ERROR(MergeShape(c, 1, {&sizes->batch, &sizes->units}));
  RETURN_IF_ERROR(MergeShape(c, 2, {&sizes->batch, &sizes->units}));
  *next = 3;
  for (int k = 0; k < lengths; ++k, ++*next) {
    // What is merged TensorFlow takes for granted, also in checks before this op, which have better words for a rank.
    if (c->RankKnown(c->input(*next))) RETURN_IF_ERROR(MergeShape(c, *next, {&sizes->batch}));
  }
  return MergeWeights(c, next, sizes);
}

REGISTER_OP("StackedLstmPack")
    .Input("kernels: number_of_kernels * T")
    .Output("packed: T")
    .Attr("T: {float, double}")
    .Attr("number_of_kernels: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      DimensionHandle rows = c->UnknownDim(), columns = c->UnknownDim(), size;
      for (int k = 0; k < c->num_inputs(); ++k) RETURN_IF_ERROR(MergeShape(c, k, {&rows, &columns}));
      RETURN_IF_ERROR(c->Multiply(rows, columns, &size));
      RETURN_IF_ERROR(c->Multiply(size, c->num_inputs(), &size));
      c->set_output(0, c->Vector(size));
      return Status();
    })
    .Doc("Arranges the weights of an LSTM layer as StackedLstmForward reads them.");

REGISTER_OP("StackedLstmForward")
    .Input("x: T")
    .Input("c: T")
    .Input("h: T")
    .Input("lengths: number_of_lengths * int32")
    .Input("kernels: number_of_kernels * T")
    .Input("biases: number_of_biases * T")
    .Input("packed: T")
    .Output("outputs: T")
    .Output("c_last: T")
    .Output("h_last: T")
    .Output("cache: T")
    .Attr("T: {float, double}")
    .Attr("number_of_kernels: int >= 1")
    .Attr("number_of_biases: int >= 0")
    .Attr("number_of_lengths: int >= 0")
    .Attr("activation: string")
    .Attr("recurrent_activation: string")
    .SetShapeFn([](InferenceContext* c) {
      Sizes sizes;
      int next;
      RETURN_IF_ERROR(MergeLayer(c, &next, &sizes));
      DimensionHandle packed = c->UnknownDim();
      RETURN_IF_ERROR(MergeShape(c, next, {&packed}));
      c->set_output(0, c->MakeShape({sizes.steps, sizes.batch, sizes.units}));
      c->set_output(1, c->Matrix(sizes.batch, sizes.units));
      c->set_output(2, c->Matrix(sizes.batch, sizes.units));
      c->set_output(3, c->Vector(c->UnknownDim()));
      return Status();
    })
    .Doc("One LSTM layer over time: x [T, B, I], c and h [B, H]. `cache` is made where something reads it.");

REGISTER_OP("StackedLstmBackward")
    .Input("x: T")
    .Input("c: T")
    .Input("h: T")
    .Input("lengths: number_of_lengths * int32")
    .Input("kernels: number_of_kernels * T")
    .Input("biases: number_of_biases * T")
    .Input("outputs: T")
    .Input("cache: T")
    .Input("d_outputs: T")
    .Input("d_c_last: T")
    .Input("d_h_last: T")
    .Output("d_x: T")
    .Output("d_c: T")
    .Output("d_h: T")
    .Output("d_kernels: number_of_kernels * T")
    .Output("d_biases: number_of_biases * T")
    .Attr("T: {float, double}")
    .Attr("number_of_kernels: int >= 1")
    .Attr("number_of_biases: int >= 0")
    .Attr("number_of_lengths: int >= 0")
    .Attr("activation: string")
    .Attr("recurrent_activation: string")
    .SetShapeFn([](InferenceContext* c) {
      Sizes sizes;
      int next;
      RETURN_IF_ERROR(MergeLayer(c, &next, &sizes));
      const int weights = c->num_outputs() - 3, first_weight = next - weights;
      DimensionHandle cache = c->UnknownDim();
      RETURN_IF_ERROR(MergeShape(c, next, {&sizes.steps, &sizes.batch, &sizes.units}));
      RETURN_IF_ERROR(MergeShape(c, next + 1, {&cache}));
      RETURN_IF_ERROR(MergeShape(c, next + 2, {&sizes.steps, &sizes.batch, &sizes.units}));
      RETURN_IF_ERROR(MergeShape(c, next + 3, {&sizes.batch, &sizes.units}));
      RETURN_IF_ERROR(MergeShape(c, next + 4, {&sizes.batch, &sizes.units}));
      c->set_output(0, c->MakeShape({sizes.steps, sizes.batch, sizes.inputs}));
      c->set_output(1, c->Matrix(sizes.batch, sizes.units));
      c->set_output(2, c->Matrix(sizes.batch, sizes.units));
      for (int k = 0; k < weights; ++k) c->set_output(3 + k, c->input(first_weight + k));
      return Status();
    })
    .Doc("The gradient of StackedLstmForward. Results that nothing reads are not made.");

}  // namespace
}  // namespace stacked_lstm
