// A check of indices, in builds with a sanitizer only: an address may be wrong and still be inside of its array.

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

// Ends the process where `index` is not one of `size`; `what` names the index.
inline void CheckIndex(const char* what, int64_t index, int64_t size) {
  if (!kChecksBounds || (index >= 0 && index < size)) return;
  std::fprintf(stderr, "%s: expected an index below %lld, got %lld\n", what, static_cast<long long>(size),
               static_cast<long long>(index));
  std::abort();
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_BOUNDS_H_
