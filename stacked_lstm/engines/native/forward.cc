// The forward pass: the pointwise part of a step follows while its products are in the first-level cache. How threads
// share it is in schedule.h.

#include <memory>

#include "activations.h"
#include "buffer.h"
#include "layout.h"
#include "lstm.h"
#include "plan.h"
#include "schedule.h"
#include "tile.h"

namespace stacked_lstm {
namespace {

// Its methods are const since members of a team share it; what they write is in buffers and in the caller's arrays.
template <class T, class Candidate, class Gates>
class ForwardPass {
 public:
  ForwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const ForwardArrays<T>& arrays, Candidate candidate,
              Gates gates)
      : layer_(plan.layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(plan),
        schedule_(schedule),
        by_rows_(schedule.sharing == Sharing::kRows),
        has_cache_(arrays.cache != nullptr),
        packed_(arrays.packed, layer_.inputs, layer_.units),
        cache_(arrays.cache, layer_),
        z_(has_cache_ || by_rows_ ? 0 : std::min(schedule.part_steps, layer_.steps) * layer_.batch, plan.panels),
        c_(has_cache_ ? 0 : layer_.batch, plan.panels),
        bias_(plan.row_width),
        last_panel_((layer_.units + layer_.inputs) * kWidth) {
    PadBias();
    PadLastPanel();
    EndWithoutSteps();
  }

  // The whole layer, as part of the program of all members of a team.
  void Program(Worker& worker) const {
    if (by_rows_) return RowsProgram(worker);
    for (int64_t begin = 0; begin < plan_.longest; begin += schedule_.part_steps) {
      const Range part = {begin, std::min(plan_.longest, begin + schedule_.part_steps)};
      EachShare(worker, plan_.panels, schedule_.InputShares(plan_.panels),
                [&](int64_t panel, Share share) { InputProducts(part, panel, share); });
      if (schedule_.sharing == Sharing::kAlone) {
        worker.Each(1, [&](int64_t) { Steps(part, part, kWhole); });
      } else {
        SharedSteps(worker, part);
      }
    }
  }

  // kLayers: at most `part_steps` steps of all sequences, in one thread.
  void Chunk(Range steps) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel) InputProducts(steps, panel, kWhole);
    Steps(steps, steps, kWhole);
  }

  // What is left after either: zeros where no sequence has steps.
  void ClearRest(Worker& worker) const {
    const int64_t size = layer_.batch * layer_.units;
    worker.Each(size ? layer_.steps - plan_.longest : 0, [&](int64_t k) {
      T* const outputs = Output(plan_.longest + k, 0, 0);
      std::fill(outputs, outputs + size, T(0));
    });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Members share the rows of the batch: nobody waits for others but now and then, so that work is passed on.
  void RowsProgram(Worker& worker) const {
    const Range whole = {0, plan_.longest};
    const Pieces chunks(plan_.longest, schedule_.row_steps);
    for (int64_t chunk = 0; chunk < chunks.number; ++chunk) {
      worker.Each(schedule_.row_groups, [&](int64_t k) { Steps(whole, chunks[chunk], {k, schedule_.row_groups}); });
    }
  }

  // Members share the units; each waits for all others after each step.
  void SharedSteps(Worker& worker, Range part) const {
    for (int64_t t = part.begin; t < part.end; ++t) {
      EachShare(worker, plan_.panels, schedule_.StepShares(plan_.panels),
                [&](int64_t panel, Share share) { StepOfPanel(t, part, panel, share); });
    }
  }

  // part: whose products with inputs are there. share: of the blocks of the batch.
  void Steps(Range part, Range steps, Share share) const {
    for (int64_t t = steps.begin; t < steps.end; ++t) {
      for (int64_t panel = 0; panel < plan_.panels; ++panel) StepOfPanel(t, part, panel, share);
    }
  }

  // Biases with zeros where there are none, and where the last panel has no units.
  void PadBias() const {
    std::fill(bias_.get(), bias_.get() + plan_.row_width, T(0));
    for (int64_t unit = 0; arrays_.bias[0] && unit < layer_.units; ++unit) {
      for (int gate = 0; gate < kGates; ++gate) {
        bias_.get()[unit / kSize * kWidth + gate * kSize + unit % kSize] = arrays_.bias[gate][unit];
      }
    }
  }

  // The last panel of both factors' rows in whole vectors, where it is narrower.
  void PadLastPanel() const {
    const int64_t panel = plan_.panels - 1;
    const int units = plan_.Units(panel);
    if (units == kSize) return;
    T* to = last_panel_.get();
    for (const Factor factor : kFactors) {
      const T* from = packed_.Panel(factor, panel);
      for (int64_t k = 0; k < packed_.Rows(factor) * kGates; ++k, from += units, to += kSize) {
        Store(to, LoadFirst(from, units));
      }
    }
  }

  // The final states of sequences without steps.
  void EndWithoutSteps() const {
    for (int64_t b = 0; b < layer_.batch; ++b) {
      if (plan_.Length(b) > 0) continue;
      std::copy_n(arrays_.c + b * layer_.units, layer_.units, arrays_.c_last + b * layer_.units);
      std::copy_n(arrays_.h + b * layer_.units, layer_.units, arrays_.h_last + b * layer_.units);
    }
  }

  // A panel of weights in whole vectors.
  const T* Panel(Factor factor, int64_t panel) const {
    if ((panel + 1) * kSize <= layer_.units) return packed_.Panel(factor, panel);
    return last_panel_.get() + (factor == Factor::kH ? 0 : layer_.units * kWidth);
  }

  // z of a step, later its gates: kept for the backward pass, or until the next steps' are made.
  T* Z(int64_t t, Range part, int64_t b, int64_t panel) const {
    return has_cache_ ? cache_.gates.At(t * layer_.batch + b, panel)
                      : z_.At((t - part.begin) * layer_.batch + b, panel);
  }
  T* C(int64_t t, int64_t b, int64_t panel) const {
    return has_cache_ ? cache_.cells.At(t * layer_.batch + b, panel) : c_.At(b, panel);
  }
  T* Output(int64_t t, int64_t b, int64_t panel) const {
    return arrays_.outputs + (t * layer_.batch + b) * layer_.units + panel * kSize;
  }

  // x W + b of one panel for a share of the rows of a part.
  void InputProducts(Range part, int64_t panel, Share share) const {
    const Pieces rows(part.size() * layer_.batch, kTileRows);
    const Range range = share.Of(rows.number);
    if (range.size() == 0) return;
    T* const z = Z(part.begin, part, 0, panel);
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t row = rows.Begin(m);
      InputProduct(panel, part.begin * layer_.batch + row, rows.Size(m), z + row * plan_.row_width, plan_.row_width);
    }
  }

  // The same for some rows of [steps, batch].
  void InputProduct(int64_t panel, int64_t row, int64_t rows, T* z, int64_t stride) const {
    TileOf<T>(rows)(layer_.inputs, arrays_.x + row * layer_.inputs, layer_.inputs, Panel(Factor::kX, panel),
                    bias_.get() + panel * kWidth, 0, z, stride);
  }

  // One step of the units of one panel, for a share of the blocks of the batch.
  void StepOfPanel(int64_t t, Range part, int64_t panel, Share share) const {
    plan_.ForBlocks(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (t < block_end) return Step(t, part, panel, row, rows);
      for (int64_t b = row; b < row + rows; ++b) StoreFirst(Output(t, b, panel), Vec<T>{}, plan_.Units(panel));
    });
  }

  void Step(int64_t t, Range part, int64_t panel, int64_t row, int64_t rows) const {
    alignas(64) T z[kTileRows * kWidth];
    const int64_t units = layer_.units, batch = layer_.batch;
    const T* h = t > 0 ? arrays_.outputs + (t - 1) * batch * units : arrays_.h;
    if (by_rows_) InputProduct(panel, t * batch + row, rows, z, kWidth);
    const T* const ahead = by_rows_ ? z : Z(t, part, row, panel);
    TileOf<T>(rows)(units, h + row * units, units, Panel(Factor::kH, panel), ahead,
                    by_rows_ ? kWidth : plan_.row_width, z, kWidth);
    for (int64_t r = 0; r < rows; ++r) Pointwise(t, panel, row + r, z + r * kWidth);
  }

  void Pointwise(int64_t t, int64_t panel, int64_t b, const T* z) const {
    const int64_t units = layer_.units, length = plan_.Length(b), first = panel * kSize;
    const int count = plan_.Units(panel);
    T* const output = Output(t, b, panel);
    if (t >= length) return StoreFirst(output, Vec<T>{}, count);
    const Vec<T> before = t > 0 ? Load(C(t - 1, b, panel)) : LoadFirst(arrays_.c + b * units + first, count);
    const Vec<T> i = gates_.template Of<T>(Load(z)), g = candidate_.template Of<T>(Load(z + kSize));
    const Vec<T> f = gates_.template Of<T>(Load(z + 2 * kSize)), o = gates_.template Of<T>(Load(z + 3 * kSize));
    const Vec<T> c = f * before + i * g, h = o * candidate_.template Of<T>(c);
    Store(C(t, b, panel), c);
    StoreFirst(output, h, count);
    if (has_cache_) {
      const Vec<T> all[] = {i, g, f, o};
      T* const kept = cache_.gates.At(t * layer_.batch + b, panel);
      for (int gate = 0; gate < kGates; ++gate) Store(kept + gate * kSize, all[gate]);
    }
    if (t == length - 1) {
      StoreFirst(arrays_.c_last + b * units + first, c, count);
      StoreFirst(arrays_.h_last + b * units + first, h, count);
    }
  }

  const Layer& layer_;
  const ForwardArrays<T>& arrays_;
  const Candidate candidate_;
  const Gates gates_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const bool by_rows_;  // kRows: the product with inputs is made within the step.
  const bool has_cache_;
  const PackedWeights<const T> packed_;
  const CacheView<T> cache_;
  const PanelBuffer<T, kGates> z_;  // Without a cache: of the steps of a part,
  const PanelBuffer<T, 1> c_;       // and of one step.
  const Buffer<T> bias_, last_panel_;
};

template <class T, class Candidate, class Gates>
void Run(const std::vector<Plan<T>>& plans, const std::vector<ForwardArrays<T>>& arrays, Candidate candidate,
         Gates gates, Threads threads) {
  typedef ForwardPass<T, Candidate, Gates> Pass;
  const Schedule schedule = ScheduleOf(Direction::kForward, plans, threads.count);
  threads.count = schedule.threads;
  std::vector<std::unique_ptr<const Pass>> passes;
  for (size_t l = 0; l < plans.size(); ++l) {
    passes.emplace_back(new Pass(plans[l], schedule.layers[l], arrays[l], candidate, gates));
  }
  const Pieces chunks(plans[0].longest, schedule.chunk_steps);
  Team::Run(threads, [&](Worker& worker) {
    if (schedule.ByLayers()) {
      EachDiagonal(worker, passes.size(), chunks.number, [&](int64_t l, int64_t k) { passes[l]->Chunk(chunks[k]); });
    } else {
      for (const auto& pass : passes) pass->Program(worker);
    }
    for (const auto& pass : passes) pass->ClearRest(worker);
  });
}

}  // namespace

template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = PlansOf<T>(layers);
  WithFunctions(layers[0].candidate, layers[0].gates, [&](auto candidate, auto gates) {
    Run(plans, arrays, candidate, gates, threads);
  });
}

template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<float>>&, const Threads&);
template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<double>>&, const Threads&);

}  // namespace stacked_lstm
