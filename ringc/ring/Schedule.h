#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringc {

/// How the keys of a ring's ranks get to the others.
struct Schedule {
  enum class Kind : uint8_t {
    /// From neighbour to neighbour, a hop beside each kernel: two hop buffers, whatever the length.
    Ring,
    /// From each owner to all that need them, at once: one hop buffer for each foreign block, one
    /// wait.
    AllGather,
  };

  Kind kind = Kind::Ring;

  /// Pieces of a ring's hop, each with a kernel of its own: the first is computed while the others
  /// are still coming, and the gradients of one go on beside the next one's kernel. They cost
  /// launches, and a forward's running state is written and read once more for each.
  int chunks = 1;

  static const Schedule Ring, AllGather;
  static constexpr Schedule ring(int chunks) { return {Kind::Ring, chunks}; }

  static constexpr int mostChunks = 64;

  bool operator==(const Schedule &) const = default;
};

inline constexpr Schedule Schedule::Ring = {Kind::Ring, 1};
inline constexpr Schedule Schedule::AllGather = {Kind::AllGather, 1};

/// What is worth a try.
inline constexpr std::array<Schedule, 4> commonSchedules = {Schedule::Ring, Schedule::ring(2),
                                                            Schedule::ring(4), Schedule::AllGather};

/// "ring", "ring:C" of C chunks, "all-gather". Throws InputError on anything else.
Schedule parseSchedule(std::string_view text);
std::string nameOf(const Schedule &schedule);

/// What parseSchedule allows.
inline constexpr std::string_view scheduleNames =
    "ring, ring:C with 1 to 64 chunks of a hop, all-gather";

} // namespace ringc
