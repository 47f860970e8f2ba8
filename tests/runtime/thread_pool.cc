// The threads of a predictor without a predictor, for ThreadSanitizer.

#include "threads/thread_pool.h"

#include <sys/wait.h>

#include <cstdio>
#include <memory>

// Whether every function runs once: scheduled from several threads, in bursts that threads watch for or sleep through.
bool CheckSchedule(int threads, bool watch) {
  constexpr int kCallers = 3, kBursts = 20, kBurst = 50;
  std::atomic<int> done{0};
  {
    stacked_lstm::ThreadPool pool(threads, watch);
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&] {
        for (int burst = 0; burst < kBursts; ++burst) {
          for (int k = 0; k < kBurst; ++k) pool.Schedule([&] { ++done; });
          std::this_thread::sleep_for(std::chrono::microseconds(burst % 2 ? 50 : 1000));
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    for (int k = 0; k < 5000 && done < kCallers * kBursts * kBurst; ++k) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return done == kCallers * kBursts * kBurst;
}

// Whether a child can schedule functions, which do not run, and destroy the pool of its parent.
bool CheckFork() {
  std::unique_ptr<stacked_lstm::ThreadPool, stacked_lstm::EndThreads> pool(new stacked_lstm::ThreadPool(2, true));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // Its threads sleep now.
  const pid_t child = fork();
  if (child == 0) {
    pool->Schedule([] { _exit(1); });
    pool.reset();
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

// Whether the cores that the process may not use do not count. The process keeps one core.
bool CheckCores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return false;
  if (stacked_lstm::UsableCores() != CPU_COUNT(&cores)) return false;
  int core = 0;
  while (!CPU_ISSET(core, &cores)) ++core;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  return sched_setaffinity(0, sizeof(cores), &cores) == 0 && stacked_lstm::UsableCores() == 1;
}

int main() {
  for (const bool watch : {false, true}) {
    for (int threads = 1; threads <= 3; ++threads) {
      if (!CheckSchedule(threads, watch)) return std::puts("a function is lost, or runs twice"), 1;
    }
  }
  if (!CheckFork()) return std::puts("a child does not end"), 1;
  if (!CheckCores()) return std::puts("the number of cores is wrong"), 1;
  std::puts("as it should be");
  return 0;
}
