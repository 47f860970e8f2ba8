#include "network.h"

#include <vector>

namespace stacked_lstm {
namespace cudnn {
namespace {

int MathOf(const Sizes& sizes) {
  if (sizes.type == kHalf) return kTensorOpMath;
  return sizes.type == kFloat && !sizes.has_tf32 ? kFmaMath : kDefaultMath;
}

TensorDescriptor MakeTensor(const Api& api, int type, const std::vector<int>& sizes) {
  TensorDescriptor tensor = nullptr;
  std::vector<int> strides(sizes.size(), 1);
  for (size_t k = sizes.size() - 1; k > 0; --k) strides[k - 1] = strides[k] * sizes[k];
  STACKED_LSTM_CUDNN_CALL(api, cudnnCreateTensorDescriptor, &tensor);
  const int rank = static_cast<int>(sizes.size());
  const int status = api.cudnnSetTensorNdDescriptor(tensor, type, rank, sizes.data(), strides.data());
  if (status != kSuccess) api.cudnnDestroyTensorDescriptor(tensor);
  Check(api, status, "cudnnSetTensorNdDescriptor");
  return tensor;
}

// The layout of a tensor [T, B, width] in which all sequences have T steps.
class Series {
 public:
  Series(const Api& api, const Sizes& sizes, int layout, int steps, int width) : api_(api) {
    const std::vector<int> lengths(sizes.batch, steps);
    double zero = 0;  // Its bits are those of a zero of any type.
    STACKED_LSTM_CUDNN_CALL(api, cudnnCreateRNNDataDescriptor, &descriptor_);
    const int status = api.cudnnSetRNNDataDescriptor(descriptor_, sizes.type, layout, steps, sizes.batch, width,
                                                     lengths.data(), &zero);
    if (status != kSuccess) api.cudnnDestroyRNNDataDescriptor(descriptor_);
    Check(api, status, "cudnnSetRNNDataDescriptor");
  }
  ~Series() { api_.cudnnDestroyRNNDataDescriptor(descriptor_); }
  Series(const Series&) = delete;
  Series& operator=(const Series&) = delete;

  DataDescriptor get() const { return descriptor_; }

 private:
  const Api& api_;
  DataDescriptor descriptor_ = nullptr;
};

}  // namespace

void Check(const Api& api, int status, const char* function) {
  if (status == kSuccess) return;
  throw Error(std::string(function) + " failed: " + api.cudnnGetErrorString(status));
}

Network::Network(const Api& api, Handle handle, const Sizes& sizes, const Algorithm& algorithm)
    : api_(api), sizes_(sizes), algorithm_(algorithm) {
  const int compute_type = sizes.type == kDouble ? kDouble : kFloat;
  const int padded_io = algorithm.layout == kSequenceMajorPacked ? kPaddedIoDisabled : kPaddedIoEnabled;
  const int direction = sizes.directions == 2 ? kBidirectional : kUnidirectional;
  const int state_count = sizes.layers * sizes.directions;
  try {
    STACKED_LSTM_CUDNN_CALL(api, cudnnCreateDropoutDescriptor, &dropout_);
    STACKED_LSTM_CUDNN_CALL(api, cudnnSetDropoutDescriptor, dropout_, handle, 0, nullptr, 0, 0);
    STACKED_LSTM_CUDNN_CALL(api, cudnnCreateRNNDescriptor, &rnn_);
    STACKED_LSTM_CUDNN_CALL(api, cudnnSetRNNDescriptor_v8, rnn_, algorithm.number, kLstm, kDoubleBias, direction,
                            kLinearInput, sizes.type, compute_type, MathOf(sizes), sizes.inputs, sizes.units,
                            sizes.outputs, sizes.layers, dropout_, padded_io);
    if (algorithm.number == kPersistDynamic) {
      STACKED_LSTM_CUDNN_CALL(api, cudnnBuildRNNDynamic, handle, rnn_, sizes.batch);
    }
    STACKED_LSTM_CUDNN_CALL(api, cudnnGetRNNWeightSpaceSize, handle, rnn_, &weights_size_);
    h_ = MakeTensor(api, sizes.type, {state_count, sizes.batch, sizes.outputs});
    c_ = MakeTensor(api, sizes.type, {state_count, sizes.batch, sizes.units});
  } catch (...) {
    Destroy();
    throw;
  }
}

Network::~Network() { Destroy(); }

void Network::Destroy() {
  for (TensorDescriptor tensor : {h_, c_}) {
    if (tensor != nullptr) api_.cudnnDestroyTensorDescriptor(tensor);
  }
  if (rnn_ != nullptr) api_.cudnnDestroyRNNDescriptor(rnn_);
  if (dropout_ != nullptr) api_.cudnnDestroyDropoutDescriptor(dropout_);
}

TemporarySizes Network::FindTemporarySizes(Handle handle, int steps) const {
  TemporarySizes result = {};
  const Series x(api_, sizes_, algorithm_.layout, steps, sizes_.inputs);
  STACKED_LSTM_CUDNN_CALL(api_, cudnnGetRNNTempSpaceSizes, handle, rnn_, kTraining, x.get(), &result.workspace,
                          &result.reserve);
  return result;
}

void Network::RunForward(Handle handle, int steps, const Tensors& t) const {
  const Series x(api_, sizes_, algorithm_.layout, steps, sizes_.inputs);
  const Series y(api_, sizes_, algorithm_.layout, steps, sizes_.directions * sizes_.outputs);
  STACKED_LSTM_CUDNN_CALL(api_, cudnnRNNForward, handle, rnn_, kTraining, nullptr, x.get(), t.x, y.get(), t.outputs,
                          h_, t.h, t.h_n, c_, t.c, t.c_n, weights_size_, t.weights, t.sizes.workspace, t.workspace,
                          t.sizes.reserve, t.reserve);
}

void Network::RunBackward(Handle handle, const Device& device, int steps, const Tensors& t,
                          const Gradients& g) const {
  const Series x(api_, sizes_, algorithm_.layout, steps, sizes_.inputs);
  const Series y(api_, sizes_, algorithm_.layout, steps, sizes_.directions * sizes_.outputs);
  STACKED_LSTM_CUDNN_CALL(api_, cudnnRNNBackwardData_v8, handle, rnn_, nullptr, y.get(), t.outputs, g.d_outputs,
                          x.get(), g.d_x, h_, t.h, g.d_h_n, g.d_h, c_, t.c, g.d_c_n, g.d_c, weights_size_, t.weights,
                          t.sizes.workspace, t.workspace, t.sizes.reserve, t.reserve);
  device.fill_with_zeros(g.d_weights, weights_size_);  // cuDNN adds to it.
  STACKED_LSTM_CUDNN_CALL(api_, cudnnRNNBackwardWeights_v8, handle, rnn_, kAddToGradient, nullptr, x.get(), t.x, h_,
                          t.h, y.get(), t.outputs, weights_size_, g.d_weights, t.sizes.workspace, t.workspace,
                          t.sizes.reserve, t.reserve);
}

}  // namespace cudnn
}  // namespace stacked_lstm
