// A team of threads that work through the same phases together. The barrier after a phase takes a fraction of a
// microsecond, because a recurrence has one after each step.

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

// The threads to use.
struct Threads {
  int count;                                            // The maximum number of threads, including the caller's.
  std::function<void(std::function<void()>)> schedule;  // Runs a function in another thread, at some later time.
};

inline void Relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

// One member's view of a team. All members run the same program, a sequence of calls of `ForEach`.
class Worker;

// The state that all members share. A member takes one piece of work at a time. It begins with its own range of pieces,
// which is the same in every step, so that its part of the weights stays in its cache. Then it takes pieces of the
// other ranges. The work therefore gets done even if other members come late or never: a member only waits for pieces
// that another member is working on.
class Team {
 public:
  explicit Team(int size) : ranges_(size) {}

  // Runs program(Worker&) in the calling thread, and in other threads when they start. Returns when all have left it.
  template <class Program>
  static void Run(const Threads& threads, Program program);

 private:
  friend class Worker;

  // The lower half of `taken` counts the pieces of the range that have been taken in the current phase. The upper half
  // is the phase, so that a late member takes no piece of another phase.
  struct alignas(64) Range {
    std::atomic<uint64_t> taken{0};
  };

  bool Enter() {
    int members = members_.load();
    do {
      if (members < 0) return false;
    } while (!members_.compare_exchange_weak(members, members + 1));
    return true;
  }
  void Leave() { members_.fetch_sub(1); }
  // Admits no more members, and waits until all have left.
  void Close() {
    int idle = 0;
    while (!members_.compare_exchange_weak(idle, -1)) {
      idle = 0;
      std::this_thread::yield();
    }
  }

  class Closer {
   public:
    explicit Closer(Team* team) : team_(team) {}
    ~Closer() { team_->Close(); }

   private:
    Team* team_;
  };

  std::vector<Range> ranges_;
  alignas(64) std::atomic<uint64_t> finished_{0};  // Pieces of all phases that are finished.
  alignas(64) std::atomic<int> members_{0};        // Members at work, without the caller; -1 after the end.
  std::atomic<int> next_index_{1};
};

class Worker {
 public:
  Worker(Team* team, int index) : team_(team), index_(index) {}

  // The number of members, and the index of this one.
  int team_size() const { return static_cast<int>(team_->ranges_.size()); }
  int index() const { return index_; }

  // Calls work(k) for each k < count. Each call runs in one of the threads. Returns when all are done.
  template <class Work>
  void ForEach(int64_t count, Work work) {
    ++phase_;
    phase_end_ += count;
    const int size = team_size();
    if (size == 1) {
      for (int64_t k = 0; k < count; ++k) work(k);
      return;
    }
    if (PhaseIsDone()) return;
    int64_t finished = 0;
    for (int s = 0; s < size; ++s) {
      const int range = (index_ + s) % size;
      const int64_t begin = count * range / size, length = count * (range + 1) / size - begin;
      for (int64_t k; (k = Take(range, length)) >= 0; ++finished) work(begin + k);
    }
    if (finished) team_->finished_.fetch_add(finished, std::memory_order_acq_rel);
    for (int turn = 0; !PhaseIsDone(); ++turn) {
      if (turn < kSpins) {
        Relax();
      } else if (turn < kYields) {
        std::this_thread::yield();
      } else {  // The thread with the last pieces may be waiting for a core: leave this one to it.
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    }
  }

 private:
  static constexpr int kSpins = 2000, kYields = kSpins + 100;

  bool PhaseIsDone() const { return team_->finished_.load(std::memory_order_acquire) >= phase_end_; }

  // Takes a piece of a range and returns its index; -1 if none is left.
  int64_t Take(int range, int64_t length) {
    std::atomic<uint64_t>& counter = team_->ranges_[range].taken;
    uint64_t value = counter.load(std::memory_order_relaxed);
    while (true) {
      const uint64_t phase = value >> 32;
      const int64_t next = phase < phase_ ? 0 : static_cast<int64_t>(value & 0xffffffffu);
      if (phase > phase_ || next >= length) return -1;
      if (counter.compare_exchange_weak(value, (phase_ << 32) | static_cast<uint64_t>(next + 1))) return next;
    }
  }

  Team* team_;
  int index_;
  uint64_t phase_ = 0;
  uint64_t phase_end_ = 0;
};

template <class Program>
void Team::Run(const Threads& threads, Program program) {
  // Threads that start after the end find the team closed. The team must still exist then.
  const std::shared_ptr<Team> team = std::make_shared<Team>(threads.count);
  const Closer closer(team.get());  // It also closes the team after an exception, when `program` no longer exists.
  for (int k = 1; k < threads.count; ++k) {
    threads.schedule([team, &program] {
      if (!team->Enter()) return;
      Worker worker(team.get(), team->next_index_.fetch_add(1));
      program(worker);
      team->Leave();
    });
  }
  Worker worker(team.get(), 0);
  program(worker);
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_TEAM_H_
