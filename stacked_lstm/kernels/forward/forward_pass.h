// The forward pass of one layer. The pointwise part of a step follows its products while they are in the first-level
// cache. schedule.h decides how threads share the work.

#ifndef STACKED_LSTM_FORWARD_PASS_H_
#define STACKED_LSTM_FORWARD_PASS_H_

#include <algorithm>
#include <type_traits>

#include "arithmetic/cell.h"
#include "forward/gate_products.h"
#include "forward/gate_row.h"
#include "forward/hidden_states.h"
#include "forward/pointwise_step.h"
#include "forward/projection.h"
#include "forward/unpacked_products.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/layer_series.h"
#include "storage/layout.h"

namespace stacked_lstm {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
// W is the type in which the weights are stored.
template <class T, class Cell, class W = T>
class ForwardPass {
 public:
  ForwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const ForwardArrays<T, W>& arrays, const Cell& cell)
      : layer_(plan.layer),
        arrays_(arrays),
        series_(layer_, arrays.extras),
        hidden_(plan, arrays),
        plan_(plan),
        schedule_(schedule),
        fused_(arrays.packed && schedule.FusesInputProducts()),
        has_cache_(arrays.cache != nullptr),
        products_(layer_, arrays.packed),
        projection_(plan, arrays, hidden_),
        cache_(arrays.cache, layer_),
        z_rows_(has_cache_ || fused_ ? 0 : std::min(schedule.part_steps, layer_.steps) * layer_.batch),
        z_by_panels_(!has_cache_ && arrays.packed && layer_.batch > 1),
        z_stride_(z_by_panels_ ? kWidth : plan.row_width),
        z_(z_by_panels_ ? plan.panels * z_rows_ : z_rows_, z_by_panels_ ? 1 : plan.panels),
        pointwise_(plan, arrays, cell, hidden_, projection_),
        bias_(plan, arrays.bias, true),
        scales_(plan, arrays.scales, kHasScales),
        groups_(schedule.PanelGroups(plan, static_cast<bool>(arrays.packed), Pointwise::kMaxRows)) {
    static_assert(kTileRows <= Pointwise::kMaxRows, "a block fits into one call");
    FinishEmptySequences();
  }

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    if (!arrays_.packed) return RunUnpacked(worker);
    if (schedule_.sharing == Sharing::kRows) return RunRows(worker);
    const int64_t parts = (plan_.longest + schedule_.part_steps - 1) / schedule_.part_steps;
    for (int64_t k = 0; k < parts; ++k) {
      const int64_t begin = plan_.Nth({0, parts}, k) * schedule_.part_steps;
      const Range part = {begin, std::min(plan_.longest, begin + schedule_.part_steps)};
      if (!fused_) {
        ForEachShare(worker, plan_.panels, schedule_.InputShares(plan_.panels),
                     [&](int64_t panel, Share share) { InputProducts(part, panel, share); });
      }
      if (schedule_.sharing == Sharing::kOneThread) {
        worker.ForEach(1, [&](int64_t) { Steps(part, kWhole); });
      } else {
        SharedSteps(worker, part);
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
    worker.ForEach(layer_.batch ? layer_.steps - plan_.longest : 0, [&](int64_t k) {
      for (int64_t b = 0; b < layer_.batch; ++b) {
        std::fill_n(Output(plan_.longest + k, b, 0), layer_.outputs(), T(0));
        if (layer_.residual) std::fill_n(Hidden(plan_.longest + k, b, 0), layer_.outputs(), T(0));
      }
      if (has_cache_) cache_.SetToZero({(plan_.longest + k) * layer_.batch, (plan_.longest + k + 1) * layer_.batch});
    });
  }

 private:
  typedef PointwiseStep<T, Cell, W> Pointwise;
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;
  static constexpr bool kHasScales = std::is_same<W, int8_t>::value;

  // The compiler knows that plain layers have none.
  bool has_projection() const { return Cell::kHasExtras && layer_.extras.projection; }

  // Computes the whole layer with unpacked weights.
  void RunUnpacked(Worker& worker) const {
    const UnpackedProducts<T> products(plan_, arrays_.weights, worker.team_size());
    if (has_projection()) worker.ForEach(projection_.panels(), [&](int64_t panel) { projection_.Pack(panel); });
    for (int64_t k = 0; k < plan_.longest; ++k) {
      const int64_t t = plan_.Nth({0, plan_.longest}, k);
      const Range step = {t, t + 1};
      const T* const x = arrays_.x + t * layer_.batch * layer_.inputs;
      worker.ForEach(products.pieces(), [&](int64_t piece) {
        products.Compute(piece, hidden_.Factor(t), hidden_.FactorStride(t), x, bias_.Panel(0), Z(t, step, 0, 0));
      });
      worker.ForEach(groups_, [&](int64_t group) {
        const Range panels = Group(group);
        plan_.ForEachBlock(kWhole, [&](int64_t row, int64_t rows, int64_t) {
          pointwise_.Run(t, panels, row, rows, Z(t, step, row, panels.begin), plan_.row_width, kWidth);
        });
      });
      if (!has_projection()) continue;
      worker.ForEach(projection_.panels(), [&](int64_t panel) { projection_.Project(t, panel, kWhole); });
    }
  }

  // Members share the rows of the batch. No row waits for another one.
  void RunRows(Worker& worker) const {
    const Range whole = {0, plan_.longest};
    worker.ForEach(schedule_.row_groups, [&](int64_t k) { Steps(whole, {k, schedule_.row_groups}); });
  }

  // Members share the units. They wait for each other after each step.
  void SharedSteps(Worker& worker, Range part) const {
    for (int64_t k = 0; k < part.size(); ++k) {
      const int64_t t = plan_.Nth(part, k);
      ForEachShare(worker, groups_, schedule_.StepShares(groups_),
                   [&](int64_t group, Share share) { Step(t, part, group, share); });
      if (!has_projection()) continue;
      ForEachShare(worker, projection_.panels(), schedule_.StepShares(projection_.panels()),
                   [&](int64_t panel, Share share) { projection_.Project(t, panel, share); });
    }
  }

  // Runs the steps of a part, whose input products have been computed, for a share of the blocks of the batch.
  void Steps(Range part, Share share) const {
    for (int64_t k = 0; k < part.size(); ++k) {
      const int64_t t = plan_.Nth(part, k);
      for (int64_t group = 0; group < groups_; ++group) Step(t, part, group, share);
      if (!has_projection()) continue;
      for (int64_t panel = 0; panel < projection_.panels(); ++panel) projection_.Project(t, panel, share);
    }
  }

  // Writes the final states of sequences without steps.
  void FinishEmptySequences() const {
    for (int64_t b = 0; b < layer_.batch; ++b) {
      if (plan_.Length(b) > 0) continue;
      std::copy_n(arrays_.c + b * layer_.units, layer_.units, arrays_.c_last + b * layer_.units);
      std::copy_n(arrays_.h + b * layer_.outputs(), layer_.outputs(), arrays_.h_last + b * layer_.outputs());
    }
  }

  // The memory for z of a step, and later for its gates. It is in the cache for the backward pass, or in a buffer that
  // the next part reuses.
  T* Z(int64_t t, Range part, int64_t b, int64_t panel) const {
    if (has_cache_) return cache_.gates.At(t * layer_.batch + b, panel);
    const int64_t row = (t - part.begin) * layer_.batch + b;
    return z_by_panels_ ? z_.At(panel * z_rows_ + row, 0) : z_.At(row, panel);
  }
  T* Output(int64_t t, int64_t b, int64_t first) const {
    return arrays_.outputs + layer_.OutputIndex(t, b) + first;
  }
  T* Hidden(int64_t t, int64_t b, int64_t first) const {
    return arrays_.Hidden() + layer_.HiddenIndex(t, b) + first;
  }

  // Computes x W + b of one panel for a share of the rows of a part.
  void InputProducts(Range part, int64_t panel, Share share) const {
    const Pieces rows(part.size() * layer_.batch, kTileRows);
    const Range range = share.Slice(rows.number);
    if (range.size() == 0) return;
    T* const z = Z(part.begin, part, 0, panel);
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t row = rows.Begin(m);
      InputProduct(panel, part.begin * layer_.batch + row, rows.Size(m), z + row * z_stride_, z_stride_);
    }
  }

  // Computes x W + b of one panel for some rows of [step, sequence]. With scales, the bias is added after them.
  void InputProduct(int64_t panel, int64_t row, int64_t rows, T* z, int64_t stride) const {
    const T* const init = kHasScales ? nullptr : bias_.Panel(panel);
    products_.Multiply(Factor::kX, panel, rows, arrays_.x + row * layer_.inputs, layer_.inputs, init, 0, z, stride);
  }

  Range Group(int64_t group) const { return Share{group, groups_}.Slice(plan_.panels); }

  // Runs one step of the units of a group, for a share of the blocks of the batch: the products of as many blocks as
  // fit into z, for all panels of the group, and then their pointwise part.
  void Step(int64_t t, Range part, int64_t group, Share share) const {
    const Range panels = Group(group);
    const int64_t max_rows = Pointwise::kMaxRows / panels.size();
    alignas(64) T products[Pointwise::kMaxRows * kWidth], z[Pointwise::kMaxRows * kWidth];
    const bool is_zero = CommonProducts(t, panels, products);
    int64_t first = 0, rows = 0;  // The sequences whose z waits for the pointwise part.
    const auto finish = [&] {
      if (rows > 0) pointwise_.Run(t, panels, first, rows, z, kWidth, max_rows * kWidth);
      rows = 0;
    };
    plan_.ForEachBlock(share, [&](int64_t row, int64_t size, int64_t block_end) {
      if (t >= block_end || rows + size > max_rows) finish();
      if (t >= block_end) return pointwise_.Skip(t, panels, row, size);
      if (rows == 0) first = row;
      for (int64_t k = 0; k < panels.size(); ++k) {
        Products(t, part, panels.begin + k, row, size, is_zero ? products + k * kWidth : nullptr,
                 z + (k * max_rows + rows) * kWidth);
      }
      rows += size;
    });
    finish();
  }

  // If h of a step is known to be 0, computes the row h W of each panel, which all rows of the step share: zeros, or
  // NaN if a weight is not finite. Returns whether h is 0.
  bool CommonProducts(int64_t t, Range panels, T* products) const {
    if (!hidden_.IsZero(t)) return false;
    for (int64_t panel = panels.begin; panel < panels.end; ++panel, products += kWidth) {
      products_.Multiply(Factor::kH, panel, 1, hidden_.Factor(t), 0, nullptr, 0, products, 0);
    }
    return true;
  }

  // Computes z of a panel for the rows of a block. product: h W of each row, or null if the rows differ.
  void Products(int64_t t, Range part, int64_t panel, int64_t row, int64_t rows, const T* product, T* z) const {
    const T* const h = hidden_.Factor(t);
    const int64_t h_stride = hidden_.FactorStride(t);
    series_.PrefetchSeries(t, row, rows, panel * kSize, 1);
    if (has_cache_) pointwise_.PrefetchCache(t, panel, row, rows);
    if (fused_) InputProduct(panel, t * layer_.batch + row, rows, z, kWidth);
    const T* const input_product = fused_ ? z : Z(t, part, row, panel);
    const int64_t stride = fused_ ? kWidth : z_stride_;
    if (product) {
      AddToRows<T>(product, rows, input_product, stride, z);
    } else {
      products_.Multiply(Factor::kH, panel, rows, h + row * h_stride, h_stride, input_product, stride, z, kWidth);
    }
    if (kHasScales) scales_.Scale(panel, bias_, rows, z);
  }

  const Layer& layer_;
  const ForwardArrays<T, W>& arrays_;
  const LayerSeries<T, Cell::kHasExtras> series_;
  const HiddenStates<T, Cell::kHasExtras, W> hidden_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const bool fused_;  // The input product is computed within the step.
  const bool has_cache_;
  const GateProducts<T, W> products_;
  const ForwardProjection<T, Cell::kHasExtras, W> projection_;
  const CacheView<T> cache_;
  // Without a cache: z of the steps of a part. If `z_by_panels_`, z is [panel, row, gate, unit]:
  // the rows of a panel are then in few pages of memory. A step of a single sequence reads one row of all gates.
  const int64_t z_rows_;
  const bool z_by_panels_;
  const int64_t z_stride_;
  const PanelBuffer<T, kGates> z_;
  const Pointwise pointwise_;
  const GateRow<T> bias_, scales_;  // scales_: of weights in 8 bits.
  const int64_t groups_;            // The number of groups of panels.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_FORWARD_PASS_H_
