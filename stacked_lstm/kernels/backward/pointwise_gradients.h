// The pointwise part of a step of the backward pass, between the products with dz of two steps.

#ifndef STACKED_LSTM_POINTWISE_GRADIENTS_H_
#define STACKED_LSTM_POINTWISE_GRADIENTS_H_

#include <algorithm>

#include "arithmetic/cell.h"
#include "arithmetic/vector.h"
#include "backward/block_sums.h"
#include "backward/cell_states.h"
#include "backward/series_gradients.h"
#include "forward/projection.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/layer_series.h"
#include "storage/layout.h"

namespace stacked_lstm {

// The methods are const because the members of a team share the object.
template <class T, class Cell>
class PointwiseGradients {
 public:
  typedef SeriesGradients<T, Cell::kHasExtras> States;

  PointwiseGradients(const Plan<T>& plan, const BackwardArrays<T>& arrays, const Cell& cell, const States& d_states,
                     const BackwardProjection<T>& projection)
      : plan_(plan),
        layer_(plan.layer),
        arrays_(arrays),
        parts_(plan, arrays, cell, d_states),
        plain_d_states_(plan, arrays),
        plain_parts_(plan, arrays, cell.WithoutExtras(layer_), plain_d_states_),
        only_resets_(Cell::kHasExtras && layer_.extras.OnlyResets()),
        projection_(projection),
        cache_(arrays.cache, layer_),
        prefetches_(CacheView<const T>::Size(layer_) * static_cast<int64_t>(sizeof(T)) > kCoreCache),
        dc_(layer_.batch, plan.panels),
        peepholes_(plan, Cell::kHasExtras && arrays.d_extras.peephole[0]) {}

  // Starts from the gradients of the final cell states.
  void Initialize() const {
    peepholes_.SetToZero();
    for (int64_t b = 0; b < layer_.batch; ++b) {
      T* const dc = dc_.At(b, 0);
      std::copy_n(arrays_.d_c_last + b * layer_.units, layer_.units, dc);
      std::fill(dc + layer_.units, dc + plan_.panels * kSize, T(0));
    }
  }

  // Copies the gradients of the initial cell states of some sequences to the results.
  void Finish(int64_t row, int64_t rows) const {
    for (int64_t b = row; arrays_.d_c && b < row + rows; ++b) {
      std::copy_n(dc_.At(b, 0), layer_.units, arrays_.d_c + b * layer_.units);
    }
  }

  // Writes the gradients of peepholes, if they are needed.
  void WritePeepholes() const {
    T* const* const gradients = arrays_.d_extras.peephole;
    for (int k = 0; gradients[0] && k < kPeepholes; ++k) peepholes_.Write(k, gradients[k]);
  }

  // Asks for the arrays that `Run` reads and writes, before the products that give dh.
  STACKED_LSTM_INLINE void PrefetchStep(int64_t t, int64_t first, int vectors, int64_t row, int64_t rows,
                                        const T* dz) const {
    parts_.series.PrefetchSeries(t, row, rows, first * kSize, vectors);
    if (!prefetches_) return;
    const int64_t before = plan_.Before(t);
    const bool is_first = before < 0 || before >= layer_.steps;
    for (int64_t b = row; b < row + rows; ++b, dz += plan_.row_width) {
      Prefetch<Use::kRead>(cache_.gates.At(t * layer_.batch + b, first), vectors * kGates * kSize);
      if (!is_first) Prefetch<Use::kRead>(cache_.cells.At(before * layer_.batch + b, first), vectors * kSize);
      if (!has_projection()) {
        Prefetch<Use::kRead>(arrays_.d_outputs + layer_.OutputIndex(t, b) + first * kSize, vectors * kSize);
      }
      Prefetch<Use::kWrite>(dz, vectors * kGates * kSize);
    }
  }

  // Computes dz of a step for `vectors` vectors of units from `first` on, for `rows` sequences from `row` on.
  // dh: [rows, vectors], the gradient of h, or with a projection, of what it projects. dz: the place of the first
  // vector of the first row. m_row: the place of the first row in the buffers of the projection.
  void Run(int64_t t, int64_t first, int vectors, int64_t row, int64_t rows, const T* dh, T* dz, int64_t m_row) const {
    alignas(64) T phi[kTileRows * kPanelVectors * kSize];
    if (only_resets_) {
      ComputePhi(plain_parts_, t, first, vectors, row, rows, phi);  // c' is in the cache.
    } else {
      ComputePhi(parts_, t, first, vectors, row, rows, phi);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t k = r * vectors * kSize;
      T* const target = dz + r * plan_.row_width;
      if (only_resets_ && !parts_.series.IsReset(t, row + r)) {
        ComputeRow(plain_parts_, t, first, vectors, row + r, dh + k, phi + k, target, m_row + r);
      } else {
        ComputeRow(parts_, t, first, vectors, row + r, dh + k, phi + k, target, m_row + r);
      }
    }
    if (Cell::kHasExtras && arrays_.d_extras.peephole[0]) AddPeepholes(t, first, vectors, row, rows, dz);
  }

 private:
  static constexpr int64_t kSize = Plan<T>::kSize;

  // What computes the gradients of a step. StepCell: `Cell`, or that without extras.
  template <class StepCell>
  struct Parts {
    static constexpr bool kHasExtras = StepCell::kHasExtras;

    Parts(const Plan<T>& plan, const BackwardArrays<T>& arrays, const StepCell& cell,
          const SeriesGradients<T, kHasExtras>& d_states)
        : cell(cell), series(plan.layer, arrays.extras), cells(plan, arrays), d_states(d_states) {}

    const StepCell cell;
    const LayerSeries<T, kHasExtras> series;
    const CellStates<T, kHasExtras> cells;
    const SeriesGradients<T, kHasExtras>& d_states;
  };

  // The compiler knows that plain layers have none.
  bool has_projection() const { return Cell::kHasExtras && layer_.extras.projection; }

  // Computes phi(c') of a block. Each vector is a long chain of operations, so that the processor must work on many
  // vectors at the same time.
  template <class StepParts>
  STACKED_LSTM_INLINE void ComputePhi(const StepParts& parts, int64_t t, int64_t first, int vectors, int64_t row,
                                      int64_t rows, T* phi) const {
    T* target = phi;
    for (int64_t b = row; b < row + rows; ++b, target += vectors * kSize) {
      if (t >= plan_.Length(b)) {
        std::fill_n(target, vectors * kSize, T(0));
        continue;
      }
      for (int v = 0; v < vectors; ++v) {
        const Vec<T> before = parts.cells.Before(t, b, first + v);
        Store(target + v * kSize, parts.cells.New(t, b, first + v, parts.cells.Read(t, b, first + v, before)));
      }
    }
    parts.cell.ApplyPhi(rows * vectors, phi);
  }

  // Computes dz of a sequence, for `vectors` vectors of units from `first` on.
  template <class StepParts>
  STACKED_LSTM_INLINE void ComputeRow(const StepParts& parts, int64_t t, int64_t first, int vectors, int64_t b,
                                      const T* dh, const T* phi, T* dz, int64_t m_row) const {
    for (int v = 0; v < vectors; ++v, dh += kSize, phi += kSize, dz += kGates * kSize) {
      ComputeDz(parts, t, first + v, b, Load(dh), Load(phi), dz, m_row);
    }
  }

  template <class StepParts>
  STACKED_LSTM_INLINE void ComputeDz(const StepParts& parts, int64_t t, int64_t panel, int64_t b, Vec<T> dh,
                                     Vec<T> phi_c, T* dz, int64_t m_row) const {
    const bool has_projection = StepParts::kHasExtras && layer_.extras.projection;
    const int64_t first = panel * kSize;
    const int count = plan_.Units(panel);
    if (t >= plan_.Length(b)) {
      for (int gate = 0; gate < kGates; ++gate) Store(dz + gate * kSize, Vec<T>{});
      if (!has_projection) return parts.d_states.KeepInitialH(t, b, panel, dh);
      return Store(projection_.M(m_row) + first, Vec<T>{});
    }
    const T* const gates = cache_.gates.At(t * layer_.batch + b, panel);
    const Vec<T> c_before = parts.cells.Before(t, b, panel), c = parts.cells.Read(t, b, panel, c_before);
    const Vec<T> c_new = parts.cells.New(t, b, panel, c);
    T* const dc_slot = dc_.At(b, panel);
    const auto& d_states = parts.d_states;
    if (has_projection) {
      Store(projection_.M(m_row) + first, Load(gates + 3 * kSize) * phi_c);
    } else {
      dh = d_states.OfNewH(t, b, panel, Load(gates + 3 * kSize) * phi_c, d_states.AddResults(t, b, panel, dh));
    }
    const auto dc = d_states.OfNewC(t, b, panel, c, c_new, Load(dc_slot));
    StepGradients<T> d = parts.cell.Gradients(gates, c, phi_c, dh, dc.step, panel,
                                              parts.series.CandidateMask(t, b, first, count));
    d_states.OfCandidateMask(t, b, panel, d.mask);
    // The units beyond the last one may have Inf or NaN, which the zeros in the columns do not remove.
    if (count < kSize) d = {First(d.i, count), First(d.g, count), First(d.f, count), First(d.o, count), d.c, d.mask};
    Store(dz, d.i);
    Store(dz + kSize, d.g);
    Store(dz + 2 * kSize, d.f);
    Store(dz + 3 * kSize, d.o);
    Store(dc_slot, d_states.OfCBefore(t, b, panel, c_before, d.c, dc.kept));
  }

  // Adds the gradients of peepholes of a block to its sums. dz: as for `Run`.
  void AddPeepholes(int64_t t, int64_t first, int vectors, int64_t row, int64_t rows, const T* dz) const {
    const int64_t block = plan_.blocks.Index(row);
    T* sums = peepholes_.At(block, first);
    for (int v = 0; v < vectors; ++v, sums += kPeepholes * kSize, dz += kGates * kSize) {
      Vec<T> sum[] = {Load(sums), Load(sums + kSize), Load(sums + 2 * kSize)};
      for (int64_t r = 0; r < rows; ++r) {
        if (t >= plan_.Length(row + r)) continue;
        const T* const d = dz + r * plan_.row_width;
        const auto& cells = parts_.cells;
        const Vec<T> before = cells.Before(t, row + r, first + v), c = cells.Read(t, row + r, first + v, before);
        sum[0] += Load(d) * c;
        sum[1] += Load(d + 2 * kSize) * c;
        sum[2] += Load(d + 3 * kSize) * cells.New(t, row + r, first + v, c);
      }
      for (int k = 0; k < kPeepholes; ++k) Store(sums + k * kSize, sum[k]);
    }
    peepholes_.EndStep(t, block, {first, first + vectors});
  }

  const Plan<T>& plan_;
  const Layer& layer_;
  const BackwardArrays<T>& arrays_;
  const Parts<Cell> parts_;
  const SeriesGradients<T, false> plain_d_states_;
  const Parts<typename Cell::Plain> plain_parts_;  // Those of blocks without resets, if a layer has nothing else.
  const bool only_resets_;
  const BackwardProjection<T>& projection_;
  const CacheView<const T> cache_;
  const bool prefetches_;  // Whether the cache of the forward pass is larger than a core's own cache.
  const PanelBuffer<T, 1> dc_;
  const BlockSums<T, kPeepholes> peepholes_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_POINTWISE_GRADIENTS_H_
