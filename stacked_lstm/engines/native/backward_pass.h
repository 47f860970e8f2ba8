// One layer's backward pass: dz of all steps, the last first; then the gradients of weights and inputs, each in one
// product.
//
// Many steps are cut into parts of some hundred rows of [step, sequence], so that what is kept of dz stays small.

#ifndef STACKED_LSTM_BACKWARD_PASS_H_
#define STACKED_LSTM_BACKWARD_PASS_H_

#include "activations.h"
#include "buffer.h"
#include "columns.h"
#include "lstm.h"
#include "plan.h"
#include "tile.h"
#include "weight_gradients.h"

namespace stacked_lstm {

constexpr int64_t kPartRows = 1024;

// Its methods are const since members of a team share it; what they write is in buffers and in the caller's arrays.
template <class T, class Candidate, class Gates>
class BackwardPass {
 public:
  // threads: of the team. in_parts: whether `Program` will be called; otherwise `Begin`, `Chunk`s and `Finish`.
  BackwardPass(const Plan<T>& plan, const BackwardArrays<T>& arrays, Candidate candidate, Gates gates, int threads,
               bool in_parts)
      : layer_(plan.layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(plan),
        parts_(plan_.longest, std::max<int64_t>(1, kPartRows / std::max<int64_t>(1, layer_.batch))),
        most_rows_(parts_.number ? (plan_.longest + parts_.number - 1) / parts_.number * layer_.batch : 0),
        of_h_(plan_, arrays.weights, arrays.weights.h_row, layer_.units),
        of_x_(plan_, arrays.weights, arrays.weights.x_row, arrays.d_x ? layer_.inputs : 0),
        gradients_(plan_, arrays, most_rows_, threads),
        dz_((in_parts ? most_rows_ : plan_.longest * layer_.batch) * plan_.row_width),
        dz_after_(layer_.batch * plan_.row_width),
        dc_(layer_.batch * plan_.panels * kSize),
        by_rows_(in_parts && plan_.ByRows(threads)) {}

  // The whole layer, as part of the program of all members of a team.
  void Program(Worker& worker) const {
    Begin(worker);
    for (int64_t part = parts_.number - 1; part >= 0; --part) {
      const int64_t begin = parts_.Begin(part), end = parts_.Begin(part + 1);
      SharedSteps(worker, begin, end);
      gradients_.Add(worker, begin, end, dz_.get(), part == parts_.number - 1);
      const int64_t cuts = (32 * worker.team_size()) / std::max<int64_t>(1, of_x_.panels()) + 1;
      worker.Each(of_x_.panels() * cuts,
                  [&](int64_t k) { InputGradient(begin, begin, end, k / cuts, k % cuts, cuts); });
      worker.Each(1, [&](int64_t) { KeepFirst(); });
    }
    End(worker);
  }

  // The same in pieces, all with dz of all steps. First:
  void Begin(Worker& worker) const {
    const int64_t of_h = of_h_.panels() * plan_.panels, of_x = of_x_.panels() * plan_.panels;
    worker.Each(of_h + of_x + 1, [&](int64_t k) {
      if (k < of_h + of_x) return k < of_h ? of_h_.Pack(k) : of_x_.Pack(k - of_h);
      Start();
    });
  }

  // Steps `begin` to `end` of all sequences, after those that follow them, in one thread.
  void Chunk(int64_t begin, int64_t end) const {
    Steps(0, begin, end, plan_.longest, 0, 1);
    for (int64_t panel = 0; panel < of_x_.panels(); ++panel) InputGradient(0, begin, end, panel, 0, 1);
  }

  // And when there are no more:
  void Finish(Worker& worker) const {
    for (int64_t part = parts_.number - 1; part >= 0; --part) {
      const int64_t begin = parts_.Begin(part), end = parts_.Begin(part + 1);
      gradients_.Add(worker, begin, end, Dz(begin, 0), part == parts_.number - 1);
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
      T* const dc = dc_.get() + b * plan_.panels * kSize;
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
    if (plan_.longest > 0) std::copy_n(dz_.get(), layer_.batch * plan_.row_width, dz_after_.get());
  }

  // The gradients of the initial state.
  void End(Worker& worker) const {
    const int64_t groups = plan_.Groups(worker.team_size(), of_h_.panels());
    worker.Each(of_h_.panels() * groups, [&](int64_t k) { BeforeFirstStep(k / groups, k % groups, groups); });
  }

  // The steps of a part, as in the forward pass: alone, each member its rows, or each member its units.
  void SharedSteps(Worker& worker, int64_t begin, int64_t end) const {
    if (plan_.Alone()) return worker.Each(1, [&](int64_t) { Steps(begin, begin, end, end, 0, 1); });
    if (by_rows_) {
      const int64_t groups = plan_.RowGroups(worker.team_size());
      const Pieces chunks(end - begin, plan_.StepsOfRows(worker.team_size()));
      for (int64_t chunk = chunks.number - 1; chunk >= 0; --chunk) {
        const int64_t first = begin + chunks.Begin(chunk), behind = begin + chunks.Begin(chunk + 1);
        worker.Each(groups, [&](int64_t group) { Steps(begin, first, behind, end, group, groups); });
      }
      return;
    }
    const int64_t groups = plan_.Groups(worker.team_size(), of_h_.panels());
    for (int64_t t = end - 1; t >= begin; --t) {
      worker.Each(of_h_.panels() * groups, [&](int64_t k) { Step(t, begin, end, k / groups, k % groups, groups); });
    }
  }

  // `part_begin`, `part_end`: of the part that the steps `begin` to `end` belong to.
  void Steps(int64_t part_begin, int64_t begin, int64_t end, int64_t part_end, int64_t group, int64_t groups) const {
    for (int64_t t = end - 1; t >= begin; --t) {
      for (int64_t panel = 0; panel < of_h_.panels(); ++panel) Step(t, part_begin, part_end, panel, group, groups);
    }
  }

  // Of the step t: dh of a panel of columns and a group of row blocks, and dz of the same units.
  void Step(int64_t t, int64_t part_begin, int64_t part_end, int64_t panel, int64_t group, int64_t groups) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t width = of_h_.Vectors(panel) * kSize;
    const T* const after = t + 1 == part_end ? dz_after_.get() : Dz(t + 1, part_begin);
    ForBlocks(group, groups, [&](int64_t row, int64_t rows, int64_t block_end) {
      Recur(t + 1 < block_end ? after : nullptr, panel, row, rows, dh);
      for (int64_t r = 0; r < rows; ++r) {
        T* const dz = Dz(t, part_begin) + (row + r) * plan_.row_width + panel * kGates * kWidth;
        for (int64_t v = 0; v < width / kSize; ++v) {
          Pointwise(t, panel * kGates + v, row + r, Load(dh + r * width + v * kSize), dz + v * kWidth);
        }
      }
    });
  }

  // The gradient of the initial state, of the same part.
  void BeforeFirstStep(int64_t panel, int64_t group, int64_t groups) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t width = of_h_.Vectors(panel) * kSize, units = layer_.units;
    ForBlocks(group, groups, [&](int64_t row, int64_t rows, int64_t block_end) {
      if (arrays_.d_h) Recur(block_end > 0 ? dz_after_.get() : nullptr, panel, row, rows, dh);
      for (int64_t k = 0; k < rows * width / kSize; ++k) {
        const int64_t b = row + k * kSize / width, first = panel * kWidth + k * kSize % width;
        const int count = static_cast<int>(std::min<int64_t>(kSize, units - first));
        const int64_t at = b * units + first;
        if (arrays_.d_c) StoreFirst(arrays_.d_c + at, Load(dc_.get() + b * plan_.panels * kSize + first), count);
        if (!arrays_.d_h) continue;
        const bool no_steps = plan_.Length(b) == 0;
        const Vec<T> value = no_steps ? LoadFirst(arrays_.d_h_last + at, count) : Load(dh + k * kSize);
        StoreFirst(arrays_.d_h + at, value, count);
      }
    });
  }

  // Calls work(first row, rows, steps that any of them has) for the blocks of a group.
  template <class Work>
  void ForBlocks(int64_t group, int64_t groups, Work work) const {
    const Pieces& blocks = plan_.blocks;
    for (int64_t block = blocks.number * group / groups; block < blocks.number * (group + 1) / groups; ++block) {
      work(blocks.Begin(block), blocks.Size(block), plan_.ends[block]);
    }
  }

  // dh of a step from dz of the step after it, null where there is none.
  void Recur(const T* dz, int64_t panel, int64_t row, int64_t rows, T* dh) const {
    const int vectors = of_h_.Vectors(panel);
    if (!dz) return std::fill(dh, dh + rows * vectors * kSize, T(0));
    TileOf<T>(rows, vectors)(plan_.row_width, dz + row * plan_.row_width, plan_.row_width, of_h_.Panel(panel), nullptr,
                             0, dh, vectors * kSize);
  }

  void Pointwise(int64_t t, int64_t panel, int64_t b, Vec<T> dh, T* dz) const {
    const int64_t units = layer_.units, length = plan_.Length(b), first = panel * kSize, row = t * layer_.batch + b;
    const int count = plan_.Units(panel);
    if (t >= length) {
      for (int gate = 0; gate < kGates; ++gate) Store(dz + gate * kSize, Vec<T>{});
      return;
    }
    const T* const z = arrays_.cache + row * plan_.row_width + panel * kWidth;
    const Vec<T> i = Load(z), g = Load(z + kSize), f = Load(z + 2 * kSize), o = Load(z + 3 * kSize);
    const Vec<T> before = t > 0 ? Load(C(row - layer_.batch) + first)
                                : LoadFirst(arrays_.c + b * units + first, count);
    const Vec<T> squashed = candidate_.template Of<T>(Load(C(row) + first));
    T* const dc_at = dc_.get() + b * plan_.panels * kSize + first;
    dh += LoadFirst(arrays_.d_outputs + row * units + first, count);
    if (t == length - 1) dh += LoadFirst(arrays_.d_h_last + b * units + first, count);
    const Vec<T> dc = Load(dc_at) + candidate_.template TimesSlope<T>(squashed, dh * o);
    Store(dz, gates_.template TimesSlope<T>(i, dc * g));
    Store(dz + kSize, candidate_.template TimesSlope<T>(g, dc * i));
    Store(dz + 2 * kSize, gates_.template TimesSlope<T>(f, dc * before));
    Store(dz + 3 * kSize, gates_.template TimesSlope<T>(o, dh * squashed));
    Store(dc_at, dc * f);
  }

  // dx = dz W^T of a panel of columns, for one of some cuts of the rows of steps.
  void InputGradient(int64_t part_begin, int64_t begin, int64_t end, int64_t panel, int64_t cut, int64_t cuts) const {
    alignas(64) T dx[kTileRows * kWidth];
    const int64_t batch = layer_.batch, inputs = layer_.inputs, column = panel * kWidth;
    const Pieces rows((end - begin) * batch, kTileRows);
    const int vectors = of_x_.Vectors(panel);
    const int64_t width = vectors * kSize, count = std::min(width, inputs - column);
    for (int64_t m = rows.number * cut / cuts; m < rows.number * (cut + 1) / cuts; ++m) {
      const int64_t row = rows.Begin(m);
      T* const to = arrays_.d_x + (begin * batch + row) * inputs + column;
      const bool whole = count == width;
      TileOf<T>(rows.Size(m), vectors)(plan_.row_width, Dz(begin, part_begin) + row * plan_.row_width, plan_.row_width,
                                       of_x_.Panel(panel), nullptr, 0, whole ? to : dx, whole ? inputs : width);
      for (int64_t r = 0; !whole && r < rows.Size(m); ++r) std::copy_n(dx + r * width, count, to + r * inputs);
    }
  }

  T* Dz(int64_t t, int64_t begin) const { return dz_.get() + (t - begin) * layer_.batch * plan_.row_width; }
  const T* C(int64_t row) const {
    return arrays_.cache + layer_.steps * layer_.batch * plan_.row_width + row * plan_.panels * kSize;
  }

  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  const Candidate candidate_;
  const Gates gates_;
  const Plan<T>& plan_;
  const Pieces parts_;  // The steps.
  const int64_t most_rows_;
  const Columns<T> of_h_, of_x_;
  const WeightGradients<T> gradients_;
  const Buffer<T> dz_, dz_after_;  // Gradients of z: of the steps of a part, or all, and of the step after them.
  const Buffer<T> dc_;
  const bool by_rows_;  // As `Plan::ByRows`.
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_PASS_H_
