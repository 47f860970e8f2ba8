// The backward pass of layers with normalization. As in the forward pass, each step has two phases: threads share the
// products by units, and the rest by sequences.

#include "arithmetic/tile.h"
#include "backward/backward_stack.h"
#include "backward/cell_states.h"
#include "backward/columns.h"
#include "backward/dz_rows.h"
#include "backward/series_gradients.h"
#include "forward/projection.h"
#include "normalized/norm_gradients.h"
#include "normalized/normalization.h"
#include "normalized/normalized_cell.h"
#include "schedule/schedule.h"
#include "storage/layer_series.h"
#include "storage/normalized_layout.h"

namespace stacked_lstm {
namespace {

// A step, as `BackwardStep` without normalization. The methods are const because the members of a team share the
// object. They write to buffers and the caller's arrays.
template <class T, class LayerCell>
class NormalizedBackwardStep {
 public:
  typedef LayerCell Cell;
  static constexpr bool kHasExtras = true;

  NormalizedBackwardStep(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays,
                         const Cell& cell, const DzRows<T>& dz, const BackwardProjection<T>& projection)
      : layer_(plan.layer),
        plan_(plan),
        schedule_(schedule),
        arrays_(arrays),
        cell_(cell),
        dz_(dz),
        series_(layer_, arrays.extras),
        cells_(plan, arrays),
        d_states_(plan, arrays),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.outputs(), d_states_.NeedsProducts()),
        projection_(projection),
        c_(layer_.batch, plan.panels),
        dc_(layer_.batch, plan.panels),
        new_c_(series_.Has(kZoneoutC) ? layer_.batch : 0, plan.panels),
        kept_dc_(series_.Has(kZoneoutC) ? layer_.batch : 0, plan.panels),
        dh_(layer_.batch, VectorCount<T>(layer_.outputs())),
        dm_(has_projection() ? layer_.batch : 0, plan.panels),
        norm_gradients_(plan) {}

  const Columns<T>& columns() const { return h_columns_; }

  void Initialize() const {
    const int64_t units = layer_.units, batch = layer_.batch;
    if (batch > 0) std::fill_n(dh_.At(0, 0), batch * VectorCount<T>(layer_.outputs()) * kSize, T(0));
    for (int64_t b = 0; b < batch; ++b) {
      T* const dc = dc_.At(b, 0);
      std::copy_n(arrays_.d_c_last + b * units, units, dc);
      std::fill(dc + units, dc + plan_.panels * kSize, T(0));
    }
    norm_gradients_.SetToZero();
    d_states_.SetToZero();
  }

  void Run(int64_t t, Range part, Share share) const {
    for (int64_t panel = 0; panel < h_columns_.panels(); ++panel) OutputGradients(t, part, panel, share);
    for (int64_t panel = 0; panel < projection_.panels(); ++panel) GradientsBeforeProjection(t, part, panel, share);
    Rows(t, part, share);
  }

  void RunShared(Worker& worker, int64_t t, Range part) const {
    const int64_t blocks = plan_.blocks.number;
    ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                 [&](int64_t panel, Share share) { OutputGradients(t, part, panel, share); });
    ForEachShare(worker, projection_.panels(), schedule_.StepShares(projection_.panels()),
                 [&](int64_t panel, Share share) { GradientsBeforeProjection(t, part, panel, share); });
    worker.ForEach(blocks, [&](int64_t block) { Rows(t, part, {block, blocks}); });
  }

  // Computes the gradients of the initial state, and writes those of norms and peepholes.
  void StateGradients(Worker& worker) const {
    const int64_t first_step = plan_.Nth({0, plan_.longest}, 0);
    ForEachShare(worker, d_states_.NeedsFirstProduct() ? h_columns_.panels() : 0,
                 schedule_.StepShares(h_columns_.panels()), [&](int64_t panel, Share share) {
                   plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
                     const bool exists = first_step >= 0 && first_step < block_end;
                     RecurrentGradients(first_step, exists ? dz_.Kept(row) : nullptr, panel, row, rows);
                   });
                 });
    worker.ForEach(1, [&](int64_t) { Write(); });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  bool has_projection() const { return layer_.extras.projection; }
  // Whether the c that a step reads may differ from c after the step before.
  bool changes_c() const { return series_.Has(kCMask) || series_.HasResets(); }

  // Computes the gradient of h before step t, for a panel of columns and the sequences of a block, from dz of the step.
  // If dz is null, there is no such step: dh is zero, or that of the initial h.
  void RecurrentGradients(int64_t t, const T* dz, int64_t panel, int64_t row, int64_t rows) const {
    if (!dz) return;
    const int64_t width = VectorCount<T>(layer_.outputs()) * kSize;
    const int vectors = h_columns_.Vectors(panel);
    SelectTile<T>(rows, vectors)(plan_.row_width, dz, plan_.row_width, h_columns_.Panel(panel), nullptr, 0,
                                 dh_.At(row, 0) + panel * kWidth, width);
    for (int64_t b = row; b < row + rows; ++b) {
      d_states_.OfHBefore(t, b, 1, panel * kPanelVectors, vectors, dh_.At(b, 0) + panel * kWidth);
    }
  }

  // The gradient of h after step t, with the gradients of the results of the step. If there is a projection, it takes
  // these gradients.
  void OutputGradients(int64_t t, Range part, int64_t panel, Share share) const {
    const int64_t vectors = h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      RecurrentGradients(plan_.After(t), dz_.Next(t, part, row, block_end), panel, row, rows);
      for (int64_t k = 0; k < rows * vectors; ++k) {
        OutputGradient(t, part, row + k / vectors, panel * kPanelVectors + k % vectors);
      }
    });
  }

  void OutputGradient(int64_t t, Range part, int64_t b, int64_t vector) const {
    const bool is_past_end = t >= plan_.Length(b);
    T* const dh = dh_.At(b, vector);
    if (is_past_end) {
      d_states_.KeepInitialH(t, b, vector, Load(dh));
    } else {
      Store(dh, d_states_.AddResults(t, b, vector, Load(dh)));
    }
    if (!has_projection()) return;
    Store(projection_.D(dz_.Row(t, part, b), vector),
          is_past_end ? Vec<T>{} : d_states_.OfProjected(t, b, vector, cache_, Load(dh)));
  }

  // Computes the gradient of what the projection takes, for a panel of units and a share of the blocks.
  void GradientsBeforeProjection(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dm[kTileRows * kWidth];
    const int64_t width = projection_.Vectors(panel) * kSize;
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t >= block_end) return;
      projection_.Multiply(panel, dz_.Row(t, part, row), rows, dm);
      for (int64_t r = 0; r < rows; ++r) std::copy_n(dm + r * width, width, dm_.At(row + r, panel * kPanelVectors));
    });
  }

  void Rows(int64_t t, Range part, Share share) const {
    const Range range = share.Slice(plan_.blocks.number);
    for (int64_t block = range.begin; block < range.end; ++block) {
      for (int64_t b = plan_.blocks.Begin(block); b < plan_.blocks.Begin(block + 1); ++b) Row(t, part, b, block);
      norm_gradients_.EndStep(t, block);
    }
  }

  void Row(int64_t t, Range part, int64_t b, int64_t block) const {
    const int64_t row = t * layer_.batch + b;
    T *const dz = dz_.At(t, part, b, 0), *const m = has_projection() ? projection_.M(dz_.Row(t, part, b)) : nullptr;
    if (t >= plan_.Length(b)) {
      if (m) std::fill_n(m, plan_.panels * kSize, T(0));
      return std::fill(dz, dz + plan_.row_width, T(0));
    }
    const bool has_zoneout = series_.Has(kZoneoutC);
    const NormalizedRowGradient<T> values = {
        cache_.gates.At(row, 0), ReadC(t, b), has_zoneout ? new_c_.At(b, 0) : cache_.cells.At(row, 0),
        series_.CandidateMask(t, b), cache_.normalized_cells.At(row, 0), cache_.Inverses(row),
        m ? dm_.At(b, 0) : dh_.At(b, 0), dc_.At(b, 0), dz, norm_gradients_.Norms(block),
        norm_gradients_.Peepholes(block)};
    if (has_zoneout) ZoneOutC(t, b, values);
    cell_.Gradient(
        values,
        [&](int64_t panel, Vec<T> new_h, Vec<T> dh) {
          if (!m) return d_states_.OfNewH(t, b, panel, new_h, dh);
          Store(m + panel * kSize, new_h);
          return dh;
        },
        [&](int64_t panel, Vec<T> d) { d_states_.OfCandidateMask(t, b, panel, d); });
    if (changes_c() || has_zoneout) FinishC(t, b, values.dc);
  }

  // c as step t reads it, padded to whole vectors.
  const T* ReadC(int64_t t, int64_t b) const {
    if (!plan_.IsFirst(t, b) && !changes_c()) return cache_.cells.At(plan_.Before(t) * layer_.batch + b, 0);
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      Store(c_.At(b, panel), cells_.Read(t, b, panel, cells_.Before(t, b, panel)));
    }
    return c_.At(b, 0);
  }

  // Turns the gradient of c after the step into the gradient of c'. Stores the rest in `kept_dc_`, and c' in `new_c_`.
  void ZoneOutC(int64_t t, int64_t b, const NormalizedRowGradient<T>& row) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      T* const dc = row.dc + panel * kSize;
      const Vec<T> new_c = cell_.NewC(row, panel);
      const auto parts = d_states_.OfNewC(t, b, panel, Load(row.c_before + panel * kSize), new_c, Load(dc));
      Store(new_c_.At(b, panel), new_c);
      Store(dc, parts.step);
      Store(kept_dc_.At(b, panel), parts.kept);
    }
  }

  // Turns the gradient of c as the step reads it into the gradient of c after the step before.
  void FinishC(int64_t t, int64_t b, T* dc) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel, dc += kSize) {
      const Vec<T> kept = series_.Has(kZoneoutC) ? Load(kept_dc_.At(b, panel)) : Vec<T>{};
      Store(dc, d_states_.OfCBefore(t, b, panel, cells_.Before(t, b, panel), Load(dc), kept));
    }
  }

  // Writes the gradients of the initial state, of the norms and of the peepholes.
  void Write() const {
    const int64_t units = layer_.units, width = layer_.outputs();
    for (int64_t b = 0; b < layer_.batch; ++b) {
      if (arrays_.d_c) std::copy_n(dc_.At(b, 0), units, arrays_.d_c + b * units);
      if (!arrays_.d_h || d_states_.KeepsInitialH(b)) continue;
      std::copy_n(plan_.Length(b) ? dh_.At(b, 0) : arrays_.d_h_last + b * width, width, arrays_.d_h + b * width);
    }
    norm_gradients_.Write(arrays_.d_extras);
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const BackwardArrays<T>& arrays_;
  const Cell& cell_;
  const DzRows<T>& dz_;
  const LayerSeries<T, true> series_;
  const CellStates<T, true, NormalizedCache<const T>> cells_;
  const SeriesGradients<T, true> d_states_;
  const NormalizedCache<const T> cache_;
  const Columns<T> h_columns_;
  const BackwardProjection<T>& projection_;
  const PanelBuffer<T, 1> c_, dc_;  // c as a step reads it, if no cache has it; the gradient of c after a step.
  // For zoneout: c', and the part of dc that zoneout passes on to c before the step.
  const PanelBuffer<T, 1> new_c_, kept_dc_;
  const PanelBuffer<T, 1> dh_, dm_;  // The gradients of h after a step, and of what the projection takes.
  const NormGradients<T> norm_gradients_;
};

}  // namespace

template <class T>
void NormalizedBackward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays,
                        const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>(layers);
  DispatchNormalizedCells(plans, arrays, [&](auto make_cell) {
    RunBackward<NormalizedBackwardStep<T, CellOf<decltype(make_cell)>>>(plans, arrays, make_cell, threads);
  });
}

template void NormalizedBackward(const std::vector<Layer>&, const std::vector<BackwardArrays<float>>&, const Threads&);
template void NormalizedBackward(const std::vector<Layer>&, const std::vector<BackwardArrays<double>>&,
                                 const Threads&);

}  // namespace stacked_lstm
