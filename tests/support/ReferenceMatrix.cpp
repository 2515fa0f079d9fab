#include "tests/support/ReferenceMatrix.h"

#include <algorithm>
#include <cmath>

namespace ringc::reference {

namespace {

double lengthOf(const Matrix &x, int64_t row) {
  double squares = 0;
  for (int64_t c = 0; c < x.columns; ++c)
    squares += x.at(row, c) * x.at(row, c);
  return std::max(std::sqrt(squares), 1e-12);
}

} // namespace

Matrix transposed(const Matrix &a) {
  Matrix made(a.columns, a.rows);
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < a.columns; ++c)
      made.at(c, r) = a.at(r, c);
  return made;
}

Matrix product(const Matrix &a, const Matrix &b) {
  Matrix made(a.rows, b.columns);
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t k = 0; k < a.columns; ++k)
      for (int64_t c = 0; c < b.columns; ++c)
        made.at(r, c) += a.at(r, k) * b.at(k, c);
  return made;
}

Matrix rounded(Matrix matrix, DType dtype) {
  Array array({matrix.rows, matrix.columns, 1, 1});
  array.data = std::move(matrix.data);
  matrix.data = arrayOf(tensorOf(array, dtype).view()).data;
  return matrix;
}

Matrix rmsNorm(const Matrix &x, const std::vector<double> &gamma) {
  Matrix y = x;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.columns; ++c)
      y.at(r, c) *= std::sqrt(double(x.columns)) / lengthOf(x, r) * gamma[size_t(c)];
  return y;
}

/// y = x / |x| * s * gamma: dx = s / |x| * (g - x (x . g) / |x|^2), g = gamma dy.
Matrix rmsNormGradient(const Matrix &x, const std::vector<double> &gamma, const Matrix &dy,
                       std::vector<double> &dgamma) {
  Matrix dx = dy;
  for (int64_t r = 0; r < x.rows; ++r) {
    double size = lengthOf(x, r), scale = std::sqrt(double(x.columns)) / size, along = 0;
    for (int64_t c = 0; c < x.columns; ++c) {
      dgamma[size_t(c)] += x.at(r, c) * scale * dy.at(r, c);
      along += x.at(r, c) * gamma[size_t(c)] * dy.at(r, c);
    }
    bool constant = size <= 1e-12;
    for (int64_t c = 0; c < x.columns; ++c)
      dx.at(r, c) = scale * (gamma[size_t(c)] * dy.at(r, c) -
                             (constant ? 0 : x.at(r, c) * along / (size * size)));
  }
  return dx;
}

} // namespace ringc::reference
