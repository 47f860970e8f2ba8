// The functions of NVIDIA's library cuDNN that the ops call, with the names and numbers of its header cudnn.h.
//
// The library is opened at run time, so that neither its headers nor CUDA's are needed to compile. Source: NVIDIA,
// cuDNN API Reference, https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html.

#ifndef STACKED_LSTM_CUDNN_API_H_
#define STACKED_LSTM_CUDNN_API_H_

#include <cstddef>
#include <cstdint>

namespace stacked_lstm {
namespace cudnn {

using Handle = void*;
using Stream = void*;
using TensorDescriptor = void*;
using DropoutDescriptor = void*;
using RnnDescriptor = void*;
using DataDescriptor = void*;

constexpr int kSuccess = 0;                                                        // cudnnStatus_t
constexpr int kFloat = 0, kDouble = 1, kHalf = 2;                                  // cudnnDataType_t
constexpr int kDefaultMath = 0, kTensorOpMath = 1, kFmaMath = 3;                   // cudnnMathType_t
constexpr int kLstm = 2, kDoubleBias = 2, kLinearInput = 0;                        // Arguments of the descriptor.
constexpr int kUnidirectional = 0, kBidirectional = 1;                             // cudnnDirectionMode_t
constexpr int kPaddedIoDisabled = 0, kPaddedIoEnabled = 1;
constexpr int kSequenceMajorUnpacked = 0, kSequenceMajorPacked = 1;                // cudnnRNNDataLayout_t
constexpr int kTraining = 1;                                                       // cudnnForwardMode_t
constexpr int kAddToGradient = 0;                                                  // cudnnWgradMode_t

// cudnnRNNAlgo_t
constexpr int kStandard = 0, kPersistStatic = 1, kPersistDynamic = 2, kPersistStaticSmallH = 3;

// The oldest version in which the array of lengths on the GPU may be missing.
constexpr size_t kOldestVersion = 8901;

// Name, result, and parameters. "_v8" belongs to the names in versions 8 and 9.
#define STACKED_LSTM_CUDNN_FUNCTIONS(DECLARE)                                                                          \
  DECLARE(cudnnGetVersion, size_t, ())                                                                                 \
  DECLARE(cudnnGetErrorString, const char*, (int status))                                                              \
  DECLARE(cudnnCreate, int, (Handle*))                                                                                 \
  DECLARE(cudnnDestroy, int, (Handle))                                                                                 \
  DECLARE(cudnnSetStream, int, (Handle, Stream))                                                                       \
  DECLARE(cudnnCreateTensorDescriptor, int, (TensorDescriptor*))                                                       \
  DECLARE(cudnnDestroyTensorDescriptor, int, (TensorDescriptor))                                                       \
  DECLARE(cudnnSetTensorNdDescriptor, int,                                                                             \
          (TensorDescriptor, int type, int rank, const int* sizes, const int* strides))                                \
  DECLARE(cudnnCreateDropoutDescriptor, int, (DropoutDescriptor*))                                                     \
  DECLARE(cudnnDestroyDropoutDescriptor, int, (DropoutDescriptor))                                                     \
  DECLARE(cudnnSetDropoutDescriptor, int,                                                                              \
          (DropoutDescriptor, Handle, float rate, void* states, size_t states_size, unsigned long long seed))          \
  DECLARE(cudnnCreateRNNDescriptor, int, (RnnDescriptor*))                                                             \
  DECLARE(cudnnDestroyRNNDescriptor, int, (RnnDescriptor))                                                             \
  DECLARE(cudnnSetRNNDescriptor_v8, int,                                                                               \
          (RnnDescriptor, int algorithm, int cell, int bias, int direction, int input_mode, int data_type,             \
           int compute_type, int math, int32_t input_size, int32_t hidden_size, int32_t projection_size,               \
           int32_t layers, DropoutDescriptor, uint32_t padded_io))                                                     \
  DECLARE(cudnnBuildRNNDynamic, int, (Handle, RnnDescriptor, int batch))                                               \
  DECLARE(cudnnCreateRNNDataDescriptor, int, (DataDescriptor*))                                                        \
  DECLARE(cudnnDestroyRNNDataDescriptor, int, (DataDescriptor))                                                        \
  DECLARE(cudnnSetRNNDataDescriptor, int,                                                                              \
          (DataDescriptor, int type, int layout, int steps, int batch, int width, const int* lengths, void* padding))  \
  DECLARE(cudnnGetRNNWeightSpaceSize, int, (Handle, RnnDescriptor, size_t* bytes))                                     \
  DECLARE(cudnnGetRNNTempSpaceSizes, int,                                                                              \
          (Handle, RnnDescriptor, int mode, DataDescriptor x, size_t* workspace, size_t* reserve))                     \
  DECLARE(cudnnRNNForward, int,                                                                                        \
          (Handle, RnnDescriptor, int mode, const int32_t* gpu_lengths, DataDescriptor x_layout, const void* x,        \
           DataDescriptor y_layout, void* y, TensorDescriptor h_layout, const void* h, void* h_n,                      \
           TensorDescriptor c_layout, const void* c, void* c_n, size_t weights_size, const void* weights,              \
           size_t workspace_size, void* workspace, size_t reserve_size, void* reserve))                                \
  DECLARE(cudnnRNNBackwardData_v8, int,                                                                                \
          (Handle, RnnDescriptor, const int32_t* gpu_lengths, DataDescriptor y_layout, const void* y, const void* d_y, \
           DataDescriptor x_layout, void* d_x, TensorDescriptor h_layout, const void* h, const void* d_h_n, void* d_h, \
           TensorDescriptor c_layout, const void* c, const void* d_c_n, void* d_c, size_t weights_size,                \
           const void* weights, size_t workspace_size, void* workspace, size_t reserve_size, void* reserve))           \
  DECLARE(cudnnRNNBackwardWeights_v8, int,                                                                             \
          (Handle, RnnDescriptor, int mode, const int32_t* gpu_lengths, DataDescriptor x_layout, const void* x,        \
           TensorDescriptor h_layout, const void* h, DataDescriptor y_layout, const void* y, size_t weights_size,      \
           void* d_weights, size_t workspace_size, void* workspace, size_t reserve_size, void* reserve))

// The library's functions. All except the first two return a status, which is kSuccess or an error.
struct Api {
#define STACKED_LSTM_CUDNN_FIELD(name, result, parameters) result(*name) parameters;
  STACKED_LSTM_CUDNN_FUNCTIONS(STACKED_LSTM_CUDNN_FIELD)
#undef STACKED_LSTM_CUDNN_FIELD
};

// Opens the library, once in a process. Returns null if it is missing or too old; then `problem` says why.
const Api* OpenCudnn(const char** problem);

}  // namespace cudnn
}  // namespace stacked_lstm

#endif  // STACKED_LSTM_CUDNN_API_H_
