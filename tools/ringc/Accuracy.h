#pragma once

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/shared/Extents.h"
#include "tests/support/ReferenceAttention.h"

#include <array>
#include <string>
#include <vector>

namespace ringc::cli {

/// The five results of both passes, as the reference has them.
struct Results {
  reference::Array out, lse, dq, dk, dv;

  explicit Results(const reference::Result &reference);
  Results(const HostAttentionRing::Forward &forward, const HostAttentionRing::Gradients &gradients);

  static constexpr std::array<const char *, 5> names = {"out", "lse", "dq", "dk", "dv"};
  const reference::Array &operator[](size_t tensor) const;
};

/// |actual - expected| / |expected|, Frobenius norms over a part of a tensor. Where the expected
/// value nearly cancels, its norm is no measure of what rounding may do to it; so it is not taken
/// below what the terms are that cancel: 1 a number for lse; scale * delta_i * k_j for dQ, and
/// likewise for dK, where dS = P * (dP - delta).
class ErrorMeasure {
public:
  ErrorMeasure(const reference::Problem &problem, const reference::Result &expected);

  /// Of all rows of tensor number `tensor`.
  double whole(const Results &actual, size_t tensor) const;
  /// Of the rows of one rank.
  double ofRank(const Results &actual, size_t tensor, const RankProblem &rank) const;

private:
  struct Part;
  double measure(const reference::Array &actual, size_t tensor, const Part &part) const;

  Results expected;
  std::array<double, 5> perElement; ///< root mean square of the terms that cancel
};

} // namespace ringc::cli
