// The named activations on vectors, and their slopes as functions of their values.

#ifndef STACKED_LSTM_ACTIVATIONS_H_
#define STACKED_LSTM_ACTIVATIONS_H_

#include "arithmetic/vector.h"
#include "lstm.h"

namespace stacked_lstm {

// What exp and tanh need to know about a floating-point type. kRounder is 1.5 * 2^kMantissa + kBias. If it is added to
// a small number, the lowest bits of the sum are the nearest integer plus the bias of exponents.
template <class T>
struct Float;
template <>
struct Float<float> {
  static constexpr int kMantissa = 23;
  static constexpr float kRounder = 12582912.0f + 127, kLog2Upper = 0.693359375f, kLog2Lower = -2.12194440e-4f;
  static constexpr float kMinExp = -88, kMaxExp = 89;  // Where `SplitExp` has the powers 0 and infinity.
  static constexpr float kMaxTanh = 10;                // For a larger argument, tanh rounds to 1.
  // The polynomial of this degree that is closest to (exp(r) - 1 - r) / r^2, relative to exp(r), for |r| < 0.3466.
  static constexpr float kExp[] = {0.499999934465f, 0.166665206119f, 0.0416683882708f, 0.0083687192812f,
                                   0.00138145940569f};
};
template <>
struct Float<double> {
  static constexpr int kMantissa = 52;
  static constexpr double kRounder = 6755399441055744.0 + 1023;
  static constexpr double kLog2Upper = 0.693147180369123816490, kLog2Lower = 1.90821492927058770002e-10;
  static constexpr double kMinExp = -709, kMaxExp = 710, kMaxTanh = 22;
  // Taylor's series of the same function.
  static constexpr double kExp[] = {1. / 2,         1. / 6,          1. / 24,          1. / 120,    1. / 720,
                                    1. / 5040,      1. / 40320,      1. / 362880,      1. / 3628800, 1. / 39916800,
                                    1. / 479001600, 1. / 6227020800, 1. / 87178291200};
};

template <class T>
inline Vec<T> Constant(T value) {
  return Vec<T>{} + value;
}

// x clipped to [low, high]. NaN stays NaN. For bounds in registers, GCC has an instruction, and for constants two.
template <class T>
inline Vec<T> Clip(Vec<T> x, T low, T high) {
  Vec<T> lower = Constant(low), upper = Constant(high);
  HoldInRegister<T>(&lower);
  HoldInRegister<T>(&upper);
  x = x < lower ? lower : x;
  return x > upper ? upper : x;
}

// exp(x) = power * (1 + remainder), with power = 2^n and |remainder| < 0.42, for `Count` vectors x between kMinExp and
// kMaxExp. The power is 0 at kMinExp and infinity at kMaxExp. If x is NaN, the remainder is NaN.
//
// n is the integer nearest to x / log 2. With r = x - n log 2, remainder = exp(r) - 1 = r + r^2 (a polynomial). n log 2
// is subtracted in two parts. The first part of log 2 has so few digits that its product with n is exact. The
// polynomial is evaluated in pairs of terms, which do not wait for each other. The vectors take turns, because the
// operations on one vector wait for each other.
template <class T, int Count>
STACKED_LSTM_INLINE void SplitExp(const Vec<T>* x, Vec<T>* power, Vec<T>* remainder) {
  typedef Float<T> F;
  typedef typename Vector<T>::integers Integers;
  constexpr int kLast = sizeof(F::kExp) / sizeof(T) - 1;
  static_assert(kLast % 2 == 0, "pairs of terms before the last one");
  Vec<T> r[Count], square[Count], sum[Count];
#pragma GCC unroll 8
  for (int k = 0; k < Count; ++k) {
    const Vec<T> shifted = x[k] * T(1.44269504088896340736) + F::kRounder;
    const Vec<T> n = shifted - F::kRounder;
    power[k] = (Vec<T>)((Integers)shifted << F::kMantissa);
    r[k] = (x[k] - n * F::kLog2Upper) - n * F::kLog2Lower;
    square[k] = r[k] * r[k];
    sum[k] = Constant(F::kExp[kLast]);
  }
#pragma GCC unroll 8
  for (int term = kLast - 2; term >= 0; term -= 2) {
#pragma GCC unroll 8
    for (int k = 0; k < Count; ++k) sum[k] = sum[k] * square[k] + (F::kExp[term + 1] * r[k] + F::kExp[term]);
  }
#pragma GCC unroll 8
  for (int k = 0; k < Count; ++k) remainder[k] = sum[k] * square[k] + r[k];
}

// x[k] = functions[k](x[k]). If all functions are functions of exp, the vectors take turns.
template <class T, class... Functions>
STACKED_LSTM_INLINE void ApplyEach(Vec<T>* x, const Functions&... functions) {
  int k = 0;
  if constexpr ((Functions::kUsesExp && ...)) {
    Vec<T> power[sizeof...(Functions)], remainder[sizeof...(Functions)];
    ((x[k] = Functions::template Exponent<T>(x[k]), ++k), ...);
    SplitExp<T, sizeof...(Functions)>(x, power, remainder);
    k = 0;
    ((x[k] = Functions::template FromExp<T>(power[k], remainder[k]), ++k), ...);
  } else {
    ((x[k] = functions.template Value<T>(x[k]), ++k), ...);
  }
}

// Each activation has `Value(x)`, and `TimesSlope(y, v)`: v times the slope at the point whose value is y. At a kink
// the slope is 0. If it is a function of exp, it is `FromExp` of exp(`Exponent(x)`).
//
// In both types, sigmoid is within 2.5 units in the last place of the true value, and tanh within 3. sigmoid is 0 below
// -kMaxExp, and may be 0 where the true value is below the smallest normal number. NaN stays NaN.
// tests/engines/native_activations.cc checks this.
//
// The five divisions do not limit a step. On an AMD EPYC (Zen 5), the pointwise part of a vector took 10.9 ns with AVX2
// and 11.6 ns with AVX-512. With multiplications in the place of all divisions, it took 9.1 ns and 9.8 ns. With
// these multiplications, calls of layers with 32 to 256 units took 1% to 2% less time on an AMD EPYC (Zen 3). tanh as a
// quotient of polynomials took 1.3 ns less than tanh from exp, but its error is up to 5.8 units.
template <Activation>
struct Function;

template <>
struct Function<Activation::kSigmoid> {
  static constexpr bool kUsesExp = true;

  template <class T>
  static Vec<T> Exponent(Vec<T> x) {
    return -Clip<T>(x, -Float<T>::kMaxExp, -Float<T>::kMinExp);
  }
  // The power may be infinite, so that 1 is added to the remainder first.
  template <class T>
  static Vec<T> FromExp(Vec<T> power, Vec<T> remainder) {
    return T(1) / (T(1) + power * (T(1) + remainder));
  }
  template <class T>
  static STACKED_LSTM_INLINE Vec<T> Value(Vec<T> x) {
    ApplyEach<T>(&x, Function());
    return x;
  }
  template <class T>
  static Vec<T> TimesSlope(Vec<T> y, Vec<T> v) {
    return v * (y * (T(1) - y));
  }
};

template <>
struct Function<Activation::kTanh> {
  static constexpr bool kUsesExp = true;

  template <class T>
  static Vec<T> Exponent(Vec<T> x) {
    x = Clip<T>(x, -Float<T>::kMaxTanh, Float<T>::kMaxTanh);
    return x + x;
  }
  // tanh x = m / (m + 2) with m = exp(2 x) - 1. This is accurate for small x, too, because nothing cancels.
  template <class T>
  static Vec<T> FromExp(Vec<T> power, Vec<T> remainder) {
    const Vec<T> m = power * remainder + (power - T(1));
    return m / (m + T(2));
  }
  template <class T>
  static STACKED_LSTM_INLINE Vec<T> Value(Vec<T> x) {
    ApplyEach<T>(&x, Function());
    return x;
  }
  template <class T>
  static Vec<T> TimesSlope(Vec<T> y, Vec<T> v) {
    return v * (T(1) - y * y);
  }
};

// clip(x * slope + 0.5, 0, 1).
template <int inverse_slope>
struct ClippedLine {
  template <class T>
  static Vec<T> Value(Vec<T> x) {
    return Clip<T>(x * (T(1) / inverse_slope) + T(0.5), T(0), T(1));
  }
  template <class T>
  static Vec<T> TimesSlope(Vec<T> y, Vec<T> v) {
    return ((y > Vec<T>{}) & (y < Constant(T(1)))) ? v * (T(1) / inverse_slope) : Vec<T>{};
  }
};
template <>
struct Function<Activation::kHardSigmoid> : ClippedLine<5> {};
template <>
struct Function<Activation::kHardSigmoid6> : ClippedLine<6> {};

template <>
struct Function<Activation::kRelu> {
  template <class T>
  static Vec<T> Value(Vec<T> x) {
    return x < Vec<T>{} ? Vec<T>{} : x;
  }
  template <class T>
  static Vec<T> TimesSlope(Vec<T> y, Vec<T> v) {
    return y > Vec<T>{} ? v : Vec<T>{};
  }
};

template <>
struct Function<Activation::kLinear> {
  template <class T>
  static Vec<T> Value(Vec<T> x) {
    return x;
  }
  template <class T>
  static Vec<T> TimesSlope(Vec<T>, Vec<T> v) {
    return v;
  }
};

// A `Function` that is only known at run time.
class AnyFunction {
 public:
  static constexpr bool kUsesExp = false;

  explicit AnyFunction(Activation activation) : activation_(activation) {}

  template <class T>
  Vec<T> Value(Vec<T> x) const {
    return Call<T>([x](auto function) { return decltype(function)::template Value<T>(x); });
  }
  template <class T>
  Vec<T> TimesSlope(Vec<T> y, Vec<T> v) const {
    return Call<T>([y, v](auto function) { return decltype(function)::template TimesSlope<T>(y, v); });
  }

 private:
  template <class T, class Visitor>
  Vec<T> Call(Visitor visitor) const {
    switch (activation_) {
      case Activation::kTanh: return visitor(Function<Activation::kTanh>());
      case Activation::kSigmoid: return visitor(Function<Activation::kSigmoid>());
      case Activation::kHardSigmoid: return visitor(Function<Activation::kHardSigmoid>());
      case Activation::kHardSigmoid6: return visitor(Function<Activation::kHardSigmoid6>());
      case Activation::kRelu: return visitor(Function<Activation::kRelu>());
      default: return visitor(Function<Activation::kLinear>());
    }
  }

  Activation activation_;
};

// Calls visitor(phi, s). The usual pair is passed as types, so that the compiler can inline it. Any other pair is
// passed as `AnyFunction`s.
template <class Visitor>
inline void DispatchActivations(Activation candidate, Activation gates, Visitor visitor) {
  if (candidate == Activation::kTanh && gates == Activation::kSigmoid) {
    visitor(Function<Activation::kTanh>(), Function<Activation::kSigmoid>());
  } else {
    visitor(AnyFunction(candidate), AnyFunction(gates));
  }
}

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_ACTIVATIONS_H_
