// Threads that help a team, in the place of TensorFlow's.

#ifndef NATIVE_HELPERS_H_
#define NATIVE_HELPERS_H_

#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "threads/team.h"

// Each function that a team schedules runs in a thread of its own.
class HelperThreads {
 public:
  // The argument of the kernels for at most `count` threads, including the caller's. This object must outlive it.
  stacked_lstm::Threads ForTeam(int count) {
    return {count, [this](std::function<void()> work) { threads_.emplace_back(std::move(work)); }};
  }

  // Waits for all of them.
  void Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

#endif  // NATIVE_HELPERS_H_
