// Tensors that are laid out by this processor's vectors: what their shapes say, and where a stack's cache has what.

#ifndef STACKED_LSTM_OP_CACHE_H_
#define STACKED_LSTM_OP_CACHE_H_

#include <vector>

#include "lstm.h"
#include "op_inputs.h"
#include "op_status.h"

namespace stacked_lstm {

// How many axes of size 1 the shape of such a tensor has after its size: they tell the width of the vectors, its
// logarithm to base 2. A graph in which packed weights have become a constant may come to another processor, and so may
// a cache.
template <class T>
int VectorAxes() {
  int axes = 0;
  for (int64_t size = VectorSize<T>(); size > 1; size /= 2) ++axes;
  return axes;
}

template <class T>
std::vector<int64_t> LaidOutShape(int64_t size) {
  std::vector<int64_t> shape(1 + VectorAxes<T>(), 1);
  shape[0] = size;
  return shape;
}

template <class T>
Status ExpectLaidOut(const char* name, const Tensor& tensor, int64_t size) {
  const bool right_size = tensor.dims() > 0 && tensor.dim_size(0) == size && tensor.NumElements() == size;
  if (right_size && tensor.dims() != 1 + VectorAxes<T>()) {
    return InvalidArgument("StackedLstm: expected `", name, "` as this processor arranges it, got shape ",
                           tensor.shape().DebugString(), " from another one: it is to be made where it is used");
  }
  return ExpectShape(name, tensor, LaidOutShape<T>(size));
}

// The cache of a stack: of each layer what the backward pass reads, then its outputs, except the last layer's, which
// are an output of the op.
template <class T>
struct StackCache {
  struct Part {
    int64_t cache, outputs;  // Where they begin, at a whole vector.
  };

  // Finds the parts, or an error where there cannot be so many numbers.
  Status Measure(const std::vector<Layer>& layers) {
    const int64_t number = layers.size();
    for (const Layer& layer : layers) {
      TensorShape more;  // Than the cache: it has 6 numbers at most where this has 8.
      RETURN_IF_ERROR(ShapeOf({layer.steps, layer.batch, WholeVectors(layer.units), 8 * number}, &more));
      const int64_t outputs = size + CacheSize<T>(layer.steps, layer.batch, layer.units);
      parts.push_back({size, outputs});
      size = outputs + WholeVectors(layer.steps * layer.batch * layer.units);
    }
    size = parts.back().outputs;
    return Status();
  }

  std::vector<Part> parts;
  int64_t size = 0;

 private:
  static int64_t WholeVectors(int64_t size) {
    const int64_t vector = VectorSize<T>();
    return (size + vector - 1) / vector * vector;
  }
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_CACHE_H_
