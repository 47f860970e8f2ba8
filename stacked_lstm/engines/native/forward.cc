// The forward pass: one barrier per step, and the pointwise part while a tile's products are in the first-level cache.

#include "buffer.h"
#include "lstm.h"
#include "plan.h"
#include "tile.h"

namespace stacked_lstm {
namespace {

// Rows of x whose product is made at a time, before the steps that use it: enough to reuse each panel of weights, few
// enough that the products stay in a cache.
constexpr int64_t kAheadRows = 128;

template <class T, class Candidate, class Gates>
class ForwardPass {
 public:
  ForwardPass(const Layer& layer, const ForwardArrays<T>& arrays, Candidate candidate, Gates gates)
      : layer_(layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(layer),
        ahead_steps_(std::max<int64_t>(1, kAheadRows / std::max<int64_t>(1, layer.batch))),
        z_(arrays.cache ? 0 : std::min(ahead_steps_, layer.steps) * layer.batch * plan_.row_width),
        c_(arrays.cache ? 0 : layer.batch * plan_.panels * kSize),
        bias_(plan_.row_width),
        last_panel_((layer.units + layer.inputs) * kWidth) {
    alone_ = plan_.StepTime(layer, layer.units) < kTooShort;
  }

  void Run(const Threads& threads) {
    Threads used = threads;
    const double time = layer_.steps * plan_.StepTime(layer_, layer_.units + layer_.inputs);
    if (time < kWorthThreads || (alone_ && layer_.inputs <= layer_.units)) used.count = 1;
    if (!alone_) used.count = plan_.UsefulThreads(layer_, used.count);
    by_rows_ = plan_.ByRows(layer_, used.count);
    Prepare();
    Team::Run(used, [this](Worker& worker) { Program(worker); });
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize, kWidth = Plan<T>::kWidth;

  void Program(Worker& worker) {
    const int64_t batch = layer_.batch, groups = plan_.Groups(worker.team_size(), plan_.panels);
    const int64_t panels = plan_.panels;
    for (int64_t begin = 0; begin < plan_.longest; begin += ahead_steps_) {
      const int64_t end = std::min(plan_.longest, begin + ahead_steps_);
      const Pieces rows((end - begin) * batch, kTileRows);
      const int64_t parts = plan_.panels < 16 * worker.team_size() ? std::min<int64_t>(rows.number, 4) : 1;
      worker.Each(by_rows_ ? 0 : panels * parts, [&](int64_t k) {
        const int64_t part = k % parts;
        for (int64_t m = rows.number * part / parts; m < rows.number * (part + 1) / parts; ++m) {
          T* const z = Z(begin, begin) + rows.Begin(m) * plan_.row_width + k / parts * kWidth;
          InputProduct(k / parts, begin, rows.Begin(m), rows.Size(m), z, plan_.row_width);
        }
      });
      const auto step = [&](int64_t t, int64_t k) {
        const int64_t group = by_rows_ ? k / panels : k % groups, panel = by_rows_ ? k % panels : k / groups;
        const int64_t first = plan_.blocks.number * group / groups;
        for (int64_t block = first; block < plan_.blocks.number * (group + 1) / groups; ++block) {
          Step(t, begin, panel, plan_.blocks.Begin(block), plan_.blocks.Size(block));
        }
      };
      if (alone_) {
        worker.Each(1, [&](int64_t) {
          for (int64_t t = begin; t < end; ++t) {
            for (int64_t k = 0; k < panels * groups; ++k) step(t, k);
          }
        });
      } else {
        for (int64_t t = begin; t < end; ++t) worker.Each(panels * groups, [&](int64_t k) { step(t, k); });
      }
    }
    worker.Each(layer_.steps - plan_.longest, [&](int64_t k) {
      T* outputs = arrays_.outputs + (plan_.longest + k) * batch * layer_.units;
      std::fill(outputs, outputs + batch * layer_.units, T(0));
    });
  }

  // Biases and the last panel, filled up with zeros to whole vectors; the final states of sequences without steps.
  void Prepare() {
    std::fill(bias_.get(), bias_.get() + plan_.row_width, T(0));
    for (int64_t unit = 0; arrays_.bias[0] && unit < layer_.units; ++unit) {
      for (int gate = 0; gate < kGates; ++gate) {
        bias_.get()[unit / kSize * kWidth + gate * kSize + unit % kSize] = arrays_.bias[gate][unit];
      }
    }
    const int64_t panel = plan_.panels - 1, units = layer_.units - panel * kSize;
    if (units < kSize) {
      const T* from[] = {Packed(0, layer_.units, panel), Packed(layer_.units, layer_.inputs, panel)};
      for (int64_t row = 0; row < layer_.units + layer_.inputs; ++row) {
        const T* gates = row < layer_.units ? from[0] + row * kGates * units
                                            : from[1] + (row - layer_.units) * kGates * units;
        for (int gate = 0; gate < kGates; ++gate) {
          Store(last_panel_.get() + row * kWidth + gate * kSize, LoadFirst(gates + gate * units, units));
        }
      }
    }
    for (int64_t b = 0; b < layer_.batch; ++b) {
      if (Length(b) > 0) continue;
      std::copy_n(arrays_.c + b * layer_.units, layer_.units, arrays_.c_last + b * layer_.units);
      std::copy_n(arrays_.h + b * layer_.units, layer_.units, arrays_.h_last + b * layer_.units);
    }
  }

  int64_t Length(int64_t b) const { return layer_.lengths ? layer_.lengths[b] : layer_.steps; }

  // A panel of the `rows` rows that begin with `row`, as `Pack` left it.
  const T* Packed(int64_t row, int64_t rows, int64_t panel) const {
    return arrays_.packed + row * kGates * layer_.units + panel * kWidth * rows;
  }

  // The same in whole vectors.
  const T* Panel(int64_t row, int64_t rows, int64_t panel) const {
    const bool whole = (panel + 1) * kSize <= layer_.units;
    return whole ? Packed(row, rows, panel) : last_panel_.get() + row * kWidth;
  }

  // z of a step, later its gates: kept for the backward pass, or until the next steps' are made.
  T* Z(int64_t t, int64_t begin) const {
    return (arrays_.cache ? arrays_.cache + t * layer_.batch * plan_.row_width
                          : z_.get() + (t - begin) * layer_.batch * plan_.row_width);
  }
  T* C(int64_t t) const {
    if (!arrays_.cache) return c_.get();
    return arrays_.cache + layer_.steps * layer_.batch * plan_.row_width + t * layer_.batch * plan_.panels * kSize;
  }

  // x W + b of one panel and some rows of [steps, batch], counted from step `begin`.
  void InputProduct(int64_t panel, int64_t begin, int64_t row, int64_t rows, T* z, int64_t stride) const {
    const int64_t inputs = layer_.inputs;
    TileOf<T>(rows)(inputs, arrays_.x + (begin * layer_.batch + row) * inputs, inputs,
                    Panel(layer_.units, inputs, panel), bias_.get() + panel * kWidth, 0, z, stride);
  }

  // One step of the units of one panel, for some rows of the batch.
  void Step(int64_t t, int64_t begin, int64_t panel, int64_t row, int64_t rows) const {
    alignas(64) T z[kTileRows * kWidth];
    const int64_t units = layer_.units, batch = layer_.batch;
    const T* h = t > 0 ? arrays_.outputs + (t - 1) * batch * units : arrays_.h;
    T* const of_inputs = Z(t, begin) + row * plan_.row_width + panel * kWidth;
    if (by_rows_) InputProduct(panel, t, row, rows, z, kWidth);
    TileOf<T>(rows)(units, h + row * units, units, Panel(0, units, panel), by_rows_ ? z : of_inputs,
                    by_rows_ ? kWidth : plan_.row_width, z, kWidth);
    for (int64_t r = 0; r < rows; ++r) {
      Pointwise(t, panel, row + r, z + r * kWidth, arrays_.cache ? of_inputs + r * plan_.row_width : nullptr);
    }
  }

  void Pointwise(int64_t t, int64_t panel, int64_t b, const T* z, T* kept) const {
    const int64_t units = layer_.units, length = Length(b), first = panel * kSize;
    const int count = plan_.Units(layer_, panel);
    T* const output = arrays_.outputs + (t * layer_.batch + b) * units + first;
    if (t >= length) return StoreFirst(output, Vec<T>{}, count);
    const int64_t at = b * plan_.panels * kSize + first;
    const Vec<T> before = t > 0 ? Load(C(t - 1) + at) : LoadFirst(arrays_.c + b * units + first, count);
    const Vec<T> i = gates_.template Of<T>(Load(z)), g = candidate_.template Of<T>(Load(z + kSize));
    const Vec<T> f = gates_.template Of<T>(Load(z + 2 * kSize)), o = gates_.template Of<T>(Load(z + 3 * kSize));
    const Vec<T> c = f * before + i * g, h = o * candidate_.template Of<T>(c);
    Store(C(t) + at, c);
    StoreFirst(output, h, count);
    if (kept) {
      const Vec<T> all[] = {i, g, f, o};
      for (int gate = 0; gate < kGates; ++gate) Store(kept + gate * kSize, all[gate]);
    }
    if (t == length - 1) {
      StoreFirst(arrays_.c_last + b * units + first, c, count);
      StoreFirst(arrays_.h_last + b * units + first, h, count);
    }
  }

  const Layer& layer_;
  const ForwardArrays<T>& arrays_;
  Candidate candidate_;
  Gates gates_;
  Plan<T> plan_;
  int64_t ahead_steps_;
  bool alone_;    // Steps are too short to be shared.
  bool by_rows_;  // As `Plan::ByRows`; the input product is then made within the step.
  Buffer<T> z_, c_, bias_, last_panel_;
};

}  // namespace

template <class T>
int64_t CacheSize(int64_t steps, int64_t batch, int64_t units) {
  const int64_t size = Vector<T>::kSize;
  return steps * batch * (kGates + 1) * ((units + size - 1) / size * size);
}

template <class T>
void Forward(const Layer& layer, const ForwardArrays<T>& arrays, const Threads& threads) {
  WithFunctions(layer.candidate, layer.gates, [&](auto candidate, auto gates) {
    ForwardPass<T, decltype(candidate), decltype(gates)>(layer, arrays, candidate, gates).Run(threads);
  });
}

template int64_t CacheSize<float>(int64_t, int64_t, int64_t);
template int64_t CacheSize<double>(int64_t, int64_t, int64_t);
template void Forward(const Layer&, const ForwardArrays<float>&, const Threads&);
template void Forward(const Layer&, const ForwardArrays<double>&, const Threads&);

}  // namespace stacked_lstm
