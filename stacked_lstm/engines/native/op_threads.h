// The threads that share the work of an op.

#ifndef STACKED_LSTM_OP_THREADS_H_
#define STACKED_LSTM_OP_THREADS_H_

#include <functional>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "op_inputs.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"
#include "threads/team.h"
#include "threads/thread_pool.h"

namespace stacked_lstm {

// Whether a runner calls functions in the thread that passes them to it.
inline bool CallsDirectly(const std::function<void(std::function<void()>)>& runner) {
  const auto thread = std::make_shared<std::thread::id>();  // Another thread may call the function at any later time.
  const auto caller = std::this_thread::get_id();
  runner([thread, caller] {
    if (std::this_thread::get_id() == caller) *thread = caller;
  });
  return *thread == caller;
}

// Whether the thread that called the session runs all ops, one after the other (`inter_op_parallelism_threads=-1`).
inline bool RunsInCallingThread(OpKernelContext* context) {
  if (!context->runner() || !*context->runner()) return false;  // In constant folding.
  // A thread runs ops in one of the two ways, except where a queue op continues a call in another thread. Helpers then
  // only cost or save time.
  static thread_local const bool calls_directly = CallsDirectly(*context->runner());
  return calls_directly;
}

// The threads for ops in the calling thread, beside that thread; null if the session has more threads than there are
// cores, or if the system has no more threads. The first such op sets their number. They have the floating-point mode
// of its thread.
inline ThreadPool* MakeHelpers(int threads) {
  if (threads > UsableCores()) return nullptr;
  try {
    return new ThreadPool(threads - 1, true);  // Never deleted: ops may run until the process ends.
  } catch (const std::system_error&) {
    return nullptr;
  }
}

// The helpers if they are as many as a session with `threads` threads needs; null otherwise.
inline ThreadPool* Helpers(int threads) {
  static ThreadPool* const helpers = MakeHelpers(threads);
  return helpers && helpers->size() == threads - 1 ? helpers : nullptr;
}

// The threads for an op: as many as the session has.
//
// TensorFlow's threads soon sleep, and TensorFlow wakes a thread even if another one is awake. An op in the calling
// thread therefore has helpers that watch. Other ops run at the same time as ops in TensorFlow's threads. Helpers would
// take cores from them.
inline Threads OpThreads(OpKernelContext* context) {
  const auto* workers = context->device()->tensorflow_cpu_worker_threads();
  const int count = workers->num_threads;
  ThreadPool* const helpers = count > 1 && RunsInCallingThread(context) ? Helpers(count) : nullptr;
  if (helpers) return {count, [helpers](std::function<void()> work) { helpers->Schedule(std::move(work)); }};
  return {count, [workers](std::function<void()> work) { workers->workers->Schedule(std::move(work)); }};
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_THREADS_H_
