// The forward pass: the pointwise part of a step follows while its products are in the first-level cache. How threads
// share a step, or whole steps, or layers, is in plan.h.

#include <memory>

#include "activations.h"
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
  // threads: that will share each step; 1 where `Chunk` will be called rather than `Program`.
  ForwardPass(const Plan<T>& plan, const ForwardArrays<T>& arrays, Candidate candidate, Gates gates, int threads)
      : layer_(plan.layer),
        arrays_(arrays),
        candidate_(candidate),
        gates_(gates),
        plan_(plan),
        by_rows_(threads > 1 && plan.ByRows(threads)),
        ahead_steps_(std::max<int64_t>(1, kAheadRows / std::max<int64_t>(1, layer_.batch))),
        z_(arrays.cache || by_rows_ ? 0 : std::min(ahead_steps_, layer_.steps) * layer_.batch * plan_.row_width),
        c_(arrays.cache ? 0 : layer_.batch * plan_.panels * kSize),
        bias_(plan_.row_width),
        last_panel_((layer_.units + layer_.inputs) * kWidth) {
    Prepare();
  }

  // Most steps of a `Chunk`.
  int64_t ahead_steps() const { return ahead_steps_; }

  // The whole layer, as part of the program of all members of a team.
  void Program(Worker& worker) const {
    if (by_rows_) {
      RowsProgram(worker);
    } else {
      for (int64_t begin = 0; begin < plan_.longest; begin += ahead_steps_) {
        const int64_t end = std::min(plan_.longest, begin + ahead_steps_);
        // Where there are few panels they are cut, so that there are pieces enough for all.
        const int64_t parts = plan_.panels < 16 * worker.team_size() ? 4 : 1;
        worker.Each(plan_.panels * parts, [&](int64_t k) { InputProducts(begin, end, k / parts, k % parts, parts); });
        if (plan_.Alone()) {
          worker.Each(1, [&](int64_t) { Steps(begin, begin, end, 0, 1); });
        } else {
          SharedSteps(worker, begin, end);
        }
      }
    }
  }

  // Steps `begin` to `end` of all sequences, at most `ahead_steps()`, in one thread.
  void Chunk(int64_t begin, int64_t end) const {
    for (int64_t panel = 0; panel < plan_.panels; ++panel) InputProducts(begin, end, panel, 0, 1);
    Steps(begin, begin, end, 0, 1);
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
    const int64_t groups = plan_.RowGroups(worker.team_size());
    const Pieces chunks(plan_.longest, plan_.StepsOfRows(worker.team_size()));
    for (int64_t chunk = 0; chunk < chunks.number; ++chunk) {
      worker.Each(groups, [&](int64_t group) {
        Steps(0, chunks.Begin(chunk), chunks.Begin(chunk + 1), group, groups);
      });
    }
  }

  // Members share the units; each waits for all others after each step.
  void SharedSteps(Worker& worker, int64_t begin, int64_t end) const {
    const int64_t groups = plan_.Groups(worker.team_size(), plan_.panels);
    for (int64_t t = begin; t < end; ++t) {
      worker.Each(plan_.panels * groups, [&](int64_t k) { StepOfGroup(t, begin, k / groups, k % groups, groups); });
    }
  }

  // ahead_begin: from which step on the products of inputs are there.
  void Steps(int64_t ahead_begin, int64_t begin, int64_t end, int64_t group, int64_t groups) const {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t panel = 0; panel < plan_.panels; ++panel) StepOfGroup(t, ahead_begin, panel, group, groups);
    }
  }

  // Biases and the last panel, filled up with zeros to whole vectors; the final states of sequences without steps.
  void Prepare() const {
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
      if (plan_.Length(b) > 0) continue;
      std::copy_n(arrays_.c + b * layer_.units, layer_.units, arrays_.c_last + b * layer_.units);
      std::copy_n(arrays_.h + b * layer_.units, layer_.units, arrays_.h_last + b * layer_.units);
    }
  }

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
  T* Z(int64_t t, int64_t ahead_begin) const {
    return (arrays_.cache ? arrays_.cache + t * layer_.batch * plan_.row_width
                          : z_.get() + (t - ahead_begin) * layer_.batch * plan_.row_width);
  }
  T* C(int64_t t) const {
    if (!arrays_.cache) return c_.get();
    return arrays_.cache + layer_.steps * layer_.batch * plan_.row_width + t * layer_.batch * plan_.panels * kSize;
  }

  // x W + b of one panel for one of some parts of the rows of steps.
  void InputProducts(int64_t begin, int64_t end, int64_t panel, int64_t part, int64_t parts) const {
    const Pieces rows((end - begin) * layer_.batch, kTileRows);
    for (int64_t m = rows.number * part / parts; m < rows.number * (part + 1) / parts; ++m) {
      T* const z = Z(begin, begin) + rows.Begin(m) * plan_.row_width + panel * kWidth;
      InputProduct(panel, begin, rows.Begin(m), rows.Size(m), z, plan_.row_width);
    }
  }

  // The same for some rows of [steps, batch], counted from step `begin`.
  void InputProduct(int64_t panel, int64_t begin, int64_t row, int64_t rows, T* z, int64_t stride) const {
    const int64_t inputs = layer_.inputs;
    TileOf<T>(rows)(inputs, arrays_.x + (begin * layer_.batch + row) * inputs, inputs,
                    Panel(layer_.units, inputs, panel), bias_.get() + panel * kWidth, 0, z, stride);
  }

  // One step of the units of one panel, for one of some groups of row blocks.
  void StepOfGroup(int64_t t, int64_t ahead_begin, int64_t panel, int64_t group, int64_t groups) const {
    const Pieces& blocks = plan_.blocks;
    for (int64_t block = blocks.number * group / groups; block < blocks.number * (group + 1) / groups; ++block) {
      if (t < plan_.ends[block]) {
        Step(t, ahead_begin, panel, blocks.Begin(block), blocks.Size(block));
        continue;
      }
      for (int64_t b = blocks.Begin(block); b < blocks.Begin(block + 1); ++b) {
        StoreFirst(Output(t, b, panel), Vec<T>{}, plan_.Units(panel));
      }
    }
  }

  void Step(int64_t t, int64_t ahead_begin, int64_t panel, int64_t row, int64_t rows) const {
    alignas(64) T z[kTileRows * kWidth];
    const int64_t units = layer_.units, batch = layer_.batch;
    const T* h = t > 0 ? arrays_.outputs + (t - 1) * batch * units : arrays_.h;
    T* const in_cache =
        by_rows_ && !arrays_.cache ? nullptr : Z(t, ahead_begin) + row * plan_.row_width + panel * kWidth;
    if (by_rows_) InputProduct(panel, t, row, rows, z, kWidth);
    TileOf<T>(rows)(units, h + row * units, units, Panel(0, units, panel), by_rows_ ? z : in_cache,
                    by_rows_ ? kWidth : plan_.row_width, z, kWidth);
    for (int64_t r = 0; r < rows; ++r) {
      Pointwise(t, panel, row + r, z + r * kWidth, arrays_.cache ? in_cache + r * plan_.row_width : nullptr);
    }
  }

  T* Output(int64_t t, int64_t b, int64_t panel) const {
    return arrays_.outputs + (t * layer_.batch + b) * layer_.units + panel * kSize;
  }

  void Pointwise(int64_t t, int64_t panel, int64_t b, const T* z, T* kept) const {
    const int64_t units = layer_.units, length = plan_.Length(b), first = panel * kSize;
    const int count = plan_.Units(panel);
    T* const output = Output(t, b, panel);
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
  const Candidate candidate_;
  const Gates gates_;
  const Plan<T>& plan_;
  const bool by_rows_;  // As `Plan::ByRows`; the input product is then made within the step.
  const int64_t ahead_steps_;
  Buffer<T> z_, c_, bias_, last_panel_;
};

// How many threads a layer is worth: where they do not share its steps, they share the product of its inputs.
template <class T>
int WorthThreads(const Plan<T>& plan, int threads) {
  const int worth = plan.WorthThreads(plan.layer.units + plan.layer.inputs, threads);
  if (plan.Alone()) return plan.layer.inputs <= plan.layer.units ? 1 : worth;
  return std::min(worth, plan.UsefulThreads(threads));
}

template <class T, class Candidate, class Gates>
void Run(const std::vector<Plan<T>>& plans, const std::vector<ForwardArrays<T>>& arrays, Candidate candidate,
         Gates gates, Threads threads) {
  typedef ForwardPass<T, Candidate, Gates> Pass;
  const bool by_layers = ByLayers(plans, threads.count);
  int useful = by_layers ? static_cast<int>(plans.size()) : 1;
  for (const Plan<T>& plan : plans) useful = std::max(useful, by_layers ? 1 : WorthThreads(plan, threads.count));
  threads.count = std::min(threads.count, useful);
  std::vector<std::unique_ptr<Pass>> passes;
  int64_t most_steps = plans[0].StepsOfAChunk(1);
  for (size_t l = 0; l < plans.size(); ++l) {
    passes.emplace_back(new Pass(plans[l], arrays[l], candidate, gates, by_layers ? 1 : threads.count));
    most_steps = std::min({most_steps, plans[l].StepsOfAChunk(1), passes[l]->ahead_steps()});
  }
  const Pieces chunks(plans[0].longest, most_steps);
  Team::Run(threads, [&](Worker& worker) {
    if (by_layers) {
      ForDiagonals(worker, passes.size(), chunks.number,
                   [&](int64_t l, int64_t k) { passes[l]->Chunk(chunks.Begin(k), chunks.Begin(k + 1)); });
    } else {
      for (const std::unique_ptr<Pass>& pass : passes) pass->Program(worker);
    }
    for (const std::unique_ptr<Pass>& pass : passes) pass->ClearRest(worker);
  });
}

}  // namespace

template <class T>
int64_t VectorSize() {
  return Vector<T>::kSize;
}

template <class T>
void Forward(const std::vector<Layer>& layers, const std::vector<ForwardArrays<T>>& arrays, const Threads& threads) {
  const std::vector<Plan<T>> plans = PlansOf<T>(layers);
  WithFunctions(layers[0].candidate, layers[0].gates, [&](auto candidate, auto gates) {
    Run(plans, arrays, candidate, gates, threads);
  });
}

template int64_t VectorSize<float>();
template int64_t VectorSize<double>();
template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<float>>&, const Threads&);
template void Forward(const std::vector<Layer>&, const std::vector<ForwardArrays<double>>&, const Threads&);

}  // namespace stacked_lstm
