// The backward pass of a stack: layer after layer, or each layer in its own thread, some steps behind the layer above.

#ifndef STACKED_LSTM_BACKWARD_STACK_H_
#define STACKED_LSTM_BACKWARD_STACK_H_

#include <memory>
#include <vector>

#include "backward/backward_pass.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"

namespace stacked_lstm {

// Computes the gradients of all layers. Step: class of a step, as for `BackwardPass`. make_cell: function from the
// number of a layer to its cell.
template <class Step, class T, class MakeCell>
void RunBackward(const std::vector<Plan<T>>& plans, const std::vector<BackwardArrays<T>>& arrays, MakeCell make_cell,
                 Threads threads) {
  typedef BackwardPass<T, Step> Pass;
  const Schedule schedule = MakeSchedule(Task::kBackward, plans, threads.count);
  threads.count = schedule.threads;
  if (!schedule.ByLayers()) {  // One pass at a time, so that only one holds memory.
    for (size_t l = plans.size(); l-- > 0;) {
      const Pass pass(plans[l], schedule.layers[l], arrays[l], make_cell(l));
      Team::Run(threads, [&](Worker& worker) { pass.Run(worker); });
    }
    return;
  }
  std::vector<std::unique_ptr<const Pass>> passes;
  for (size_t l = 0; l < plans.size(); ++l) {
    passes.emplace_back(new Pass(plans[l], schedule.layers[l], arrays[l], make_cell(l)));
  }
  const Pieces chunks(plans[0].longest, schedule.chunk_steps);
  const int64_t top = passes.size() - 1, last = chunks.number - 1;
  Team::Run(threads, [&](Worker& worker) {
    for (const auto& pass : passes) pass->Begin(worker);
    ForEachDiagonal(worker, top + 1, last + 1, [&](int64_t l, int64_t k) {
      passes[top - l]->Chunk(chunks[plans[0].Nth({0, last + 1}, last - k)]);
    });
    for (const auto& pass : passes) pass->Finish(worker);
  });
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_STACK_H_
