// The one or two stacks of an op: where their layers, caches and outputs are, and how threads share them.
//
// It includes no header that depends on the size of vectors, because the ops are compiled for every processor.

#ifndef STACKED_LSTM_OP_STACKS_H_
#define STACKED_LSTM_OP_STACKS_H_

#include <algorithm>
#include <exception>
#include <vector>

#include "lstm.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_stack_inputs.h"
#include "op_status.h"
#include "schedule/pieces.h"
#include "threads/team.h"

namespace stacked_lstm {

// The layers from `first` up to, but not including, `end`, which are on top of each other.
template <class T>
struct Stack {
  bool IsTop(int l) const { return l == end - 1; }
  template <class Item>
  std::vector<Item> Slice(const std::vector<Item>& items) const {
    return std::vector<Item>(items.begin() + first, items.begin() + end);
  }
  // Where a layer of the op has its cache, h if it is residual, and its outputs if it is not the top.
  int64_t CacheOf(int l) const { return cache_begin + cache.parts[l - first].cache; }
  int64_t HiddenOf(int l) const { return cache_begin + cache.parts[l - first].hidden; }
  int64_t OutputsOf(int l) const { return cache_begin + cache.parts[l - first].outputs; }

  int first, end;
  int64_t column;  // The first column of its outputs.
  StackCache<T> cache;
  int64_t cache_begin;  // Where its cache begins in that of the op.
};

// Finds the stacks of an op, and the size of its cache. Returns an error if a tensor cannot have so many numbers.
template <class T>
Status FindStacks(const StackInputs& inputs, std::vector<Stack<T>>* stacks, int64_t* cache_size) {
  const int number = inputs.layers.size(), second = inputs.HasTwoStacks() ? inputs.FirstFromEnd() : number;
  stacks->push_back({0, second, 0, {}, 0});
  if (second < number) stacks->push_back({second, number, inputs.layers[second - 1].outputs(), {}, 0});
  *cache_size = 0;
  for (Stack<T>& stack : *stacks) {
    RETURN_IF_ERROR(stack.cache.FindParts(stack.Slice(inputs.layers)));
    stack.cache_begin = *cache_size;
    *cache_size += stack.cache.size;
  }
  return Status();
}

// Calls work(stack, threads) for each stack: one after the other, or two at the same time, each with half of the
// threads. An exception is passed on after all are done.
template <class T, class Work>
void ForEachStack(const std::vector<Stack<T>>& stacks, const std::vector<Layer>& layers, const Threads& threads,
                  Work work) {
  if (stacks.size() == 1 || threads.count == 1 || !PrefersConcurrentStacks<T>(layers, threads.count)) {
    for (const Stack<T>& stack : stacks) work(stack, threads);
    return;
  }
  std::exception_ptr errors[2];
  Team::Run({2, threads.schedule}, [&](Worker& worker) {
    worker.ForEach(2, [&](int64_t k) {
      try {
        work(stacks[k], Threads{static_cast<int>((threads.count + 1 - k) / 2), threads.schedule});
      } catch (...) {
        errors[k] = std::current_exception();
      }
    });
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

// Adds `size` numbers to others.
template <class T>
void AddNumbers(const T* source, int64_t size, T* target, Threads threads) {
  const Pieces pieces(size, int64_t{1} << 14);
  threads.count = static_cast<int>(std::min<int64_t>(threads.count, 1 + pieces.number / 8));
  Team::Run(threads, [&](Worker& worker) {
    worker.ForEach(pieces.number, [&](int64_t k) {
      for (int64_t n = pieces.Begin(k); n < pieces.Begin(k + 1); ++n) target[n] += source[n];
    });
  });
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_STACKS_H_
