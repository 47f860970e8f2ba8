// The threads that share the work of an op.

#ifndef STACKED_LSTM_OP_THREADS_H_
#define STACKED_LSTM_OP_THREADS_H_

#include <functional>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "op_inputs.h"
#include "team.h"
#include "thread_pool.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"

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
  if (!context->runner()) return false;  // In constant folding.
  static thread_local const bool calls_directly = CallsDirectly(*context->runner());  // Each thread is of one kind.
  return calls_directly;
}

// The threads for ops in the calling thread, beside that thread; null if the session has more threads than there are
// cores, or if the system has no more threads. The first session of the process sets the number of threads for all.
inline ThreadPool* Helpers(int threads) {
  static ThreadPool* const helpers = [threads]() -> ThreadPool* {
    if (threads > UsableCores()) return nullptr;
    try {
      return new ThreadPool(threads - 1, true);  // Never deleted: ops may run until the process ends.
    } catch (const std::system_error&) {
      return nullptr;
    }
  }();
  return helpers;
}

// The threads for an op: as many as the session has.
//
// TensorFlow's threads soon sleep, and it wakes one even if another one is awake. An op in the calling thread therefore
// has the help of threads that watch. Beside ops that run in TensorFlow's threads, at the same time as other ops, they
// would take cores from those.
inline Threads OpThreads(OpKernelContext* context) {
  const auto* workers = context->device()->tensorflow_cpu_worker_threads();
  const int count = workers->num_threads;
  ThreadPool* const helpers = count > 1 && RunsInCallingThread(context) ? Helpers(count) : nullptr;
  if (helpers) return {count, [helpers](std::function<void()> work) { helpers->Schedule(std::move(work)); }};
  return {count, [workers](std::function<void()> work) { workers->workers->Schedule(std::move(work)); }};
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_THREADS_H_
