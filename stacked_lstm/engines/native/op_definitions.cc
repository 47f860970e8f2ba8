// The definitions of the ops StackedLstmPack, StackedLstmForward and StackedLstmBackward. The shape functions merge
// each size of a layer wherever it appears.
//
// An op has `layers` layers, from the input upwards. Each layer has
//   kernels: four of [P + I, H] in the order of the gates i, c, f, o, with the rows for h before those for x; or one of
//     [I + P, 4H] with the gates side by side, and the rows for x before those for h;
//   biases: none, four of [H], or one of [4H];
//   peepholes: none, or those of i, f and o, [H] each;
//   projections: none, or one of [H, P]; without one, P is H;
//   norms: none, or the gains and the shifts of the gates, [4, H] each, and those of the cell state, [H] each. With
//     them, there are no biases;
//   cell_clips and projection_clips: none, or the bound of |c| or of the projected |h|, a scalar;
//   epsilons: what is added to the variances if there are norms, a scalar. It is not an attribute, because attributes
//     are float32;
//   h_masks: none, or what multiplies h in the product with the kernel;
//   zoneout_c and zoneout_h: none, or the shares of c and h that stay as they were before the step;
//   candidate_masks and c_masks: none, or what multiplies the candidate, and c before the step;
//   start_c and start_h: none, or the states from which sequences start again;
//   resets: none, or whether the state is replaced by a start before a step, [T, B].
// A mask, share or start is [T, B, N], or [B, N] for all steps. N is P for those of h, and H for the others.
// lengths: none, or one of [B].
// The last `from_end` layers are a stack of their own, which reads x from the end of each sequence to its start. Entry
// t of x, of the series and of the outputs belongs to the same step. If there are other layers, the outputs of both
// stacks are side by side.
// residual: empty, or whether the outputs of each layer are x + h instead of h.
// is_carried: with norms, whether the next step reads the normalized cell state.
//
// Graphs that were exported before contain these ops. A new input must be a list that is empty by default, and a new
// attribute needs a default that changes nothing. If anything else changes, the op needs another name.

#include <string>
#include <vector>

#include "lstm.h"
#include "op_extras.h"
#include "op_series.h"
#include "op_shapes.h"
#include "op_status.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace stacked_lstm {
namespace {

// Merges the widths of inputs and outputs of residual layers. `second` is the first layer that reads from the end.
Status MergeResiduals(InferenceContext* c, int second, Sizes* sizes) {
  std::vector<bool> residual;
  const int layers = sizes->units.size();
  RETURN_IF_ERROR(c->GetAttr("residual", &residual));
  if (!residual.empty() && static_cast<int>(residual.size()) != layers) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected no `residual` or ", layers,
                                               ", one per layer, got ", residual.size());
  }
  for (size_t l = 0; l < residual.size(); ++l) {
    if (!residual[l]) continue;
    DimensionHandle* const inputs = l && static_cast<int>(l) != second ? sizes->Outputs(l - 1) : &sizes->inputs;
    DimensionHandle* const outputs = sizes->Outputs(l);
    RETURN_IF_ERROR(c->Merge(*inputs, *outputs, inputs));
    *outputs = *inputs;
  }
  return Status();
}

// Merges the sizes of the inputs from x to the resets. Sets `first_kernel` to the index of the first kernel, and
// `next_input` to the index of the input after the resets.
Status MergeStack(InferenceContext* c, int* first_kernel, int* next_input, Sizes* sizes) {
  int layers, lengths, kernels, biases, from_end;
  RETURN_IF_ERROR(c->GetAttr("layers", &layers));
  RETURN_IF_ERROR(c->GetAttr("number_of_lengths", &lengths));
  RETURN_IF_ERROR(c->GetAttr("number_of_kernels", &kernels));
  RETURN_IF_ERROR(c->GetAttr("number_of_biases", &biases));
  RETURN_IF_ERROR(c->GetAttr("from_end", &from_end));
  if (from_end > layers) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected `from_end` to be at most ", layers,
                                               ", the number of layers, got ", from_end);
  }
  if (kernels % layers || biases % layers) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected as many `kernels` and `biases` for each of ",
                                               layers, " layers, got ", kernels, " and ", biases);
  }
  *sizes = {c->UnknownDim(), c->UnknownDim(), c->UnknownDim(), {}, {}};
  RETURN_IF_ERROR(MergeShape(c, 0, {&sizes->steps, &sizes->batch, &sizes->inputs}));
  for (int l = 0; l < layers; ++l) {
    sizes->units.push_back(c->UnknownDim());
    RETURN_IF_ERROR(MergeShape(c, 1 + l, {&sizes->batch, &sizes->units[l]}));
  }
  *first_kernel = 1 + 2 * layers;
  RETURN_IF_ERROR(MergeExtras(c, *first_kernel + lengths + kernels + biases, layers, next_input, sizes));
  for (int l = 0; l < layers; ++l) {
    RETURN_IF_ERROR(MergeShape(c, 1 + layers + l, {&sizes->batch, sizes->Outputs(l)}));
  }
  for (int k = 0; k < lengths; ++k, ++*first_kernel) {
    // TensorFlow assumes merged sizes everywhere, even in checks that run before this op. Those have a better message
    // for a wrong rank, so an unknown rank is not merged.
    if (c->RankKnown(c->input(*first_kernel))) RETURN_IF_ERROR(MergeShape(c, *first_kernel, {&sizes->batch}));
  }
  kernels /= layers, biases /= layers;
  const int first_bias = *first_kernel + layers * kernels;
  for (int l = 0; l < layers; ++l) {
    RETURN_IF_ERROR(MergeWeights(c, *first_kernel + l * kernels, kernels, first_bias + l * biases, biases,
                                 l && l != layers - from_end ? sizes->Outputs(l - 1) : &sizes->inputs,
                                 &sizes->units[l], sizes->Outputs(l)));
  }
  return MergeResiduals(c, layers - from_end, sizes);
}

// The width of the outputs: that of the last layer or, if there are two stacks, of both last layers.
Status OutputsWidth(InferenceContext* c, Sizes* sizes, DimensionHandle* width) {
  int from_end;
  const int layers = sizes->units.size();
  RETURN_IF_ERROR(c->GetAttr("from_end", &from_end));
  *width = *sizes->Outputs(layers - 1);
  if (from_end == 0 || from_end == layers) return Status();
  return c->Add(*sizes->Outputs(layers - from_end - 1), *width, width);
}

REGISTER_OP("StackedLstmPack")
    .Input("kernels: number_of_kernels * T")
    .Input("projections: number_of_projections * T")
    .Output("packed: T")
    .Output("padded: T")
    .Attr("T: {float, double}")
    .Attr("number_of_kernels: int >= 1")
    .Attr("number_of_projections: int >= 0 = 0")
    .SetShapeFn([](InferenceContext* c) {
      int kernels;
      RETURN_IF_ERROR(c->GetAttr("number_of_kernels", &kernels));
      DimensionHandle rows = c->UnknownDim(), columns = c->UnknownDim();
      for (int k = 0; k < kernels; ++k) RETURN_IF_ERROR(MergeShape(c, k, {&rows, &columns}));
      for (int k : {0, 1}) c->set_output(k, c->UnknownShape());  // They depend on the processor.
      return Status();
    })
    .Doc(R"(
Arranges the weights of an LSTM layer as StackedLstmForward reads them on this processor, if constant folding runs this
op. `packed` has the units that fill whole vectors; `padded` has the last units with padding, and the projection. In the
steps of a session, the results are empty, and StackedLstmForward arranges the weights itself if that saves time.
)");

// The inputs and attributes that the forward and the backward op share.
#define STACK_INPUTS                               \
  .Input("x: T")                                   \
      .Input("c: layers * T")                      \
      .Input("h: layers * T")                      \
      .Input("lengths: number_of_lengths * int32") \
      .Input("kernels: number_of_kernels * T")     \
      .Input("biases: number_of_biases * T")       \
      EXTRAS_INPUTS SERIES_INPUTS

#define STACK_ATTRIBUTES                   \
  .Attr("T: {float, double}")              \
      .Attr("layers: int >= 1")            \
      .Attr("number_of_kernels: int >= 1") \
      .Attr("number_of_biases: int >= 0")  \
      .Attr("number_of_lengths: int >= 0") \
      EXTRAS_ATTRIBUTES SERIES_ATTRIBUTES  \
      .Attr("from_end: int >= 0 = 0")      \
      .Attr("residual: list(bool) = []")   \
      .Attr("activation: string")          \
      .Attr("recurrent_activation: string")

REGISTER_OP("StackedLstmForward")
STACK_INPUTS.Input("packed: layers * T")
    .Input("padded: number_of_padded * T")
    .Output("outputs: T")
    .Output("c_last: layers * T")
    .Output("h_last: layers * T")
    .Output("cache: T") STACK_ATTRIBUTES.Attr("number_of_padded: int >= 0 = 0")
    .SetShapeFn([](InferenceContext* c) {
      Sizes sizes;
      int first_kernel, next_input;
      RETURN_IF_ERROR(MergeStack(c, &first_kernel, &next_input, &sizes));
      const int layers = sizes.units.size();
      DimensionHandle width;
      RETURN_IF_ERROR(OutputsWidth(c, &sizes, &width));
      c->set_output(0, c->MakeShape({sizes.steps, sizes.batch, width}));
      for (int l = 0; l < layers; ++l) {
        c->set_output(1 + l, c->Matrix(sizes.batch, sizes.units[l]));
        c->set_output(1 + layers + l, c->Matrix(sizes.batch, *sizes.Outputs(l)));
      }
      c->set_output(1 + 2 * layers, c->UnknownShape());  // It depends on the processor.
      return Status();
    })
    .Doc("LSTM layers over time: x [T, B, I], c and h [B, H] each. `cache` is made where something reads it.");

REGISTER_OP("StackedLstmBackward")
STACK_INPUTS.Input("outputs: T")
    .Input("cache: T")
    .Input("d_outputs: T")
    .Input("d_c_last: layers * T")
    .Input("d_h_last: layers * T")
    .Output("d_x: T")
    .Output("d_c: layers * T")
    .Output("d_h: layers * T")
    .Output("d_kernels: number_of_kernels * T")
    .Output("d_biases: number_of_biases * T")
    EXTRAS_GRADIENTS SERIES_GRADIENTS STACK_ATTRIBUTES
    .SetShapeFn([](InferenceContext* c) {
      Sizes sizes;
      int first_kernel, next_input;
      RETURN_IF_ERROR(MergeStack(c, &first_kernel, &next_input, &sizes));
      const int layers = sizes.units.size(), first_d_kernel = 1 + 2 * layers;
      DimensionHandle width;
      RETURN_IF_ERROR(OutputsWidth(c, &sizes, &width));
      RETURN_IF_ERROR(MergeShape(c, next_input, {&sizes.steps, &sizes.batch, &width}));
      RETURN_IF_ERROR(MergeShape(c, next_input + 2, {&sizes.steps, &sizes.batch, &width}));
      c->set_output(0, c->MakeShape({sizes.steps, sizes.batch, sizes.inputs}));
      for (int l = 0; l < layers; ++l) {
        for (int first : {0, layers}) {
          DimensionHandle* const width = first ? sizes.Outputs(l) : &sizes.units[l];
          RETURN_IF_ERROR(MergeShape(c, next_input + 3 + first + l, {&sizes.batch, width}));
          c->set_output(1 + first + l, c->Matrix(sizes.batch, *width));
        }
      }
      int series, resets;
      RETURN_IF_ERROR(CountSeries(c, &series));
      RETURN_IF_ERROR(c->GetAttr("number_of_resets", &resets));
      const int first_d_series = c->num_outputs() - series, first_series = next_input - resets - series;
      for (int k = first_d_kernel; k < c->num_outputs(); ++k) {  // The scalars are between the weights and the series.
        const bool is_weight = k < first_d_series;
        c->set_output(k, c->input(is_weight ? first_kernel + k - first_d_kernel : first_series + k - first_d_series));
      }
      return Status();
    })
    .Doc("The gradient of StackedLstmForward. Results that nothing reads are not made.");

}  // namespace
}  // namespace stacked_lstm
