#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "tests/unit/compiler/GuardedMemory.h"

#include <cstdint>
#include <functional>

namespace ringc::testing {

/// rows x columns of one type in guarded memory; between its rows lie `gap` elements of 0xff.
class Matrix {
public:
  Matrix(ElementType type, int64_t rows, int64_t columns, int64_t gap = 3);

  static Matrix from(ElementType type, int64_t rows, int64_t columns,
                     const std::function<double(int64_t, int64_t)> &value);
  /// Normally distributed, rounded to the type.
  static Matrix random(ElementType type, int64_t rows, int64_t columns, unsigned seed);

  ElementType type() const { return elementType; }
  int64_t rows() const { return rowCount; }
  int64_t columns() const { return columnCount; }
  int64_t stride() const { return rowStride; } ///< from row to row, in elements
  void *data() const { return memory.data(); }

  double at(int64_t row, int64_t column = 0) const;
  /// Rounds to the nearest even.
  void set(int64_t row, int64_t column, double value);
  /// Nothing was written between the rows.
  bool gapsAreUntouched() const;

private:
  std::byte *address(int64_t row, int64_t column) const;

  ElementType elementType;
  int64_t rowCount, columnCount, rowStride;
  GuardedMemory memory;
};

/// |actual - expected| / |expected| in the Frobenius norm; infinite where one has a NaN that the
/// other lacks. Infinities must agree.
double relativeError(const Matrix &actual, const std::function<double(int64_t, int64_t)> &expected);

/// The largest |actual - expected| / max(1, |expected|), with the same rules.
double largestError(const Matrix &actual, const std::function<double(int64_t, int64_t)> &expected);

/// Of the type: what one rounding may cost, relative.
double roundingOf(ElementType type);

int64_t bytesOf(ElementType type);

} // namespace ringc::testing
