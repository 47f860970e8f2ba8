// A check of indices in builds with a sanitizer. A wrong index may still give an address inside the array, which the
// sanitizer does not notice.

#ifndef STACKED_LSTM_BOUNDS_H_
#define STACKED_LSTM_BOUNDS_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace stacked_lstm {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kChecksBounds = true;
#else
constexpr bool kChecksBounds = false;
#endif

// Ends the process unless 0 <= index < size. `what` names the index in the message.
inline void CheckIndex(const char* what, int64_t index, int64_t size) {
  if (!kChecksBounds || (index >= 0 && index < size)) return;
  std::fprintf(stderr, "%s: expected an index below %lld, got %lld\n", what, static_cast<long long>(size),
               static_cast<long long>(index));
  std::abort();
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BOUNDS_H_
