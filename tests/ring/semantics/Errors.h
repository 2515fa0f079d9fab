#pragma once

#include "tests/ring/semantics/Case.h"

#include <array>

namespace ringc::test {

inline const std::array<std::string, 5> resultNames = {"out", "lse", "dq", "dk", "dv"};

/// One number for each of `resultNames`.
using Errors = std::array<double, 5>;

/// Compares results with those of double precision.
///
/// An error is |actual - expected| / |expected|, Frobenius norms. |expected| is not taken below
/// what rounding acts on where terms cancel: one for a number of lse, and for a number of dQ and dK
/// what it would be if the n_k probabilities of a row were equal (a row that sees one key has dQ =
/// 0). Infinite unless the same numbers are infinite, none is NaN that should not be, and a row
/// that sees no key has out = 0 and dQ = 0 to the last bit, as have dK and dV a key that is not
/// seen.
class Judge {
public:
  Judge(const Case &given, const Data &data);

  /// Of all ranks together.
  Errors whole(const reference::Result &actual) const;
  /// The worst rank's. A rank's norm is not taken below its share of the whole one.
  Errors worstRank(const reference::Result &actual) const;

  const reference::Result &expected() const { return right; }

  /// Of an eager implementation in the case's own precision.
  reference::Result plain() const;

private:
  const Case &given;
  reference::Problem problem;
  reference::Result right;
  std::vector<uint8_t> seen; ///< keysSeen
  Errors smallest{};         ///< root mean square that |expected| is not taken below
};

/// Runs the case on fresh random input and compares every rank's results: f32 within 2e-5, 16 bit
/// within twice the error of an eager implementation of the same precision.
void checkCase(const Case &given);
void checkCase(const Case &given, const Data &data);
void checkResult(const Case &given, const Data &data, const reference::Result &actual);

} // namespace ringc::test
