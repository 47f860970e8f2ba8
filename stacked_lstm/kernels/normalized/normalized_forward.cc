// The forward pass of layers with normalization. Each step has two phases: the products, which threads share by units,
// and the rest, which they share by sequences, because a norm needs all units. A projection is a third phase.

#include "forward/forward_stack.h"
#include "forward/gate_products.h"
#include "forward/hidden_states.h"
#include "forward/projection.h"
#include "forward/unpacked_products.h"
#include "normalized/normalization.h"
#include "normalized/normalized_cell.h"
#include "schedule/schedule.h"
#include "storage/layer_series.h"
#include "storage/normalized_layout.h"

namespace stacked_lstm {
namespace {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class Cell>
class NormalizedForwardPass {
 public:
  NormalizedForwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const ForwardArrays<T>& arrays,
                        const Cell& cell)
      : layer_(plan.layer),
        plan_(plan),
        schedule_(schedule),
        arrays_(arrays),
        cell_(cell),
        series_(layer_, arrays.extras),
        hidden_(plan, arrays),
        fused_(arrays.packed && schedule.FusesInputProducts()),
        has_cache_(arrays.cache != nullptr),
        cache_(arrays.cache, layer_),
        products_(layer_, arrays.packed),
        projection_(plan, arrays, hidden_),
        z_(has_cache_ ? 0 : std::min(schedule.part_steps, layer_.steps) * layer_.batch, plan.panels),
        c_(layer_.batch, plan.panels),
        new_c_(series_.Has(kZoneoutC) ? layer_.batch : 0, plan.panels) {
    for (int64_t b = 0; b < layer_.batch; ++b) {
      T* const c = c_.At(b, 0);
      std::copy_n(arrays.c + b * layer_.units, layer_.units, c);
      std::fill(c + layer_.units, c + plan.panels * kSize, T(0));
      if (plan.Length(b) > 0) continue;
      std::copy_n(arrays.c + b * layer_.units, layer_.units, arrays.c_last + b * layer_.units);
      std::copy_n(arrays.h + b * layer_.outputs(), layer_.outputs(), arrays.h_last + b * layer_.outputs());
    }
  }

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    if (!arrays_.packed) return RunUnpacked(worker);
    const int64_t parts = (plan_.longest + schedule_.part_steps - 1) / schedule_.part_steps;
    for (int64_t k = 0; k < parts; ++k) {
      const int64_t begin = plan_.Nth({0, parts}, k) * schedule_.part_steps;
      const Range part = {begin, std::min(plan_.longest, begin + schedule_.part_steps)};
      if (!fused_) {
        ForEachShare(worker, plan_.panels, schedule_.InputShares(plan_.panels),
                     [&](int64_t panel, Share share) { InputProducts(part, panel, share); });
      }
      if (schedule_.sharing == Sharing::kUnits) {
        SharedSteps(worker, part);
      } else {
        const int64_t groups = schedule_.sharing == Sharing::kRows ? schedule_.row_groups : 1;
        worker.ForEach(groups, [&](int64_t k) { Steps(part, {k, groups}); });
      }
    }
  }

  // kLayers: runs at most `part_steps` steps of all sequences in one thread.
  void Chunk(Range steps) const {
    for (int64_t panel = 0; panel < plan_.panels && !fused_; ++panel) InputProducts(steps, panel, kWhole);
    Steps(steps, kWhole);
  }

  // Sets the outputs and the cache after the longest sequence to zero. It follows `Run` or the `Chunk`s.
  void ZeroRest(Worker& worker) const {
    worker.ForEach(layer_.steps - plan_.longest, [&](int64_t k) {
      for (int64_t b = 0; b < layer_.batch; ++b) Skip(plan_.longest + k, b);
    });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize;

  // Computes all steps with unpacked weights.
  void RunUnpacked(Worker& worker) const {
    const UnpackedProducts<T> products(plan_, arrays_.weights, worker.team_size());
    const int64_t blocks = plan_.blocks.number;
    worker.ForEach(projection_.panels(), [&](int64_t panel) { projection_.Pack(panel); });
    for (int64_t k = 0; k < plan_.longest; ++k) {
      const int64_t t = plan_.Nth({0, plan_.longest}, k);
      const Range step = {t, t + 1};
      const T* const x = arrays_.x + t * layer_.batch * layer_.inputs;
      worker.ForEach(products.pieces(), [&](int64_t piece) {
        products.Compute(piece, hidden_.Factor(t), hidden_.FactorStride(t), x, nullptr, Z(t, step, 0, 0));
      });
      worker.ForEach(blocks, [&](int64_t block) { Rows(t, step, {block, blocks}); });
      worker.ForEach(projection_.panels(), [&](int64_t panel) { projection_.Project(t, panel, kWhole); });
    }
  }

  void SharedSteps(Worker& worker, Range part) const {
    const int64_t blocks = plan_.blocks.number;
    for (int64_t k = 0; k < part.size(); ++k) {
      const int64_t t = plan_.Nth(part, k);
      ForEachShare(worker, plan_.panels, schedule_.StepShares(plan_.panels),
                   [&](int64_t panel, Share share) { StateProducts(t, part, panel, share); });
      worker.ForEach(blocks, [&](int64_t block) { Rows(t, part, {block, blocks}); });
      ForEachShare(worker, projection_.panels(), schedule_.StepShares(projection_.panels()),
                   [&](int64_t panel, Share share) { projection_.Project(t, panel, share); });
    }
  }

  // share: of the blocks of the batch.
  void Steps(Range part, Share share) const {
    for (int64_t k = 0; k < part.size(); ++k) {
      const int64_t t = plan_.Nth(part, k);
      for (int64_t panel = 0; panel < plan_.panels; ++panel) StateProducts(t, part, panel, share);
      Rows(t, part, share);
      for (int64_t panel = 0; panel < projection_.panels(); ++panel) projection_.Project(t, panel, share);
    }
  }

  bool has_projection() const { return layer_.extras.projection; }

  // A row of products, and later of N of them: in the cache, or in a buffer that the next part reuses.
  T* Z(int64_t t, Range part, int64_t b, int64_t panel) const {
    return has_cache_ ? cache_.gates.At(t * layer_.batch + b, panel)
                      : z_.At((t - part.begin) * layer_.batch + b, panel);
  }

  void InputProducts(Range part, int64_t panel, Share share) const {
    const Pieces rows(part.size() * layer_.batch, kTileRows);
    const Range range = share.Slice(rows.number);
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t row = rows.Begin(m), t = part.begin + row / layer_.batch, b = row % layer_.batch;
      InputProduct(panel, part.begin * layer_.batch + row, rows.Size(m), Z(t, part, b, panel));
    }
  }

  // Computes x W of one panel for some rows of [step, sequence].
  void InputProduct(int64_t panel, int64_t row, int64_t rows, T* z) const {
    products_.Multiply(Factor::kX, panel, rows, arrays_.x + row * layer_.inputs, layer_.inputs, nullptr, 0, z,
                       plan_.row_width);
  }

  void StateProducts(int64_t t, Range part, int64_t panel, Share share) const {
    const T* const h = hidden_.Factor(t);
    const int64_t h_stride = hidden_.FactorStride(t);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t >= block_end) return;
      T* const z = Z(t, part, row, panel);
      if (fused_) InputProduct(panel, t * layer_.batch + row, rows, z);
      products_.Multiply(Factor::kH, panel, rows, h + row * h_stride, h_stride, z, plan_.row_width, z, plan_.row_width);
    });
  }

  void Rows(int64_t t, Range part, Share share) const {
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t) {
      for (int64_t b = row; b < row + rows; ++b) {
        if (t < plan_.Length(b)) {
          Row(t, part, b);
        } else {
          Skip(t, b);
        }
      }
    });
  }

  void Row(int64_t t, Range part, int64_t b) const {
    const int64_t row = t * layer_.batch + b;
    T* const c = c_.At(b, 0);
    const bool has_zoneout = series_.Has(kZoneoutC);
    ReadC(t, b, c);
    NormalizedRow<T> values = {Z(t, part, b, 0), c, has_zoneout ? new_c_.At(b, 0) : c, series_.CandidateMask(t, b),
                               nullptr, nullptr};
    if (has_cache_) {
      values.normalized_cell = cache_.normalized_cells.At(row, 0);
      values.inverses = cache_.Inverses(row);
    }
    cell_.Step(values, has_projection() ? projection_.M(b, 0) : Hidden(t, b));
    if (has_zoneout) ZoneOutC(t, b, values.c, c);
    if (!has_projection()) FinishH(t, b);
    if (has_cache_) std::copy_n(c, plan_.panels * kSize, cache_.cells.At(row, 0));
    if (!plan_.IsLast(t, b)) return;
    std::copy_n(c, layer_.units, arrays_.c_last + b * layer_.units);
    if (!has_projection()) std::copy_n(Hidden(t, b), layer_.units, arrays_.h_last + b * layer_.units);
  }

  // Turns c after a step into c as step t reads it.
  void ReadC(int64_t t, int64_t b, T* c) const {
    if (!series_.Has(kCMask) && !series_.IsReset(t, b)) return;
    for (int64_t panel = 0; panel < plan_.panels; ++panel, c += kSize) {
      const int count = plan_.Units(panel);
      Store(c, series_.MaskC(t, b, panel * kSize, count, series_.RestartC(t, b, panel * kSize, count, Load(c))));
    }
  }

  // Turns c as step t reads it into c after the step.
  void ZoneOutC(int64_t t, int64_t b, const T* new_c, T* c) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel, c += kSize, new_c += kSize) {
      Store(c, Mix<T>(series_.At(kZoneoutC, t, b, panel * kSize, plan_.Units(panel)), Load(c), Load(new_c)));
    }
  }

  // Turns h' into h after the step, and writes the outputs of a residual layer.
  void FinishH(int64_t t, int64_t b) const {
    if (!hidden_.ChangesSteps() && !layer_.residual) return;
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      const int64_t first = panel * kSize;
      const int count = plan_.Units(panel);
      const Vec<T> h = hidden_.ZoneOut(t, b, first, count, LoadFirst(Hidden(t, b) + first, count));
      StoreFirst(Hidden(t, b) + first, h, count);
      hidden_.AddInput(t, b, first, h, count);
      hidden_.Keep(t, b, first, h, count);
    }
  }

  // Writes what a step past the end of a sequence leaves: zeros.
  void Skip(int64_t t, int64_t b) const {
    const int64_t row = t * layer_.batch + b;
    std::fill_n(arrays_.outputs + layer_.OutputIndex(t, b), layer_.outputs(), T(0));
    if (layer_.residual) std::fill_n(Hidden(t, b), layer_.outputs(), T(0));
    if (has_cache_) cache_.SetToZero({row, row + 1});
  }

  T* Hidden(int64_t t, int64_t b) const { return arrays_.Hidden() + layer_.HiddenIndex(t, b); }

  const Layer& layer_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const ForwardArrays<T>& arrays_;
  const Cell& cell_;
  const LayerSeries<T, true> series_;
  const HiddenStates<T, true> hidden_;
  const bool fused_;  // The input product is computed within the step.
  const bool has_cache_;
  const NormalizedCache<T> cache_;
  const GateProducts<T> products_;
  const ForwardProjection<T, true> projection_;
  const PanelBuffer<T, kGates> z_;  // Without a cache: the products of a part.
  const PanelBuffer<T, 1> c_;       // The cell state.
  const PanelBuffer<T, 1> new_c_;   // With zoneout: c' of a step.
};

}  // namespace

template <class T>
void NormalizedForward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays,
                       const Threads& threads) {
  const std::vector<Plan<T>> plans = MakePlans<T>(layers, threads.count);
  DispatchNormalizedCells(plans, arrays, [&](auto make_cell) {
    RunForward<NormalizedForwardPass<T, CellOf<decltype(make_cell)>>>(plans, arrays, make_cell, threads);
  });
}

template void NormalizedForward(const std::vector<Layer>&, const std::vector<ForwardArrays<float>>&, const Threads&);
template void NormalizedForward(const std::vector<Layer>&, const std::vector<ForwardArrays<double>>&, const Threads&);

}  // namespace stacked_lstm
