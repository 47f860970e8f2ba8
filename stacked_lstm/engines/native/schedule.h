// How threads share the work of a pass: all decisions, and all the constants that they rest on.

#ifndef STACKED_LSTM_SCHEDULE_H_
#define STACKED_LSTM_SCHEDULE_H_

#include <algorithm>
#include <vector>

#include "plan.h"

namespace stacked_lstm {

// Rates of a core, in operations of float32 per nanosecond and nanoseconds per vector of units: only the order of
// magnitude matters.
constexpr double kProductRate = 50, kPointwiseTime = 30;

// Nanoseconds of work.
constexpr double kShortStep = 1500;           // A shorter step is not worth a barrier.
constexpr double kLongStep = 8 * kShortStep;  // A longer step has enough in it for all threads.
constexpr double kThreadTime = 15000;         // What is worth a thread.
constexpr double kChunkTime = 6000;           // Between two barriers, where nothing else says how much it should be.

// Bytes of weights.
constexpr int64_t kCoreCache = 1 << 19;  // A core's own cache holds so many.
constexpr int64_t kPackAlone = 1 << 17;  // One thread has packed so many before another one would have come.

// Rows of [step, sequence].
constexpr int64_t kAheadRows = 128;            // Whose products with inputs are made before the steps that use them:
                                               // enough to reuse each panel of weights; a cache holds the products.
constexpr int64_t kPartRows = 1024;            // Whose dz is kept. The order of sums rests on it.
constexpr int64_t kMostRows = 16 * kPartRows;  // Whose dz is kept where each layer has a thread of its own.
constexpr int64_t kStripRows = 16;             // That are packed together for the gradients of weights.

// Pieces.
constexpr int64_t kPieces = 32;       // Of a phase, for each thread, so that all end at about the same time.
constexpr int64_t kRowGroups = 2;     // Of the batch, for each thread, where threads keep to their rows.
constexpr int64_t kRowChunks = 8;     // Of time, in a piece of such a group: nobody waits for others' rows.
constexpr int64_t kWholePanels = 16;  // Panels for each thread that are enough for products with inputs; where there
constexpr int64_t kPanelShares = 4;   // are fewer, each is cut into so many shares.
constexpr int64_t kStripShares = 2;   // Of a panel of the gradients of weights, so that the last pieces are small.

enum class Direction { kForward, kBackward };

// Who does the steps of a layer.
enum class Sharing {
  kAlone,   // One thread: they are too short to be shared. Others help with products over many steps.
  kRows,    // Each thread its own rows of the batch, with all weights in its cache: no state moves between cores.
  kUnits,   // Each thread its own units. All wait for each other after each step.
  kLayers,  // Each thread whole layers, a few steps behind those of the layer that they depend on.
};

// How the threads share one layer.
struct LayerSchedule {
  Sharing sharing;
  int threads;
  int64_t blocks;                 // As in its plan.
  int64_t part_steps;             // Most steps of a part: those between two products over many steps.
  int64_t row_groups, row_steps;  // kRows: groups of the batch's blocks, and most steps of a piece.

  // How many shares each of some panels is cut into: in the gradients of inputs; in a step, whose blocks stay whole;
  // and in the products with inputs.
  int64_t GradientShares(int64_t panels) const {
    return (kPieces * threads + panels - 1) / std::max<int64_t>(1, panels);
  }
  int64_t StepShares(int64_t panels) const {
    return std::max<int64_t>(1, std::min(blocks, GradientShares(panels)));
  }
  int64_t InputShares(int64_t panels) const { return panels < kWholePanels * threads ? kPanelShares : 1; }
};

struct Schedule {
  int threads;                        // Of the team.
  int64_t chunk_steps;                // kLayers: most steps that a thread does of a layer at a time.
  std::vector<LayerSchedule> layers;  // Either all or none are kLayers.

  bool ByLayers() const { return layers[0].sharing == Sharing::kLayers; }
};

// Nanoseconds that a step takes one thread, with products of `depth` numbers for each column.
template <class T>
double TimeOf(const Plan<T>& plan, int64_t depth) {
  const double products = 2.0 * plan.row_width * depth / kProductRate * sizeof(T) / 4;
  return plan.layer.batch * (products + plan.panels * kPointwiseTime);
}

// The same of a step forward, and of what has to wait for the step before it.
template <class T>
double StepTime(const Plan<T>& plan) {
  return TimeOf(plan, plan.layer.units + plan.layer.inputs);
}
template <class T>
double RecurrentTime(const Plan<T>& plan) {
  return TimeOf(plan, plan.layer.units);
}

// Whether a core's own cache holds a layer's weights.
template <class T>
bool WeightsFit(const Plan<T>& plan) {
  const int64_t size = plan.row_width * (plan.layer.units + plan.layer.inputs);
  return size * static_cast<int64_t>(sizeof(T)) <= kCoreCache;
}

// How many steps are about kChunkTime of work for each of some threads.
template <class T>
int64_t ChunkSteps(const Plan<T>& plan, int threads) {
  return static_cast<int64_t>(1 + kChunkTime * threads / (1 + StepTime(plan)));
}

// Whether each thread shall take whole layers: where there is little in a step to be shared, but much in all.
template <class T>
bool InLayers(Direction direction, const std::vector<Plan<T>>& plans, int threads) {
  if (threads < 2 || plans.size() < 2) return false;
  if (direction == Direction::kBackward && plans[0].longest * plans[0].layer.batch > kMostRows) return false;
  double time = 0;
  for (const Plan<T>& plan : plans) {
    if (RecurrentTime(plan) > kLongStep || !WeightsFit(plan)) return false;
    time += plan.longest * StepTime(plan);
  }
  return time >= 2 * kThreadTime;
}

// How many threads a layer is worth.
template <class T>
int UsefulThreads(Direction direction, const Plan<T>& plan, int threads) {
  const auto threads_for = [threads](double worth) {
    return static_cast<int>(std::max(1.0, std::min<double>(threads, worth)));
  };
  const int64_t units = plan.layer.units, inputs = plan.layer.inputs;
  const bool forward = direction == Direction::kForward;
  const double step = RecurrentTime(plan), all = TimeOf(plan, forward ? units + inputs : 3 * units + 2 * inputs);
  const int worth = threads_for(plan.longest * all / kThreadTime);
  // More threads than a step is worth would wait for each other longer than they work.
  if (step >= kShortStep) return std::min(worth, threads_for(1 + step / kShortStep));
  // Where steps are not shared, products over many steps are: forward only those with inputs.
  return forward && inputs <= units ? 1 : worth;
}

// The same of a stack.
template <class T>
int UsefulThreads(Direction direction, const std::vector<Plan<T>>& plans, bool in_layers, int threads) {
  int useful = in_layers ? static_cast<int>(plans.size()) : 1;
  // Threads without a layer have nothing to do forward; backward they share the gradients of weights.
  if (in_layers && direction == Direction::kForward) return std::min(threads, useful);
  for (const Plan<T>& plan : plans) useful = std::max(useful, UsefulThreads(direction, plan, threads));
  return std::min(threads, useful);
}

template <class T>
Sharing SharingOf(const Plan<T>& plan, bool in_layers, int threads) {
  if (in_layers) return Sharing::kLayers;
  if (threads == 1) return Sharing::kAlone;
  if (WeightsFit(plan) && plan.blocks.number >= kRowGroups * threads) return Sharing::kRows;
  return RecurrentTime(plan) < kShortStep ? Sharing::kAlone : Sharing::kUnits;
}

// How at most `threads` threads share a pass through a stack.
template <class T>
Schedule ScheduleOf(Direction direction, const std::vector<Plan<T>>& plans, int threads) {
  const bool in_layers = InLayers(direction, plans, threads);
  threads = UsefulThreads(direction, plans, in_layers, threads);
  const int64_t part_rows = direction == Direction::kForward ? kAheadRows : kPartRows;
  const int64_t part_steps = std::max<int64_t>(1, part_rows / std::max<int64_t>(1, plans[0].layer.batch));
  Schedule schedule = {threads, part_steps, {}};
  for (const Plan<T>& plan : plans) {
    const int64_t blocks = plan.blocks.number;
    schedule.layers.push_back({SharingOf(plan, in_layers, threads), threads, blocks, part_steps,
                               std::min(blocks, kRowGroups * threads), kRowChunks * ChunkSteps(plan, threads)});
    schedule.chunk_steps = std::min(schedule.chunk_steps, ChunkSteps(plan, 1));
  }
  return schedule;
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_SCHEDULE_H_
