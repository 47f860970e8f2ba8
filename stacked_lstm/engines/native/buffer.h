// Memory for what lives as long as one call.

#ifndef STACKED_LSTM_BUFFER_H_
#define STACKED_LSTM_BUFFER_H_

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace stacked_lstm {

// Large blocks that calls have given back, for the next ones: fresh memory of the system's is a page fault for each 4
// KB, which costs a backward pass of wide layers some percent. kMostKept bytes are kept at most.
class Spare {
 public:
  struct Block {
    void* memory;
    size_t size;
  };

  static Spare& Blocks() {
    static Spare* const spare = new Spare;  // Never destroyed: calls may still run when the process ends.
    return *spare;
  }

  Block Take(size_t size) {
    if (size >= kSmallest) {
      std::lock_guard<std::mutex> lock(mutex_);
      for (Block& block : blocks_) {
        if (block.size < size || block.size / 2 > size) continue;
        const Block taken = block;
        block = blocks_.back();
        blocks_.pop_back();
        kept_ -= taken.size;
        return taken;
      }
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size) != 0) throw std::bad_alloc();
    return {memory, size};
  }

  void Give(Block block) {
    if (block.size >= kSmallest) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (kept_ + block.size <= kMostKept) {
        blocks_.push_back(block);
        kept_ += block.size;
        return;
      }
    }
    free(block.memory);
  }

 private:
  static constexpr size_t kSmallest = 1 << 16;
#ifdef __SANITIZE_ADDRESS__
  static constexpr size_t kMostKept = 0;  // Blocks of exactly the size that was asked for.
#else
  static constexpr size_t kMostKept = 64 << 20;
#endif

  std::mutex mutex_;
  std::vector<Block> blocks_;
  size_t kept_ = 0;
};

// `size` numbers on a cache line's boundary, of no particular value.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size) : block_(Spare::Blocks().Take(size > 0 ? size * sizeof(T) : 64)) {}
  ~Buffer() { Spare::Blocks().Give(block_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* get() const { return static_cast<T*>(block_.memory); }

 private:
  Spare::Block block_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BUFFER_H_
