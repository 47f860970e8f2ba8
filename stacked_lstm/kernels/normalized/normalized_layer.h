// One pass of a layer with layer normalization, by a team of threads.

#ifndef STACKED_LSTM_NORMALIZED_LAYER_H_
#define STACKED_LSTM_NORMALIZED_LAYER_H_

#include "normalized/normalized_cell.h"
#include "schedule/schedule.h"
#include "threads/team.h"

namespace stacked_lstm {

// Pass: class of T and of a cell. Arrays: those of its task.
template <class T, template <class, class> class Pass, class Arrays>
void RunNormalizedLayer(Task task, const Layer& layer, const Arrays& arrays, Threads threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>({layer});
  const Schedule schedule = MakeSchedule(task, plans, threads.count);
  threads.count = schedule.threads;
  DispatchActivations(layer.candidate, layer.gates, [&](auto candidate, auto gates) {
    typedef NormalizedCell<T, decltype(candidate), decltype(gates)> Cell;
    const Cell cell(plans[0], arrays.extras, candidate, gates);
    const Pass<T, Cell> pass(plans[0], schedule.layers[0], arrays, cell);
    Team::Run(threads, [&](Worker& worker) { pass.Run(worker); });
  });
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_NORMALIZED_LAYER_H_
