// Masks of ones. Dropout has such masks if nothing is dropped. They share memory, so no op has to write them. An op
// that reads such a mask recognizes the memory, and knows that the mask changes nothing.

#ifndef STACKED_LSTM_OP_ONES_H_
#define STACKED_LSTM_OP_ONES_H_

#include <algorithm>
#include <mutex>
#include <new>

#include "op_inputs.h"
#include "pool_allocator.h"
#include "tensorflow/core/framework/tensor.h"

namespace stacked_lstm {

// The memory is never written again: TensorFlow writes to the memory of a tensor only if nothing else refers to it.
template <class T>
class Ones {
 public:
  static constexpr int64_t kMaxBytes = 64 << 20;

  static Ones& Get() {
    // Never destroyed, because calls may still run when the process ends.
    static Ones* const ones = new Ones;
    return *ones;
  }

  // Sets a tensor to ones of this shape. Returns false if they need more than kMaxBytes.
  bool Fill(const TensorShape& shape, Tensor* tensor) {
    const int64_t size = shape.num_elements();
    if (size > kMaxBytes / static_cast<int64_t>(sizeof(T))) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    if (size > ones_.NumElements()) Grow(size);
    return tensor->CopyFrom(ones_.Slice(0, size), shape);
  }

  // Whether the data of a tensor is in this memory.
  bool Contains(const Tensor& tensor) {
    std::lock_guard<std::mutex> lock(mutex_);
    const T *const data = tensor.flat<T>().data(), *const begin = ones_.template flat<T>().data();
    return tensor.NumElements() > 0 && data >= begin && data < begin + ones_.NumElements();
  }

 private:
  Ones() : ones_(tensorflow::DataTypeToEnum<T>::value, TensorShape({0})) {}

  void Grow(int64_t size) {
    Tensor ones(PoolAllocator::Get(), tensorflow::DataTypeToEnum<T>::value, TensorShape({size}));
    if (!ones.IsInitialized()) throw std::bad_alloc();
    std::fill_n(ones.flat<T>().data(), size, T(1));
    ones_ = ones;
  }

  std::mutex mutex_;
  Tensor ones_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_ONES_H_
