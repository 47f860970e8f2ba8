// Checks of the ops' inputs: every size is checked before a byte is read, whatever the shape functions checked.

#ifndef STACKED_LSTM_OP_INPUTS_H_
#define STACKED_LSTM_OP_INPUTS_H_

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "lstm.h"
#include "op_status.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace stacked_lstm {

using tensorflow::OpInputList;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;

// Makes a shape. Returns an error if a tensor cannot have so many numbers; TensorShape's constructors would end the
// process.
inline Status MakeShape(absl::Span<const int64_t> sizes, TensorShape* shape) {
  typedef decltype(shape->dim_size(0)) Size;  // long or long long, depending on the version.
  const absl::InlinedVector<Size, 8> copy(sizes.begin(), sizes.end());
  return tensorflow::TensorShapeUtils::MakeShape(copy.data(), static_cast<int>(copy.size()), shape);
}

inline bool HasShape(const Tensor& tensor, absl::Span<const int64_t> sizes) {
  bool is_equal = tensor.dims() == static_cast<int>(sizes.size());
  for (int axis = 0; is_equal && axis < tensor.dims(); ++axis) is_equal = tensor.dim_size(axis) == sizes[axis];
  return is_equal;
}

inline Status ExpectShape(const char* name, const Tensor& tensor, absl::Span<const int64_t> sizes) {
  if (HasShape(tensor, sizes)) return Status();
  TensorShape expected;
  RETURN_IF_ERROR(MakeShape(sizes, &expected));
  return InvalidArgument("StackedLstm: expected `", name, "` of shape ", expected.DebugString(), ", got ",
                         tensor.shape().DebugString());
}

inline Status ActivationByName(const std::string& name, Activation* activation) {
  static const struct {
    const char* name;
    Activation activation;
  } kActivations[] = {{"tanh", Activation::kTanh},
                      {"sigmoid", Activation::kSigmoid},
                      {"hard_sigmoid", Activation::kHardSigmoid},
                      {"hard_sigmoid_6", Activation::kHardSigmoid6},
                      {"relu", Activation::kRelu},
                      {"linear", Activation::kLinear}};
  for (const auto& entry : kActivations) {
    if (name == entry.name) {
      *activation = entry.activation;
      return Status();
    }
  }
  return InvalidArgument("StackedLstm: expected the activation to be one of tanh, sigmoid, hard_sigmoid, ",
                         "hard_sigmoid_6, relu, linear, got '", name, "'");
}

// The kernels or the biases of one layer: `number` tensors of a list, from index `first`. The list must live as long as
// the range.
struct TensorRange {
  const OpInputList* list;
  int first, number;

  const Tensor& operator[](int k) const { return (*list)[first + k]; }
};

// A list of tensors that has the same number of them for each layer.
class LayerTensors {
 public:
  // Reads a list of an op. `counts` has the possible numbers of tensors per layer.
  Status Read(OpKernelContext* context, const char* name, int layers, std::initializer_list<int> counts) {
    RETURN_IF_ERROR(context->input_list(name, &list_));
    per_layer_ = list_.size() / layers;
    const bool is_whole = per_layer_ * layers == list_.size();
    if (is_whole && std::find(counts.begin(), counts.end(), per_layer_) != counts.end()) return Status();
    std::string expected;
    for (int count : counts) expected += (expected.empty() ? "" : " or ") + std::to_string(count);
    return InvalidArgument("StackedLstm: expected ", expected, " `", name, "` per layer, and ", layers, " layers, got ",
                           list_.size(), " tensors");
  }

  bool IsEmpty() const { return per_layer_ == 0; }
  TensorRange operator[](int l) const { return {&list_, l * per_layer_, per_layer_}; }

 private:
  OpInputList list_;
  int per_layer_ = 0;
};

// Checks the shapes of a layer's kernels and of its projection, if there is one, and reads the layer's sizes from them.
inline Status ReadSizes(const TensorRange& kernels, const TensorRange& projection, Layer* layer) {
  const TensorShape& shape = kernels[0].shape();
  if (shape.dims() != 2) {
    return InvalidArgument("StackedLstm: expected `kernels` of rank 2, got shape ", shape.DebugString());
  }
  const int64_t columns = shape.dim_size(1), gates = kernels.number == 1 ? kGates : 1;
  layer->units = columns / gates;
  if (projection.number) {
    const TensorShape& projection_shape = projection[0].shape();
    if (projection_shape.dims() != 2 || projection_shape.dim_size(0) != layer->units ||
        projection_shape.dim_size(1) == 0) {
      return InvalidArgument("StackedLstm: expected `projections` of shape [", layer->units, ", P], got ",
                             projection_shape.DebugString());
    }
    layer->extras.projection = projection_shape.dim_size(1);
  }
  layer->inputs = shape.dim_size(0) - layer->outputs();
  if (layer->units == 0 || columns % gates || layer->inputs < 0) {
    return InvalidArgument("StackedLstm: expected `kernels` of shape [", projection.number ? "P" : "H", " + I, ",
                           gates == 1 ? "" : "4", "H], got ", shape.DebugString());
  }
  for (int k = 1; k < kernels.number; ++k) {
    RETURN_IF_ERROR(ExpectShape("kernels", kernels[k], {layer->inputs + layer->outputs(), layer->units}));
  }
  return Status();
}

// The gates in a layer's 1 or 4 kernels and 0, 1 or 4 biases. Any of them may be null.
template <class T>
Weights<T> MakeWeights(const Layer& layer, const std::vector<T*>& kernels, const std::vector<T*>& biases) {
  Weights<T> weights = {};
  const bool fused = kernels.size() == 1;
  weights.stride = fused ? kGates * layer.units : layer.units;
  weights.h_row = fused ? layer.inputs : 0;
  weights.x_row = fused ? 0 : layer.outputs();
  for (int gate = 0; gate < kGates; ++gate) {
    T* const kernel = kernels[fused ? 0 : gate];
    T* const bias = biases.empty() ? nullptr : biases[biases.size() == 1 ? 0 : gate];
    weights.kernel[gate] = kernel && fused ? kernel + gate * layer.units : kernel;
    weights.bias[gate] = bias && biases.size() == 1 ? bias + gate * layer.units : bias;
  }
  return weights;
}

template <class T>
std::vector<const T*> DataPointers(const TensorRange& tensors) {
  std::vector<const T*> data(tensors.number);
  for (int k = 0; k < tensors.number; ++k) data[k] = tensors[k].flat<T>().data();
  return data;
}

// The peepholes, the projection, the norms and the series of a layer, or their gradients. `series` has a list for each
// `Series`.
template <class T>
ExtraWeights<T> MakeExtraWeights(const std::vector<T*>& peepholes, const std::vector<T*>& projection,
                                 const std::vector<T*>& norms, const std::vector<T*> (&series)[kSeriesCount]) {
  ExtraWeights<T> weights = {};
  std::copy(peepholes.begin(), peepholes.end(), weights.peephole);
  if (!projection.empty()) weights.projection = projection[0];
  if (!norms.empty()) weights.norm = {norms[0], norms[1], norms[2], norms[3]};
  for (int k = 0; k < kSeriesCount; ++k) {
    if (!series[k].empty()) weights.series[k] = series[k][0];
  }
  return weights;
}

// Reads and checks the sequence lengths: an op has one tensor of them, or none. They are copied, because the owner of
// the tensor's memory may change it after the check.
inline Status ReadLengths(OpKernelContext* context, int64_t steps, int64_t batch, std::vector<int32_t>* lengths) {
  OpInputList list;
  RETURN_IF_ERROR(context->input_list("lengths", &list));
  if (list.size() == 0) return Status();
  if (list.size() > 1) return InvalidArgument("StackedLstm: expected 0 or 1 `lengths`, got ", list.size());
  RETURN_IF_ERROR(ExpectShape("lengths", list[0], {batch}));
  const auto values = list[0].flat<tensorflow::int32>();
  lengths->assign(values.data(), values.data() + values.size());
  for (int32_t length : *lengths) {
    if (length < 0 || length > steps) {
      return InvalidArgument("StackedLstm: expected sequence lengths from 0 to ", steps, ", got ", length);
    }
  }
  return Status();
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_INPUTS_H_
