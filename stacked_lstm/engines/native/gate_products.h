// Products with the packed weights of a layer, panel by panel: x W and h W of all gates.

#ifndef STACKED_LSTM_GATE_PRODUCTS_H_
#define STACKED_LSTM_GATE_PRODUCTS_H_

#include "plan.h"
#include "tile.h"
#include "whole_panels.h"

namespace stacked_lstm {

template <class T>
class GateProducts {
 public:
  GateProducts(const Plan<T>& plan, const T* packed) : plan_(plan), weights_(plan, packed) {}

  // Computes z = left W, or z += left W, for the gates of a panel of units. The rows of `left` are contiguous. The rows
  // of z are a row of gates apart.
  void Multiply(Factor factor, int64_t panel, const T* left, int64_t rows, bool add, T* z) const {
    const int64_t depth = weights_.Rows(factor);
    const T* const init = add ? z : nullptr;
    SelectTile<T>(rows)(depth, left, depth, weights_.Panel(factor, panel), init, plan_.row_width, z, plan_.row_width);
  }

 private:
  const Plan<T>& plan_;
  const WholePanels<T> weights_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_GATE_PRODUCTS_H_
