// TensorFlow tensors in memory of the pool of blocks.

#ifndef STACKED_LSTM_POOL_ALLOCATOR_H_
#define STACKED_LSTM_POOL_ALLOCATOR_H_

#include <new>
#include <string>

#include "storage/buffer.h"
#include "tensorflow/core/framework/allocator.h"

namespace stacked_lstm {

// TensorFlow's own allocator may return large blocks to the system after each step, as TensorFlow 1.15 does. The next
// step then has a page fault for each 4 KB.
class PoolAllocator : public tensorflow::Allocator {
 public:
  static PoolAllocator* Get() {
    // Never destroyed, because tensors may live until the process ends.
    static PoolAllocator* const allocator = new PoolAllocator;
    return allocator;
  }

  std::string Name() override { return "stacked_lstm_pool"; }

  // The block begins with a header of kHeaderSize bytes that describes it. Returns null if there is not enough memory.
  void* AllocateRaw(size_t alignment, size_t size) override {
    if (alignment > kHeaderSize) return nullptr;  // TensorFlow's alignment is 64.
    try {
      const BlockPool::Block block = BlockPool::Get().Take(size + kHeaderSize);
      *static_cast<BlockPool::Block*>(block.memory) = block;
      return static_cast<char*>(block.memory) + kHeaderSize;
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  void DeallocateRaw(void* memory) override {
    BlockPool::Get().Return(*reinterpret_cast<BlockPool::Block*>(static_cast<char*>(memory) - kHeaderSize));
  }

 private:
  static constexpr size_t kHeaderSize = 64;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_POOL_ALLOCATOR_H_
