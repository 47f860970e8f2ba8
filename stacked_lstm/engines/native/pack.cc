// Weights in the order in which the forward pass reads them.

#include "lstm.h"
#include "tile.h"

namespace stacked_lstm {

// Bytes that one thread has copied before another one would have come.
constexpr int64_t kWorthHelpers = 1 << 17;

template <class T>
void Pack(int64_t inputs, int64_t units, const Weights<const T>& weights, T* packed, const Threads& threads) {
  constexpr int64_t kSize = Vector<T>::kSize;
  const int64_t panels = (units + kSize - 1) / kSize;
  const int64_t first_row[] = {weights.h_row, weights.x_row}, rows[] = {units, inputs};
  T* const target[] = {packed, packed + units * kGates * units};
  Threads used = threads;
  if (PackedSize(inputs, units) * static_cast<int64_t>(sizeof(T)) < kWorthHelpers) used.count = 1;
  Team::Run(used, [&](Worker& worker) {
    worker.Each(2 * panels, [&](int64_t k) {
      const int64_t part = k / panels, column = k % panels * kSize, width = std::min(kSize, units - column);
      T* to = target[part] + column * kGates * rows[part];
      for (int64_t row = first_row[part]; row < first_row[part] + rows[part]; ++row) {
        for (int gate = 0; gate < kGates; ++gate, to += width) {
          StoreFirst(to, LoadFirst(weights.kernel[gate] + row * weights.stride + column, width), width);
        }
      }
    });
  });
}

template void Pack(int64_t, int64_t, const Weights<const float>&, float*, const Threads&);
template void Pack(int64_t, int64_t, const Weights<const double>&, double*, const Threads&);

}  // namespace stacked_lstm
