// Prints the numbers of the layouts of packed weights that a compiler makes: for floats and for doubles.

#include <cstdio>

#include "lstm.h"

int main() {
  std::printf("%d %d\n", stacked_lstm::LayoutNumber<float>(), stacked_lstm::LayoutNumber<double>());
  return 0;
}
