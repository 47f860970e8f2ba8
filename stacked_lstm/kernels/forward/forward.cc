// The forward pass of a stack with the weights' own type.

#include "arithmetic/cell.h"
#include "forward/forward_pass.h"
#include "forward/forward_stack.h"

namespace stacked_lstm {

template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>(layers, threads.count);
  DispatchCells(layers, arrays, [&](auto make_cell) {
    RunForward<ForwardPass<T, CellOf<decltype(make_cell)>>>(plans, arrays, make_cell, threads);
  });
}

template <class T>
bool PrefersConcurrentStacks(const std::vector<Layer>& layers, int threads) {
  return SharesByStacks(MakePlans<T>(layers), threads);
}

template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<float>>&, const Threads&);
template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<double>>&, const Threads&);
template bool PrefersConcurrentStacks<float>(const std::vector<Layer>&, int);
template bool PrefersConcurrentStacks<double>(const std::vector<Layer>&, int);

}  // namespace stacked_lstm
