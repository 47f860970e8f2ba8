// What the shape functions of all ops share.

#ifndef STACKED_LSTM_OP_SHAPES_H_
#define STACKED_LSTM_OP_SHAPES_H_

#include <initializer_list>
#include <vector>

#include "lstm.h"
#include "op_status.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace stacked_lstm {

using tensorflow::Status;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

struct Sizes {
  DimensionHandle steps, batch, inputs;
  std::vector<DimensionHandle> units, projections;

  // The width of a layer's h.
  DimensionHandle* Outputs(int l) { return projections.empty() ? &units[l] : &projections[l]; }
};

// Merges the sizes of an input, which has as many axes.
inline Status MergeShape(InferenceContext* c, int input, std::initializer_list<DimensionHandle*> sizes) {
  ShapeHandle shape;
  RETURN_IF_ERROR(c->WithRank(c->input(input), sizes.size(), &shape));
  int axis = 0;
  for (DimensionHandle* size : sizes) RETURN_IF_ERROR(c->Merge(c->Dim(shape, axis++), *size, size));
  return Status();
}

// Merges the sizes of one layer's weights. `kernel` and `bias` are the indices of its first kernel and bias.
inline Status MergeWeights(InferenceContext* c, int kernel, int kernels, int bias, int biases, DimensionHandle* inputs,
                           DimensionHandle* units, DimensionHandle* outputs) {
  DimensionHandle rows, columns, quotient;
  RETURN_IF_ERROR(c->Add(*inputs, *outputs, &rows));
  RETURN_IF_ERROR(c->Multiply(*units, kernels == 1 ? kGates : 1, &columns));
  for (int k = 0; k < kernels; ++k) RETURN_IF_ERROR(MergeShape(c, kernel + k, {&rows, &columns}));
  RETURN_IF_ERROR(c->Divide(columns, kernels == 1 ? kGates : 1, true, &quotient));
  RETURN_IF_ERROR(c->Merge(*units, quotient, units));
  RETURN_IF_ERROR(c->Subtract(rows, *outputs, &quotient));
  RETURN_IF_ERROR(c->Merge(*inputs, quotient, inputs));
  RETURN_IF_ERROR(c->Multiply(*units, biases == 1 ? kGates : 1, &columns));
  for (int k = 0; k < biases; ++k) RETURN_IF_ERROR(MergeShape(c, bias + k, {&columns}));
  return Status();
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_SHAPES_H_
