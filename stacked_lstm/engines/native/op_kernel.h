// What the kernels of all ops share: their errors and outputs.

#ifndef STACKED_LSTM_OP_KERNEL_H_
#define STACKED_LSTM_OP_KERNEL_H_

#include <new>
#include <vector>

#include "absl/types/span.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_status.h"
#include "pool_allocator.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace stacked_lstm {

// Runs `work`, and reports an error to TensorFlow if there is not enough scratch memory.
template <class Work>
void CatchOutOfMemory(OpKernelContext* context, Work work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    context->CtxFailure(tensorflow::errors::ResourceExhausted(
        "StackedLstm: there is not enough memory; use a smaller batch or fewer steps"));
  }
}

// Allocates an output.
template <class T>
Status Allocate(OpKernelContext* context, int output, absl::Span<const int64_t> sizes, T** data) {
  TensorShape shape;
  Tensor* tensor = nullptr;
  RETURN_IF_ERROR(MakeShape(sizes, &shape));
  RETURN_IF_ERROR(context->allocate_output(output, shape, &tensor));
  *data = tensor->flat<T>().data();
  return Status();
}

// Allocates the cache, an output of `size` numbers, in memory that earlier calls have used.
template <class T>
Status AllocateCache(OpKernelContext* context, int output, int64_t size, T** data) {
  TensorShape shape;
  RETURN_IF_ERROR(MakeShape(VectorLayoutShape<T>(size), &shape));
  Tensor tensor(PoolAllocator::Get(), tensorflow::DataTypeToEnum<T>::value, shape);
  if (size > 0 && !tensor.IsInitialized()) throw std::bad_alloc();
  *data = tensor.flat<T>().data();
  context->set_output(output, tensor);
  return Status();
}

// Allocates a gradient of this shape. If it is not required, the output is empty and the pointer is null.
template <class T>
Status Result(OpKernelContext* context, int output, const TensorShape& shape, bool is_required, T** data) {
  Tensor* tensor = nullptr;
  RETURN_IF_ERROR(context->allocate_output(output, is_required ? shape : TensorShape({0}), &tensor));
  *data = is_required ? tensor->flat<T>().data() : nullptr;
  return Status();
}

// Allocates the gradients of tensors of a layer, such as its kernels, if any of them is required. `*first` is the index
// of the output for the first of these tensors in the first layer. After the last layer, it is the index behind the
// outputs of all layers.
template <class T>
Status Results(OpKernelContext* context, int* first, const TensorRange& tensors, std::vector<T*>* data) {
  bool any = false;
  for (int k = 0; k < tensors.number; ++k) any |= context->output_required(*first + tensors.first + k);
  for (int k = 0; k < tensors.number; ++k) {
    data->push_back(nullptr);
    RETURN_IF_ERROR(Result(context, *first + tensors.first + k, tensors[k].shape(), any, &data->back()));
  }
  *first += tensors.list->size();
  return Status();
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_KERNEL_H_
