// The named activations on vectors, and their slopes as functions of their values.

#ifndef STACKED_LSTM_ACTIVATIONS_H_
#define STACKED_LSTM_ACTIVATIONS_H_

#include "lstm.h"
#include "vector.h"

namespace stacked_lstm {

// What exp needs to know about a floating-point type. kRounder is 1.5 * 2^kMantissa + kBias: adding it to a small number
// leaves the nearest integer, plus the bias of exponents, in the lowest bits.
template <class T>
struct Float;
template <>
struct Float<float> {
  static constexpr int kMantissa = 23, kTerms = 7;
  static constexpr float kRounder = 12582912.0f + 127, kLog2Upper = 0.693359375f, kLog2Lower = -2.12194440e-4f;
  static constexpr float kMaxArgument = 87.0f;  // exp(kMaxArgument) and exp(-kMaxArgument) are normal numbers.
};
template <>
struct Float<double> {
  static constexpr int kMantissa = 52, kTerms = 13;
  static constexpr double kRounder = 6755399441055744.0 + 1023;
  static constexpr double kLog2Upper = 0.693147180369123816490, kLog2Lower = 1.90821492927058770002e-10;
  static constexpr double kMaxArgument = 708.0;
};

template <class T>
inline Vec<T> Constant(T value) {
  return Vec<T>{} + value;
}

// x clipped to [low, high]. NaN stays NaN.
template <class T>
inline Vec<T> Clip(Vec<T> x, T low, T high) {
  x = x < Constant(low) ? Constant(low) : x;
  return x > Constant(high) ? Constant(high) : x;
}

// exp(x) = power * (1 + remainder), with power = 2^n and |remainder| < 0.42, for |x| <= kMaxArgument. If x is NaN, the
// remainder is NaN. For other x, the results are any numbers.
//
// n is the integer nearest to x / log 2. With r = x - n log 2, remainder = exp(r) - 1, by Taylor's series. n log 2 is
// subtracted in two parts. The first part of log 2 has so few digits that its product with n is exact.
template <class T>
inline void SplitExp(Vec<T> x, Vec<T>* power, Vec<T>* remainder) {
  typedef Float<T> F;
  typedef typename Vector<T>::integers Integers;
  const Vec<T> shifted = x * T(1.44269504088896340736) + F::kRounder;
  const Vec<T> n = shifted - F::kRounder;
  const Vec<T> r = (x - n * F::kLog2Upper) - n * F::kLog2Lower;
  *power = (Vec<T>)((Integers)shifted << F::kMantissa);
  static constexpr T kInverseFactorials[] = {
      T(1),         T(1) / 2,      T(1) / 6,       T(1) / 24,       T(1) / 120,       T(1) / 720,       T(1) / 5040,
      T(1) / 40320, T(1) / 362880, T(1) / 3628800, T(1) / 39916800, T(1) / 479001600, T(1) / 6227020800};
  Vec<T> sum = Constant(kInverseFactorials[F::kTerms - 1]);
#pragma GCC unroll 16
  for (int k = F::kTerms - 2; k >= 0; --k) sum = sum * r + kInverseFactorials[k];
  *remainder = sum * r;
}

// Each activation has `Value(x)`, and `TimesSlope(y, v)`: v times the slope at the point whose value is y. At a kink
// the slope is 0.
//
// In both types, sigmoid is within 2.5 units in the last place of the true value, and tanh within 3.5. sigmoid is 0 below
// -kMaxArgument and 1 far above. NaN stays NaN. tests/engines/native_activations.cc checks this. Five divisions per
// step are not too many: with two, or with three in inference, and more multiplications, a step of Zen 5 took longer.
template <Activation>
struct Function;

template <>
struct Function<Activation::kSigmoid> {
  template <class T>
  static Vec<T> Value(Vec<T> x) {
    const Vec<T> max = Constant(Float<T>::kMaxArgument);
    Vec<T> power, remainder;
    SplitExp<T>(-(x > max ? max : x), &power, &remainder);
    const Vec<T> y = T(1) / (T(1) + (power + power * remainder));
    // Not 1e-38, which a gradient of a huge input would not hide. For these x, `SplitExp` has no result.
    return x < -max ? Vec<T>{} : y;
  }
  template <class T>
  static Vec<T> TimesSlope(Vec<T> y, Vec<T> v) {
    return v * (y * (T(1) - y));
  }
};

template <>
struct Function<Activation::kTanh> {
  // tanh |x| = m / (m + 2) with m = exp(2 |x|) - 1. This is accurate for small x, too, because nothing cancels.
  template <class T>
  static Vec<T> Value(Vec<T> x) {
    constexpr T kMaxArgument = sizeof(T) == 4 ? 20 : 44;  // For a larger 2 |x|, tanh rounds to 1.
    typedef typename Vector<T>::integers Integers;
    const Integers sign = (Integers)x & (Integers)(-Vec<T>{});
    const Vec<T> magnitude = (Vec<T>)((Integers)x ^ sign);
    Vec<T> power, remainder;
    const Vec<T> argument = magnitude + magnitude;
    SplitExp<T>(argument > Constant(kMaxArgument) ? Constant(kMaxArgument) : argument, &power, &remainder);
    const Vec<T> m = power * remainder + (power - T(1));
    return (Vec<T>)((Integers)(m / (m + T(2))) ^ sign);
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
