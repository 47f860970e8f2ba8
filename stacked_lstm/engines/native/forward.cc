// The forward pass of a stack with the weights' own type.

#include "forward_stack.h"

namespace stacked_lstm {

template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>(layers, threads.count);
  DispatchCells(layers, arrays, [&](auto make_cell) { RunForward(plans, arrays, make_cell, threads); });
}

template <class T>
bool EmployTwoThreads(const std::vector<Layer>& layers) {
  double time = 0;
  for (const Plan<T>& plan : MakePlans<T>(layers)) time += plan.longest * StepTime(plan);
  return time >= 2 * kThreadTime;
}

template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<float>>&, const Threads&);
template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<double>>&, const Threads&);
template bool EmployTwoThreads<float>(const std::vector<Layer>&);
template bool EmployTwoThreads<double>(const std::vector<Layer>&);

}  // namespace stacked_lstm
