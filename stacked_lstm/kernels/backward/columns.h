// Transposed weights for the backward pass, which multiplies them with the gradients of pre-activations.

#ifndef STACKED_LSTM_COLUMNS_H_
#define STACKED_LSTM_COLUMNS_H_

#include "lstm.h"
#include "schedule/plan.h"
#include "storage/buffer.h"
#include "storage/layout.h"

namespace stacked_lstm {

// `rows` rows of all gate matrices, starting with row `first`, as columns in `ColumnPanels`. A row k of a panel is one
// of [panel of units, gate, unit], as in a row of gates. Units beyond the last one have zeros.
template <class T>
class Columns {
 public:
  // is_read: whether a product reads the columns. If not, there is nothing to pack, and only their sizes are known.
  Columns(const Plan<T>& plan, const Weights<const T>& weights, int64_t first, int64_t rows, bool is_read = true)
      : plan_(plan),
        weights_(weights),
        first_(first),
        is_read_(is_read),
        packed_(is_read ? ColumnPanels<T>::Size(plan.row_width, rows) : 0),
        columns_(packed_.get(), plan.row_width, rows) {}

  int64_t panels() const { return columns_.panels(); }
  int64_t Count(int64_t panel) const { return columns_.Columns(panel); }
  int Vectors(int64_t panel) const { return columns_.Vectors(panel); }
  const T* Panel(int64_t panel) const { return columns_.Panel(panel); }

  // Packing has this many pieces. A piece is a panel of units of a panel of columns. `Pack` is not inlined into the
  // team's loop, because its own loops would have too few registers there.
  int64_t pieces() const { return is_read_ ? panels() * plan_.panels : 0; }
  __attribute__((noinline)) void Pack(int64_t piece) const {
    const int64_t panel = piece / plan_.panels, units_panel = piece % plan_.panels;
    const int64_t units = plan_.Units(units_panel), stride = weights_.stride;
    for (int gate = 0; gate < kGates; ++gate) {
      const T* source = weights_.kernel[gate] + (first_ + panel * kWidth) * stride + units_panel * kSize;
      for (int v = 0; v < Vectors(panel); ++v, source += kSize * stride) {
        const int64_t count = std::min(kSize, Count(panel) - v * kSize), width = columns_.RowStride(panel, v);
        T* const target = columns_.At(panel, units_panel * kWidth + gate * kSize, v);
        for (int64_t unit = 0; unit < kSize; ++unit) Store(target + unit * width, Vec<T>{});
        for (int64_t n = 0; n < count; ++n) {
          __builtin_prefetch(source + n * stride + kPiecesAhead * kSize);
          for (int64_t unit = 0; unit < units; ++unit) target[unit * width + n] = source[n * stride + unit];
        }
      }
    }
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;
  // A piece reads a vector of each row. The rows are so far apart that the processor does not fetch the next vectors.
  static constexpr int64_t kPiecesAhead = 4;

  const Plan<T>& plan_;
  const Weights<const T>& weights_;
  int64_t first_;
  bool is_read_;
  Buffer<T> packed_;
  ColumnPanels<T> columns_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_COLUMNS_H_
