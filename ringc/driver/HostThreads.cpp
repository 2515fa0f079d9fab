#include "ringc/driver/HostThreads.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <thread>
#include <vector>

namespace ringc {

int availableProcessors() {
  // The kernel refuses a mask that is smaller than its own, whose size it does not tell.
  for (size_t words = 16; words <= 4096; words *= 2) {
    std::vector<cpu_set_t> mask((words * sizeof(long) + sizeof(cpu_set_t) - 1) / sizeof(cpu_set_t));
    size_t bytes = mask.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) == 0)
      return std::max(1, CPU_COUNT_S(bytes, mask.data()));
    if (errno != EINVAL)
      break;
  }
  return std::max(1, int(std::thread::hardware_concurrency()));
}

std::optional<int> firstOfThreadList(std::string_view list) {
  constexpr std::string_view blanks = " \t";
  std::string_view first = list.substr(0, list.find(','));
  first.remove_prefix(std::min(first.find_first_not_of(blanks), first.size()));
  first = first.substr(0, first.find_last_not_of(blanks) + 1);
  int number = 0;
  auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), number);
  if (end != first.data() + first.size() || first.empty() || first.front() == '-')
    return std::nullopt;
  if (error == std::errc::result_out_of_range)
    return std::numeric_limits<int>::max();
  return error == std::errc() && number > 0 ? std::optional(number) : std::nullopt;
}

int defaultThreads(const Env &env) {
  auto number = [](const std::optional<std::string> &text) {
    return text ? firstOfThreadList(*text) : std::nullopt;
  };
  int wanted = number(env.ompNumThreads).value_or(availableProcessors());
  return std::min({wanted, number(env.ompThreadLimit).value_or(mostThreads), mostThreads});
}

} // namespace ringc
