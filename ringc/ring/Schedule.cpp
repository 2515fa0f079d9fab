#include "ringc/ring/Schedule.h"

#include "ringc/support/Error.h"

#include <cassert>
#include <charconv>

namespace ringc {

Schedule parseSchedule(std::string_view text) {
  if (text == "ring")
    return Schedule::Ring;
  if (text == "all-gather")
    return Schedule::AllGather;
  constexpr std::string_view prefix = "ring:";
  if (text.starts_with(prefix)) {
    int chunks = 0;
    const char *end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, chunks);
    if (error == std::errc() && stop == end && chunks >= 1 && chunks <= Schedule::mostChunks)
      return Schedule::ring(chunks);
  }
  throw InputError("schedule", text, scheduleNames);
}

std::string nameOf(const Schedule &schedule) {
  switch (schedule.kind) {
  case Schedule::Kind::Ring:
    return schedule.chunks == 1 ? "ring" : "ring:" + std::to_string(schedule.chunks);
  case Schedule::Kind::AllGather:
    return "all-gather";
  }
  assert(false && "not a schedule");
  return {};
}

} // namespace ringc
