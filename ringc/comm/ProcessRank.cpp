#include "ringc/comm/ProcessRank.h"

#include "ringc/Env.h"
#include "ringc/support/Error.h"

#include <charconv>
#include <limits>
#include <string_view>
#include <tuple>

namespace ringc {

namespace {

int parse(std::string_view name, const std::string &text, int low, int high) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < low || number > high)
    throw InputError(name, text, std::to_string(low) + " to " + std::to_string(high));
  return number;
}

constexpr int most = std::numeric_limits<int>::max();

/// What one launcher says.
struct Place {
  int rank = 0, world = 1;
  const LauncherVariables *from = nullptr;

  std::string text() const {
    return from->rankName + " " + std::to_string(rank) + " of " + from->worldName + " " +
           std::to_string(world);
  }
  bool is(const Place &other) const { return rank == other.rank && world == other.world; }
};

/// Nothing where neither is set. A batch script of Slurm's has a SLURM_PROCID, but no step.
std::optional<Place> placeBy(const LauncherVariables &by, bool rankMeansNothing) {
  if (!by.world && (!by.rank || rankMeansNothing))
    return std::nullopt;
  Place made{.from = &by};
  if (by.world)
    made.world = parse(by.worldName, *by.world, 1, most);
  if (by.rank && by.world)
    made.rank = parse(by.rankName, *by.rank, 0, made.world - 1);
  if (by.rank && by.world)
    return made;
  if (by.world && made.world == 1)
    return made;
  const std::string &set = by.world ? by.worldName : by.rankName,
                    &open = by.world ? by.rankName : by.worldName;
  throw InputError(set, by.world ? *by.world : *by.rank,
                   open + " beside it, as a launcher sets both, or neither");
}

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

/// One of two variables, where another launcher is at work, is a leftover, or for it: then it says
/// the same.
void requireFits(const LauncherVariables &half, const Place &other) {
  for (auto [name, value, theirs] : {std::tuple(&half.rankName, &half.rank, other.rank),
                                     {&half.worldName, &half.world, other.world}})
    if (*value && **value != std::to_string(theirs))
      throw InputError(*name, **value,
                       std::to_string(theirs) + ", as " + other.text() + " says, or not set");
}

} // namespace

std::optional<ProcessRank> ProcessRank::of(const Env &env) {
  std::optional<Place> mpi;
  for (const LauncherVariables *by : {&env.openMpi, &env.pmi})
    if (!mpi)
      mpi = placeBy(*by, /*rankMeansNothing=*/false);
  std::optional<Place> found = mpi;
  Launcher launcher = Launcher::Mpi;
  bool whole = env.variables.rank && env.variables.world;
  if (mpi && !whole)
    requireFits(env.variables, *mpi);
  else if (auto named = placeBy(env.variables, false); named && !(mpi && named->is(*mpi))) {
    found = named; // mpirun may start torchruns, one a host: the inner one counts
    launcher = Launcher::Variables;
  }
  if (!found) {
    found = placeBy(env.slurm, /*rankMeansNothing=*/true);
    launcher = Launcher::Slurm;
  }
  if (!found)
    return std::nullopt;

  ProcessRank made;
  made.rank = found->rank;
  made.world = found->world;
  made.launcher = launcher;
  made.worldVariable = found->from->worldName;
  made.localRank = made.rank;
  for (const LauncherVariables *by : {&env.variables, found->from})
    if (by->localRank) {
      made.localRank = parse(by->localRankName, *by->localRank, 0, made.world - 1);
      break;
    }
  if (env.masterAddress)
    made.masterAddress = *env.masterAddress;
  else if (env.slurmNodes && !mpi) // mpirun has a step of its own, of other hosts
    made.masterAddress = firstHost(*env.slurmNodes).value_or(made.masterAddress);
  if (env.masterPort)
    made.masterPort = uint16_t(parse("MASTER_PORT", *env.masterPort, 1, 65534));
  if (env.torchrun)
    ++made.masterPort;
  made.ncclFinds = env.ncclCommId.has_value();
  made.job = env.job.value_or("");
  made.token = env.jobToken.value_or("");
  return made;
}

} // namespace ringc
