// How work is cut into pieces for the members of a team.

#ifndef STACKED_LSTM_PIECES_H_
#define STACKED_LSTM_PIECES_H_

#include <cstdint>

#include "team.h"

namespace stacked_lstm {

// The things, mostly steps, from `begin` to before `end`.
struct Range {
  int64_t size() const { return end - begin; }

  int64_t begin, end;
};

// `count` things cut into pieces of at most `most`, as even as can be.
struct Pieces {
  Pieces(int64_t count, int64_t most) : things(count), number((count + most - 1) / most) {}
  int64_t Begin(int64_t k) const { return things * k / number; }
  Range operator[](int64_t k) const { return {Begin(k), Begin(k + 1)}; }
  int64_t Size(int64_t k) const { return Begin(k + 1) - Begin(k); }

  int64_t things, number;
};

// Number `index` of `number` shares, as even as can be; some are empty where there are fewer things.
struct Share {
  Range Of(int64_t things) const { return {things * index / number, things * (index + 1) / number}; }

  int64_t index, number;
};

constexpr Share kWhole = {0, 1};

// Calls work(panel, share) for each share of each panel, each in one of the threads; returns when all is done.
template <class Work>
void EachShare(Worker& worker, int64_t panels, int64_t shares, Work work) {
  worker.Each(panels * shares, [&](int64_t k) { work(k / shares, Share{k % shares, shares}); });
}

// Calls work(layer, chunk) for each layer and each of the chunks of time, those in turn that depend on each other: a
// layer's chunks, and the same chunk of one layer and the next.
template <class Work>
void EachDiagonal(Worker& worker, int64_t layers, int64_t chunks, Work work) {
  for (int64_t diagonal = 0; diagonal < chunks + layers - 1; ++diagonal) {
    worker.Each(layers, [&](int64_t layer) {
      const int64_t chunk = diagonal - layer;
      if (chunk >= 0 && chunk < chunks) work(layer, chunk);
    });
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_PIECES_H_
