// The forward pass of a stack: layer after layer, or each layer in its own thread, some steps behind the layer below.

#include <memory>

#include "cell.h"
#include "forward_pass.h"
#include "lstm.h"
#include "plan.h"
#include "schedule.h"

namespace stacked_lstm {
namespace {

// make_cell: function from the number of a layer to its `Cell`.
template <class T, class MakeCell>
void Run(const std::vector<Plan<T>>& plans, const std::vector<ForwardArrays<T>>& arrays, MakeCell make_cell,
         Threads threads) {
  typedef ForwardPass<T, decltype(make_cell(0))> Pass;
  const Schedule schedule = MakeSchedule(Direction::kForward, plans, threads.count);
  threads.count = schedule.threads;
  std::vector<std::unique_ptr<const Pass>> passes;
  for (size_t l = 0; l < plans.size(); ++l) {
    passes.emplace_back(new Pass(plans[l], schedule.layers[l], arrays[l], make_cell(l)));
  }
  const Pieces chunks(plans[0].longest, schedule.chunk_steps);
  Team::Run(threads, [&](Worker& worker) {
    if (schedule.ByLayers() && arrays[0].packed) {
      ForEachDiagonal(worker, passes.size(), chunks.number, [&](int64_t l, int64_t k) { passes[l]->Chunk(chunks[k]); });
    } else {
      for (const auto& pass : passes) pass->Run(worker);
    }
    for (const auto& pass : passes) pass->ZeroRest(worker);
  });
}

}  // namespace

template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>(layers);
  DispatchCells(layers, arrays, [&](auto make_cell) { Run(plans, arrays, make_cell, threads); });
}

template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<float>>&, const Threads&);
template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<double>>&, const Threads&);

}  // namespace stacked_lstm
