// The backward pass of a layer with normalization. As in the forward pass, each step has two phases: threads share the
// products by units, and the rest by sequences. Gradients of weights and inputs are one product over many steps.

#include "cell_states.h"
#include "columns.h"
#include "layer_series.h"
#include "normalized_cell.h"
#include "normalized_layout.h"
#include "schedule.h"
#include "series_gradients.h"
#include "tile.h"
#include "weight_gradients.h"

namespace stacked_lstm {
namespace {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class Cell>
class NormalizedBackwardPass {
 public:
  NormalizedBackwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays,
                         const NormWeights<T>& d_norms, const Cell& cell)
      : layer_(plan.layer),
        plan_(plan),
        schedule_(schedule),
        arrays_(arrays),
        d_norms_(d_norms),
        cell_(cell),
        series_(layer_, arrays.extras),
        cells_(plan, arrays),
        d_states_(plan, arrays),
        parts_(plan.longest, schedule.part_steps),
        max_rows_(parts_.number ? (plan.longest + parts_.number - 1) / parts_.number * layer_.batch : 0),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.units),
        x_columns_(plan, arrays.weights, arrays.weights.x_row, arrays.d_x ? layer_.inputs : 0),
        gradients_(plan, arrays, max_rows_, schedule.threads),
        dz_(max_rows_, plan.panels),
        next_dz_(layer_.batch, plan.panels),
        c_(layer_.batch, plan.panels),
        dc_(layer_.batch, plan.panels),
        kept_dc_(series_.Has(kZoneoutC) ? layer_.batch : 0, plan.panels),
        dh_(layer_.batch, plan.panels),
        block_d_norms_(plan.blocks.number, plan.panels) {}

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    const int64_t h_pieces = h_columns_.pieces(), x_pieces = x_columns_.pieces();
    worker.ForEach(h_pieces + x_pieces + 1, [&](int64_t k) {
      if (k < h_pieces + x_pieces) return k < h_pieces ? h_columns_.Pack(k) : x_columns_.Pack(k - h_pieces);
      Initialize();
    });
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      const Range part = parts_[k];
      SharedSteps(worker, part);
      gradients_.Add(worker, part, dz_.At(0, 0), k == parts_.number - 1);
      ForEachShare(worker, x_columns_.panels(), schedule_.GradientShares(x_columns_.panels()),
                   [&](int64_t panel, Share share) { InputGradient(part, panel, share); });
      worker.ForEach(1, [&](int64_t) { std::copy_n(dz_.At(0, 0), layer_.batch * plan_.row_width, next_dz_.At(0, 0)); });
    }
    ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                 [&](int64_t panel, Share share) { RecurrentGradients(-1, {0, 0}, panel, share); });
    worker.ForEach(1, [&](int64_t) { Finish(); });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Sets what steps do not write.
  void Initialize() const {
    const int64_t units = layer_.units, batch = layer_.batch, width = plan_.panels * kSize;
    if (batch > 0) std::fill(dh_.At(0, 0), dh_.At(0, 0) + batch * width, T(0));
    for (int64_t b = 0; b < batch; ++b) {
      T* const dc = dc_.At(b, 0);
      std::copy_n(arrays_.d_c_last + b * units, units, dc);
      std::fill(dc + units, dc + width, T(0));
    }
    const int64_t blocks = plan_.blocks.number;
    if (blocks > 0) std::fill(block_d_norms_.At(0, 0), block_d_norms_.At(0, 0) + blocks * width * 2 * kNorms, T(0));
    if (arrays_.d_x) {
      const int64_t step = batch * layer_.inputs;
      std::fill(arrays_.d_x + plan_.longest * step, arrays_.d_x + layer_.steps * step, T(0));
    }
    d_states_.SetToZero();
    if (plan_.longest * batch == 0) gradients_.SetToZero();
  }

  void SharedSteps(Worker& worker, Range part) const {
    if (schedule_.sharing != Sharing::kUnits) {
      const int64_t groups = schedule_.sharing == Sharing::kRows ? schedule_.row_groups : 1;
      return worker.ForEach(groups, [&](int64_t k) { Steps(part, {k, groups}); });
    }
    const int64_t blocks = plan_.blocks.number;
    for (int64_t t = part.end - 1; t >= part.begin; --t) {
      ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                   [&](int64_t panel, Share share) { RecurrentGradients(t, part, panel, share); });
      worker.ForEach(blocks, [&](int64_t k) { Rows(t, part, {k, blocks}); });
    }
  }

  // share: of the blocks of the batch.
  void Steps(Range part, Share share) const {
    for (int64_t t = part.end - 1; t >= part.begin; --t) {
      for (int64_t panel = 0; panel < h_columns_.panels(); ++panel) RecurrentGradients(t, part, panel, share);
      Rows(t, part, share);
    }
  }

  // Computes the gradient of h after step t from the step after it, for a panel of columns and a share of the blocks.
  void RecurrentGradients(int64_t t, Range part, int64_t panel, Share share) const {
    const int64_t width = plan_.panels * kSize;
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t + 1 >= block_end) return;  // dh is still zero.
      const bool is_kept = t + 1 == part.end;  // dz of the step after t is in the part after this one.
      const T* const dz = is_kept ? next_dz_.At(row, 0) : dz_.At((t + 1 - part.begin) * layer_.batch + row, 0);
      SelectTile<T>(rows, h_columns_.Vectors(panel))(plan_.row_width, dz, plan_.row_width, h_columns_.Panel(panel),
                                                     nullptr, 0, dh_.At(row, 0) + panel * kWidth, width);
      for (int64_t b = row; b < row + rows; ++b) {
        d_states_.OfHBefore(t + 1, b, 1, panel * kPanelVectors, h_columns_.Vectors(panel),
                            dh_.At(b, 0) + panel * kWidth);
      }
    });
  }

  void Rows(int64_t t, Range part, Share share) const {
    const Range range = share.Slice(plan_.blocks.number);
    for (int64_t block = range.begin; block < range.end; ++block) {
      for (int64_t b = plan_.blocks.Begin(block); b < plan_.blocks.Begin(block + 1); ++b) Row(t, part, b, block);
    }
  }

  void Row(int64_t t, Range part, int64_t b, int64_t block) const {
    const int64_t row = t * layer_.batch + b, length = plan_.Length(b);
    T* const dz = dz_.At((t - part.begin) * layer_.batch + b, 0);
    if (t >= length) return std::fill(dz, dz + plan_.row_width, T(0));
    const NormalizedRowGradient<T> values = {
        cache_.gates.At(row, 0), ReadC(t, b), series_.CandidateMask(t, b), cache_.normalized_cells.At(row, 0),
        cache_.Inverses(row), dh_.At(b, 0), arrays_.d_outputs + row * layer_.units,
        t == length - 1 ? arrays_.d_h_last + b * layer_.units : nullptr, dc_.At(b, 0), dz,
        block_d_norms_.At(block, 0)};
    if (series_.Has(kZoneoutC)) ZoneOutC(t, b, values);
    cell_.Gradient(
        values,
        [&](int64_t panel, Vec<T> new_h, Vec<T> dh) { return d_states_.OfNewH(t, b, panel, new_h, dh); },
        [&](int64_t panel, Vec<T> d) { d_states_.OfCandidateMask(t, b, panel, d); });
    if (changes_c() || series_.Has(kZoneoutC)) FinishC(t, b, values.dc);
  }

  // Whether the c that a step reads may differ from c after the step before.
  bool changes_c() const { return series_.Has(kCMask) || series_.HasResets(); }

  // c as step t reads it, padded to whole vectors.
  const T* ReadC(int64_t t, int64_t b) const {
    if (t > 0 && !changes_c()) return cache_.cells.At((t - 1) * layer_.batch + b, 0);
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      Store(c_.At(b, panel), cells_.Read(t, b, panel, cells_.Before(t, b, panel)));
    }
    return c_.At(b, 0);
  }

  // Turns the gradient of c after the step into the gradient of c'. Stores the rest in `kept_dc_`.
  void ZoneOutC(int64_t t, int64_t b, const NormalizedRowGradient<T>& row) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      T* const dc = row.dc + panel * kSize;
      const auto parts =
          d_states_.OfNewC(t, b, panel, Load(row.c_before + panel * kSize), cell_.NewC(row, panel), Load(dc));
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

  // Computes dx = dz W^T of the steps of a part, for a panel of columns and a share of the rows.
  void InputGradient(Range part, int64_t panel, Share share) const {
    alignas(64) T dx[kTileRows * kWidth];
    const int64_t inputs = layer_.inputs, count = x_columns_.Count(panel), width = x_columns_.Vectors(panel) * kSize;
    const Pieces rows(part.size() * layer_.batch, kTileRows);
    const Range range = share.Slice(rows.number);
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t row = rows.Begin(m);
      T* const target = arrays_.d_x + (part.begin * layer_.batch + row) * inputs + panel * kWidth;
      SelectTile<T>(rows.Size(m), x_columns_.Vectors(panel))(plan_.row_width, dz_.At(row, 0), plan_.row_width,
                                                             x_columns_.Panel(panel), nullptr, 0, dx, width);
      for (int64_t r = 0; r < rows.Size(m); ++r) std::copy_n(dx + r * width, count, target + r * inputs);
    }
  }

  // Writes the gradients of the initial state and of the norms.
  void Finish() const {
    const int64_t units = layer_.units;
    for (int64_t b = 0; b < layer_.batch; ++b) {
      if (arrays_.d_c) std::copy_n(dc_.At(b, 0), units, arrays_.d_c + b * units);
      const T* const dh = plan_.Length(b) ? dh_.At(b, 0) : arrays_.d_h_last + b * units;
      if (arrays_.d_h) std::copy_n(dh, units, arrays_.d_h + b * units);
    }
    if (!d_norms_.gate_gain) return;
    ForEachNormArray(d_norms_, units, [&](T* array, int k) {
      for (int64_t panel = 0; panel < plan_.panels; ++panel) {
        Vec<T> sum = {};
        for (int64_t m = 0; m < plan_.blocks.number; ++m) sum += Load(block_d_norms_.At(m, panel) + k * kSize);
        StoreFirst(array + panel * kSize, sum, plan_.Units(panel));
      }
    });
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const BackwardArrays<T>& arrays_;
  const NormWeights<T>& d_norms_;
  const Cell& cell_;
  const LayerSeries<T, true> series_;
  const CellStates<T, true, NormalizedCache<const T>> cells_;
  const SeriesGradients<T, true> d_states_;
  const Pieces parts_;      // The steps.
  const int64_t max_rows_;  // Rows of [step, sequence] in a part.
  const NormalizedCache<const T> cache_;
  const Columns<T> h_columns_, x_columns_;
  const WeightGradients<T> gradients_;
  const PanelBuffer<T, kGates> dz_, next_dz_;  // The gradients of the products of a part, and of the step after it.
  const PanelBuffer<T, 1> c_, dc_;     // c as a step reads it, if no cache has it; the gradient of c after a step.
  const PanelBuffer<T, 1> kept_dc_;    // With zoneout: the part of the gradient that reaches c before the step directly.
  const PanelBuffer<T, 1> dh_;
  const NormPanels<T> block_d_norms_;  // Per block of the batch, so that sums do not depend on the threads.
};

}  // namespace

template <class T>
void NormalizedBackward(const Layer& layer, const Normalization& normalization, const BackwardArrays<T>& arrays,
                        const NormWeights<const T>& norms, const NormWeights<T>& d_norms, const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>({layer});
  const Schedule schedule = MakeSchedule(Direction::kBackward, plans, threads.count);
  Threads team_threads = threads;
  team_threads.count = schedule.threads;
  DispatchActivations(layer.candidate, layer.gates, [&](auto candidate, auto gates) {
    typedef NormalizedCell<T, decltype(candidate), decltype(gates)> Cell;
    const Cell cell(plans[0], normalization, norms, candidate, gates);
    const NormalizedBackwardPass<T, Cell> pass(plans[0], schedule.layers[0], arrays, d_norms, cell);
    Team::Run(team_threads, [&](Worker& worker) { pass.Run(worker); });
  });
}

template void NormalizedBackward(const Layer&, const Normalization&, const BackwardArrays<float>&,
                                 const NormWeights<const float>&, const NormWeights<float>&, const Threads&);
template void NormalizedBackward(const Layer&, const Normalization&, const BackwardArrays<double>&,
                                 const NormWeights<const double>&, const NormWeights<double>&, const Threads&);

}  // namespace stacked_lstm
