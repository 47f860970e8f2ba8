// Tensors whose layout depends on the vectors of this processor: their shapes, and the parts of a stack's cache.

#ifndef STACKED_LSTM_OP_CACHE_H_
#define STACKED_LSTM_OP_CACHE_H_

#include <algorithm>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "lstm.h"
#include "op_inputs.h"
#include "op_status.h"

namespace stacked_lstm {

// The shape of such a tensor is its size, followed by `LayoutNumber` axes of size 1. Their number shows whether the
// tensor comes from another processor: a graph may contain packed weights as a constant, and a cache may be fed.
template <class T>
absl::InlinedVector<int64_t, 8> VectorLayoutShape(int64_t size) {
  absl::InlinedVector<int64_t, 8> shape(1 + LayoutNumber<T>(), 1);
  shape[0] = size;
  return shape;
}

template <class T>
Status ExpectVectorLayout(const char* name, const Tensor& tensor, int64_t size) {
  const bool size_matches = tensor.dims() > 0 && tensor.dim_size(0) == size && tensor.NumElements() == size;
  if (size_matches && tensor.dims() != 1 + LayoutNumber<T>()) {
    return InvalidArgument("StackedLstm: `", name, "` comes from a machine with another processor (its shape is ",
                           tensor.shape().DebugString(), "): freeze the graph on the machine that runs it");
  }
  return ExpectShape(name, tensor, VectorLayoutShape<T>(size));
}

// The cache of a stack: for each layer its own cache, then h if it is residual, then its outputs. The outputs of the
// last layer are an output of the op, not part of the cache.
template <class T>
struct StackCache {
  struct Part {
    int64_t cache, hidden, outputs;  // Where they begin, a multiple of the vector's size.
  };

  // Computes the parts. Returns an error if a tensor cannot have so many numbers.
  Status FindParts(const std::vector<Layer>& layers) {
    const int64_t number = layers.size();
    for (const Layer& layer : layers) {
      // An upper bound: it has 9 numbers for each 8 of the cache, or 13 for each 12 with layer normalization.
      TensorShape bound;
      const int64_t width = WholeVectors(std::max(layer.units, layer.outputs()));
      const int64_t numbers = (layer.extras.norm.exists ? 13 : 9) * number;
      RETURN_IF_ERROR(MakeShape({layer.steps, layer.batch, width, numbers}, &bound));
      const int64_t series = WholeVectors(layer.steps * layer.batch * layer.outputs());
      const int64_t hidden = size + WholeVectors(CacheSize<T>(layer));
      const int64_t outputs = hidden + (layer.residual ? series : 0);
      parts.push_back({size, hidden, outputs});
      size = outputs + series;
    }
    size = parts.back().outputs;
    return Status();
  }

  // Sets the numbers between what is in a part and the next part to zero.
  void SetGapsToZero(const std::vector<Layer>& layers, T* cache) const {
    for (size_t l = 0; l < layers.size(); ++l) {
      const int64_t series = layers[l].steps * layers[l].batch * layers[l].outputs();
      std::fill(cache + parts[l].cache + CacheSize<T>(layers[l]), cache + parts[l].hidden, T(0));
      if (layers[l].residual) std::fill(cache + parts[l].hidden + series, cache + parts[l].outputs, T(0));
      if (l + 1 == layers.size()) continue;
      std::fill(cache + parts[l].outputs + series, cache + parts[l + 1].cache, T(0));
    }
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
