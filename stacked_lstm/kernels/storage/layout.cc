// Sizes that depend on the vectors of this processor, for code that is compiled without its vector instructions.

#include "storage/layout.h"

#include "storage/normalized_layout.h"

namespace stacked_lstm {

template <class T>
int64_t VectorSize() {
  return Vector<T>::kSize;
}

template <class T>
int LayoutNumber() {
  int doublings = 0;
  for (int64_t size = Vector<T>::kSize; size > 1; size /= 2) ++doublings;
  return 2 * doublings + (kGroupVectors<T> == kPanelVectors ? 1 : 0);
}

template <class T>
PackedSizes FindPackedSizes(const Layer& layer) {
  PackedSizes sizes = PackedWeights<T>::Sizes(layer);
  sizes.padded += ColumnPanels<T>::Size(layer.units, layer.extras.projection);
  return sizes;
}

template <class T>
int64_t CacheSize(const Layer& layer) {
  return layer.extras.norm.exists ? NormalizedCache<T>::Size(layer) : CacheView<T>::Size(layer);
}

template int64_t VectorSize<float>();
template int64_t VectorSize<double>();
template int LayoutNumber<float>();
template int LayoutNumber<double>();
template PackedSizes FindPackedSizes<float>(const Layer&);
template PackedSizes FindPackedSizes<double>(const Layer&);
template int64_t CacheSize<float>(const Layer&);
template int64_t CacheSize<double>(const Layer&);

}  // namespace stacked_lstm
