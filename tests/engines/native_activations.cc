// The native engine's sigmoid and tanh beside those of the C library in a wider type, over all numbers of a type.

#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "arithmetic/activations.h"

namespace lstm = stacked_lstm;

typedef lstm::Function<lstm::Activation::kSigmoid> Sigmoid;
typedef lstm::Function<lstm::Activation::kTanh> Tanh;

// Numbers of a type that has these bits, and a wider type.
template <class T>
struct Types;
template <>
struct Types<float> {
  typedef uint32_t Bits;
  typedef double Wide;
  static constexpr Bits kStep = 997;  // About four million numbers.
};
template <>
struct Types<double> {
  typedef uint64_t Bits;
  typedef long double Wide;
  static constexpr Bits kStep = 35184372088891ull;  // About half a million numbers.
};

template <class T>
T Value(bool sigmoid, T x) {
  return (sigmoid ? Sigmoid::Value<T>(lstm::Constant(x)) : Tanh::Value<T>(lstm::Constant(x)))[0];
}

template <class T>
typename Types<T>::Wide Expected(bool sigmoid, T x) {
  const typename Types<T>::Wide wide = x;
  return sigmoid ? 1 / (1 + std::exp(-wide)) : std::tanh(wide);
}

// The difference in units in the last place of the expected value.
template <class T>
double Ulps(T value, typename Types<T>::Wide expected) {
  int exponent;
  std::frexp(expected, &exponent);
  typedef std::numeric_limits<T> Limits;
  const auto unit = std::ldexp(typename Types<T>::Wide(1), std::max(exponent, Limits::min_exponent) - Limits::digits);
  return static_cast<double>(std::fabs(value - expected) / unit);
}

// Whether all values are right: to `bound` units in the last place, and exactly where the value has a name. A true
// value below the smallest normal number may become 0.
template <class T>
bool Check(bool sigmoid, double bound) {
  typedef std::numeric_limits<T> Limits;
  const T max_argument = lstm::Float<T>::kMaxExp;
  const char* name = sigmoid ? "sigmoid" : "tanh";
  double worst = 0;
  T worst_x = 0;
  const auto compare = [&](T x) {
    const T value = Value(sigmoid, x);
    if (std::isnan(x)) return std::isnan(value);
    if (sigmoid && x < -max_argument) return value == 0;
    if (sigmoid ? x > max_argument : std::fabs(x) > 22) return value == std::copysign(T(1), x);
    const auto expected = Expected(sigmoid, x);
    if (sigmoid && expected < Limits::min() && value == 0) return true;
    const double error = Ulps(value, expected);
    if (!(error <= worst)) worst = error, worst_x = x;
    return true;
  };
  bool passed = true;
  typename Types<T>::Bits bits = 0;
  do {
    T x;
    std::memcpy(&x, &bits, sizeof(x));
    passed &= compare(x);
    bits += Types<T>::kStep;
  } while (bits >= Types<T>::kStep);
  for (const T magnitude : {T(0), Limits::denorm_min(), Limits::min(), T(1e-3), T(0.34657359), T(1), T(20), T(22),
                            max_argument, std::nextafter(max_argument, Limits::max()), Limits::max(),
                            Limits::infinity(), Limits::quiet_NaN()}) {
    passed &= compare(magnitude) && compare(-magnitude);
  }
  for (T x = -max_argument; x < max_argument; x += T(max_argument / 1e5)) passed &= compare(x);  // Where they bend.
  if (!passed) std::printf("%s: a limit, 0 or NaN is wrong, for %zu bytes\n", name, sizeof(T));
  if (!(worst <= bound)) std::printf("%s(%.17g): %.3f ulp, for %zu bytes\n", name, double(worst_x), worst, sizeof(T));
  return passed && worst <= bound;
}

int main() {
  const bool passed[] = {Check<float>(true, 2.5), Check<float>(false, 3), Check<double>(true, 2.5),
                         Check<double>(false, 3)};
  for (const bool each : passed) {
    if (!each) return 1;
  }
  std::puts("all within the bounds");
  return 0;
}
