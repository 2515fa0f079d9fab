#pragma once

#include "tests/support/ReferenceAttention.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace ringc::reference {

/// Two axes of an Array.
struct Matrix {
  Matrix() = default;
  Matrix(int64_t rowCount, int64_t columnCount)
      : rows(rowCount), columns(columnCount), data(size_t(rowCount * columnCount)) {}
  Matrix(int64_t rowCount, int64_t columnCount, std::vector<double> numbers)
      : rows(rowCount), columns(columnCount), data(std::move(numbers)) {}
  double &at(int64_t r, int64_t c) { return data[size_t(r * columns + c)]; }
  double at(int64_t r, int64_t c) const { return data[size_t(r * columns + c)]; }

  int64_t rows = 0, columns = 0;
  std::vector<double> data;
};

Matrix transposed(const Matrix &a);
Matrix product(const Matrix &a, const Matrix &b);

/// Each number to the nearest of the type.
Matrix rounded(Matrix matrix, DType dtype);

/// x / max(|x|, 1e-12) * sqrt(columns) * gamma of each row.
Matrix rmsNorm(const Matrix &x, const std::vector<double> &gamma);
/// dx; adds to dgamma.
Matrix rmsNormGradient(const Matrix &x, const std::vector<double> &gamma, const Matrix &dy,
                       std::vector<double> &dgamma);

} // namespace ringc::reference
