// The backward pass of layers with normalization, one after the other. As in the forward pass, each step has two
// phases: threads share the products by units, and the rest by sequences. Gradients of weights and inputs are one
// product over many steps.

#include "arithmetic/tile.h"
#include "backward/cell_states.h"
#include "backward/columns.h"
#include "backward/input_gradients.h"
#include "backward/projection_gradients.h"
#include "backward/series_gradients.h"
#include "backward/weight_gradients.h"
#include "forward/projection.h"
#include "normalized/norm_gradients.h"
#include "normalized/normalization.h"
#include "normalized/normalized_cell.h"
#include "normalized/normalized_layer.h"
#include "schedule/schedule.h"
#include "storage/layer_series.h"
#include "storage/normalized_layout.h"

namespace stacked_lstm {
namespace {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class Cell>
class NormalizedBackwardPass {
 public:
  NormalizedBackwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays,
                         const Cell& cell)
      : layer_(plan.layer),
        plan_(plan),
        schedule_(schedule),
        arrays_(arrays),
        cell_(cell),
        series_(layer_, arrays.extras),
        cells_(plan, arrays),
        d_states_(plan, arrays),
        parts_(plan.longest, schedule.part_steps),
        max_rows_(parts_.number ? (plan.longest + parts_.number - 1) / parts_.number * layer_.batch : 0),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.outputs(), d_states_.NeedsProducts()),
        input_gradients_(plan, arrays),
        projection_(layer_, arrays, max_rows_),
        gradients_(plan, arrays, max_rows_, schedule.threads),
        projection_gradients_(plan, arrays, max_rows_, schedule),
        dz_(max_rows_, plan.panels),
        next_dz_(layer_.batch, plan.panels),
        c_(layer_.batch, plan.panels),
        dc_(layer_.batch, plan.panels),
        new_c_(series_.Has(kZoneoutC) ? layer_.batch : 0, plan.panels),
        kept_dc_(series_.Has(kZoneoutC) ? layer_.batch : 0, plan.panels),
        dh_(layer_.batch, VectorCount<T>(layer_.outputs())),
        dm_(has_projection() ? layer_.batch : 0, plan.panels),
        norm_gradients_(plan) {}

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    const int64_t h_pieces = h_columns_.pieces(), x_pieces = input_gradients_.pieces();
    worker.ForEach(h_pieces + x_pieces + 1, [&](int64_t k) {
      if (k < h_pieces + x_pieces) return k < h_pieces ? h_columns_.Pack(k) : input_gradients_.Pack(k - h_pieces);
      Initialize();
    });
    worker.ForEach(projection_.pieces(), [&](int64_t k) { projection_.Pack(k); });
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      const Range part = parts_[plan_.Nth({0, parts_.number}, k)];
      SharedSteps(worker, part);
      const bool first = k == parts_.number - 1;
      gradients_.Add(worker, part, dz_.At(0, 0), first);
      if (has_projection()) projection_gradients_.Add(worker, part, projection_.M(0), projection_.D(0, 0), first);
      ForEachShare(worker, input_gradients_.panels(), schedule_.GradientShares(input_gradients_.panels()),
                   [&](int64_t panel, Share share) { input_gradients_.Compute(part, dz_.At(0, 0), panel, share); });
      worker.ForEach(1, [&](int64_t) { KeepFirstDz(part); });
    }
    const int64_t first_step = plan_.Nth({0, plan_.longest}, 0);
    ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                 [&](int64_t panel, Share share) {
                   if (d_states_.NeedsFirstProduct()) RecurrentGradients(first_step, true, {0, 0}, panel, share);
                 });
    worker.ForEach(1, [&](int64_t) { Finish(); });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  bool has_projection() const { return layer_.extras.projection; }
  // Whether the c that a step reads may differ from c after the step before.
  bool changes_c() const { return series_.Has(kCMask) || series_.HasResets(); }

  // Sets what steps do not write.
  void Initialize() const {
    const int64_t units = layer_.units, batch = layer_.batch;
    if (batch > 0) std::fill_n(dh_.At(0, 0), batch * VectorCount<T>(layer_.outputs()) * kSize, T(0));
    for (int64_t b = 0; b < batch; ++b) {
      T* const dc = dc_.At(b, 0);
      std::copy_n(arrays_.d_c_last + b * units, units, dc);
      std::fill(dc + units, dc + plan_.panels * kSize, T(0));
    }
    norm_gradients_.SetToZero();
    input_gradients_.SetToZeroPastLongest();
    d_states_.SetToZero();
    if (plan_.longest * batch > 0) return;
    gradients_.SetToZero();
    projection_gradients_.SetToZero();
  }

  // Keeps dz of the first step of a part for the part before it.
  void KeepFirstDz(Range part) const {
    if (part.size() == 0) return;
    std::copy_n(Dz(plan_.Nth(part, 0), part, 0), layer_.batch * plan_.row_width, next_dz_.At(0, 0));
  }

  T* Dz(int64_t t, Range part, int64_t b) const { return dz_.At((t - part.begin) * layer_.batch + b, 0); }

  void SharedSteps(Worker& worker, Range part) const {
    if (schedule_.sharing != Sharing::kUnits) {
      const int64_t groups = schedule_.sharing == Sharing::kRows ? schedule_.row_groups : 1;
      return worker.ForEach(groups, [&](int64_t k) { Steps(part, {k, groups}); });
    }
    const int64_t blocks = plan_.blocks.number;
    for (int64_t k = part.size() - 1; k >= 0; --k) {
      const int64_t t = plan_.Nth(part, k);
      ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                   [&](int64_t panel, Share share) { OutputGradients(t, part, panel, share); });
      ForEachShare(worker, projection_.panels(), schedule_.StepShares(projection_.panels()),
                   [&](int64_t panel, Share share) { GradientsBeforeProjection(t, part, panel, share); });
      worker.ForEach(blocks, [&](int64_t block) { Rows(t, part, {block, blocks}); });
    }
  }

  // share: of the blocks of the batch.
  void Steps(Range part, Share share) const {
    for (int64_t k = part.size() - 1; k >= 0; --k) {
      const int64_t t = plan_.Nth(part, k);
      for (int64_t panel = 0; panel < h_columns_.panels(); ++panel) OutputGradients(t, part, panel, share);
      for (int64_t panel = 0; panel < projection_.panels(); ++panel) GradientsBeforeProjection(t, part, panel, share);
      Rows(t, part, share);
    }
  }

  // Computes the gradient of h before step t, for a panel of columns and a share of the blocks. is_kept: whether
  // `KeepFirstDz` kept dz of this step; otherwise, it is in `part`.
  void RecurrentGradients(int64_t t, bool is_kept, Range part, int64_t panel, Share share) const {
    const int64_t width = VectorCount<T>(layer_.outputs()) * kSize;
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t < 0 || t >= block_end) return;  // There is no such step. dh is zero, or that of the initial h.
      const T* const dz = is_kept ? next_dz_.At(row, 0) : Dz(t, part, row);
      SelectTile<T>(rows, h_columns_.Vectors(panel))(plan_.row_width, dz, plan_.row_width, h_columns_.Panel(panel),
                                                     nullptr, 0, dh_.At(row, 0) + panel * kWidth, width);
      for (int64_t b = row; b < row + rows; ++b) {
        d_states_.OfHBefore(t, b, 1, panel * kPanelVectors, h_columns_.Vectors(panel),
                            dh_.At(b, 0) + panel * kWidth);
      }
    });
  }

  // The same with the gradients of the results of step t. If there is a projection, it takes these gradients.
  void OutputGradients(int64_t t, Range part, int64_t panel, Share share) const {
    RecurrentGradients(plan_.After(t), t == plan_.Nth(part, part.size() - 1), part, panel, share);
    const int64_t vectors = h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t) {
      for (int64_t k = 0; k < rows * vectors; ++k) {
        const int64_t b = row + k / vectors, vector = panel * kPanelVectors + k % vectors;
        const bool is_past_end = t >= plan_.Length(b);
        T* const dh = dh_.At(b, vector);
        if (is_past_end) {
          d_states_.KeepInitialH(t, b, vector, Load(dh));
        } else {
          Store(dh, d_states_.AddResults(t, b, vector, Load(dh)));
        }
        if (!has_projection()) continue;
        Store(projection_.D((t - part.begin) * layer_.batch + b, vector),
              is_past_end ? Vec<T>{} : d_states_.OfProjected(t, b, vector, cache_, Load(dh)));
      }
    });
  }

  // Computes the gradient of what the projection takes, for a panel of units and a share of the blocks.
  void GradientsBeforeProjection(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dm[kTileRows * kWidth];
    const int64_t width = projection_.Vectors(panel) * kSize;
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t >= block_end) return;
      projection_.Multiply(panel, (t - part.begin) * layer_.batch + row, rows, dm);
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
    const int64_t row = t * layer_.batch + b, part_row = (t - part.begin) * layer_.batch + b;
    T *const dz = dz_.At(part_row, 0), *const m = has_projection() ? projection_.M(part_row) : nullptr;
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
  void Finish() const {
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
  const LayerSeries<T, true> series_;
  const CellStates<T, true, NormalizedCache<const T>> cells_;
  const SeriesGradients<T, true> d_states_;
  const Pieces parts_;      // The steps.
  const int64_t max_rows_;  // Rows of [step, sequence] in a part.
  const NormalizedCache<const T> cache_;
  const Columns<T> h_columns_;
  const InputGradients<T> input_gradients_;
  const BackwardProjection<T> projection_;
  const WeightGradients<T> gradients_;
  const ProjectionGradients<T> projection_gradients_;
  const PanelBuffer<T, kGates> dz_, next_dz_;  // The gradients of the products of a part, and of the step after it.
  const PanelBuffer<T, 1> c_, dc_;     // c as a step reads it, if no cache has it; the gradient of c after a step.
  // For zoneout: c', and the part of dc that zoneout passes on to c before the step.
  const PanelBuffer<T, 1> new_c_, kept_dc_;
  const PanelBuffer<T, 1> dh_, dm_;          // The gradients of h after a step, and of what the projection takes.
  const NormGradients<T> norm_gradients_;
};

}  // namespace

template <class T>
void NormalizedBackward(const std::vector<Layer>& layers, const std::vector<BackwardArrays<T>>& arrays,
                        const Threads& threads) {
  for (size_t l = layers.size(); l-- > 0;) {
    RunNormalizedLayer<T, NormalizedBackwardPass>(Task::kBackward, layers[l], arrays[l], threads);
  }
}

template void NormalizedBackward(const std::vector<Layer>&, const std::vector<BackwardArrays<float>>&, const Threads&);
template void NormalizedBackward(const std::vector<Layer>&, const std::vector<BackwardArrays<double>>&,
                                 const Threads&);

}  // namespace stacked_lstm
