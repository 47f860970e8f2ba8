// The definitions of the ops StackedLstmNormalizedForward and StackedLstmNormalizedBackward: one layer with layer
// normalization.
//
// Kernels and lengths are as in op_definitions.cc. gate_gain and gate_shift are [4, H], cell_gain and cell_shift [H].
// epsilon is a scalar. It is not an attribute, because attributes are float32. The peepholes, projections and clips of
// op_extras.h, and the series and resets of op_series.h follow.
// If `from_end`, each sequence is read from its end. Step t of the outputs and of series belongs to step t of x.

#include "lstm.h"
#include "op_extras.h"
#include "op_series.h"
#include "op_shapes.h"
#include "op_status.h"
#include "tensorflow/core/framework/op.h"

namespace stacked_lstm {
namespace {

// Merges the sizes of the shared inputs. Returns the indices of the first kernel and of the input after the resets.
Status MergeNormalized(InferenceContext* c, int* first_kernel, int* next_input, Sizes* sizes) {
  int lengths, kernels;
  RETURN_IF_ERROR(c->GetAttr("number_of_lengths", &lengths));
  RETURN_IF_ERROR(c->GetAttr("number_of_kernels", &kernels));
  DimensionHandle gates = c->MakeDim(kGates);
  *sizes = {c->UnknownDim(), c->UnknownDim(), c->UnknownDim(), {c->UnknownDim()}, {}};
  DimensionHandle *const batch = &sizes->batch, *const units = &sizes->units[0];
  RETURN_IF_ERROR(MergeShape(c, 0, {&sizes->steps, batch, &sizes->inputs}));
  RETURN_IF_ERROR(MergeShape(c, 1, {batch, units}));
  *first_kernel = 3 + lengths;
  for (int k = 3; k < *first_kernel; ++k) {  // As in op_definitions.cc, an unknown rank is not merged.
    if (c->RankKnown(c->input(k))) RETURN_IF_ERROR(MergeShape(c, k, {batch}));
  }
  const int norms = *first_kernel + kernels;
  for (int k = norms; k < norms + 2; ++k) RETURN_IF_ERROR(MergeShape(c, k, {&gates, units}));
  for (int k = norms + 2; k < norms + 4; ++k) RETURN_IF_ERROR(MergeShape(c, k, {units}));
  RETURN_IF_ERROR(MergeShape(c, norms + 4, {}));
  RETURN_IF_ERROR(MergeExtras(c, norms + 5, 1, next_input, sizes));
  RETURN_IF_ERROR(MergeShape(c, 2, {batch, sizes->Outputs(0)}));
  return MergeWeights(c, *first_kernel, kernels, 0, 0, &sizes->inputs, units, sizes->Outputs(0));
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
      EXTRAS_INPUTS SERIES_INPUTS

#define NORMALIZED_ATTRIBUTES              \
  .Attr("T: {float, double}")              \
      .Attr("number_of_kernels: int >= 1") \
      .Attr("number_of_lengths: int >= 0") \
      EXTRAS_ATTRIBUTES SERIES_ATTRIBUTES  \
      .Attr("is_carried: bool")            \
      .Attr("from_end: bool = false")      \
      .Attr("activation: string")          \
      .Attr("recurrent_activation: string")

REGISTER_OP("StackedLstmNormalizedForward")
NORMALIZED_INPUTS.Input("packed: T")
    .Input("padded: number_of_padded * T")
    .Output("outputs: T")
    .Output("c_last: T")
    .Output("h_last: T")
    .Output("cache: T") NORMALIZED_ATTRIBUTES.Attr("number_of_padded: int >= 0 = 0")
    .SetShapeFn([](InferenceContext* c) {
      int first_kernel, next_input;
      Sizes sizes;
      RETURN_IF_ERROR(MergeNormalized(c, &first_kernel, &next_input, &sizes));
      c->set_output(0, c->MakeShape({sizes.steps, sizes.batch, *sizes.Outputs(0)}));
      c->set_output(1, c->Matrix(sizes.batch, sizes.units[0]));
      c->set_output(2, c->Matrix(sizes.batch, *sizes.Outputs(0)));
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
    EXTRAS_GRADIENTS SERIES_GRADIENTS NORMALIZED_ATTRIBUTES
    .SetShapeFn([](InferenceContext* c) {
      int first_kernel, next_input, kernels, series, resets;
      Sizes sizes;
      RETURN_IF_ERROR(MergeNormalized(c, &first_kernel, &next_input, &sizes));
      DimensionHandle *const batch = &sizes.batch, *const units = &sizes.units[0], *const width = sizes.Outputs(0);
      for (int k : {0, 2}) RETURN_IF_ERROR(MergeShape(c, next_input + k, {&sizes.steps, batch, width}));
      RETURN_IF_ERROR(MergeShape(c, next_input + 3, {batch, units}));
      RETURN_IF_ERROR(MergeShape(c, next_input + 4, {batch, width}));
      c->set_output(0, c->MakeShape({sizes.steps, *batch, sizes.inputs}));
      c->set_output(1, c->Matrix(*batch, *units));
      c->set_output(2, c->Matrix(*batch, *width));
      RETURN_IF_ERROR(c->GetAttr("number_of_kernels", &kernels));
      RETURN_IF_ERROR(c->GetAttr("number_of_resets", &resets));
      RETURN_IF_ERROR(CountSeries(c, &series));
      const int first_d_extra = 3 + kernels + 4, first_d_series = c->num_outputs() - series;
      const int first_series = next_input - resets - series;
      for (int k = 3; k < first_d_series; ++k) {  // epsilon is between the norms and the extras,
        c->set_output(k, c->input(first_kernel + k - 3 + (k >= first_d_extra)));
      }
      for (int k = first_d_series; k < c->num_outputs(); ++k) {  // and the clips are between the extras and the series.
        c->set_output(k, c->input(first_series + k - first_d_series));
      }
      return Status();
    })
    .Doc("The gradient of StackedLstmNormalizedForward. Results that nothing reads are not made.");

}  // namespace
}  // namespace stacked_lstm
