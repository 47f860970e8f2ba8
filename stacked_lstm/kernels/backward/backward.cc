// The backward pass of a stack whose layers have no layer normalization.

#include "arithmetic/cell.h"
#include "backward/backward_stack.h"
#include "backward/backward_step.h"

namespace stacked_lstm {

template <class T>
void Backward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>(layers);
  DispatchCells(layers, arrays, [&](auto make_cell) {
    RunBackward<BackwardStep<T, CellOf<decltype(make_cell)>>>(plans, arrays, make_cell, threads);
  });
}

template void Backward(const std::vector<Layer>&, const std::vector<BackwardArrays<float>>&, const Threads&);
template void Backward(const std::vector<Layer>&, const std::vector<BackwardArrays<double>>&, const Threads&);

}  // namespace stacked_lstm
