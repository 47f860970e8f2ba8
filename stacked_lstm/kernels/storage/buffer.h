// Memory of calls: scratch memory that lives as long as one call, and the pool that keeps blocks between calls.

#ifndef STACKED_LSTM_BUFFER_H_
#define STACKED_LSTM_BUFFER_H_

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace stacked_lstm {

// Large blocks that calls have returned, for later calls. New memory from the system costs a page fault per 4 KB, which
// is a few percent of a backward pass of wide layers. The pool holds at most kMaxPoolSize bytes, those returned last.
class BlockPool {
 public:
  struct Block {
    void* memory;
    size_t size;
  };

  static BlockPool& Get() {
    // Never destroyed, because calls may still run when the process ends.
    static BlockPool* const pool = new BlockPool;
    return *pool;
  }

  Block Take(size_t size) {
    if (size >= kMinBlockSize) {
      std::lock_guard<std::mutex> lock(mutex_);
      for (Block& block : blocks_) {
        if (block.size < size || block.size / 2 > size) continue;
        const Block result = block;
        Remove(&block);
        return result;
      }
    }
    Block block = {nullptr, size};
    if (Allocate(&block)) return block;
    FreeUntil(0);
    if (Allocate(&block)) return block;
    throw std::bad_alloc();
  }

  void Return(Block block) {
    if (block.size < kMinBlockSize || block.size > kMaxPoolSize) return free(block.memory);
    FreeUntil(kMaxPoolSize - block.size);
    std::lock_guard<std::mutex> lock(mutex_);
    blocks_.push_back(block);
    pool_size_ += block.size;
  }

 private:
  BlockPool() { blocks_.reserve(2 * kMaxPoolSize / kMinBlockSize); }  // So that `Return` needs no memory.

  // Sets block->memory. If the system has huge pages, large blocks begin on a huge page and ask for such pages. The
  // processor then finds the addresses of most weights of wide layers without a table in memory.
  static bool Allocate(Block* block) {
#if defined(MADV_HUGEPAGE) && !defined(__SANITIZE_ADDRESS__)
    if (block->size >= kMinHugeSize) {
      block->size = (block->size + kHugePage - 1) / kHugePage * kHugePage;
      if (posix_memalign(&block->memory, kHugePage, block->size) != 0) return false;
      madvise(block->memory, block->size, MADV_HUGEPAGE);  // If it fails, the pages are small.
      return true;
    }
#endif
    return posix_memalign(&block->memory, 64, block->size) == 0;
  }

  void FreeUntil(size_t max_size) {
    std::lock_guard<std::mutex> lock(mutex_);
    while (pool_size_ > max_size) {
      free(blocks_.front().memory);
      Remove(&blocks_.front());
    }
  }
  void Remove(Block* block) {
    pool_size_ -= block->size;
    blocks_.erase(blocks_.begin() + (block - blocks_.data()));
  }

  static constexpr size_t kMinBlockSize = 1 << 16, kHugePage = 1 << 21, kMinHugeSize = 2 * kHugePage;
#ifdef __SANITIZE_ADDRESS__
  static constexpr size_t kMaxPoolSize = 0;  // Each block then has exactly the requested size.
#else
  static constexpr size_t kMaxPoolSize = 512 << 20;
#endif

  std::mutex mutex_;
  std::vector<Block> blocks_;
  size_t pool_size_ = 0;
};

// `size` numbers, uninitialized and aligned to a cache line. An empty buffer has no memory.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size) {
    if (size > 0) block_ = BlockPool::Get().Take(size * sizeof(T));
  }
  ~Buffer() {
    if (block_.memory) BlockPool::Get().Return(block_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* get() const { return static_cast<T*>(block_.memory); }

 private:
  BlockPool::Block block_ = {nullptr, 0};
};

// Buffers that live as long as this object. Each call of `Take` makes one.
template <class T>
class Scratch {
 public:
  T* Take(int64_t size) {
    std::unique_ptr<Buffer<T>> buffer(new Buffer<T>(size));
    buffers_.push_back(std::move(buffer));
    return buffers_.back()->get();
  }

 private:
  std::vector<std::unique_ptr<Buffer<T>>> buffers_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BUFFER_H_
