// The backward pass: dz of all steps, the last first; then the gradients of weights and inputs, each in one product.
//
// Many steps are cut into parts of some hundred rows of [step, sequence], so that what is kept of dz stays small.

#include "buffer.h"
#include "columns.h"
#include "lstm.h"
#include "plan.h"
#include "tile.h"
#include "weight_gradients.h"

namespace stacked_lstm {
namespace {

constexpr int64_t kPartRows = 1024;

template <class T, class Candidate, class Gates>
class BackwardPass {
 public:
  BackwardPass(const Layer& layer, const BackwardArrays<T>& arrays, Candidate candidate, Gates gates, int threads)
      : layer_(layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(layer),
        parts_(plan_.longest, std::max<int64_t>(1, kPartRows / std::max<int64_t>(1, layer.batch))),
        most_rows_(parts_.number ? (plan_.longest + parts_.number - 1) / parts_.number * layer.batch : 0),
        of_h_(layer, plan_, arrays.weights, arrays.weights.h_row, layer.units),
        of_x_(layer, plan_, arrays.weights, arrays.weights.x_row, arrays.d_x ? layer.inputs : 0),
        gradients_(layer, plan_, arrays, most_rows_, threads),
        dz_(most_rows_ * plan_.row_width),
        dz_after_(layer.batch * plan_.row_width),
        dc_(layer.batch * plan_.panels * kSize) {
    alone_ = plan_.StepTime(layer, layer.units) < kTooShort;
    by_rows_ = plan_.ByRows(layer, threads);
  }

  void Program(Worker& worker) {
    const int64_t of_h = of_h_.panels() * plan_.panels, of_x = of_x_.panels() * plan_.panels;
    worker.Each(of_h + of_x + 1, [&](int64_t k) {
      if (k < of_h + of_x) return k < of_h ? of_h_.Pack(k) : of_x_.Pack(k - of_h);
      Start();
    });
    for (int64_t part = parts_.number - 1; part >= 0; --part) {
      const int64_t begin = parts_.Begin(part), end = parts_.Begin(part + 1);
      Steps(worker, begin, end);
      gradients_.Add(worker, begin, end, dz_.get(), part == parts_.number - 1);
      GradientOfInputs(worker, begin, end);
      worker.Each(1, [&](int64_t) { std::copy_n(dz_.get(), layer_.batch * plan_.row_width, dz_after_.get()); });
    }
    const int64_t groups = plan_.Groups(worker.team_size(), of_h_.panels());
    worker.Each(of_h_.panels() * groups, [&](int64_t k) { BeforeFirstStep(k, groups); });
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

  void Steps(Worker& worker, int64_t begin, int64_t end) const {
    const int64_t groups = plan_.Groups(worker.team_size(), of_h_.panels()), panels = of_h_.panels();
    const int64_t pieces = panels * groups;
    if (alone_) {
      worker.Each(1, [&](int64_t) {
        for (int64_t t = end - 1; t >= begin; --t) {
          for (int64_t k = 0; k < pieces; ++k) Step(t, begin, end, k, groups);
        }
      });
    } else {
      for (int64_t t = end - 1; t >= begin; --t) {
        worker.Each(pieces, [&](int64_t k) {
          Step(t, begin, end, by_rows_ ? k % panels * groups + k / panels : k, groups);
        });
      }
    }
  }

  // A piece of the step t: dh of a panel of columns and a group of row blocks, and dz of the same units.
  void Step(int64_t t, int64_t begin, int64_t end, int64_t piece, int64_t groups) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t panel = piece / groups, width = of_h_.Vectors(panel) * kSize;
    const T* const after = t + 1 == plan_.longest ? nullptr
                           : t + 1 == end         ? dz_after_.get()
                                                  : Dz(t + 1, begin);
    ForRows(piece % groups, groups, [&](int64_t row, int64_t rows) {
      Recur(after, panel, row, rows, dh);
      for (int64_t r = 0; r < rows; ++r) {
        T* const dz = Dz(t, begin) + (row + r) * plan_.row_width + panel * kGates * kWidth;
        for (int64_t v = 0; v < width / kSize; ++v) {
          Pointwise(t, panel * kGates + v, row + r, Load(dh + r * width + v * kSize), dz + v * kWidth);
        }
      }
    });
  }

  // A piece of the gradient of the initial state.
  void BeforeFirstStep(int64_t piece, int64_t groups) const {
    alignas(64) T dh[kTileRows * kWidth];
    const int64_t panel = piece / groups, width = of_h_.Vectors(panel) * kSize, units = layer_.units;
    ForRows(piece % groups, groups, [&](int64_t row, int64_t rows) {
      if (arrays_.d_h) Recur(plan_.longest > 0 ? dz_after_.get() : nullptr, panel, row, rows, dh);
      for (int64_t k = 0; k < rows * width / kSize; ++k) {
        const int64_t b = row + k * kSize / width, first = panel * kWidth + k * kSize % width;
        const int count = static_cast<int>(std::min<int64_t>(kSize, units - first));
        const int64_t at = b * units + first;
        if (arrays_.d_c) StoreFirst(arrays_.d_c + at, Load(dc_.get() + b * plan_.panels * kSize + first), count);
        if (!arrays_.d_h) continue;
        const bool no_steps = Length(b) == 0;
        const Vec<T> value = no_steps ? LoadFirst(arrays_.d_h_last + at, count) : Load(dh + k * kSize);
        StoreFirst(arrays_.d_h + at, value, count);
      }
    });
  }

  template <class Work>
  void ForRows(int64_t group, int64_t groups, Work work) const {
    const Pieces& blocks = plan_.blocks;
    for (int64_t block = blocks.number * group / groups; block < blocks.number * (group + 1) / groups; ++block) {
      work(blocks.Begin(block), blocks.Size(block));
    }
  }

  // dh of a step from dz of the step after it, null after the last one.
  void Recur(const T* dz, int64_t panel, int64_t row, int64_t rows, T* dh) const {
    const int vectors = of_h_.Vectors(panel);
    if (!dz) return std::fill(dh, dh + rows * vectors * kSize, T(0));
    TileOf<T>(rows, vectors)(plan_.row_width, dz + row * plan_.row_width, plan_.row_width, of_h_.Panel(panel), nullptr,
                             0, dh, vectors * kSize);
  }

  void Pointwise(int64_t t, int64_t panel, int64_t b, Vec<T> dh, T* dz) const {
    const int64_t units = layer_.units, length = Length(b), first = panel * kSize, row = t * layer_.batch + b;
    const int count = plan_.Units(layer_, panel);
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

  // dx = dz W^T for the rows of some steps.
  void GradientOfInputs(Worker& worker, int64_t begin, int64_t end) const {
    if (!of_x_.panels()) return;
    const int64_t batch = layer_.batch, inputs = layer_.inputs;
    const Pieces rows((end - begin) * batch, kTileRows);
    const int64_t parts = std::min<int64_t>(rows.number, (32 * worker.team_size()) / of_x_.panels() + 1);
    worker.Each(of_x_.panels() * parts, [&](int64_t k) {
      alignas(64) T dx[kTileRows * kWidth];
      const int64_t panel = k / parts, part = k % parts, column = panel * kWidth;
      const int vectors = of_x_.Vectors(panel);
      const int64_t width = vectors * kSize, count = std::min(width, inputs - column);
      for (int64_t m = rows.number * part / parts; m < rows.number * (part + 1) / parts; ++m) {
        const int64_t row = rows.Begin(m);
        T* const to = arrays_.d_x + (begin * batch + row) * inputs + column;
        const bool whole = count == width;
        TileOf<T>(rows.Size(m), vectors)(plan_.row_width, dz_.get() + row * plan_.row_width, plan_.row_width,
                                         of_x_.Panel(panel), nullptr, 0, whole ? to : dx, whole ? inputs : width);
        for (int64_t r = 0; !whole && r < rows.Size(m); ++r) std::copy_n(dx + r * width, count, to + r * inputs);
      }
    });
  }

  int64_t Length(int64_t b) const { return layer_.lengths ? layer_.lengths[b] : layer_.steps; }
  T* Dz(int64_t t, int64_t begin) const { return dz_.get() + (t - begin) * layer_.batch * plan_.row_width; }
  const T* C(int64_t row) const {
    return arrays_.cache + layer_.steps * layer_.batch * plan_.row_width + row * plan_.panels * kSize;
  }

  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  Candidate candidate_;
  Gates gates_;
  Plan<T> plan_;
  Pieces parts_;  // The steps.
  int64_t most_rows_;
  Columns<T> of_h_, of_x_;
  WeightGradients<T> gradients_;
  Buffer<T> dz_, dz_after_;  // Gradients of z: of the steps of a part, and of the step after them.
  Buffer<T> dc_;
  bool alone_;    // Steps are too short to be shared.
  bool by_rows_;  // As `Plan::ByRows`.
};

}  // namespace

template <class T>
void Backward(const Layer& layer, const BackwardArrays<T>& arrays, const Threads& threads) {
  Threads used = threads;
  const Plan<T> plan(layer);
  if (layer.steps * plan.StepTime(layer, 3 * layer.units + 2 * layer.inputs) < kWorthThreads) used.count = 1;
  if (plan.StepTime(layer, layer.units) >= kTooShort) used.count = plan.UsefulThreads(layer, used.count);
  WithFunctions(layer.candidate, layer.gates, [&](auto candidate, auto gates) {
    BackwardPass<T, decltype(candidate), decltype(gates)> pass(layer, arrays, candidate, gates, used.count);
    Team::Run(used, [&pass](Worker& worker) { pass.Program(worker); });
  });
}

template void Backward(const Layer&, const BackwardArrays<float>&, const Threads&);
template void Backward(const Layer&, const BackwardArrays<double>&, const Threads&);

}  // namespace stacked_lstm
