// The kernels of the ops StackedLstmCudnn and StackedLstmCudnnGrad, which op_definitions.cc defines.

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "choice.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/stream_executor.h"
#include "xla/stream_executor/device_memory.h"

#ifndef STACKED_LSTM_CUDNN_DEVICE
#define STACKED_LSTM_CUDNN_DEVICE DEVICE_GPU  // Tests build the ops for CPUs, with a cuDNN for CPUs.
#endif

namespace stacked_lstm {
namespace cudnn {
namespace {

using tensorflow::DT_DOUBLE;
using tensorflow::DT_HALF;
using tensorflow::DT_UINT8;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

const void* Data(const Tensor& tensor) { return tensor.tensor_data().data(); }
void* Data(Tensor* tensor) { return const_cast<char*>(tensor->tensor_data().data()); }

// Memory of the op's device, which TensorFlow frees after the work that uses it.
class TensorMemory : public Memory {
 public:
  explicit TensorMemory(OpKernelContext* context) : context_(context) {}

  void* Allocate(size_t bytes) override {
    Tensor tensor;
    const auto status = context_->allocate_temp(DT_UINT8, TensorShape({static_cast<int64_t>(bytes)}), &tensor);
    if (!status.ok()) {
      throw OutOfMemory("there is not enough memory on the GPU for " + std::to_string(bytes) + " bytes");
    }
    tensors_.push_back(tensor);
    return Data(&tensors_.back());
  }

 private:
  OpKernelContext* context_;
  std::vector<Tensor> tensors_;
};

void Check(const tensorflow::Status& status) {
  if (!status.ok()) throw Error("the GPU reports an error: " + status.ToString());
}

Device FindDevice(OpKernelContext* context) {
  auto* const device = context->op_device_context();
  if (device == nullptr) {  // A CPU.
    return {nullptr, [](void* data, size_t bytes) { std::memset(data, 0, bytes); },
            [](void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }, [] {}};
  }
  auto* const stream = device->stream();
  return {stream->platform_specific_handle().stream,
          [stream](void* data, size_t bytes) {
            stream_executor::DeviceMemoryBase memory(data, bytes);
            Check(stream->MemZero(&memory, bytes));
          },
          [stream](void* to, const void* from, size_t bytes) {
            stream_executor::DeviceMemoryBase target(to, bytes), source(const_cast<void*>(from), bytes);
            Check(stream->Memcpy(&target, source, bytes));
          },
          [stream] { Check(stream->BlockHostUntilDone()); }};
}

// What both kernels share: attributes, and the check of the first four inputs.
class CudnnOp : public OpKernel {
 public:
  explicit CudnnOp(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("algorithm", &algorithm_));
    OP_REQUIRES_OK(construction, construction->GetAttr("allow_tf32", &allow_tf32_));
    std::string direction;
    OP_REQUIRES_OK(construction, construction->GetAttr("direction", &direction));
    directions_ = direction == "bidirectional" ? 2 : 1;
  }

  void Compute(OpKernelContext* context) final {
    const char* problem = nullptr;
    const Api* const api = OpenCudnn(&problem);
    OP_REQUIRES(context, api != nullptr, tensorflow::errors::Unavailable("StackedLstmCudnn: ", problem));
    const std::string mistake = FindShapeMistake(context);
    OP_REQUIRES(context, mistake.empty(), tensorflow::errors::InvalidArgument("StackedLstmCudnn: ", mistake));
    const Device device = FindDevice(context);
    Networks& networks = Networks::Of(*api, device.stream);
    std::lock_guard<std::mutex> lock(networks.mutex());
    try {
      if (networks.handle() == nullptr) networks.OpenHandle();
      if (context->input(0).dim_size(0) == 0 || context->input(0).dim_size(1) == 0) {
        RunEmpty(context, device);
      } else {
        Run(context, device, &networks);
      }
    } catch (const OutOfMemory& error) {
      context->CtxFailure(tensorflow::errors::ResourceExhausted("StackedLstmCudnn: ", error.what()));
    } catch (const Error& error) {
      networks.CloseHandle();
      context->CtxFailure(tensorflow::errors::Internal("StackedLstmCudnn: ", error.what()));
    }
  }

 protected:
  virtual void Run(OpKernelContext* context, const Device& device, Networks* networks) = 0;
  virtual void RunEmpty(OpKernelContext* context, const Device& device) = 0;  // There are no steps.

  // Returns what is wrong with the shapes of the inputs; an empty text if nothing is.
  virtual std::string FindShapeMistake(OpKernelContext* context) const {
    const Tensor &x = context->input(0), &h = context->input(1), &c = context->input(2);
    const bool has_ranks = x.dims() == 3 && h.dims() == 3 && c.dims() == 3;
    if (has_ranks && h.dim_size(0) == c.dim_size(0) && h.dim_size(0) % directions_ == 0 &&
        h.dim_size(1) == x.dim_size(1) && c.dim_size(1) == x.dim_size(1)) {
      return "";
    }
    const std::string layers = directions_ == 2 ? "[2 L, " : "[L, ";
    return "expected x [T, B, I], h " + layers + "B, P] and c " + layers + "B, H], got " + x.shape().DebugString() +
           ", " + h.shape().DebugString() + " and " + c.shape().DebugString();
  }

  TensorShape OutputsShape(OpKernelContext* context) const {
    const Tensor &x = context->input(0), &h = context->input(1);
    return TensorShape({x.dim_size(0), x.dim_size(1), directions_ * h.dim_size(2)});
  }

  const std::string& algorithm() const { return algorithm_; }

  static int Steps(OpKernelContext* context) { return static_cast<int>(context->input(0).dim_size(0)); }

  Sizes FindSizes(OpKernelContext* context) const {
    const Tensor &x = context->input(0), &h = context->input(1), &c = context->input(2);
    const int type = x.dtype() == DT_DOUBLE ? kDouble : x.dtype() == DT_HALF ? kHalf : kFloat;
    const auto size = [](const Tensor& tensor, int axis) { return static_cast<int>(tensor.dim_size(axis)); };
    return {type, allow_tf32_, size(x, 2), size(c, 2), size(h, 2), size(h, 0) / directions_, directions_, size(x, 1)};
  }

  static Tensors FindTensors(OpKernelContext* context) {
    Tensors tensors = {};
    tensors.x = Data(context->input(0));
    tensors.h = Data(context->input(1));
    tensors.c = Data(context->input(2));
    tensors.weights = Data(context->input(3));
    return tensors;
  }

  // Throws `Error` if cuDNN's buffer of weights has another size.
  static void CheckWeights(OpKernelContext* context, const Network& network) {
    const size_t bytes = context->input(3).TotalBytes();
    if (bytes == network.weights_size()) return;
    throw Error("expected " + std::to_string(network.weights_size()) + " bytes of weights, got " +
                std::to_string(bytes));
  }

 private:
  std::string algorithm_;
  bool allow_tf32_ = false;
  int directions_ = 1;
};

class ForwardOp : public CudnnOp {
 public:
  using CudnnOp::CudnnOp;

 private:
  void Run(OpKernelContext* context, const Device& device, Networks* networks) override {
    const Tensor &h = context->input(1), &c = context->input(2);
    Tensor *outputs = nullptr, *h_n = nullptr, *c_n = nullptr, *reserve = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, OutputsShape(context), &outputs));
    OP_REQUIRES_OK(context, context->allocate_output(1, h.shape(), &h_n));
    OP_REQUIRES_OK(context, context->allocate_output(2, c.shape(), &c_n));
    Tensors tensors = FindTensors(context);
    tensors.outputs = Data(outputs), tensors.h_n = Data(h_n), tensors.c_n = Data(c_n);
    const int steps = Steps(context);
    const Network& network =
        networks->Choose(FindSizes(context), algorithm(), device, steps, tensors,
                         [context] { return std::unique_ptr<Memory>(new TensorMemory(context)); });
    CheckWeights(context, network);
    TensorMemory memory(context);
    tensors.sizes = network.FindTemporarySizes(networks->handle(), steps);
    tensors.workspace = memory.Allocate(tensors.sizes.workspace);
    const TensorShape reserve_shape({static_cast<int64_t>(tensors.sizes.reserve)});
    OP_REQUIRES_OK(context, context->allocate_output(3, reserve_shape, &reserve));
    tensors.reserve = Data(reserve);
    network.RunForward(networks->handle(), steps, tensors);
  }

  void RunEmpty(OpKernelContext* context, const Device& device) override {
    Tensor* empty = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, OutputsShape(context), &empty));
    OP_REQUIRES_OK(context, context->allocate_output(3, TensorShape({0}), &empty));
    context->set_output(1, context->input(1));
    context->set_output(2, context->input(2));
  }
};

class BackwardOp : public CudnnOp {
 public:
  using CudnnOp::CudnnOp;

 private:
  std::string FindShapeMistake(OpKernelContext* context) const override {
    const std::string mistake = CudnnOp::FindShapeMistake(context);
    if (!mistake.empty()) return mistake;
    const char* const names[] = {"outputs", "the gradient of outputs", "the gradient of h", "the gradient of c"};
    const TensorShape outputs = OutputsShape(context);
    const TensorShape shapes[] = {outputs, outputs, context->input(1).shape(), context->input(2).shape()};
    for (int k = 0; k < 4; ++k) {
      const TensorShape& shape = context->input(4 + k).shape();
      if (shape != shapes[k]) {
        return std::string("expected ") + names[k] + " of the shape " + shapes[k].DebugString() + ", got " +
               shape.DebugString();
      }
    }
    return "";
  }

  void Run(OpKernelContext* context, const Device& device, Networks* networks) override {
    const Network& network = networks->Find(FindSizes(context), algorithm());
    CheckWeights(context, network);
    Tensor* results[4] = {};
    for (int k = 0; k < 4; ++k) {
      OP_REQUIRES_OK(context, context->allocate_output(k, context->input(k).shape(), &results[k]));
    }
    Tensors tensors = FindTensors(context);
    TensorMemory memory(context);
    const int steps = Steps(context);
    tensors.sizes = network.FindTemporarySizes(networks->handle(), steps);
    const Tensor& reserve = context->input(8);
    if (reserve.TotalBytes() != tensors.sizes.reserve) throw Error("the reserve space is that of another call");
    // cuDNN overwrites the space. Another gradient may still need it, and a loop gives it to each of its steps.
    const std::unique_ptr<Tensor> space =
        context->forward_input(8, OpKernelContext::Params::kNoReservation, DT_UINT8, reserve.shape(),
                               tensorflow::DEVICE_MEMORY, tensorflow::AllocatorAttributes());
    tensors.outputs = const_cast<void*>(Data(context->input(4)));
    tensors.workspace = memory.Allocate(tensors.sizes.workspace);
    tensors.reserve = space != nullptr ? Data(space.get()) : memory.Allocate(tensors.sizes.reserve);
    if (space == nullptr) device.copy(tensors.reserve, Data(reserve), tensors.sizes.reserve);
    const Gradients gradients = {Data(context->input(5)), Data(context->input(6)), Data(context->input(7)),
                                 Data(results[0]),        Data(results[1]),        Data(results[2]),
                                 Data(results[3])};
    network.RunBackward(networks->handle(), device, steps, tensors, gradients);
  }

  void RunEmpty(OpKernelContext* context, const Device& device) override {
    Tensor *d_x = nullptr, *d_weights = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &d_x));
    OP_REQUIRES_OK(context, context->allocate_output(3, context->input(3).shape(), &d_weights));
    context->set_output(1, context->input(6));
    context->set_output(2, context->input(7));
    device.fill_with_zeros(Data(d_weights), d_weights->TotalBytes());
  }
};

REGISTER_KERNEL_BUILDER(Name("StackedLstmCudnn").Device(tensorflow::STACKED_LSTM_CUDNN_DEVICE), ForwardOp);
REGISTER_KERNEL_BUILDER(Name("StackedLstmCudnnGrad").Device(tensorflow::STACKED_LSTM_CUDNN_DEVICE), BackwardOp);

}  // namespace
}  // namespace cudnn
}  // namespace stacked_lstm
