// Threads that work through the same phases together: the barriers of a recurrence, a fraction of a microsecond each.

#ifndef STACKED_LSTM_TEAM_H_
#define STACKED_LSTM_TEAM_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace stacked_lstm {

// Whose threads to use: TensorFlow's in its ops.
struct Threads {
  int count;                                            // At most so many, the caller's included.
  std::function<void(std::function<void()>)> schedule;  // Runs a function some time, in another thread.
};

inline void Relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

// One member's view of a team. All members run the same program, a sequence of calls of `Each`.
class Worker;

// What the members share. A member takes one piece of work at a time, first from its own range, which is the same in
// every step, so that its part of the weights stays in its cache; then from those of others. So the work is done also
// while other members have not come yet, or never come: nobody waits but for pieces that some thread is working on.
class Team {
 public:
  explicit Team(int size) : ranges_(size) {}

  // Runs program(Worker&) in the calling thread and, as they come, in others; returns when all have left it.
  template <class Program>
  static void Run(const Threads& threads, Program program);

 private:
  friend class Worker;

  // How many pieces of a range are taken: those of the current phase in the lower half of `taken`, and the phase in
  // the upper one, so that who is late takes nothing of another phase.
  struct alignas(64) Range {
    std::atomic<uint64_t> taken{0};
  };

  bool Enter() {
    int open = members_.load();
    do {
      if (open < 0) return false;
    } while (!members_.compare_exchange_weak(open, open + 1));
    return true;
  }
  void Leave() { members_.fetch_sub(1); }
  // Lets nobody in any more, and waits until all have left.
  void Close() {
    int none = 0;
    while (!members_.compare_exchange_weak(none, -1)) {
      none = 0;
      std::this_thread::yield();
    }
  }

  class Closing {
   public:
    explicit Closing(Team* team) : team_(team) {}
    ~Closing() { team_->Close(); }

   private:
    Team* team_;
  };

  std::vector<Range> ranges_;
  alignas(64) std::atomic<uint64_t> done_{0};  // Pieces of all phases so far.
  alignas(64) std::atomic<int> members_{0};    // Those at work besides the caller; -1 after the end.
  std::atomic<int> joined_{1};
};

class Worker {
 public:
  Worker(Team* team, int index) : team_(team), index_(index) {}

  // How many may take part, and which of them this is.
  int team_size() const { return static_cast<int>(team_->ranges_.size()); }
  int index() const { return index_; }

  // Calls work(k) for each k < count, each in one of the threads; returns when all is done.
  template <class Work>
  void Each(int64_t count, Work work) {
    ++phase_;
    due_ += count;
    const int size = team_size();
    if (size == 1) {
      for (int64_t k = 0; k < count; ++k) work(k);
      return;
    }
    if (Arrived()) return;
    int64_t finished = 0;
    for (int s = 0; s < size; ++s) {
      const int range = (index_ + s) % size;
      const int64_t begin = count * range / size, length = count * (range + 1) / size - begin;
      for (int64_t k; (k = Take(range, length)) >= 0; ++finished) work(begin + k);
    }
    if (finished) team_->done_.fetch_add(finished, std::memory_order_acq_rel);
    for (int turn = 0; !Arrived(); ++turn) {
      if (turn < kSpins) {
        Relax();
      } else if (turn < kYields) {
        std::this_thread::yield();
      } else {  // Whoever has the last pieces has no core: there are more threads than cores, so this one is left too.
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    }
  }

 private:
  static constexpr int kSpins = 2000, kYields = kSpins + 100;

  bool Arrived() const { return team_->done_.load(std::memory_order_acquire) >= due_; }

  // A piece of a range that nobody has taken yet, or -1.
  int64_t Take(int range, int64_t length) {
    std::atomic<uint64_t>& taken = team_->ranges_[range].taken;
    uint64_t seen = taken.load(std::memory_order_relaxed);
    while (true) {
      const uint64_t phase = seen >> 32;
      const int64_t next = phase < phase_ ? 0 : static_cast<int64_t>(seen & 0xffffffffu);
      if (phase > phase_ || next >= length) return -1;
      if (taken.compare_exchange_weak(seen, (phase_ << 32) | static_cast<uint64_t>(next + 1))) return next;
    }
  }

  Team* team_;
  int index_;
  uint64_t phase_ = 0;
  uint64_t due_ = 0;
};

template <class Program>
void Team::Run(const Threads& threads, Program program) {
  // Helpers that come after the end find it closed: what they look at must still be there.
  const std::shared_ptr<Team> team = std::make_shared<Team>(threads.count);
  const Closing closing(team.get());  // Also where an exception ends it: `program` is gone then.
  for (int k = 1; k < threads.count; ++k) {
    threads.schedule([team, &program] {
      if (!team->Enter()) return;
      Worker worker(team.get(), team->joined_.fetch_add(1));
      program(worker);
      team->Leave();
    });
  }
  Worker worker(team.get(), 0);
  program(worker);
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_TEAM_H_
