// A team of threads, which works through pieces phase by phase.

#include <chrono>
#include <cstdio>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "threads/team.h"

namespace lstm = stacked_lstm;

// Helpers that come late, more than there are cores, so that they stop anywhere: each piece of each phase is done once,
// after those of the phase before.
bool CheckTeam(int rounds) {
  std::mt19937 generator(7);
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::thread> helpers;
    const lstm::Threads threads = {8, [&](std::function<void()> f) {
                                     const int delay = generator() % 1000;
                                     helpers.emplace_back([f, delay] {
                                       std::this_thread::sleep_for(std::chrono::microseconds(delay));
                                       f();
                                     });
                                   }};
    const int phases = 2000, pieces = 9;
    std::vector<int> done(pieces, 0);  // Not atomic: the phases keep threads apart.
    bool in_order = true;
    lstm::Team::Run(threads, [&](lstm::Worker& worker) {
      for (int phase = 0; phase < phases; ++phase) {
        worker.ForEach(pieces, [&](int64_t k) { ++done[(k + phase) % pieces]; });
        worker.ForEach(1, [&](int64_t) {
          for (int times : done) in_order &= times == phase + 1;
        });
      }
    });
    for (std::thread& helper : helpers) helper.join();
    if (!in_order || done != std::vector<int>(pieces, phases)) return false;
  }
  return true;
}

// With an argument, the team has fewer rounds.
int main(int argc, char**) {
  if (!CheckTeam(argc > 1 ? 5 : 25)) return std::puts("pieces are lost, or done twice, or too early"), 1;
  std::puts("all in order");
  return 0;
}
