// Memory for what lives as long as one call.

#ifndef STACKED_LSTM_BUFFER_H_
#define STACKED_LSTM_BUFFER_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace stacked_lstm {

// `size` numbers on a cache line's boundary, of no particular value.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size > 0 ? size * sizeof(T) : 64) != 0) throw std::bad_alloc();
    memory_.reset(static_cast<T*>(memory));
  }
  T* get() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(T* memory) const { free(memory); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BUFFER_H_
