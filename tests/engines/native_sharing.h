// The ways of sharing work along which the stacks of a program come.

#ifndef NATIVE_SHARING_H_
#define NATIVE_SHARING_H_

#include <cstdio>
#include <vector>

#include "schedule/schedule.h"

// Whether any pass came along each way of sharing: [task][sharing].
inline bool seen_sharing[3][4];

template <class T>
void RecordSharing(const std::vector<stacked_lstm::Layer>& layers, int threads) {
  using stacked_lstm::Task;
  for (const Task task : {Task::kInference, Task::kForward, Task::kBackward}) {
    const auto plans = stacked_lstm::MakePlans<T>(layers, task == Task::kBackward ? 1 : threads);
    for (const auto& layer : stacked_lstm::MakeSchedule(task, plans, threads).layers) {
      seen_sharing[int(task)][int(layer.sharing)] = true;
    }
  }
}

// Whether the checks before it came along each way of sharing work.
inline bool CheckSharing() {
  for (const auto& task : seen_sharing) {
    for (const bool sharing : task) {
      if (!sharing) return std::puts("the shapes leave out a way of sharing"), false;
    }
  }
  return true;
}

#endif  // NATIVE_SHARING_H_
