// The gradient of a projection's weights, a sum over all steps and sequences.

#ifndef STACKED_LSTM_PROJECTION_GRADIENTS_H_
#define STACKED_LSTM_PROJECTION_GRADIENTS_H_

#include "arithmetic/tile.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/buffer.h"
#include "storage/layout.h"

namespace stacked_lstm {

template <class T>
class ProjectionGradients {
 public:
  // max_rows: the maximum number of rows of [step, sequence] that `Add` takes.
  ProjectionGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays, int64_t max_rows,
                      const LayerSchedule& schedule)
      : layer_(plan.layer),
        plan_(plan),
        arrays_(arrays),
        schedule_(schedule),
        strips_(layer_.units, kTileRows),
        panel_size_(std::min(max_rows, kPartRows) * kWidth),
        panels_(arrays.d_extras.projection ? schedule.threads * panel_size_ : 0) {}

  void SetToZero() const {
    T* const projection = arrays_.d_extras.projection;
    if (projection) std::fill(projection, projection + layer_.units * layer_.extras.projection, T(0));
  }

  // Adds the gradient of some steps. The first call sets it instead of adding. m: o phi(c') of these steps, in rows
  // padded to whole vectors. d: the gradients of its projection, likewise. Both are zero past the end of each sequence.
  void Add(Worker& worker, Range steps, const T* m, const T* d, bool first) const {
    if (!arrays_.d_extras.projection) return;
    const int64_t rows = steps.size() * layer_.batch, panels = (layer_.extras.projection + kWidth - 1) / kWidth;
    const int64_t shares = std::min(schedule_.GradientShares(panels), (strips_.number + kSize - 1) / kSize);
    const Pieces sums(rows, kPartRows);  // A step may have more rows.
    ForEachShare(worker, panels, shares, [&](int64_t panel, Share share) {
      T* const packed = panels_.get() + worker.index() * panel_size_;
      const Range range = share.Slice(strips_.number);
      for (int64_t k = 0; k < sums.number; ++k) {
        const int64_t row = sums.Begin(k), size = sums.Size(k);
        PackPanel(panel, size, d + row * VectorCount<T>(layer_.extras.projection) * kSize, packed);
        const T* const m_rows = m + row * plan_.panels * kSize;
        for (int64_t n = range.begin; n < range.end; ++n) {
          AddRows(panel, strips_[n], size, m_rows, packed, first && k == 0);
        }
      }
    });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Copies a panel of columns of `d` to memory in the layout of panel.h, padded to 4 vectors.
  void PackPanel(int64_t panel, int64_t rows, const T* d, T* target) const {
    const int64_t stride = VectorCount<T>(layer_.extras.projection) * kSize, column = panel * kWidth;
    for (int64_t row = 0; row < rows; ++row) {
      for (int v = 0; v < kPanelVectors; ++v) {
        const int64_t first = column + v * kSize;
        const Vec<T> value = first < stride ? Load(d + row * stride + first) : Vec<T>{};
        Store(target + VectorPosition<T>(rows, kPanelVectors, row, v) * kSize, value);
      }
    }
  }

  // Adds to the rows of some units for a panel of columns.
  void AddRows(int64_t panel, Range units, int64_t rows, const T* m, const T* d, bool first) const {
    alignas(64) T sum[kTileRows * kWidth];
    const int64_t width = layer_.extras.projection, count = std::min(kWidth, width - panel * kWidth);
    SelectTile<T, kPanelVectors, Left::kColumns>(units.size())(rows, m + units.begin, plan_.panels * kSize, d, nullptr,
                                                               0, sum, kWidth);
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
      T* const target = arrays_.d_extras.projection + unit * width + panel * kWidth;
      const T* const source = sum + (unit - units.begin) * kWidth;
      for (int64_t n = 0; n < count; ++n) target[n] = first ? source[n] : target[n] + source[n];
    }
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const BackwardArrays<T>& arrays_;
  const LayerSchedule& schedule_;
  const Pieces strips_;  // The units.
  const int64_t panel_size_;  // Of a thread's packed panel of `d`.
  const Buffer<T> panels_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PROJECTION_GRADIENTS_H_
