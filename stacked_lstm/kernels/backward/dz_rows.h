// dz, the gradients of pre-activations, of the steps that the backward pass of a layer keeps.

#ifndef STACKED_LSTM_DZ_ROWS_H_
#define STACKED_LSTM_DZ_ROWS_H_

#include <algorithm>

#include "schedule/plan.h"
#include "schedule/schedule.h"
#include "storage/layout.h"

namespace stacked_lstm {

// Rows of gates, one per step and sequence: those of the steps of a part, and those of the step after the part. With
// kLayers, the part has all steps. The methods are const because the members of a team share the object.
template <class T>
class DzRows {
 public:
  DzRows(const Plan<T>& plan, const LayerSchedule& schedule)
      : plan_(plan),
        parts_(plan.longest, schedule.part_steps),
        max_part_(parts_.number ? (plan.longest + parts_.number - 1) / parts_.number * plan.layer.batch : 0),
        number_(schedule.sharing == Sharing::kLayers ? plan.longest * plan.layer.batch : max_part_),
        rows_(number_, plan.panels),
        next_(plan.layer.batch, plan.panels) {}

  // The parts of the steps, and the maximum number of rows of a part.
  const Pieces& parts() const { return parts_; }
  int64_t max_part() const { return max_part_; }
  // The number of rows that are kept.
  int64_t number() const { return number_; }

  // The row of step t of a sequence, in any buffer that has a row for each row of a part.
  int64_t Row(int64_t t, Range part, int64_t b) const { return (t - part.begin) * plan_.layer.batch + b; }
  T* At(int64_t t, Range part, int64_t b, int64_t panel) const { return rows_.At(Row(t, part, b), panel); }

  // dz of the step after t, from sequence b on, the first one of a block whose longest sequence has `block_end` steps.
  // Null if no sequence of the block has such a step.
  const T* Next(int64_t t, Range part, int64_t b, int64_t block_end) const {
    const int64_t next = plan_.After(t);
    if (next < 0 || next >= block_end) return nullptr;
    return t == plan_.Nth(part, part.size() - 1) ? Kept(b) : At(next, part, b, 0);
  }

  // Keeps dz of the first step of a part for the part before it.
  void KeepFirst(Range part) const {
    if (part.size() == 0) return;
    std::copy_n(At(plan_.Nth(part, 0), part, 0, 0), plan_.layer.batch * plan_.row_width, next_.At(0, 0));
  }
  // What `KeepFirst` has kept, from sequence b on.
  const T* Kept(int64_t b) const { return next_.At(b, 0); }

 private:
  const Plan<T>& plan_;
  const Pieces parts_;
  const int64_t max_part_, number_;
  const PanelBuffer<T, kGates> rows_, next_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_DZ_ROWS_H_
