// A step of the backward pass of a layer without normalization: dz of the step from that of the step after it.

#ifndef STACKED_LSTM_BACKWARD_STEP_H_
#define STACKED_LSTM_BACKWARD_STEP_H_

#include "arithmetic/tile.h"
#include "backward/columns.h"
#include "backward/dz_rows.h"
#include "backward/pointwise_gradients.h"
#include "backward/series_gradients.h"
#include "forward/projection.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/layout.h"

namespace stacked_lstm {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class LayerCell>
class BackwardStep {
 public:
  typedef LayerCell Cell;
  static constexpr bool kHasExtras = Cell::kHasExtras;

  BackwardStep(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays, const Cell& cell,
               const DzRows<T>& dz, const BackwardProjection<T>& projection)
      : layer_(plan.layer),
        plan_(plan),
        schedule_(schedule),
        arrays_(arrays),
        dz_(dz),
        d_states_(plan, arrays),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.outputs(), d_states_.NeedsProducts()),
        projection_(projection),
        pointwise_(plan, arrays, cell, d_states_, projection_) {}

  // The recurrent weights. They must be packed before the first step.
  const Columns<T>& columns() const { return h_columns_; }

  // Starts from the gradients of the final states.
  void Initialize() const {
    pointwise_.Initialize();
    d_states_.SetToZero();
  }

  // Runs step t for a share of the blocks of the batch. part: the steps whose dz is kept.
  void Run(int64_t t, Range part, Share share) const {
    for (int64_t panel = 0; has_projection() && panel < h_columns_.panels(); ++panel) {
      OutputGradients(t, part, panel, share);
    }
    for (int64_t panel = 0; panel < panels(); ++panel) Units(t, part, panel, share);
  }

  // The same for all blocks. All members of a team call it, and share the units.
  void RunShared(Worker& worker, int64_t t, Range part) const {
    if (has_projection()) {
      ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                   [&](int64_t panel, Share share) { OutputGradients(t, part, panel, share); });
    }
    ForEachShare(worker, panels(), schedule_.StepShares(panels()),
                 [&](int64_t panel, Share share) { Units(t, part, panel, share); });
  }

  // Computes the gradients of the initial state and writes those of peepholes, after all steps. All members of a team
  // call it.
  void StateGradients(Worker& worker) const {
    ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                 [&](int64_t panel, Share share) { InitialGradients(panel, share); });
    if (layer_.extras.peepholes) worker.ForEach(1, [&](int64_t) { pointwise_.WritePeepholes(); });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // The compiler knows that plain layers have none.
  bool has_projection() const { return kHasExtras && layer_.extras.projection; }

  // The number of 4 vectors of units.
  int64_t panels() const { return has_projection() ? projection_.panels() : h_columns_.panels(); }

  // Runs step t for 4 vectors of units and a share of the blocks: dh, or what the projection passes on, then dz.
  void Units(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t first = panel * kPanelVectors;
    const int vectors = has_projection() ? projection_.Vectors(panel) : h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      T* const dz = dz_.At(t, part, row, first);
      pointwise_.PrefetchStep(t, first, vectors, row, rows, dz);
      if (has_projection()) {
        projection_.Multiply(panel, dz_.Row(t, part, row), rows, dh);
      } else {
        RecurrentGradient(dz_.Next(t, part, row, block_end), plan_.After(t), row, panel, rows, dh);
      }
      pointwise_.Run(t, first, vectors, row, rows, dh, dz, dz_.Row(t, part, row));
    });
  }

  // The gradients of h of a step for a panel of columns and a share of the blocks, before the clip of the projection.
  void OutputGradients(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int vectors = h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      RecurrentGradient(dz_.Next(t, part, row, block_end), plan_.After(t), row, panel, rows, dh);
      for (int64_t r = 0; r < rows; ++r) {
        for (int v = 0; v < vectors; ++v) {
          OutputGradient(t, part, row + r, panel * kPanelVectors + v, Load(dh + (r * vectors + v) * kSize));
        }
      }
    });
  }

  void OutputGradient(int64_t t, Range part, int64_t b, int64_t vector, Vec<T> dh) const {
    T* const target = projection_.D(dz_.Row(t, part, b), vector);
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
      RecurrentGradient(block_end > 0 ? dz_.Kept(row) : nullptr, first_step, row, panel, rows, dh);
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

  const Layer& layer_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const BackwardArrays<T>& arrays_;
  const DzRows<T>& dz_;
  const SeriesGradients<T, kHasExtras> d_states_;
  const CacheView<const T> cache_;
  const Columns<T> h_columns_;
  const BackwardProjection<T>& projection_;
  const PointwiseGradients<T, Cell> pointwise_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_STEP_H_
