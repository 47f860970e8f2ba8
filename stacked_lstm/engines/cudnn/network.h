// `Network`: layers of one width as cuDNN runs them, in one or both directions, with one of its algorithms.

#ifndef STACKED_LSTM_CUDNN_NETWORK_H_
#define STACKED_LSTM_CUDNN_NETWORK_H_

#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>

#include "cudnn_api.h"

namespace stacked_lstm {
namespace cudnn {

// cuDNN refused a call. The message names the function.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class OutOfMemory : public Error {
 public:
  using Error::Error;
};

// Throws an `Error` unless the status is kSuccess.
void Check(const Api& api, int status, const char* function);

#define STACKED_LSTM_CUDNN_CALL(api, function, ...) \
  ::stacked_lstm::cudnn::Check(api, (api).function(__VA_ARGS__), #function)

// The sizes of a network, and how it computes. The number of steps may differ between calls. With 2 directions, each
// layer has states and weights for the forward direction, followed by states and weights for the backward direction.
// The outputs of both directions are side by side.
struct Sizes {
  int type;       // kFloat, kDouble or kHalf.
  bool has_tf32;  // Whether float products may round their factors to TF32.
  int inputs, units, outputs, layers, directions, batch;

  bool operator<(const Sizes& other) const { return Fields() < other.Fields(); }

 private:
  std::tuple<int, bool, int, int, int, int, int, int> Fields() const {
    return std::make_tuple(type, has_tf32, inputs, units, outputs, layers, directions, batch);
  }
};

struct Algorithm {
  const char* name;
  int number;  // kStandard or another one.
  int layout;  // kSequenceMajorPacked or kSequenceMajorUnpacked; equal if all sequences have all steps.
};

struct TemporarySizes {
  size_t workspace, reserve;  // In bytes.
};

// Memory on the GPU: the tensors of the forward pass.
struct Tensors {
  const void *x, *h, *c, *weights;
  void *outputs, *h_n, *c_n;
  void *workspace, *reserve;
  TemporarySizes sizes;
};

// The gradients of the results, and those of the arguments.
struct Gradients {
  const void *d_outputs, *d_h_n, *d_c_n;
  void *d_x, *d_h, *d_c, *d_weights;
};

// What the host asks of the GPU. All functions throw `Error`. The first two are part of the stream's work.
struct Device {
  Stream stream;
  std::function<void(void* data, size_t bytes)> fill_with_zeros;
  std::function<void(void* to, const void* from, size_t bytes)> copy;
  std::function<void()> wait;  // Returns after all work of the stream.
};

// All functions throw `Error`.
class Network {
 public:
  Network(const Api& api, Handle handle, const Sizes& sizes, const Algorithm& algorithm);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const Algorithm& algorithm() const { return algorithm_; }
  size_t weights_size() const { return weights_size_; }  // In bytes.
  TemporarySizes FindTemporarySizes(Handle handle, int steps) const;

  // The forward pass also fills the reserve space. The backward pass overwrites it, so that it can run only once.
  void RunForward(Handle handle, int steps, const Tensors& tensors) const;
  void RunBackward(Handle handle, const Device& device, int steps, const Tensors& tensors,
                   const Gradients& gradients) const;

 private:
  void Destroy();

  const Api& api_;
  const Sizes sizes_;
  const Algorithm algorithm_;
  DropoutDescriptor dropout_ = nullptr;
  RnnDescriptor rnn_ = nullptr;
  TensorDescriptor h_ = nullptr, c_ = nullptr;
  size_t weights_size_ = 0;
};

}  // namespace cudnn
}  // namespace stacked_lstm

#endif  // STACKED_LSTM_CUDNN_NETWORK_H_
