#pragma once

#include <cstdint>

namespace ringc::predicate {

/// a / b rounded down; b is not 0, and not -1 where a is the least int64_t.
constexpr int64_t floorDivision(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/// a - b * floorDivision(a, b): zero or of the sign of b.
constexpr int64_t floorRemainder(int64_t a, int64_t b) {
  int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

} // namespace ringc::predicate
