// Threads that TensorFlow does not own: those of a predictor, and those of ops that run in the calling thread.

#ifndef STACKED_LSTM_THREAD_POOL_H_
#define STACKED_LSTM_THREAD_POOL_H_

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "threads/team.h"

namespace stacked_lstm {

// The number of cores that this process may use.
inline int UsableCores() {
#ifdef __linux__
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return CPU_COUNT(&cores);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

constexpr int kWatchTime = 200;  // Microseconds.

// A thread watches for work during kWatchTime after its start and after its last work, then sleeps. The system takes
// about as long to wake a thread as a small call takes altogether, so that a program with one call after another has
// its threads awake. A program that makes no call uses no processor time. A thread that watches yields its core every
// few microseconds.
class ThreadPool {
 public:
  // watch: whether threads watch before they sleep. It is wrong where there are more threads than cores.
  // Raises what std::thread raises if the system has no more threads.
  ThreadPool(int threads, bool watch) : watch_(watch), process_(getpid()) {
    try {
      for (int k = 0; k < threads; ++k) threads_.emplace_back([this] { Run(); });
    } catch (...) {
      End();
      throw;
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Not in a child; see `EndThreads`.
  ~ThreadPool() { End(); }

  // Runs a function in one of the threads, at some later time. After a fork, the child has none of the threads. The
  // function then never runs, which a `Team` allows.
  void Schedule(std::function<void()> work) {
    if (threads_.empty() || IsForked()) return;
    bool wakes;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      queue_.push_back(std::move(work));
      wakes = sleepers_ > 0 && queue_.size() > watchers_;
    }
    ++tickets_;  // After the lock, because a thread that watches then takes it.
    if (wakes) has_work_.notify_one();
  }

  int size() const { return static_cast<int>(threads_.size()); }

  // Whether this process is a child of the one with the threads.
  bool IsForked() const { return getpid() != process_; }

 private:
  typedef std::chrono::steady_clock Clock;

  static Clock::time_point EndOfWatch() { return Clock::now() + std::chrono::microseconds(kWatchTime); }

  void End() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ends_ = true;
      ++tickets_;
    }
    has_work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    Clock::time_point end_of_watch = EndOfWatch();
    while (!ends_) {
      if (queue_.empty()) {
        if (watch_ && Watch(end_of_watch, &lock)) continue;
        ++sleepers_;
        has_work_.wait(lock, [this] { return ends_ || !queue_.empty(); });
        --sleepers_;
        continue;
      }
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
      lock.lock();
      end_of_watch = EndOfWatch();
    }
  }

  // Releases the lock until a function is scheduled, or until `end`. Returns whether one was scheduled; another thread
  // may have taken it.
  bool Watch(Clock::time_point end, std::unique_lock<std::mutex>* lock) {
    const uint64_t ticket = tickets_;
    ++watchers_;
    lock->unlock();
    while (!IsScheduledAfter(ticket) && Clock::now() < end) std::this_thread::yield();
    lock->lock();
    --watchers_;
    return tickets_ != ticket;
  }

  // Looks for a few microseconds whether a function was scheduled after this ticket.
  bool IsScheduledAfter(uint64_t ticket) const {
    for (int look = 0; look < 200; ++look) {
      if (tickets_.load(std::memory_order_relaxed) != ticket) return true;
      Relax();
    }
    return false;
  }

  const bool watch_;
  const pid_t process_;
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> queue_;
  std::atomic<uint64_t> tickets_{0};  // Functions that were ever scheduled.
  size_t watchers_ = 0, sleepers_ = 0;
  bool ends_ = false;
  std::vector<std::thread> threads_;  // The last member, because the threads use the others.
};

// Deletes a pool for a `std::unique_ptr`. In a child, the pool stays in memory: the threads that its members wait for
// do not exist there.
struct EndThreads {
  void operator()(ThreadPool* pool) const {
    if (!pool->IsForked()) delete pool;
  }
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_THREAD_POOL_H_
