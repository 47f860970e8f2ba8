// Sizes that depend on the vectors of this processor, for code that is compiled without its vector instructions.

#include "layout.h"

namespace stacked_lstm {

template <class T>
int64_t VectorSize() {
  return Vector<T>::kSize;
}

int64_t PackedSize(int64_t inputs, int64_t units) { return PackedWeights<float>::Size(inputs, units); }

template <class T>
int64_t CacheSize(int64_t steps, int64_t batch, int64_t units) {
  return CacheView<T>::Size(steps, batch, units);
}

template int64_t VectorSize<float>();
template int64_t VectorSize<double>();
template int64_t CacheSize<float>(int64_t, int64_t, int64_t);
template int64_t CacheSize<double>(int64_t, int64_t, int64_t);

}  // namespace stacked_lstm
