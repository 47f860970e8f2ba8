// The backward pass of one layer: dz of all steps, from the last to the first, then the gradients of weights and
// inputs, each in one product.
//
// Many steps are cut into parts of about a thousand rows of [step, sequence], so that dz takes little memory.

#ifndef STACKED_LSTM_BACKWARD_PASS_H_
#define STACKED_LSTM_BACKWARD_PASS_H_

#include "backward/dz_rows.h"
#include "backward/input_gradients.h"
#include "backward/projection_gradients.h"
#include "backward/weight_gradients.h"
#include "forward/projection.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "schedule/schedule.h"

namespace stacked_lstm {

// Step computes dz of one step at a time: `BackwardStep`, or `NormalizedBackwardStep`.
//
// The methods are const because the members of a team share the object. They write to buffers and the caller's arrays.
template <class T, class Step>
class BackwardPass {
 public:
  // With kLayers, the caller runs `Begin`, the `Chunk`s and `Finish`, which keep dz of all steps. Otherwise it calls
  // `Run`.
  BackwardPass(const Plan<T>& plan, const LayerSchedule& schedule, const BackwardArrays<T>& arrays,
               const typename Step::Cell& cell)
      : layer_(plan.layer),
        plan_(plan),
        schedule_(schedule),
        dz_(plan, schedule),
        input_gradients_(plan, arrays),
        projection_(layer_, arrays, dz_.number()),
        step_(plan, schedule, arrays, cell, dz_, projection_),
        gradients_(plan, arrays, dz_.max_part(), schedule.threads),
        projection_gradients_(plan, arrays, has_projection() ? dz_.max_part() : 0, schedule) {}

  // Runs the whole layer. All members of a team call it.
  void Run(Worker& worker) const {
    Begin(worker);
    for (int64_t k = dz_.parts().number - 1; k >= 0; --k) {
      const Range part = Part(k);
      SharedSteps(worker, part);
      WeightGradientsOf(worker, part, k);
      ForEachShare(worker, input_gradients_.panels(), schedule_.GradientShares(input_gradients_.panels()),
                   [&](int64_t panel, Share share) { InputGradientsOf(part, part, panel, share); });
      worker.ForEach(1, [&](int64_t) { dz_.KeepFirst(part); });
    }
    step_.StateGradients(worker);
  }

  // kLayers: prepares the layer. All members of a team call it.
  void Begin(Worker& worker) const {
    const int64_t h_pieces = step_.columns().pieces(), x_pieces = input_gradients_.pieces();
    worker.ForEach(h_pieces + x_pieces + 1, [&](int64_t k) {
      if (k < h_pieces) return step_.columns().Pack(k);
      if (k < h_pieces + x_pieces) return input_gradients_.Pack(k - h_pieces);
      InitializeGradients();
    });
    worker.ForEach(projection_.pieces(), [&](int64_t k) { projection_.Pack(k); });
  }

  // kLayers: runs some steps of all sequences in one thread. The steps after them must be done.
  void Chunk(Range steps) const {
    const Range whole = {0, plan_.longest};
    Steps(whole, steps, kWhole);
    for (int64_t panel = 0; panel < input_gradients_.panels(); ++panel) InputGradientsOf(whole, steps, panel, kWhole);
  }

  // kLayers: computes the gradients of weights after the last chunk. All members of a team call it.
  void Finish(Worker& worker) const {
    const Range whole = {0, plan_.longest};
    for (int64_t k = dz_.parts().number - 1; k >= 0; --k) WeightGradientsOf(worker, whole, k);
    worker.ForEach(1, [&](int64_t) { dz_.KeepFirst(whole); });
    step_.StateGradients(worker);
  }

 private:
  // The compiler knows that plain layers have none.
  bool has_projection() const { return Step::kHasExtras && layer_.extras.projection; }

  // The parts in the order in which the layer reads them. The pass begins with the last one.
  Range Part(int64_t k) const { return dz_.parts()[plan_.Nth({0, dz_.parts().number}, k)]; }
  bool IsLastPart(int64_t k) const { return k == dz_.parts().number - 1; }

  // Sets what steps do not write: the gradients of the final states, and zeros if there are no steps.
  void InitializeGradients() const {
    step_.Initialize();
    input_gradients_.SetToZeroPastLongest();
    if (plan_.longest * layer_.batch > 0) return;
    gradients_.SetToZero();
    projection_gradients_.SetToZero();
  }

  // Runs the steps of a part as in the forward pass: in one thread, or shared by rows or by units.
  void SharedSteps(Worker& worker, Range part) const {
    if (schedule_.sharing == Sharing::kUnits) {
      for (int64_t k = part.size() - 1; k >= 0; --k) step_.RunShared(worker, plan_.Nth(part, k), part);
      return;
    }
    const int64_t groups = schedule_.sharing == Sharing::kRows ? schedule_.row_groups : 1;
    worker.ForEach(groups, [&](int64_t k) { Steps(part, part, {k, groups}); });
  }

  // part: the steps whose dz is kept; it contains `steps`. share: of the blocks of the batch.
  void Steps(Range part, Range steps, Share share) const {
    for (int64_t k = steps.size() - 1; k >= 0; --k) step_.Run(plan_.Nth(steps, k), part, share);
  }

  void InputGradientsOf(Range part, Range steps, int64_t panel, Share share) const {
    if (steps.size() * layer_.batch == 0) return;  // There is no dz.
    input_gradients_.Compute(steps, dz_.At(steps.begin, part, 0, 0), panel, share);
  }

  // Adds the gradients of weights for the steps of `Part(k)`. kept: the steps whose dz is kept, these and maybe others.
  // All members of a team call it. The call for the last part sets the gradients.
  void WeightGradientsOf(Worker& worker, Range kept, int64_t k) const {
    const Range steps = Part(k);
    gradients_.Add(worker, steps, dz_.At(steps.begin, kept, 0, 0), IsLastPart(k));
    if (!has_projection()) return;
    const int64_t row = dz_.Row(steps.begin, kept, 0);
    projection_gradients_.Add(worker, steps, projection_.M(row), projection_.D(row, 0), IsLastPart(k));
  }

  const Layer& layer_;
  const Plan<T>& plan_;
  const LayerSchedule& schedule_;
  const DzRows<T> dz_;
  const InputGradients<T> input_gradients_;
  const BackwardProjection<T> projection_;
  const Step step_;
  const WeightGradients<T> gradients_;
  const ProjectionGradients<T> projection_gradients_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BACKWARD_PASS_H_
