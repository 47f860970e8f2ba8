// Random numbers in double precision, for the programs that test kernels. Each run has the same numbers.

#ifndef NATIVE_NUMBERS_H_
#define NATIVE_NUMBERS_H_

#include <cstdint>
#include <random>
#include <vector>

typedef std::vector<double> Numbers;

inline std::mt19937 generator(7);

inline Numbers Random(int64_t size, double scale) {
  std::normal_distribution<double> normal;
  Numbers values(size);
  for (double& value : values) value = scale * normal(generator);
  return values;
}

#endif  // NATIVE_NUMBERS_H_
