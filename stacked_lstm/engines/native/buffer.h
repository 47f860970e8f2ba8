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
// KB, which costs a backward pass of wide layers some percent. kMostKept bytes are kept at most, the latest.
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
        Remove(&block);
        return taken;
      }
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size) == 0) return {memory, size};
    FreeUntil(0);
    if (posix_memalign(&memory, 64, size) == 0) return {memory, size};
    throw std::bad_alloc();
  }

  void Give(Block block) {
    if (block.size < kSmallest || block.size > kMostKept) return free(block.memory);
    FreeUntil(kMostKept - block.size);
    std::lock_guard<std::mutex> lock(mutex_);
    blocks_.push_back(block);
    kept_ += block.size;
  }

 private:
  Spare() { blocks_.reserve(2 * kMostKept / kSmallest); }  // So that giving back needs no memory.

  void FreeUntil(size_t kept) {
    std::lock_guard<std::mutex> lock(mutex_);
    while (kept_ > kept) {
      free(blocks_.front().memory);
      Remove(&blocks_.front());
    }
  }
  void Remove(Block* block) {
    kept_ -= block->size;
    blocks_.erase(blocks_.begin() + (block - blocks_.data()));
  }

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
