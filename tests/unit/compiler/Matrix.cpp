#include "tests/unit/compiler/Matrix.h"

#include "ringc/Float16.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace ringc::testing {

int64_t bytesOf(ElementType type) {
  switch (type) {
  case ElementType::F32:
  case ElementType::I32:
    return 4;
  case ElementType::F16:
  case ElementType::BF16:
    return 2;
  case ElementType::Bool:
    return 1;
  }
  return 0;
}

double roundingOf(ElementType type) {
  return type == ElementType::BF16 ? 0x1p-8 : type == ElementType::F16 ? 0x1p-11 : 0x1p-24;
}

Matrix::Matrix(ElementType type, int64_t rows, int64_t columns, int64_t gap)
    : elementType(type), rowCount(rows), columnCount(columns), rowStride(columns + gap),
      memory(static_cast<size_t>(
          rows == 0 ? 0 : ((rows - 1) * (columns + gap) + columns) * bytesOf(type))) {}

Matrix Matrix::from(ElementType type, int64_t rows, int64_t columns,
                    const std::function<double(int64_t, int64_t)> &value) {
  Matrix made(type, rows, columns);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      made.set(r, c, value(r, c));
  return made;
}

Matrix Matrix::random(ElementType type, int64_t rows, int64_t columns, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  return from(type, rows, columns, [&](int64_t, int64_t) { return normal(generator); });
}

std::byte *Matrix::address(int64_t row, int64_t column) const {
  return memory.data() + (row * rowStride + column) * bytesOf(elementType);
}

template <typename T> static T read(const std::byte *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

double Matrix::at(int64_t row, int64_t column) const {
  const std::byte *from = address(row, column);
  switch (elementType) {
  case ElementType::F32:
    return read<float>(from);
  case ElementType::F16:
    return floatFromF16(read<uint16_t>(from));
  case ElementType::BF16:
    return floatFromBF16(read<uint16_t>(from));
  case ElementType::I32:
    return read<int32_t>(from);
  case ElementType::Bool:
    return read<uint8_t>(from);
  }
  return 0;
}

template <typename T> static void write(std::byte *to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

void Matrix::set(int64_t row, int64_t column, double value) {
  std::byte *to = address(row, column);
  switch (elementType) {
  case ElementType::F32:
    return write(to, static_cast<float>(value));
  case ElementType::F16:
    return write(to, f16FromFloat(static_cast<float>(value)));
  case ElementType::BF16:
    return write(to, bf16FromFloat(static_cast<float>(value)));
  case ElementType::I32:
    return write(to, static_cast<int32_t>(value));
  case ElementType::Bool:
    return write(to, static_cast<uint8_t>(value));
  }
}

bool Matrix::gapsAreUntouched() const {
  for (int64_t r = 0; r + 1 < rowCount; ++r)
    if (!std::all_of(address(r, columnCount), address(r + 1, 0),
                     [](std::byte byte) { return byte == std::byte(0xff); }))
      return false;
  return true;
}

static double difference(double actual, double expected) {
  if (std::isnan(actual) && std::isnan(expected))
    return 0;
  if (actual == expected)
    return 0;
  double far = std::abs(actual - expected);
  return std::isfinite(far) ? far : INFINITY;
}

double relativeError(const Matrix &actual,
                     const std::function<double(int64_t, int64_t)> &expected) {
  double error = 0, norm = 0;
  for (int64_t r = 0; r < actual.rows(); ++r)
    for (int64_t c = 0; c < actual.columns(); ++c) {
      double wanted = expected(r, c);
      error += std::pow(difference(actual.at(r, c), wanted), 2);
      if (std::isfinite(wanted))
        norm += wanted * wanted;
    }
  return std::sqrt(error) / (norm > 0 ? std::sqrt(norm) : 1);
}

double largestError(const Matrix &actual, const std::function<double(int64_t, int64_t)> &expected) {
  double largest = 0;
  for (int64_t r = 0; r < actual.rows(); ++r)
    for (int64_t c = 0; c < actual.columns(); ++c) {
      double wanted = expected(r, c);
      double scale = std::isfinite(wanted) ? std::max(1.0, std::abs(wanted)) : 1;
      largest = std::max(largest, difference(actual.at(r, c), wanted) / scale);
    }
  return largest;
}

} // namespace ringc::testing
