// How threads share the work of a pass: all decisions, and all the constants that they depend on.

#ifndef STACKED_LSTM_SCHEDULE_H_
#define STACKED_LSTM_SCHEDULE_H_

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "schedule/plan.h"

namespace stacked_lstm {

// The speed of a core: float32 operations per nanosecond, and nanoseconds per vector of units. Only the order of
// magnitude matters.
constexpr double kProductRate = 50, kPointwiseTime = 30;

// If a core's own cache does not hold the weights, a step of fewer rows takes about as long as a step of this many.
constexpr double kStreamRows = 4;

// Nanoseconds of work.
constexpr double kShortStep = 1500;           // A shorter step is not worth a barrier.
constexpr double kLongStep = 8 * kShortStep;  // A longer step has enough work for all threads.
constexpr double kThreadTime = 15000;         // The least work of each thread.
constexpr double kBarrierTime = 1000;         // The price of a barrier after a step.
constexpr double kLateTime = 15000;           // The price of a layer whose threads have rows: the others wait for all
                                              // rows of a thread that comes late.
constexpr double kChunkTime = 6000;           // Work between two barriers, if nothing else determines it.

// Bytes of weights.
constexpr int64_t kCoreCache = 1 << 19;          // The size of a core's own cache, or less.
constexpr int64_t kOneThreadPackSize = 1 << 17;  // One thread packs this much before a second one would start.

// Rows, one per step and sequence.
constexpr int64_t kInputProductRows = 128;        // Input products that are computed before the steps that use them.
                                                  // They reuse each panel of weights, and stay in a cache.
constexpr int64_t kPartRows = 1024;               // dz that is kept. The order of sums depends on it.
constexpr int64_t kMaxKeptRows = 16 * kPartRows;  // dz that is kept if each layer has its own thread.
constexpr int64_t kStripRows = 16;                // Rows that are packed together for the gradients of weights.
constexpr int64_t kManySequences = 1024;          // A forward pass of so many has large buffers for each step. Only one
                                                  // layer at a time has them.

// Pieces.
constexpr int64_t kPieces = 32;       // Pieces of a phase per thread, so that all threads end at about the same time.
constexpr int64_t kRowGroups = 2;     // Groups of rows of the batch per thread, if each thread has its own rows. A
                                      // group is a piece for all steps: pieces of fewer steps end at other times.
constexpr double kMaxImbalance = 4. / 3;  // The rows of any thread are fewer than this multiple of the mean.
constexpr int64_t kPanelGroups = 4;   // The minimum number of groups of panels of a step per thread, if threads share
                                      // the groups and there are enough panels.
constexpr int64_t kWholePanels = 16;  // Panels per thread that are enough for input products. If there are fewer,
constexpr int64_t kPanelShares = 4;   // each panel is cut into this many shares.
constexpr int64_t kStripShares = 2;   // Shares of a panel of weight gradients, so that the last pieces are small.

// kInference and kForward are forward passes. A backward pass follows kForward.
enum class Task { kInference, kForward, kBackward };

// How threads share the steps of a layer.
enum class Sharing {
  kOneThread,  // One thread does all steps, which are too short to share. Others help with products over many steps.
  kRows,       // Each thread has its own rows of the batch, and all weights in its cache. No state moves between cores.
  kUnits,      // Each thread has its own units. All threads wait for each other after each step.
  kLayers,     // Each thread has whole layers. It works a few steps behind the layer that it depends on.
};

// How the threads share one layer.
struct LayerSchedule {
  Sharing sharing;
  int threads;
  int64_t blocks;                 // As in the layer's plan.
  int64_t part_steps;             // The maximum number of steps in a part, between two products over many steps.
  int64_t row_groups;             // kRows: groups of the batch's blocks.

  // The number of shares per panel, if there are this many panels: for gradients of inputs; for a step, which does not
  // cut blocks; for input products.
  int64_t GradientShares(int64_t panels) const {
    return (kPieces * threads + panels - 1) / std::max<int64_t>(1, panels);
  }
  int64_t StepShares(int64_t panels) const { return std::max<int64_t>(1, std::min(blocks, GradientShares(panels))); }
  int64_t InputShares(int64_t panels) const { return panels < kWholePanels * threads ? kPanelShares : 1; }

  // The number of groups of panels. A step of the forward pass computes the panels of a group together. A group has
  // several panels only if their rows, one per panel and sequence of a share, are at most `max_rows`.
  template <class T>
  int64_t PanelGroups(const Plan<T>& plan, bool packed, int64_t max_rows) const {
    const int64_t shares = packed && sharing == Sharing::kRows ? row_groups : 1;
    const int64_t members = !packed || sharing == Sharing::kUnits ? threads : 1;  // They share the groups.
    const int64_t rows = std::max<int64_t>(1, plan.blocks.LargestShare(shares));
    const int64_t max_size = members * std::max<int64_t>(1, max_rows / rows);
    const int64_t rounds = (plan.panels + max_size - 1) / max_size;
    return std::min(plan.panels, members * std::max(rounds, members > 1 ? kPanelGroups : 1));
  }

  // Whether the input products are computed within the steps. They are computed before the steps if a panel of weights
  // then serves several steps, or if threads that compute no steps can compute them.
  bool FusesInputProducts() const {
    return sharing == Sharing::kRows || (part_steps == 1 && (threads == 1 || sharing != Sharing::kOneThread));
  }
};

struct Schedule {
  int threads;                        // The size of the team.
  int64_t chunk_steps;                // kLayers: the maximum number of steps of a layer that a thread does at a time.
  std::vector<LayerSchedule> layers;  // Either all layers are kLayers or none is.

  bool ByLayers() const { return layers[0].sharing == Sharing::kLayers; }
};

// Nanoseconds of one thread for a step, with products over `depth` numbers for each column.
template <class T>
double TimePerStep(const Plan<T>& plan, int64_t depth) {
  const double products = 2.0 * plan.row_width * depth / kProductRate * sizeof(T) / 4;
  return plan.layer.batch * (products + plan.panels * kPointwiseTime);
}

// The depth of the products that wait for the step before. A projection is as much work as a quarter of its width.
inline int64_t RecurrentDepth(const Layer& layer) { return layer.outputs() + layer.extras.projection / kGates; }

// Nanoseconds for a step of the forward pass, and for the part of a step that waits for the step before it.
template <class T>
double StepTime(const Plan<T>& plan) {
  return TimePerStep(plan, RecurrentDepth(plan.layer) + plan.layer.inputs);
}
template <class T>
double RecurrentTime(const Plan<T>& plan) {
  return TimePerStep(plan, RecurrentDepth(plan.layer));
}

// The bytes of weights that stay in a core's own cache, beside the states: three quarters of the cache, if its size is
// known. If each thread has its own rows, it reads all weights in each step, and any others from a slower cache. On an
// AMD EPYC (Zen 3, 512 KB), inference with 512 KB of weights in each of four layers then takes 5% more time.
inline int64_t KeptWeightsSize() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const int64_t cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (cache > 0) return std::min(kCoreCache, cache / 4 * 3);
#endif
  return kCoreCache;
}

// The bytes of a layer's weights.
template <class T>
int64_t WeightsSize(const Layer& layer) {
  const int64_t row_size = VectorCount<T>(layer.units) * kGates * kVectorBytes;
  return row_size * (RecurrentDepth(layer) + layer.inputs);
}

// Whether the weights of a layer stay in a core's own cache.
template <class T>
bool WeightsFit(const Layer& layer) {
  return WeightsSize<T>(layer) <= KeptWeightsSize();
}

// Whether the steps of a layer find its weights in a core's own cache. In inference, those of a single step must stay
// there from call to call, and so must those of all other layers. In training, one core has just written all weights.
template <class T>
bool WeightsStay(Task task, const Layer& layer, const std::vector<Plan<T>>& plans) {
  if (layer.steps > 1 || task != Task::kInference) return WeightsFit<T>(layer);
  int64_t size = 0;
  for (const Plan<T>& plan : plans) size += WeightsSize<T>(plan.layer);
  return size <= KeptWeightsSize();
}

// Whether a thread with few rows of the batch gains by keeping all weights in its cache. In a single step, it would
// load more weights than a thread with few units.
template <class T>
bool KeepsWeights(const Layer& layer) {
  return WeightsFit<T>(layer) && layer.steps > 1;
}

// The number of shares of the batch: one for each thread, or 1 if the shares would be too small: a tile or less on
// average, or half of that if threads keep the weights.
template <class T>
int64_t RowShares(const Layer& layer, int threads) {
  const int64_t tile_rows = threads * kTileRows;
  return layer.batch > (KeepsWeights<T>(layer) ? tile_rows / 2 : tile_rows) ? threads : 1;
}

template <class T>
std::vector<Plan<T>> MakePlans(const std::vector<Layer>& layers, int threads = 1) {
  std::vector<Plan<T>> plans;
  plans.reserve(layers.size());
  for (const Layer& layer : layers) plans.emplace_back(layer, RowShares<T>(layer, threads));
  return plans;
}

// Whether each thread can have its own rows of the batch. The threads are then about equally busy: each has several
// blocks, or the one with most rows has few more than the others.
template <class T>
bool SharesByRows(const Plan<T>& plan, int threads) {
  if (!WeightsFit<T>(plan.layer) || plan.blocks.number < threads) return false;
  if (plan.blocks.number >= kRowGroups * threads) return true;
  const double most_rows = plan.blocks.LargestShare(threads) * threads;
  return KeepsWeights<T>(plan.layer) && most_rows < kMaxImbalance * plan.layer.batch;
}

// The number of steps that are about kChunkTime of work for each thread.
template <class T>
int64_t ChunkSteps(const Plan<T>& plan, int threads) {
  return static_cast<int64_t>(1 + kChunkTime * threads / (1 + StepTime(plan)));
}

// Whether each thread takes whole layers: a step is too short to share, but all steps together are much work. Rows are
// better: threads have about equally many of them, but layers differ in work, and threads wait for the layer below.
template <class T>
bool SharesByLayers(Task task, const std::vector<Plan<T>>& plans, int threads) {
  if (threads < 2 || plans.size() < 2) return false;
  if (task == Task::kBackward && plans[0].longest * plans[0].layer.batch > kMaxKeptRows) return false;
  double time = 0;
  bool by_rows = true;
  for (const Plan<T>& plan : plans) {
    if (RecurrentTime(plan) > kLongStep || !WeightsFit<T>(plan.layer)) return false;
    time += plan.longest * StepTime(plan);
    by_rows &= SharesByRows(plan, threads);
  }
  return !by_rows && time >= 2 * kThreadTime;
}

// Whether two stacks, with the layers `plans`, run at the same time, each with half of the threads. They are then
// enough work for two threads, and a step is too short for all threads. The threads of longer steps share each stack,
// because a thread that is faster than the other ones can then take more of the work.
template <class T>
bool SharesByStacks(const std::vector<Plan<T>>& plans, int threads) {
  double time = 0;
  bool has_short_steps = false;
  for (const Plan<T>& plan : plans) {
    has_short_steps |= RecurrentTime(plan) < kLongStep * threads;
    time += plan.longest * StepTime(plan);
  }
  return threads > 1 && has_short_steps && time >= 2 * kThreadTime;
}

// The number of threads that can share a layer, regardless of the amount of work.
template <class T>
int SharingThreads(Task task, const Plan<T>& plan, int threads) {
  const double recurrent_time = RecurrentTime(plan);
  if (SharesByRows(plan, threads)) return threads;
  // With more threads than a step can employ, threads would wait longer than they work.
  if (recurrent_time >= kShortStep) return static_cast<int>(std::min<double>(threads, 1 + recurrent_time / kShortStep));
  // If steps are not shared, products over many steps are. The forward pass has only input products.
  return task != Task::kBackward && plan.layer.inputs <= RecurrentDepth(plan.layer) ? 1 : threads;
}

// Nanoseconds of a layer's work, less the price of sharing it among threads. plans: those of all layers.
template <class T>
double NetTime(Task task, const Plan<T>& plan, const std::vector<Plan<T>>& plans, int threads) {
  const int64_t depth = RecurrentDepth(plan.layer), inputs = plan.layer.inputs;
  const int64_t all_depths = task != Task::kBackward ? depth + inputs : 3 * depth + 2 * inputs;
  const double time = plan.longest * TimePerStep(plan, all_depths);
  if (SharesByRows(plan, threads)) return std::max(0.0, time - kLateTime);
  if (RecurrentTime(plan) < kShortStep) return time;
  const double factor = WeightsStay(task, plan.layer, plans) ? 1 : std::max(1.0, kStreamRows / plan.layer.batch);
  return std::max(0.0, time * factor - plan.longest * kBarrierTime);
}

// The number of threads that a stack can employ.
template <class T>
int UsefulThreads(Task task, const std::vector<Plan<T>>& plans, bool by_layers, int threads) {
  const bool forward = task != Task::kBackward;
  int count = by_layers ? static_cast<int>(plans.size()) : 1;
  // In the forward pass, threads without a layer have nothing to do. In the backward pass they share the gradients of
  // weights.
  if (by_layers && forward) return std::min(threads, count);
  double time = 0;
  for (const Plan<T>& plan : plans) {
    const int most = SharingThreads(task, plan, threads);
    if (most == 1) continue;
    // In the forward pass, threads stay from layer to layer.
    time = NetTime(task, plan, plans, threads) + (forward ? time : 0);
    count = std::max(count, static_cast<int>(std::min<double>(most, time / kThreadTime)));
  }
  count = std::min(threads, count);
  if (by_layers) return count;
  // Fewer threads may have unequal shares of the rows, as three threads have of four blocks.
  const auto loses_rows = [&](const Plan<T>& plan) {
    return SharesByRows(plan, threads) && !SharesByRows(plan, count);
  };
  while (count > 1 && std::any_of(plans.begin(), plans.end(), loses_rows)) --count;
  return count;
}

template <class T>
Sharing ChooseSharing(const Plan<T>& plan, bool by_layers, int threads) {
  if (by_layers) return Sharing::kLayers;
  if (threads == 1) return Sharing::kOneThread;
  if (SharesByRows(plan, threads)) return Sharing::kRows;
  return RecurrentTime(plan) < kShortStep ? Sharing::kOneThread : Sharing::kUnits;
}

// The schedule of a pass through a stack, for at most `threads` threads.
template <class T>
Schedule MakeSchedule(Task task, const std::vector<Plan<T>>& plans, int threads) {
  const bool by_layers = SharesByLayers(task, plans, threads);
  threads = UsefulThreads(task, plans, by_layers, threads);
  const int64_t part_rows = task != Task::kBackward ? kInputProductRows : kPartRows;
  const int64_t most_steps = std::min(plans[0].longest, part_rows / std::max<int64_t>(1, plans[0].layer.batch));
  const int64_t part_steps = std::max<int64_t>(1, most_steps);
  Schedule schedule = {threads, part_steps, {}};
  for (const Plan<T>& plan : plans) {
    const int64_t blocks = plan.blocks.number;
    schedule.layers.push_back({ChooseSharing(plan, by_layers, threads), threads, blocks, part_steps,
                               std::min(blocks, kRowGroups * threads)});
    schedule.chunk_steps = std::min(schedule.chunk_steps, ChunkSteps(plan, 1));
  }
  return schedule;
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_SCHEDULE_H_
