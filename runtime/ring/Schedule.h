#pragma once

#include "compiler/spec/EnumNames.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace ringc {

/// How the keys of a ring's ranks get to the others.
enum class Schedule : uint8_t {
  /// From neighbour to neighbour, a hop beside each kernel: two hop buffers, whatever the length.
  Ring,
  /// From each owner to all that need them, at once: one hop buffer for each foreign block, one
  /// wait.
  AllGather,
};

template <> struct EnumNames<Schedule> {
  static constexpr std::array<std::pair<Schedule, std::string_view>, 2> table = {
      {{Schedule::Ring, "ring"}, {Schedule::AllGather, "all-gather"}}};
};

inline constexpr std::array<Schedule, 2> allSchedules = {Schedule::Ring, Schedule::AllGather};

} // namespace ringc
