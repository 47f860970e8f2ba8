// Pieces of work for the members of a team.

#ifndef STACKED_LSTM_PIECES_H_
#define STACKED_LSTM_PIECES_H_

#include <cstdint>

#include "threads/team.h"

namespace stacked_lstm {

// Indices, mostly of steps, from `begin` up to, but not including, `end`.
struct Range {
  int64_t size() const { return end - begin; }

  int64_t begin, end;
};

// `count` things, cut into pieces of at most `max_size` things, as even as possible.
struct Pieces {
  Pieces(int64_t count, int64_t max_size) : total(count), number((count + max_size - 1) / max_size) {}
  int64_t Begin(int64_t k) const { return total * k / number; }
  Range operator[](int64_t k) const { return {Begin(k), Begin(k + 1)}; }
  int64_t Size(int64_t k) const { return Begin(k + 1) - Begin(k); }

  int64_t total, number;
};

// Share `index` of `number` shares, as even as possible. Some are empty if there are fewer things than shares.
struct Share {
  Range Slice(int64_t total) const { return {total * index / number, total * (index + 1) / number}; }

  int64_t index, number;
};

constexpr Share kWhole = {0, 1};

// Calls work(panel, share) for each share of each panel. Each call runs in one of the threads. Returns when all are
// done.
template <class Work>
void ForEachShare(Worker& worker, int64_t panels, int64_t shares, Work work) {
  worker.ForEach(panels * shares, [&](int64_t k) { work(k / shares, Share{k % shares, shares}); });
}

// Calls work(layer, chunk) for each layer and each chunk of time. A chunk of a layer starts after the chunk before it
// in the same layer, and after the same chunk of the layer before.
template <class Work>
void ForEachDiagonal(Worker& worker, int64_t layers, int64_t chunks, Work work) {
  for (int64_t diagonal = 0; diagonal < chunks + layers - 1; ++diagonal) {
    worker.ForEach(layers, [&](int64_t layer) {
      const int64_t chunk = diagonal - layer;
      if (chunk >= 0 && chunk < chunks) work(layer, chunk);
    });
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PIECES_H_
