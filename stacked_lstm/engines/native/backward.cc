// The backward pass of a stack: layer after layer, or each layer in a thread of its own, some steps behind that above.

#include <memory>

#include "activations.h"
#include "backward_pass.h"
#include "lstm.h"
#include "plan.h"

namespace stacked_lstm {
namespace {

// How many threads a layer is worth: where they do not share its steps, they share the gradients of its weights.
template <class T>
int WorthThreads(const Plan<T>& plan, int threads) {
  const int worth = plan.WorthThreads(3 * plan.layer.units + 2 * plan.layer.inputs, threads);
  return plan.Alone() ? worth : std::min(worth, plan.UsefulThreads(threads));
}

template <class T, class Candidate, class Gates>
void Run(const std::vector<Plan<T>>& plans, const std::vector<BackwardArrays<T>>& arrays, Candidate candidate,
         Gates gates, Threads threads) {
  typedef BackwardPass<T, Candidate, Gates> Pass;
  const bool by_layers = ByLayers(plans, threads.count) && plans[0].longest * plans[0].layer.batch <= 16 * kPartRows;
  int useful = by_layers ? static_cast<int>(plans.size()) : 1;
  for (const Plan<T>& plan : plans) useful = std::max(useful, WorthThreads(plan, threads.count));
  threads.count = std::min(threads.count, useful);
  if (!by_layers) {  // One after the other, so that they take memory one after the other.
    for (size_t l = plans.size(); l-- > 0;) {
      const Pass pass(plans[l], arrays[l], candidate, gates, threads.count, true);
      Team::Run(threads, [&](Worker& worker) { pass.Program(worker); });
    }
    return;
  }
  std::vector<std::unique_ptr<const Pass>> passes;
  int64_t most_steps = plans[0].StepsOfAChunk(1);
  for (size_t l = 0; l < plans.size(); ++l) {
    passes.emplace_back(new Pass(plans[l], arrays[l], candidate, gates, threads.count, false));
    most_steps = std::min(most_steps, plans[l].StepsOfAChunk(1));
  }
  const Pieces chunks(plans[0].longest, most_steps);
  const int64_t top = passes.size() - 1, last = chunks.number - 1;
  Team::Run(threads, [&](Worker& worker) {
    for (const auto& pass : passes) pass->Begin(worker);
    ForDiagonals(worker, top + 1, last + 1, [&](int64_t l, int64_t k) {
      passes[top - l]->Chunk(chunks.Begin(last - k), chunks.Begin(last - k + 1));
    });
    for (const auto& pass : passes) pass->Finish(worker);
  });
}

}  // namespace

template <class T>
void Backward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = PlansOf<T>(layers);
  WithFunctions(layers[0].candidate, layers[0].gates, [&](auto candidate, auto gates) {
    Run(plans, arrays, candidate, gates, threads);
  });
}

template void Backward(const std::vector<Layer>&, const std::vector<BackwardArrays<float>>&, const Threads&);
template void Backward(const std::vector<Layer>&, const std::vector<BackwardArrays<double>>&, const Threads&);

}  // namespace stacked_lstm
