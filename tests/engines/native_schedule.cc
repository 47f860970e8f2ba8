// How the native engine's threads share work, and the bounds of its views, without a kernel.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "schedule/schedule.h"
#include "storage/layout.h"

namespace lstm = stacked_lstm;

typedef std::vector<int64_t> Shape;  // T, B, I, H of each layer.

// Only the forward pass cuts the rows for its threads.
std::vector<lstm::Plan<float>> MakePlans(const Shape& shape, lstm::Task task, int threads) {
  std::vector<lstm::Layer> layers;
  for (size_t l = 3; l < shape.size(); ++l) {
    layers.push_back({shape[0], shape[1], shape[l - 1], shape[l], lstm::Activation::kTanh, lstm::Activation::kSigmoid,
                      nullptr});
  }
  return lstm::MakePlans<float>(layers, task != lstm::Task::kBackward ? threads : 1);
}

lstm::Schedule MakeSchedule(const Shape& shape, lstm::Task task, int threads) {
  return lstm::MakeSchedule(task, MakePlans(shape, task, threads), threads);
}

bool CheckDecisions() {
  const auto kInference = lstm::Task::kInference, kForward = lstm::Task::kForward, kBackward = lstm::Task::kBackward;
  const auto kOneThread = lstm::Sharing::kOneThread, kRows = lstm::Sharing::kRows, kUnits = lstm::Sharing::kUnits,
             kLayers = lstm::Sharing::kLayers;
  const struct {
    const char* what;
    Shape shape;
    int threads;
    lstm::Task task;
    lstm::Sharing sharing;
    int expected_threads;
  } cases[] = {{"too little for two", {10, 1, 4, 8}, 4, kForward, kOneThread, 1},
               {"too little for two, backward", {10, 1, 4, 8}, 4, kBackward, kOneThread, 1},
               {"one step of a wide layer", {1, 1, 256, 256}, 2, kForward, kUnits, 2},
               {"one step of a narrower layer", {1, 1, 200, 128}, 2, kForward, kOneThread, 1},
               {"one step of two such layers", {1, 1, 200, 200, 200}, 2, kForward, kUnits, 2},
               {"one step of a layer that stays in the cache", {1, 1, 96, 96}, 2, kInference, kOneThread, 1},
               {"one step of three such layers, which do not", {1, 1, 96, 96, 96, 96}, 2, kInference, kUnits, 2},
               {"one step of these layers in training", {1, 1, 96, 96, 96, 96}, 2, kForward, kOneThread, 1},
               {"two steps of these layers", {2, 1, 96, 96, 96, 96}, 2, kInference, kOneThread, 1},
               {"too little for two in each layer", {5, 7, 30, 32, 32}, 2, kForward, kOneThread, 1},
               {"nobody to share with", {50, 128, 8, 64}, 1, kForward, kOneThread, 1},
               {"nobody to share with, backward", {50, 128, 8, 64}, 1, kBackward, kOneThread, 1},
               {"short steps, but large products of inputs", {500, 1, 400, 8}, 2, kForward, kOneThread, 2},
               {"short steps, and small products of inputs", {5000, 1, 8, 8}, 2, kForward, kOneThread, 1},
               {"short steps, but gradients of weights", {900, 1, 8, 16}, 2, kBackward, kOneThread, 2},
               {"many rows, small weights", {50, 128, 8, 64}, 2, kForward, kRows, 2},
               {"many rows, small weights, backward", {50, 128, 8, 64}, 2, kBackward, kRows, 2},
               {"a tile for two threads", {50, 7, 8, 64}, 2, kForward, kRows, 2},
               {"two tiles for two threads, but a single step", {1, 10, 64, 128}, 2, kForward, kUnits, 2},
               {"too few rows for two threads", {50, 6, 8, 64}, 2, kForward, kUnits, 2},
               {"equal rows in two tiles, backward", {50, 12, 8, 64}, 2, kBackward, kRows, 2},
               {"three tiles for two threads, backward", {50, 18, 8, 64}, 2, kBackward, kUnits, 2},
               {"many rows, large weights", {28, 128, 28, 512}, 2, kForward, kUnits, 2},
               {"few rows, large weights", {28, 4, 28, 512}, 2, kForward, kUnits, 2},
               {"few rows, large weights, backward", {28, 4, 28, 512}, 2, kBackward, kUnits, 2},
               {"wide layers, many threads", {35, 20, 650, 650, 650}, 33, kForward, kUnits, 33},
               {"wide layers, many threads, backward", {35, 20, 650, 650, 650}, 33, kBackward, kUnits, 33},
               {"short steps of several layers", {60, 2, 5, 32, 32, 32}, 2, kForward, kLayers, 2},
               {"short steps of several layers, backward", {60, 2, 5, 32, 32, 32}, 2, kBackward, kLayers, 2},
               {"no more threads than layers", {300, 8, 5, 64, 64}, 8, kForward, kLayers, 2},
               {"more threads than layers, backward", {1000, 2, 5, 32, 32, 32}, 8, kBackward, kLayers, 8},
               {"short steps of several layers, but many rows", {1000, 20, 5, 16, 16}, 2, kForward, kRows, 2},
               {"a lower layer with most of the work", {38, 11, 302, 39, 39}, 2, kForward, kRows, 2},
               {"too many rows to keep", {1000, 20, 5, 16, 16}, 2, kBackward, kRows, 2}};
  bool passed = true;
  for (const auto& test_case : cases) {
    const lstm::Schedule schedule = MakeSchedule(test_case.shape, test_case.task, test_case.threads);
    const bool same = schedule.layers[0].sharing == test_case.sharing && schedule.threads == test_case.expected_threads;
    if (!same) std::printf("%s: sharing %d by %d\n", test_case.what, int(schedule.layers[0].sharing), schedule.threads);
    passed &= same;
  }
  return passed;
}

// When two stacks run at the same time. The shapes have a layer of each stack.
bool CheckStacks() {
  const struct {
    const char* what;
    Shape shape;
    int threads;
    bool expected;
  } cases[] = {{"nobody to share with", {500, 1, 64, 64, 64}, 1, false},
               {"too little for two", {5, 1, 8, 8, 8}, 2, false},
               {"short steps", {500, 1, 64, 64, 64}, 2, true},
               {"long steps", {35, 20, 650, 650, 650}, 2, false},
               {"long steps, but one layer of short ones", {500, 20, 650, 650, 8}, 2, true},
               {"steps too short for many threads", {35, 20, 200, 200, 200}, 16, true},
               {"the same steps and two threads", {35, 20, 200, 200, 200}, 2, false}};
  bool passed = true;
  for (const auto& test_case : cases) {
    const bool shares = SharesByStacks(MakePlans(test_case.shape, lstm::Task::kForward, 1), test_case.threads);
    if (shares != test_case.expected) std::printf("%s: %d\n", test_case.what, shares);
    passed &= shares == test_case.expected;
  }
  return passed;
}

// Whether the rows of a group of panels, one per panel and sequence of a share, fit into the memory of a step.
bool CheckGroups(const lstm::Plan<float>& plan, const lstm::LayerSchedule& layer, int64_t max_rows) {
  for (const bool packed : {false, true}) {
    const int64_t groups = layer.PanelGroups(plan, packed, max_rows), size = (plan.panels + groups - 1) / groups;
    if (groups < 1 || groups > plan.panels) return false;
    const bool shares_units = !packed || layer.sharing == lstm::Sharing::kUnits;
    if (shares_units && groups < std::min<int64_t>(plan.panels, layer.threads)) return false;
    const int64_t shares = packed && layer.sharing == lstm::Sharing::kRows ? layer.row_groups : 1;
    for (int64_t k = 0; k < shares && size > 1; ++k) {
      int64_t rows = 0;
      for (int64_t block = 0; block < plan.blocks.number; ++block) {
        const lstm::Range blocks = lstm::Share{k, shares}.Slice(plan.blocks.number);
        if (blocks.begin <= block && block < blocks.end) rows += plan.blocks.Size(block);
      }
      if (size * rows > max_rows) return false;
    }
  }
  return true;
}

// What the passes rely on, whatever the shape.
bool CheckInvariants() {
  std::mt19937 generator(5);
  const auto size = [&generator](int max_bits) { return int64_t(generator() % (1 << generator() % max_bits)); };
  bool has_groups = false;
  for (int k = 0; k < 5000; ++k) {
    Shape shape = {size(10), size(10), size(10)};
    for (int layers = 1 + generator() % 4; layers > 0; --layers) shape.push_back(1 + size(9));
    const int threads = 1 + generator() % (k % 2 ? 9 : 70);
    for (const auto task : {lstm::Task::kInference, lstm::Task::kForward, lstm::Task::kBackward}) {
      const auto plans = MakePlans(shape, task, threads);
      const lstm::Schedule schedule = lstm::MakeSchedule(task, plans, threads);
      bool valid = 1 <= schedule.threads && schedule.threads <= threads && schedule.layers.size() == shape.size() - 3;
      for (size_t l = 0; l < schedule.layers.size(); ++l) {
        const lstm::LayerSchedule& layer = schedule.layers[l];
        valid &= layer.threads == schedule.threads;
        valid &= 1 <= schedule.chunk_steps && schedule.chunk_steps <= layer.part_steps;
        valid &= (layer.sharing == lstm::Sharing::kLayers) == schedule.ByLayers();
        valid &= layer.sharing != lstm::Sharing::kRows || layer.row_groups >= schedule.threads;
        const bool has_rows = lstm::SharesByRows(plans[l], threads) && !schedule.ByLayers() && schedule.threads > 1;
        valid &= !has_rows || layer.sharing == lstm::Sharing::kRows;
        valid &= layer.StepShares(1 + k % 40) >= 1 && layer.GradientShares(1 + k % 40) >= 1;
        valid &= CheckGroups(plans[l], layer, 6 + k % 30);
        has_groups |= layer.sharing == lstm::Sharing::kRows && layer.PanelGroups(plans[l], true, 24) < plans[l].panels;
      }
      if (!valid) std::printf("T %d, B %d, I %d, %d threads\n", int(shape[0]), int(shape[1]), int(shape[2]), threads);
      if (!valid) return false;
    }
  }
  if (!has_groups) std::puts("no threads with own rows compute several panels together");
  return has_groups;
}

// Whether all shares together are all things, each once and in turn.
bool CheckShares() {
  for (int64_t total : {0, 1, 2, 7, 64, 1000}) {
    for (int64_t number : {1, 2, 3, 64}) {
      int64_t end = 0;
      for (int64_t k = 0; k < number; ++k) {
        const lstm::Range range = lstm::Share{k, number}.Slice(total);
        if (range.begin != end || range.size() < total / number || range.size() > total / number + 1) return false;
        end = range.end;
      }
      if (end != total) return false;
    }
  }
  return true;
}

// Whether the blocks cover all rows in their order, are at most a tile high, and have rows of one share each.
bool CheckBlocks() {
  for (int64_t rows = 0; rows < 150; ++rows) {
    for (const int64_t shares : {1, 2, 5, 16}) {
      const lstm::RowBlocks blocks(rows, shares);
      int64_t end = 0, share = 0;
      for (int64_t k = 0; k < blocks.number; ++k) {
        if (blocks.Begin(k) != end || blocks.Size(k) < 1 || blocks.Size(k) > lstm::kTileRows) return false;
        share += share < shares && end == lstm::Share{share, shares}.Slice(rows).begin;
        end += blocks.Size(k);
      }
      if (end != rows || (rows >= shares && share != shares)) return false;
    }
  }
  return true;
}

// Asks a view for what it does not have, inside of the array all the same: a check ends the process.
int ReadOutside(const char* view) {
  const lstm::Layer layer = {2, 3, 1, 5, lstm::Activation::kTanh, lstm::Activation::kSigmoid, nullptr};
  const std::vector<float> cache(2 * lstm::CacheView<float>::Size(layer)), weights(1000);
  if (!std::strcmp(view, "row")) return *lstm::CacheView<const float>(cache.data(), layer).gates.At(6, 0) != 0;
  if (!std::strcmp(view, "panel")) return *lstm::CacheView<const float>(cache.data(), layer).cells.At(0, 2) != 0;
  if (!std::strcmp(view, "panel of columns")) {
    return *lstm::ColumnPanels<const float>(weights.data(), 5, 3).Panel(1) != 0;
  }
  const lstm::PackedWeights<const float> packed({weights.data(), weights.data()}, layer);
  return *packed.Panel(lstm::Factor::kH, 2) != 0;
}

int main(int arguments, char** words) {
  if (arguments > 1) return ReadOutside(words[1]);
  if (!CheckDecisions() || !CheckStacks() || !CheckInvariants()) return 1;
  if (!CheckShares()) return std::puts("shares leave things out, or have them twice"), 1;
  if (!CheckBlocks()) return std::puts("blocks leave rows out, or have rows of two shares"), 1;
  std::puts("as it should be");
  return 0;
}
