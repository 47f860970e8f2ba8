// Checks the bits of sums of products: those of tiles, of panels of every width, and those of unpacked weights. With
// fused multiply-add instructions, each product is added with one rounding, in the order of the rows of weights.

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "arithmetic/tile.h"
#include "forward/unpacked_products.h"
#include "lstm.h"
#include "schedule/plan.h"
#include "storage/layout.h"

namespace lstm = stacked_lstm;

template <class T>
T MultiplyAdd(T a, T b, T sum) {
#if defined(__FMA__) || defined(__aarch64__)
  return std::fma(a, b, sum);
#else
  return sum + a * b;
#endif
}

template <class T>
std::vector<T> Numbers(int64_t size) {
  static std::mt19937 random(1);
  std::vector<T> numbers(size);
  for (T& number : numbers) number = std::normal_distribution<T>()(random);
  return numbers;
}

// [rows, columns], for factors [rows, depth] and [depth, columns].
template <class T>
std::vector<T> Product(const std::vector<T>& left, const std::vector<T>& right, int64_t rows, int64_t depth,
                       int64_t columns, std::vector<T> sums) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t n = 0; n < columns; ++n) {
        T& sum = sums[r * columns + n];
        sum = MultiplyAdd(left[r * depth + k], right[k * columns + n], sum);
      }
    }
  }
  return sums;
}

template <class T>
bool CheckTiles() {
  constexpr int64_t kSize = lstm::Vector<T>::kSize;
  for (int64_t rows = 1; rows <= lstm::kTileRows; ++rows) {
    for (int vectors = 1; vectors <= lstm::kPanelVectors; ++vectors) {
      for (const int64_t depth : {0, 1, 37, 300}) {
        const int64_t columns = vectors * kSize;
        const std::vector<T> left = Numbers<T>(rows * depth), right = Numbers<T>(depth * columns);
        std::vector<T> panel(right.size()), out(rows * columns), zeros(rows * columns);
        for (int64_t k = 0; k < depth * columns; ++k) {
          const int64_t row = k / columns, column = k % columns;
          const int vector = static_cast<int>(column / kSize);
          panel[lstm::VectorPosition<T>(depth, vectors, row, vector) * kSize + column % kSize] = right[k];
        }
        lstm::SelectTile<T>(rows, vectors)(depth, left.data(), depth, panel.data(), nullptr, 0, out.data(), columns);
        if (out != Product(left, right, rows, depth, columns, zeros)) {
          std::printf("tile of %d rows and %d vectors\n", static_cast<int>(rows), vectors);
          return false;
        }
      }
    }
  }
  return true;
}

// For a layer of `panels` whole panels, whose gates are all equal.
template <class T>
bool CheckUnpacked(int64_t batch, int64_t panels) {
  constexpr int64_t kSize = lstm::Vector<T>::kSize;
  const int64_t units = panels * kSize, inputs = 37;
  const lstm::Layer layer = {1, batch, inputs, units};
  const lstm::Plan<T> plan(layer);
  const std::vector<T> x = Numbers<T>(batch * inputs), h = Numbers<T>(batch * units);
  const std::vector<T> kernel = Numbers<T>((inputs + units) * units), bias(plan.row_width);
  lstm::Weights<const T> weights = {};
  for (const T*& gate : weights.kernel) gate = kernel.data();
  weights.stride = units;
  weights.h_row = inputs;
  std::vector<T> z(batch * plan.row_width);
  const lstm::UnpackedProducts<T> products(plan, weights, 1);
  for (int64_t piece = 0; piece < products.pieces(); ++piece) {
    products.Compute(piece, h.data(), units, x.data(), bias.data(), z.data());
  }
  const std::vector<T> h_rows(kernel.begin() + inputs * units, kernel.end());
  const std::vector<T> sums = Product(h, h_rows, batch, units, units,
                                      Product(x, kernel, batch, inputs, units, std::vector<T>(batch * units)));
  for (int64_t k = 0; k < batch * plan.row_width; ++k) {
    const int64_t row = k / plan.row_width, unit = k % plan.row_width / (lstm::kGates * kSize) * kSize + k % kSize;
    if (z[k] != sums[row * units + unit]) {
      std::printf("unpacked, %d sequences, %d panels\n", static_cast<int>(batch), static_cast<int>(panels));
      return false;
    }
  }
  return true;
}

template <class T>
bool Check() {
  if (!CheckTiles<T>()) return false;
  for (int64_t batch = 1; batch <= 7; ++batch) {
    for (int64_t panels = 1; panels <= 9; ++panels) {
      if (!CheckUnpacked<T>(batch, panels)) return false;
    }
  }
  return true;
}

int main() {
  const bool same = Check<float>() && Check<double>();
  if (same) std::printf("the same bits\n");
  return same ? 0 : 1;
}
