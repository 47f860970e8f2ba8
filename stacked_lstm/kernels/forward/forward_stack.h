// The forward pass of a stack: layer after layer, or each layer in its own thread, some steps behind the layer below.

#ifndef STACKED_LSTM_FORWARD_STACK_H_
#define STACKED_LSTM_FORWARD_STACK_H_

#include <memory>
#include <vector>

#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"

namespace stacked_lstm {

// Computes all layers. Pass: `ForwardPass`, or another class of a layer with its methods. make_cell: function from the
// number of a layer to its cell. W is the type in which the weights are stored.
template <class Pass, class T, class W, class MakeCell>
void RunForward(const std::vector<Plan<T>>& plans, const std::vector<ForwardArrays<T, W>>& arrays,
                MakeCell make_cell, Threads threads) {
  const Task task = arrays[0].cache ? Task::kForward : Task::kInference;
  const Schedule schedule = MakeSchedule(task, plans, threads.count);
  threads.count = schedule.threads;
  bool by_layers = schedule.ByLayers();
  for (const auto& layer_arrays : arrays) by_layers &= static_cast<bool>(layer_arrays.packed);
  const Pieces chunks(plans[0].longest, schedule.chunk_steps);
  const size_t together = by_layers || plans[0].layer.batch < kManySequences ? plans.size() : 1;
  for (size_t first = 0; first < plans.size(); first += together) {
    std::vector<std::unique_ptr<const Pass>> passes;
    for (size_t l = first; l < first + together; ++l) {
      passes.emplace_back(new Pass(plans[l], schedule.layers[l], arrays[l], make_cell(l)));
    }
    Team::Run(threads, [&](Worker& worker) {
      if (by_layers) {
        ForEachDiagonal(worker, passes.size(), chunks.number, [&](int64_t l, int64_t k) {
          passes[l]->Chunk(chunks[plans[0].Nth({0, chunks.number}, k)]);
        });
      } else {
        for (const auto& pass : passes) pass->Run(worker);
      }
      for (const auto& pass : passes) pass->ZeroRest(worker);
    });
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_FORWARD_STACK_H_
