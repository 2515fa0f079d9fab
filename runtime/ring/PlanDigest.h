#pragma once

#include "runtime/ring/Plan.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ringc {

/// What the ranks of a ring tell each other of their plans before they follow them: a ring whose
/// ranks have equal digests sends and receives what fits together.
struct PlanDigest {
  int64_t pass = 0;
  int64_t schedule = 0;
  int64_t batch = 0; ///< of all rings
  int64_t queryLength = 0, keyLength = 0;
  int64_t bytesPerKey = 0, gradientBytesPerKey = 0;
  int64_t hash = 0; ///< of every step of every rank

  /// Of the plans of all ranks of one ring, by place; every rank makes it of the same.
  static PlanDigest of(std::span<const Plan> ring, int64_t batch);

  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(this, 1)); }
  static PlanDigest of(std::span<const std::byte> bytes);

  bool operator==(const PlanDigest &) const = default;
};

/// "8 keys here, 9 there": the first thing in which two digests differ.
std::string describeDifference(const PlanDigest &here, const PlanDigest &there);

} // namespace ringc
