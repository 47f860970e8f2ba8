// The inputs that forward and backward ops share, with their checks.

#ifndef STACKED_LSTM_OP_STACK_INPUTS_H_
#define STACKED_LSTM_OP_STACK_INPUTS_H_

#include <array>
#include <string>
#include <vector>

#include "lstm.h"
#include "op_inputs.h"
#include "op_ones.h"
#include "op_series.h"
#include "op_status.h"

namespace stacked_lstm {

// The shared inputs of the forward and the backward op, from x to the resets.
struct StackInputs {
  Status Read(OpKernelContext* context, Activation candidate, Activation gates) {
    const Tensor* tensor;
    RETURN_IF_ERROR(context->input("x", &tensor));
    x = *tensor;
    RETURN_IF_ERROR(context->input_list("c", &c));
    RETURN_IF_ERROR(context->input_list("h", &h));
    if (x.dims() != 3) {
      return InvalidArgument("StackedLstm: expected `x` of rank 3, got shape ", x.shape().DebugString());
    }
    RETURN_IF_ERROR(kernels.Read(context, "kernels", c.size(), {1, kGates}));
    RETURN_IF_ERROR(biases.Read(context, "biases", c.size(), {0, 1, kGates}));
    RETURN_IF_ERROR(ReadLengths(context, x.dim_size(0), x.dim_size(1), &lengths));
    RETURN_IF_ERROR(ReadExtras(context));
    if (from_end > c.size()) {
      return InvalidArgument("StackedLstm: expected `from_end` to be at most ", c.size(),
                             ", the number of layers, got ", from_end);
    }
    if (!residual.empty() && static_cast<int>(residual.size()) != c.size()) {
      return InvalidArgument("StackedLstm: expected no `residual` or ", c.size(), ", one per layer, got ",
                             residual.size());
    }
    int64_t width = x.dim_size(2);
    for (int l = 0; l < c.size(); ++l) {
      if (l == FirstFromEnd()) width = x.dim_size(2);
      Layer layer = {x.dim_size(0), x.dim_size(1), width, 0, candidate, gates, nullptr};
      layer.from_end = l >= FirstFromEnd();
      if (!lengths.empty()) layer.lengths = lengths.data();
      RETURN_IF_ERROR(ReadSizes(kernels[l], projections[l], &layer));
      if (layer.inputs != width) {
        return InvalidArgument("StackedLstm: expected inputs of width ", layer.inputs, ", as the kernels of layer ",
                               l + 1, " have, got width ", width);
      }
      layer.residual = !residual.empty() && residual[l];
      if (layer.residual && layer.inputs != layer.outputs()) {
        return InvalidArgument("StackedLstm: expected `residual` layers as wide as their inputs, got layer ", l + 1,
                               " with inputs of width ", layer.inputs, " and outputs of width ", layer.outputs());
      }
      layer.extras.peepholes = peepholes[l].number > 0;
      RETURN_IF_ERROR(ReadScalar("cell_clips", cell_clips[l], &layer.extras.cell_bound));
      RETURN_IF_ERROR(ReadScalar("projection_clips", projection_clips[l], &layer.extras.projection_bound));
      RETURN_IF_ERROR(DescribeNorm(l, &layer));
      RETURN_IF_ERROR(ExpectShape("c", c[l], {layer.batch, layer.units}));
      RETURN_IF_ERROR(ExpectShape("h", h[l], {layer.batch, layer.outputs()}));
      for (int k = 0; k < peepholes[l].number; ++k) {
        RETURN_IF_ERROR(ExpectShape("peepholes", peepholes[l][k], {layer.units}));
      }
      RETURN_IF_ERROR(series_inputs.Describe(l, &layer));
      const int64_t size = biases[l].number == 1 ? kGates * layer.units : layer.units;
      for (int k = 0; k < biases[l].number; ++k) RETURN_IF_ERROR(ExpectShape("biases", biases[l][k], {size}));
      RemoveOnes(context, l, &layer);
      layers.push_back(layer);
      width = layer.outputs();
    }
    if (!HasTwoStacks()) return Status();
    Layer &top = layers[FirstFromEnd() - 1], &top_from_end = layers.back();
    top.output_stride = top_from_end.output_stride = top.outputs() + top_from_end.outputs();
    return Status();
  }

  // There is one stack or, if some layers read from the end and others do not, there are two.
  int FirstFromEnd() const { return c.size() - from_end; }
  bool HasTwoStacks() const { return from_end > 0 && FirstFromEnd() > 0; }

  // [T, B, P] of the last layer. If there are two stacks, their outputs are side by side.
  std::array<int64_t, 3> OutputsShape() const {
    return {{layers.back().steps, layers.back().batch, layers.back().OutputStride()}};
  }

  template <class T>
  Weights<const T> LayerWeights(int l) const {
    return MakeWeights<const T>(layers[l], DataPointers<T>(kernels[l]), DataPointers<T>(biases[l]));
  }

  template <class T>
  ExtraWeights<const T> LayerExtraWeights(int l) const {
    std::vector<const T*> data[kSeriesCount];
    series_inputs.Data(l, data);
    return MakeExtraWeights<const T>(DataPointers<T>(peepholes[l]), DataPointers<T>(projections[l]),
                                     DataPointers<T>(norms[l]), data);
  }

  int from_end = 0;  // The number of the last layers that read from the end, an attribute of the op.
  std::vector<bool> residual;  // Whether the outputs of each layer are x + h; empty if none is. An attribute, too.
  bool is_carried = false;     // Whether the next step reads the normalized cell state. An attribute, too.
  std::vector<Layer> layers;
  Tensor x;
  OpInputList c, h;
  LayerTensors kernels, biases, peepholes, projections, norms, cell_clips, projection_clips, epsilons;
  SeriesInputs series_inputs;
  std::vector<int32_t> lengths;

 private:
  Status ReadExtras(OpKernelContext* context) {
    RETURN_IF_ERROR(peepholes.Read(context, "peepholes", c.size(), {0, 3}));
    RETURN_IF_ERROR(projections.Read(context, "projections", c.size(), {0, 1}));
    RETURN_IF_ERROR(norms.Read(context, "norms", c.size(), {0, kNormArrays}));
    RETURN_IF_ERROR(cell_clips.Read(context, "cell_clips", c.size(), {0, 1}));
    RETURN_IF_ERROR(projection_clips.Read(context, "projection_clips", c.size(), {0, 1}));
    RETURN_IF_ERROR(series_inputs.Read(context, c.size()));
    if (!norms.IsEmpty() && !biases.IsEmpty()) {
      return InvalidArgument("StackedLstm: expected no `biases` with `norms`, whose shifts are the biases");
    }
    // Without norms, a call saves the time of reading this list. The shape function has checked that it is empty.
    if (!norms.IsEmpty()) RETURN_IF_ERROR(epsilons.Read(context, "epsilons", c.size(), {1}));
    if (!projection_clips.IsEmpty() && projections.IsEmpty()) {
      return InvalidArgument("StackedLstm: expected no `projection_clips` without `projections`, got ", c.size());
    }
    return Status();
  }

  // Removes masks of ones from a layer, except those whose gradients are read.
  void RemoveOnes(OpKernelContext* context, int l, Layer* layer) const {
    for (Series mask : {kHMask, kCandidateMask, kCMask}) {
      if (!layer->extras.series[mask].exists || !IsOnes(series_inputs.series[mask][l][0])) continue;
      int first, end;
      const std::string gradient = std::string("d_") + kSeriesKinds[mask].name;
      const bool has_gradient = context->op_kernel().OutputRange(gradient, &first, &end).ok();
      if (!has_gradient || !context->output_required(first + l)) layer->extras.series[mask].exists = false;
    }
  }

  static bool IsOnes(const Tensor& mask) {
    if (mask.dtype() == tensorflow::DT_FLOAT) return Ones<float>::Get().Contains(mask);
    return Ones<double>::Get().Contains(mask);
  }

  // Checks the shapes of a layer's norms, and describes them in `layer`.
  Status DescribeNorm(int l, Layer* layer) const {
    layer->extras.norm.exists = norms[l].number > 0;
    layer->extras.norm.is_carried = is_carried;
    for (int k = 0; k < norms[l].number; ++k) {
      RETURN_IF_ERROR(k < kNormArrays / 2 ? ExpectShape("norms", norms[l][k], {kGates, layer->units})
                                          : ExpectShape("norms", norms[l][k], {layer->units}));
    }
    return ReadScalar("epsilons", epsilons[l], &layer->extras.norm.epsilon);
  }

  // Reads a layer's number, if there is one.
  static Status ReadScalar(const char* name, const TensorRange& tensors, double* number) {
    if (tensors.number == 0) return Status();
    const Tensor& tensor = tensors[0];
    RETURN_IF_ERROR(ExpectShape(name, tensor, {}));
    *number = tensor.dtype() == tensorflow::DT_FLOAT ? tensor.scalar<float>()() : tensor.scalar<double>()();
    return Status();
  }
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_STACK_INPUTS_H_
