// The peepholes, projections, norms and clips of layers as inputs of ops: their definitions and shapes. `StackInputs`
// reads them.

#ifndef STACKED_LSTM_OP_EXTRAS_H_
#define STACKED_LSTM_OP_EXTRAS_H_

#include "op_series.h"
#include "op_shapes.h"
#include "op_status.h"

// Every list is empty by default. The series follow.
#define EXTRAS_INPUTS                                            \
  .Input("peepholes: number_of_peepholes * T")                   \
      .Input("projections: number_of_projections * T")           \
      .Input("norms: number_of_norms * T")                       \
      .Input("cell_clips: number_of_cell_clips * T")             \
      .Input("projection_clips: number_of_projection_clips * T") \
      .Input("epsilons: number_of_epsilons * T")

#define EXTRAS_ATTRIBUTES                               \
  .Attr("number_of_peepholes: int >= 0 = 0")            \
      .Attr("number_of_projections: int >= 0 = 0")      \
      .Attr("number_of_norms: int >= 0 = 0")            \
      .Attr("number_of_cell_clips: int >= 0 = 0")       \
      .Attr("number_of_projection_clips: int >= 0 = 0") \
      .Attr("number_of_epsilons: int >= 0 = 0")         \
      .Attr("is_carried: bool = false")

#define EXTRAS_GRADIENTS                                  \
  .Output("d_peepholes: number_of_peepholes * T")         \
      .Output("d_projections: number_of_projections * T") \
      .Output("d_norms: number_of_norms * T")

namespace stacked_lstm {

// Merges the sizes of peepholes, projections, norms, clips and series, which begin with input `first`, as far as they
// are known before the kernels. `*next_input` becomes the index of the input after them.
inline Status MergeExtras(InferenceContext* c, int first, int layers, int* next_input, Sizes* sizes) {
  int peepholes, projections, norms, cell_clips, projection_clips, epsilons;
  RETURN_IF_ERROR(c->GetAttr("number_of_peepholes", &peepholes));
  RETURN_IF_ERROR(c->GetAttr("number_of_projections", &projections));
  RETURN_IF_ERROR(c->GetAttr("number_of_norms", &norms));
  RETURN_IF_ERROR(c->GetAttr("number_of_cell_clips", &cell_clips));
  RETURN_IF_ERROR(c->GetAttr("number_of_projection_clips", &projection_clips));
  RETURN_IF_ERROR(c->GetAttr("number_of_epsilons", &epsilons));
  const auto is_valid = [layers](int number, int per_layer) { return number == 0 || number == per_layer * layers; };
  if (!is_valid(peepholes, 3) || !is_valid(projections, 1) || !is_valid(cell_clips, 1) ||
      !is_valid(projection_clips, 1) || projection_clips > projections) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected extras of all ", layers, " layers or none, got ",
                                               peepholes, " `peepholes`, ", projections, " `projections`, ", cell_clips,
                                               " `cell_clips` and ", projection_clips, " `projection_clips`");
  }
  if (!is_valid(norms, kNormArrays) || epsilons * kNormArrays != norms) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected 4 `norms` and 1 `epsilons` for each of ", layers,
                                               " layers, or none, got ", norms, " and ", epsilons);
  }
  for (int k = 0; k < peepholes; ++k) RETURN_IF_ERROR(MergeShape(c, first++, {&sizes->units[k / 3]}));
  for (int l = 0; l < projections; ++l) {
    sizes->projections.push_back(c->UnknownDim());
    RETURN_IF_ERROR(MergeShape(c, first++, {&sizes->units[l], &sizes->projections[l]}));
  }
  DimensionHandle gates = c->MakeDim(kGates);
  for (int k = 0; k < norms; ++k) {
    DimensionHandle* const units = &sizes->units[k / kNormArrays];
    const bool is_of_gates = k % kNormArrays < kNormArrays / 2;
    RETURN_IF_ERROR(is_of_gates ? MergeShape(c, first++, {&gates, units}) : MergeShape(c, first++, {units}));
  }
  for (int k = 0; k < cell_clips + projection_clips + epsilons; ++k) RETURN_IF_ERROR(MergeShape(c, first++, {}));
  *next_input = first;
  return MergeAllSeries(c, next_input, sizes);
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_EXTRAS_H_
