// The backward pass of one layer: dz of all steps, from the last to the first, then the gradients of weights and
// inputs, each in one product.
//
// Many steps are cut into parts of about a thousand rows of [step, sequence], so that dz takes little memory.

#ifndef STACKED_LSTM_BACKWARD_PASS_H_
#define STACKED_LSTM_BACKWARD_PASS_H_

#include "activations.h"
#include "columns.h"
#include "layout.h"
#include "lstm.h"
#include "plan.h"
#include "schedule.h"
#include "tile.h"
#include "weight_gradients.h"

namespace stacked_lstm {

// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class Candidate, class Gates>
class BackwardPass {
 public:
  // With kLayers, the caller runs `Begin`, the `Chunk`s and `Finish`, which keep dz of all steps. Otherwise it calls
  // `Run`.
  BackwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays, Candidate candidate,
               Gates gates)
      : layer_(plan.layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(plan),
        schedule_(schedule),
        parts_(plan.longest, schedule.part_steps),
        max_rows_(parts_.number ? (plan.longest + parts_.number - 1) / parts_.number * layer_.batch : 0),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.units),
        x_columns_(plan, arrays.weights, arrays.weights.x_row, arrays.d_x ? layer_.inputs : 0),
        gradients_(plan, arrays, max_rows_, schedule.threads),
        dz_(schedule.sharing == Sharing::kLayers ? plan.longest * layer_.batch : max_rows_, plan.panels),
        next_dz_(layer_.batch, plan.panels),
        dc_(layer_.batch, plan.panels) {}

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    Begin(worker);
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      const Range part = parts_[k];
      SharedSteps(worker, part);
      gradients_.Add(worker, part, Dz(part.begin, part, 0, 0), k == parts_.number - 1);
      ForEachShare(worker, x_columns_.panels(), schedule_.GradientShares(x_columns_.panels()),
                   [&](int64_t panel, Share share) { InputGradient(part, part, panel, share); });
      worker.ForEach(1, [&](int64_t) { KeepFirstDz(); });
    }
    StateGradients(worker);
  }

  // kLayers: prepares the layer. All members of a team call it.
  void Begin(Worker& worker) const {
    const int64_t h_pieces = h_columns_.pieces(), x_pieces = x_columns_.pieces();
    worker.ForEach(h_pieces + x_pieces + 1, [&](int64_t k) {
      if (k < h_pieces + x_pieces) return k < h_pieces ? h_columns_.Pack(k) : x_columns_.Pack(k - h_pieces);
      InitializeGradients();
    });
  }

  // kLayers: runs some steps of all sequences in one thread. The steps after them must be done.
  void Chunk(Range steps) const {
    const Range whole = {0, plan_.longest};
    Steps(whole, steps, kWhole);
    for (int64_t panel = 0; panel < x_columns_.panels(); ++panel) InputGradient(whole, steps, panel, kWhole);
  }

  // kLayers: computes the gradients of weights after the last chunk. All members of a team call it.
  void Finish(Worker& worker) const {
    const Range whole = {0, plan_.longest};
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      gradients_.Add(worker, parts_[k], Dz(parts_.Begin(k), whole, 0, 0), k == parts_.number - 1);
    }
    worker.ForEach(1, [&](int64_t) { KeepFirstDz(); });
    StateGradients(worker);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // Sets what steps do not write: the gradient of the final cell states, and zeros if there are no steps.
  void InitializeGradients() const {
    const int64_t units = layer_.units, batch = layer_.batch;
    for (int64_t b = 0; b < batch; ++b) {
      T* const dc = dc_.At(b, 0);
      std::copy_n(arrays_.d_c_last + b * units, units, dc);
      std::fill(dc + units, dc + plan_.panels * kSize, T(0));
    }
    if (arrays_.d_x) {
      const int64_t step = batch * layer_.inputs;
      std::fill(arrays_.d_x + plan_.longest * step, arrays_.d_x + layer_.steps * step, T(0));
    }
    if (plan_.longest * batch > 0) return;
    const Weights<T>& weights = arrays_.d_weights;
    for (int gate = 0; gate < kGates; ++gate) {
      for (int64_t row = 0; weights.kernel[gate] && row < units + layer_.inputs; ++row) {
        T* const kernel_row = weights.kernel[gate] + row * weights.stride;
        std::fill(kernel_row, kernel_row + units, T(0));
      }
      if (weights.bias[gate]) std::fill(weights.bias[gate], weights.bias[gate] + units, T(0));
    }
  }

  // Keeps dz of the first step of a part for the part before it.
  void KeepFirstDz() const {
    if (plan_.longest > 0) std::copy_n(dz_.At(0, 0), layer_.batch * plan_.row_width, next_dz_.At(0, 0));
  }

  // Computes the gradients of the initial state. All members of a team call it.
  void StateGradients(Worker& worker) const {
    ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                 [&](int64_t panel, Share share) { InitialGradients(panel, share); });
  }

  // Runs the steps of a part as in the forward pass: in one thread, or shared by rows or by units.
  void SharedSteps(Worker& worker, Range part) const {
    if (schedule_.sharing == Sharing::kOneThread) return worker.ForEach(1, [&](int64_t) { Steps(part, part, kWhole); });
    if (schedule_.sharing == Sharing::kRows) return StepRows(worker, part);
    for (int64_t t = part.end - 1; t >= part.begin; --t) {
      ForEachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                   [&](int64_t panel, Share share) { Step(t, part, panel, share); });
    }
  }

  void StepRows(Worker& worker, Range part) const {
    const Pieces chunks(part.size(), schedule_.row_steps);
    for (int64_t chunk = chunks.number - 1; chunk >= 0; --chunk) {
      const Range steps = {part.begin + chunks.Begin(chunk), part.begin + chunks.Begin(chunk + 1)};
      worker.ForEach(schedule_.row_groups, [&](int64_t k) { Steps(part, steps, {k, schedule_.row_groups}); });
    }
  }

  // part: the steps whose dz is kept; it contains `steps`. share: of the blocks of the batch.
  void Steps(Range part, Range steps, Share share) const {
    for (int64_t t = steps.end - 1; t >= steps.begin; --t) {
      for (int64_t panel = 0; panel < h_columns_.panels(); ++panel) Step(t, part, panel, share);
    }
  }

  // Runs step t for a panel of columns and a share of the blocks: dh, then dz of the same units.
  void Step(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int vectors = h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      RecurrentGradient(t + 1 < block_end ? NextDz(t, part, row) : nullptr, panel, rows, dh);
      for (int64_t r = 0; r < rows; ++r) {
        for (int v = 0; v < vectors; ++v) {
          Pointwise(t, part, panel * kPanelVectors + v, row + r, Load(dh + (r * vectors + v) * kSize));
        }
      }
    });
  }

  // Computes the gradients of the initial state for a panel of columns and a share of the blocks.
  void InitialGradients(int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int vectors = h_columns_.Vectors(panel);
    plan_.ForEachBlock(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (arrays_.d_h) RecurrentGradient(block_end > 0 ? next_dz_.At(row, 0) : nullptr, panel, rows, dh);
      for (int64_t k = 0; k < rows * vectors; ++k) {
        InitialGradient(row + k / vectors, panel * kPanelVectors + k % vectors, dh + k * kSize);
      }
    });
  }

  void InitialGradient(int64_t b, int64_t panel, const T* dh) const {
    const int64_t offset = b * layer_.units + panel * kSize;
    const int count = plan_.Units(panel);
    if (arrays_.d_c) StoreFirst(arrays_.d_c + offset, Load(dc_.At(b, panel)), count);
    if (!arrays_.d_h) return;
    StoreFirst(arrays_.d_h + offset, plan_.Length(b) ? Load(dh) : LoadFirst(arrays_.d_h_last + offset, count), count);
  }

  // Computes dh of a step from some rows of dz of the step after it. dz is null if there is no such step.
  void RecurrentGradient(const T* dz, int64_t panel, int64_t rows, T* dh) const {
    const int vectors = h_columns_.Vectors(panel);
    if (!dz) return std::fill(dh, dh + rows * vectors * kSize, T(0));
    SelectTile<T>(rows, vectors)(plan_.row_width, dz, plan_.row_width, h_columns_.Panel(panel), nullptr, 0, dh,
                                 vectors * kSize);
  }

  void Pointwise(int64_t t, Range part, int64_t panel, int64_t b, Vec<T> dh) const {
    const int64_t units = layer_.units, length = plan_.Length(b), first = panel * kSize, row = t * layer_.batch + b;
    const int count = plan_.Units(panel);
    T* const dz = Dz(t, part, b, panel);
    if (t >= length) {
      for (int gate = 0; gate < kGates; ++gate) Store(dz + gate * kSize, Vec<T>{});
      return;
    }
    const T* const z = cache_.gates.At(row, panel);
    const Vec<T> i = Load(z), g = Load(z + kSize), f = Load(z + 2 * kSize), o = Load(z + 3 * kSize);
    const Vec<T> c_before =
        t > 0 ? Load(cache_.cells.At(row - layer_.batch, panel)) : LoadFirst(arrays_.c + b * units + first, count);
    const Vec<T> phi_c = candidate_.template Value<T>(Load(cache_.cells.At(row, panel)));
    T* const dc_slot = dc_.At(b, panel);
    dh += LoadFirst(arrays_.d_outputs + row * units + first, count);
    if (t == length - 1) dh += LoadFirst(arrays_.d_h_last + b * units + first, count);
    const Vec<T> dc = Load(dc_slot) + candidate_.template TimesSlope<T>(phi_c, dh * o);
    Store(dz, gates_.template TimesSlope<T>(i, dc * g));
    Store(dz + kSize, candidate_.template TimesSlope<T>(g, dc * i));
    Store(dz + 2 * kSize, gates_.template TimesSlope<T>(f, dc * c_before));
    Store(dz + 3 * kSize, gates_.template TimesSlope<T>(o, dh * phi_c));
    Store(dc_slot, dc * f);
  }

  // Computes dx = dz W^T of some steps of a part, for a panel of columns and a share of the rows.
  void InputGradient(Range part, Range steps, int64_t panel, Share share) const {
    alignas(64) T dx[kTileRows * kWidth];
    const int64_t inputs = layer_.inputs, column = panel * kWidth;
    const Pieces rows(steps.size() * layer_.batch, kTileRows);
    const Range range = share.Slice(rows.number);
    if (range.size() == 0) return;
    const T* const dz = Dz(steps.begin, part, 0, 0);
    const int vectors = x_columns_.Vectors(panel);
    const int64_t width = vectors * kSize, count = std::min(width, inputs - column);
    const bool whole = count == width;
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t row = rows.Begin(m);
      T* const target = arrays_.d_x + (steps.begin * layer_.batch + row) * inputs + column;
      SelectTile<T>(rows.Size(m), vectors)(plan_.row_width, dz + row * plan_.row_width, plan_.row_width,
                                           x_columns_.Panel(panel), nullptr, 0, whole ? target : dx,
                                           whole ? inputs : width);
      for (int64_t r = 0; !whole && r < rows.Size(m); ++r) std::copy_n(dx + r * width, count, target + r * inputs);
    }
  }

  T* Dz(int64_t t, Range part, int64_t b, int64_t panel) const {
    return dz_.At((t - part.begin) * layer_.batch + b, panel);
  }

  // dz of the step after t, starting with sequence b. After a part's last step, it is the one that `KeepFirstDz` kept.
  const T* NextDz(int64_t t, Range part, int64_t b) const {
    return t + 1 == part.end ? next_dz_.At(b, 0) : Dz(t + 1, part, b, 0);
  }

  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  const Candidate candidate_;
  const Gates gates_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const Pieces parts_;  // The steps.
  const int64_t max_rows_;
  const CacheView<const T> cache_;
  const Columns<T> h_columns_, x_columns_;
  const WeightGradients<T> gradients_;
  const PanelBuffer<T, kGates> dz_, next_dz_;  // dz of a part's steps, or of all; dz of the step after.
  const PanelBuffer<T, 1> dc_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_PASS_H_
