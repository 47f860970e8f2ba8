// The backward pass of one layer: dz of all steps, from the last to the first, then the gradients of weights and
// inputs, each in one product.
//
// Many steps are cut into parts of about a thousand rows of [step, sequence], so that dz takes little memory.

#ifndef STACKED_LSTM_BACKWARD_PASS_H_
#define STACKED_LSTM_BACKWARD_PASS_H_

#include "arithmetic/cell.h"
#include "arithmetic/tile.h"
#include "backward/columns.h"
#include "backward/input_gradients.h"
#include "backward/pointwise_gradients.h"
#include "backward/projection_gradients.h"
#include "backward/series_gradients.h"
#include "backward/weight_gradients.h"
#include "forward/projection.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/layout.h"

namespace stacked_lstm {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class Cell>
class BackwardPass {
 public:
  // With kLayers, the caller runs `Begin`, the `Chunk`s and `Finish`, which keep dz of all steps. Otherwise it calls
  // `Run`.
  BackwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays, const Cell& cell)
      : layer_(plan.layer),
        arrays_(arrays),
        d_states_(plan, arrays),
        plan_(plan),
        schedule_(schedule),
        parts_(plan.longest, schedule.part_steps),
        max_rows_(parts_.number ? (plan.longest + parts_.number - 1) / parts_.number * layer_.batch : 0),
        rows_(schedule.sharing == Sharing::kLayers ? plan.longest * layer_.batch : max_rows_),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.outputs(), d_states_.NeedsProducts()),
        input_gradients_(plan, arrays),
        projection_(layer_, arrays, rows_),
        pointwise_(plan, arrays, cell, d_states_, projection_),
        gradients_(plan, arrays, max_rows_, schedule.threads),
        projection_gradients_(plan, arrays, Cell::kHasExtras ? max_rows_ : 0, schedule),
        dz_(rows_, plan.panels),
        next_dz_(layer_.batch, plan.panels) {}

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    Begin(worker);
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      const Range part = parts_[plan_.Nth({0, parts_.number}, k)];
      SharedSteps(worker, part);
      WeightGradientsOf(worker, part, part, k == parts_.number - 1);
      ForEachShare(worker, input_gradients_.panels(), schedule_.GradientShares(input_gradients_.panels()),
                   [&](int64_t panel, Share share) { InputGradientsOf(part, part, panel, share); });
      worker.ForEach(1, [&](int64_t) { KeepFirstDz(part); });
    }
    StateGradients(worker);
  }

  // kLayers: prepares the layer. All members of a team call it.
  void Begin(Worker& worker) const {
    const int64_t h_pieces = h_columns_.pieces(), x_pieces = input_gradients_.pieces();
    worker.ForEach(h_pieces + x_pieces + 1, [&](int64_t k) {
      if (k < h_pieces + x_pieces) return k < h_pieces ? h_columns_.Pack(k) : input_gradients_.Pack(k - h_pieces);
      InitializeGradients();
    });
    worker.ForEach(projection_.pieces(), [&](int64_t k) { projection_.Pack(k); });
  }

  // kLayers: runs some steps of all sequences in one thread. The steps after them must be done.
  void Chunk(Range steps) const {
    const Range whole = {0, plan_.longest};
    Steps(whole, steps, kWhole);
    for (int64_t panel = 0; panel < input_gradients_.panels(); ++panel) InputGradientsOf(whole, steps, panel, kWhole);
  }

  // kLayers: computes the gradients of weights after the last chunk. All members of a team call it.
  void Finish(Worker& worker) const {
    const Range whole = {0, plan_.longest};
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      WeightGradientsOf(worker, whole, parts_[plan_.Nth({0, parts_.number}, k)], k == parts_.number - 1);
    }
    worker.ForEach(1, [&](int64_t) { KeepFirstDz(whole); });
    StateGradients(worker);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // The compiler knows that plain layers have none.
  bool has_projection() const { return Cell::kHasExtras && layer_.extras.projection; }

  // Sets what steps do not write: the gradients of the final cell states, and zeros if there are no steps.
  void InitializeGradients() const {
    pointwise_.Initialize();
    input_gradients_.SetToZeroPastLongest();
    d_states_.SetToZero();
    if (plan_.longest * layer_.batch > 0) return;
    gradients_.SetToZero();
    projection_gradients_.SetToZero();
  }

  // Keeps dz of the first step of a part for the part before it.
  void KeepFirstDz(Range part) const {
    if (part.size() == 0) return;
    std::copy_n(Dz(plan_.Nth(part, 0), part, 0, 0), layer_.batch * plan_.row_width, next_dz_.At(0, 0));
  }

  // Computes the gradients of the initial state and writes those of peepholes. All members of a team call it.
  void StateGradients(Worker& worker) const {
    ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                 [&](int64_t panel, Share share) { InitialGradients(panel, share); });
    if (layer_.extras.peepholes) worker.ForEach(1, [&](int64_t) { pointwise_.WritePeepholes(); });
  }

  void InputGradientsOf(Range part, Range steps, int64_t panel, Share share) const {
    if (steps.size() * layer_.batch == 0) return;  // There is no dz.
    input_gradients_.Compute(steps, Dz(steps.begin, part, 0, 0), panel, share);
  }

  // Adds the gradients of weights for some steps of a part. All members of a team call it. The first call sets them.
  void WeightGradientsOf(Worker& worker, Range part, Range steps, bool first) const {
    const T* const dz = Dz(steps.begin, part, 0, 0);
    gradients_.Add(worker, steps, dz, first);
    if (!has_projection()) return;
    const int64_t row = Row(steps.begin, part, 0);
    projection_gradients_.Add(worker, steps, projection_.M(row), projection_.D(row, 0), first);
  }

  // Runs the steps of a part as in the forward pass: in one thread, or shared by rows or by units.
  void SharedSteps(Worker& worker, Range part) const {
    if (schedule_.sharing == Sharing::kOneThread) return worker.ForEach(1, [&](int64_t) { Steps(part, part, kWhole); });
    if (schedule_.sharing == Sharing::kRows) {
      return worker.ForEach(schedule_.row_groups, [&](int64_t k) { Steps(part, part, {k, schedule_.row_groups}); });
    }
    for (int64_t k = part.size() - 1; k >= 0; --k) {
      const int64_t t = plan_.Nth(part, k);
      if (has_projection()) {
        ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                     [&](int64_t panel, Share share) { OutputGradients(t, part, panel, share); });
      }
      ForEachShare(worker, step_panels(), schedule_.StepShares(step_panels()),
                   [&](int64_t panel, Share share) { Step(t, part, panel, share); });
    }
  }

  // part: the steps whose dz is kept; it contains `steps`. share: of the blocks of the batch.
  void Steps(Range part, Range steps, Share share) const {
    for (int64_t k = steps.size() - 1; k >= 0; --k) {
      const int64_t t = plan_.Nth(steps, k);
      for (int64_t panel = 0; has_projection() && panel < h_columns_.panels(); ++panel) {
        OutputGradients(t, part, panel, share);
      }
      for (int64_t panel = 0; panel < step_panels(); ++panel) Step(t, part, panel, share);
    }
  }

  // Runs step t for 4 vectors of units and a share of the blocks: dh, or what the projection passes on, then dz.
  void Step(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t first = panel * kPanelVectors;
    const int vectors = has_projection() ? projection_.Vectors(panel) : h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      T* const dz = Dz(t, part, row, first);
      pointwise_.PrefetchStep(t, first, vectors, row, rows, dz);
      if (has_projection()) {
        projection_.Multiply(panel, Row(t, part, row), rows, dh);
      } else {
        RecurrentGradient(NextDz(t, part, row, block_end), plan_.After(t), row, panel, rows, dh);
      }
      pointwise_.Run(t, first, vectors, row, rows, dh, dz, Row(t, part, row));
    });
  }

  // The gradients of h of a step for a panel of columns and a share of the blocks, before the clip of the projection.
  void OutputGradients(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int vectors = h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      RecurrentGradient(NextDz(t, part, row, block_end), plan_.After(t), row, panel, rows, dh);
      for (int64_t r = 0; r < rows; ++r) {
        for (int v = 0; v < vectors; ++v) {
          OutputGradient(t, part, row + r, panel * kPanelVectors + v, Load(dh + (r * vectors + v) * kSize));
        }
      }
    });
  }

  void OutputGradient(int64_t t, Range part, int64_t b, int64_t vector, Vec<T> dh) const {
    T* const target = projection_.D(Row(t, part, b), vector);
    if (t >= plan_.Length(b)) {
      d_states_.KeepInitialH(t, b, vector, dh);
      return Store(target, Vec<T>{});
    }
    Store(target, d_states_.OfProjected(t, b, vector, cache_, d_states_.AddResults(t, b, vector, dh)));
  }

  // Computes the gradients of the initial h for a panel of columns and a share of the blocks. With the first panel it
  // copies those of the initial c, too.
  void InitialGradients(int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t width = h_columns_.Vectors(panel) * kSize, count = h_columns_.Count(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (panel == 0) pointwise_.Finish(row, rows);
      if (!d_states_.NeedsFirstProduct()) return;
      const int64_t first_step = plan_.Nth({0, plan_.longest}, 0);
      RecurrentGradient(block_end > 0 ? next_dz_.At(row, 0) : nullptr, first_step, row, panel, rows, dh);
      for (int64_t r = 0; arrays_.d_h && r < rows; ++r) {
        if (d_states_.KeepsInitialH(row + r)) continue;
        const int64_t offset = (row + r) * layer_.outputs() + panel * kWidth;
        std::copy_n(plan_.Length(row + r) ? dh + r * width : arrays_.d_h_last + offset, count, arrays_.d_h + offset);
      }
    });
  }

  // Computes the gradient of h before step t, for `rows` sequences from sequence b on, from dz of the step. dz is null
  // if there is no such step.
  void RecurrentGradient(const T* dz, int64_t t, int64_t b, int64_t panel, int64_t rows, T* dh) const {
    const int vectors = h_columns_.Vectors(panel);
    if (!dz) return std::fill(dh, dh + rows * vectors * kSize, T(0));
    SelectTile<T>(rows, vectors)(plan_.row_width, dz, plan_.row_width, h_columns_.Panel(panel), nullptr, 0, dh,
                                 vectors * kSize);
    d_states_.OfHBefore(t, b, rows, panel * kPanelVectors, vectors, dh);
  }

  // The number of 4 vectors of units.
  int64_t step_panels() const { return has_projection() ? projection_.panels() : h_columns_.panels(); }

  // The row of a step and sequence in buffers that hold the steps of a part.
  int64_t Row(int64_t t, Range part, int64_t b) const { return (t - part.begin) * layer_.batch + b; }

  T* Dz(int64_t t, Range part, int64_t b, int64_t panel) const { return dz_.At(Row(t, part, b), panel); }

  // dz of the step after t, starting with sequence b, the first one of a block with a sequence of length `block_end`.
  // After a part's last step, it is the one that `KeepFirstDz` kept. Null if no sequence of the block has such a step.
  const T* NextDz(int64_t t, Range part, int64_t b, int64_t block_end) const {
    const int64_t next = plan_.After(t);
    if (next < 0 || next >= block_end) return nullptr;
    return t == plan_.Nth(part, part.size() - 1) ? next_dz_.At(b, 0) : Dz(next, part, b, 0);
  }

  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  const SeriesGradients<T, Cell::kHasExtras> d_states_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const Pieces parts_;  // The steps.
  const int64_t max_rows_, rows_;  // Rows of [step, sequence] in a part; rows of dz that are kept.
  const CacheView<const T> cache_;
  const Columns<T> h_columns_;
  const InputGradients<T> input_gradients_;
  const BackwardProjection<T> projection_;
  const PointwiseGradients<T, Cell> pointwise_;
  const WeightGradients<T> gradients_;
  const ProjectionGradients<T> projection_gradients_;
  const PanelBuffer<T, kGates> dz_, next_dz_;  // dz of a part's steps, or of all; dz of the step after.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_PASS_H_
