// One layer's backward pass: dz of all steps, the last first; then the gradients of weights and inputs, each in one
// product.
//
// Many steps are cut into parts of some hundred rows of [step, sequence], so that what is kept of dz stays small.

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

// Its methods are const since members of a team share it; what they write is in buffers and in the caller's arrays.
template <class T, class Candidate, class Gates>
class BackwardPass {
 public:
  // kLayers: `Begin`, `Chunk`s and `Finish` will be called, which need dz of all steps; otherwise `Program`.
  BackwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays, Candidate candidate,
               Gates gates)
      : layer_(plan.layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(plan),
        schedule_(schedule),
        parts_(plan.longest, schedule.part_steps),
        most_rows_(parts_.number ? (plan.longest + parts_.number - 1) / parts_.number * layer_.batch : 0),
        cache_(arrays.cache, layer_),
        h_columns_(plan, arrays.weights, arrays.weights.h_row, layer_.units),
        x_columns_(plan, arrays.weights, arrays.weights.x_row, arrays.d_x ? layer_.inputs : 0),
        gradients_(plan, arrays, most_rows_, schedule.threads),
        dz_(schedule.sharing == Sharing::kLayers ? plan.longest * layer_.batch : most_rows_, plan.panels),
        dz_after_(layer_.batch, plan.panels),
        dc_(layer_.batch, plan.panels) {}

  // The whole layer, as part of the program of all members of a team.
  void Program(Worker& worker) const {
    Begin(worker);
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      const Range part = parts_[k];
      SharedSteps(worker, part);
      gradients_.Add(worker, part, Dz(part.begin, part, 0, 0), k == parts_.number - 1);
      EachShare(worker, x_columns_.panels(), schedule_.GradientShares(x_columns_.panels()),
                [&](int64_t panel, Share share) { InputGradient(part, part, panel, share); });
      worker.Each(1, [&](int64_t) { KeepFirst(); });
    }
    End(worker);
  }

  // The same in pieces. First:
  void Begin(Worker& worker) const {
    const int64_t h_pieces = h_columns_.pieces(), x_pieces = x_columns_.pieces();
    worker.Each(h_pieces + x_pieces + 1, [&](int64_t k) {
      if (k < h_pieces + x_pieces) return k < h_pieces ? h_columns_.Pack(k) : x_columns_.Pack(k - h_pieces);
      Start();
    });
  }

  // Some steps of all sequences, after those that follow them, in one thread.
  void Chunk(Range steps) const {
    const Range whole = {0, plan_.longest};
    Steps(whole, steps, kWhole);
    for (int64_t panel = 0; panel < x_columns_.panels(); ++panel) InputGradient(whole, steps, panel, kWhole);
  }

  // And when there are no more:
  void Finish(Worker& worker) const {
    const Range whole = {0, plan_.longest};
    for (int64_t k = parts_.number - 1; k >= 0; --k) {
      gradients_.Add(worker, parts_[k], Dz(parts_.Begin(k), whole, 0, 0), k == parts_.number - 1);
    }
    worker.Each(1, [&](int64_t) { KeepFirst(); });
    End(worker);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  // What is not made by adding up steps: the gradient of the state at the ends, zeros where there are no steps.
  void Start() const {
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
        T* const at = weights.kernel[gate] + row * weights.stride;
        std::fill(at, at + units, T(0));
      }
      if (weights.bias[gate]) std::fill(weights.bias[gate], weights.bias[gate] + units, T(0));
    }
  }

  // dz of the first step of a part, for the part before it.
  void KeepFirst() const {
    if (plan_.longest > 0) std::copy_n(dz_.At(0, 0), layer_.batch * plan_.row_width, dz_after_.At(0, 0));
  }

  // The gradients of the initial state.
  void End(Worker& worker) const {
    EachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
              [&](int64_t panel, Share share) { BeforeFirstStep(panel, share); });
  }

  // The steps of a part, as in the forward pass: alone, each member its rows, or each member its units.
  void SharedSteps(Worker& worker, Range part) const {
    if (schedule_.sharing == Sharing::kAlone) return worker.Each(1, [&](int64_t) { Steps(part, part, kWhole); });
    if (schedule_.sharing == Sharing::kRows) return RowsOfPart(worker, part);
    for (int64_t t = part.end - 1; t >= part.begin; --t) {
      EachShare(worker, h_columns_.panels(), schedule_.StepShares(h_columns_.panels()),
                [&](int64_t panel, Share share) { Step(t, part, panel, share); });
    }
  }

  void RowsOfPart(Worker& worker, Range part) const {
    const Pieces chunks(part.size(), schedule_.row_steps);
    for (int64_t chunk = chunks.number - 1; chunk >= 0; --chunk) {
      const Range steps = {part.begin + chunks.Begin(chunk), part.begin + chunks.Begin(chunk + 1)};
      worker.Each(schedule_.row_groups, [&](int64_t k) { Steps(part, steps, {k, schedule_.row_groups}); });
    }
  }

  // part: whose dz is kept, with `steps` in it. share: of the blocks of the batch.
  void Steps(Range part, Range steps, Share share) const {
    for (int64_t t = steps.end - 1; t >= steps.begin; --t) {
      for (int64_t panel = 0; panel < h_columns_.panels(); ++panel) Step(t, part, panel, share);
    }
  }

  // Of the step t: dh of a panel of columns and a share of the blocks, and dz of the same units.
  void Step(int64_t t, Range part, int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int vectors = h_columns_.Vectors(panel);
    plan_.ForBlocks(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      Recur(t + 1 < block_end ? DzAfter(t, part, row) : nullptr, panel, rows, dh);
      for (int64_t r = 0; r < rows; ++r) {
        for (int v = 0; v < vectors; ++v) {
          Pointwise(t, part, panel * kPanelVectors + v, row + r, Load(dh + (r * vectors + v) * kSize));
        }
      }
    });
  }

  // The gradient of the initial state, of the same units and sequences.
  void BeforeFirstStep(int64_t panel, Share share) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int vectors = h_columns_.Vectors(panel);
    plan_.ForBlocks(share, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (arrays_.d_h) Recur(block_end > 0 ? dz_after_.At(row, 0) : nullptr, panel, rows, dh);
      for (int64_t k = 0; k < rows * vectors; ++k) {
        InitialGradient(row + k / vectors, panel * kPanelVectors + k % vectors, dh + k * kSize);
      }
    });
  }

  void InitialGradient(int64_t b, int64_t panel, const T* dh) const {
    const int64_t at = b * layer_.units + panel * kSize;
    const int count = plan_.Units(panel);
    if (arrays_.d_c) StoreFirst(arrays_.d_c + at, Load(dc_.At(b, panel)), count);
    if (!arrays_.d_h) return;
    StoreFirst(arrays_.d_h + at, plan_.Length(b) ? Load(dh) : LoadFirst(arrays_.d_h_last + at, count), count);
  }

  // dh of a step from some rows of dz of the step after it; null where there is none.
  void Recur(const T* dz, int64_t panel, int64_t rows, T* dh) const {
    const int vectors = h_columns_.Vectors(panel);
    if (!dz) return std::fill(dh, dh + rows * vectors * kSize, T(0));
    TileOf<T>(rows, vectors)(plan_.row_width, dz, plan_.row_width, h_columns_.Panel(panel), nullptr, 0, dh,
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
    const Vec<T> before = t > 0 ? Load(cache_.cells.At(row - layer_.batch, panel))
                                : LoadFirst(arrays_.c + b * units + first, count);
    const Vec<T> squashed = candidate_.template Of<T>(Load(cache_.cells.At(row, panel)));
    T* const dc_at = dc_.At(b, panel);
    dh += LoadFirst(arrays_.d_outputs + row * units + first, count);
    if (t == length - 1) dh += LoadFirst(arrays_.d_h_last + b * units + first, count);
    const Vec<T> dc = Load(dc_at) + candidate_.template TimesSlope<T>(squashed, dh * o);
    Store(dz, gates_.template TimesSlope<T>(i, dc * g));
    Store(dz + kSize, candidate_.template TimesSlope<T>(g, dc * i));
    Store(dz + 2 * kSize, gates_.template TimesSlope<T>(f, dc * before));
    Store(dz + 3 * kSize, gates_.template TimesSlope<T>(o, dh * squashed));
    Store(dc_at, dc * f);
  }

  // dx = dz W^T of some steps of a part: a panel of columns, and a share of the rows.
  void InputGradient(Range part, Range steps, int64_t panel, Share share) const {
    alignas(64) T dx[kTileRows * kWidth];
    const int64_t inputs = layer_.inputs, column = panel * kWidth;
    const Pieces rows(steps.size() * layer_.batch, kTileRows);
    const Range range = share.Of(rows.number);
    if (range.size() == 0) return;
    const T* const dz = Dz(steps.begin, part, 0, 0);
    const int vectors = x_columns_.Vectors(panel);
    const int64_t width = vectors * kSize, count = std::min(width, inputs - column);
    const bool whole = count == width;
    for (int64_t m = range.begin; m < range.end; ++m) {
      const int64_t row = rows.Begin(m);
      T* const to = arrays_.d_x + (steps.begin * layer_.batch + row) * inputs + column;
      TileOf<T>(rows.Size(m), vectors)(plan_.row_width, dz + row * plan_.row_width, plan_.row_width,
                                       x_columns_.Panel(panel), nullptr, 0, whole ? to : dx, whole ? inputs : width);
      for (int64_t r = 0; !whole && r < rows.Size(m); ++r) std::copy_n(dx + r * width, count, to + r * inputs);
    }
  }

  T* Dz(int64_t t, Range part, int64_t b, int64_t panel) const {
    return dz_.At((t - part.begin) * layer_.batch + b, panel);
  }

  // dz of the step after t, from a sequence on; that of a part's last step is kept from the part after it.
  const T* DzAfter(int64_t t, Range part, int64_t b) const {
    return t + 1 == part.end ? dz_after_.At(b, 0) : Dz(t + 1, part, b, 0);
  }

  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  const Candidate candidate_;
  const Gates gates_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const Pieces parts_;  // The steps.
  const int64_t most_rows_;
  const CacheView<const T> cache_;
  const Columns<T> h_columns_, x_columns_;
  const WeightGradients<T> gradients_;
  const PanelBuffer<T, kGates> dz_, dz_after_;  // Of the steps of a part, or all, and of the step after them.
  const PanelBuffer<T, 1> dc_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_PASS_H_
