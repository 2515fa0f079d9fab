#include "runtime/comm/Bootstrap.h"

#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/comm/Socket.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <thread>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

int parse(const char *name, const std::string &text, int low, int high) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < low || number > high)
    throw InputError(name, text, std::to_string(low) + " to " + std::to_string(high));
  return number;
}

/// What a rank says to rank 0, which answers with the id.
struct Greeting {
  std::array<char, 8> magic = {'r', 'i', 'n', 'g', 'c', 'i', 'd', '1'};
  int32_t rank = 0, world = 0;
};

/// Of several hosts in Slurm's list; rank 0 is on it, unless the user has asked for an arbitrary
/// distribution.
std::optional<std::string> firstHost(std::string_view nodes) {
  size_t end = nodes.find_first_of("[,");
  if (end == std::string_view::npos)
    return std::nullopt;
  std::string host(nodes.substr(0, end));
  if (nodes[end] == ',')
    return host;
  std::string_view inside = nodes.substr(end + 1);
  host += inside.substr(0, inside.find_first_of("-,]"));
  if (size_t close = inside.find(']'); close != std::string_view::npos) {
    std::string_view after = inside.substr(close + 1);
    host += after.substr(0, after.find_first_of("[,"));
  }
  return host;
}

std::string missing(const std::set<int> &ranks) {
  std::string text;
  for (int rank : ranks)
    text += (text.empty() ? "" : ", ") + std::to_string(rank);
  return text;
}

/// Strangers, and ranks that come twice, are let go.
void give(const NcclUniqueId &id, const ProcessRank &process, Clock::time_point end) {
  std::set<int> absent;
  for (int rank = 1; rank < process.world; ++rank)
    absent.insert(rank);
  if (absent.empty())
    return;
  Socket door = Socket::listen(process.masterAddress, process.masterPort);
  while (!absent.empty()) {
    std::optional<Socket> guest = door.accept(end);
    if (!guest)
      throw NcclError("rank 0 at " + process.masterAddress + ":" +
                      std::to_string(process.masterPort) + ": these ranks of " +
                      std::to_string(process.world) + " did not come in time: " + missing(absent));
    Greeting greeting;
    // One that says nothing must not hold up the others.
    Clock::time_point soon = std::min(end, Clock::now() + std::chrono::seconds(5));
    if (!guest->receive(&greeting, sizeof greeting, soon) || greeting.magic != Greeting{}.magic ||
        greeting.world != process.world)
      continue;
    if (guest->send(id.bytes.data(), id.bytes.size(), soon))
      absent.erase(greeting.rank);
  }
}

NcclUniqueId fetch(const ProcessRank &process, Clock::time_point end) {
  NcclUniqueId id{};
  Greeting greeting{.rank = process.rank, .world = process.world};
  while (Clock::now() < end) {
    std::optional<Socket> host = Socket::connect(process.masterAddress, process.masterPort, end);
    if (host && host->send(&greeting, sizeof greeting, end) &&
        host->receive(id.bytes.data(), id.bytes.size(), end))
      return id;
    std::this_thread::sleep_for(std::chrono::milliseconds(50)); // rank 0 may not be there yet
  }
  throw NcclError("rank " + std::to_string(process.rank) + " of " + std::to_string(process.world) +
                  ": rank 0 did not answer in time at " + process.masterAddress + ":" +
                  std::to_string(process.masterPort));
}

} // namespace

std::optional<ProcessRank> ProcessRank::of(const Env &env) {
  if (!env.rank || !env.worldSize)
    return std::nullopt;
  constexpr int most = std::numeric_limits<int>::max();
  ProcessRank made;
  made.world = parse("WORLD_SIZE", *env.worldSize, 1, most);
  made.rank = parse("RANK", *env.rank, 0, made.world - 1);
  made.localRank = env.localRank ? parse("LOCAL_RANK", *env.localRank, 0, most) : made.rank;
  if (env.masterAddress)
    made.masterAddress = *env.masterAddress;
  else if (env.slurmNodes && !env.mpiProcesses) // mpirun has a step of its own, of other hosts
    made.masterAddress = firstHost(*env.slurmNodes).value_or(made.masterAddress);
  if (env.masterPort)
    made.masterPort = uint16_t(parse("MASTER_PORT", *env.masterPort, 1, 65534));
  if (env.torchrun)
    ++made.masterPort;
  made.ncclFinds = env.ncclCommId.has_value();
  return made;
}

NcclUniqueId shareUniqueId(const NcclLibrary &library, const ProcessRank &process,
                           std::chrono::milliseconds deadline) {
  Clock::time_point end = Clock::now() + deadline;
  if (process.rank > 0 && !process.ncclFinds)
    return fetch(process, end);
  NcclUniqueId id{};
  library.check(library.functions().getUniqueId(&id), "ncclGetUniqueId");
  if (!process.ncclFinds)
    give(id, process, end);
  return id;
}

} // namespace ringc
