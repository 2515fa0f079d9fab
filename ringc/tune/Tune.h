#pragma once

#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/tune/TuneTable.h"
#include "ringc/tune/TuneWorker.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// What is looked for: the tile sizes of a kernel with which the passes are fastest, or the way of
/// a ring.
struct TuneTask {
  std::vector<Pass> passes;
  Spec spec;     ///< of the kernel; of a ring of its forward
  Target target; ///< that it is compiled for
  TuneKey key;   ///< under which a table keeps what is found
  /// The ways of a ring, its own first; none: of `spec` the tile sizes are looked for.
  std::vector<RingChoice> ways = {};
  SourceTiles tiles = {}; ///< of its source, where the model does not know the kernel (TileSpace)
  RooflineWork work = {}; ///< of the passes

  TileSpace space() const { return {spec, target, tiles, key.extents}; }
  /// "attention_forward", or "ring".
  const std::string &name() const { return ways.empty() ? spec.kernel : key.kernel; }
};

enum class TuneVerdict {
  Measured,
  Refused,  ///< does not compile or not run
  Wrong,    ///< its results are
  TimedOut, ///< and was ended
  Crashed,  ///< its process
};
template <> struct EnumNames<TuneVerdict> {
  static constexpr std::array<std::pair<TuneVerdict, std::string_view>, 5> table = {
      {{TuneVerdict::Measured, "measured"},
       {TuneVerdict::Refused, "refused"},
       {TuneVerdict::Wrong, "wrong"},
       {TuneVerdict::TimedOut, "timed out"},
       {TuneVerdict::Crashed, "crashed"}}};
};

/// What was known of a candidate when it had been tried, first or again.
struct TuneJudgement {
  double seconds = 0; ///< since the search for its task began
  int round = 0;      ///< 0: tried first; above: once more, with more turns
  double ratio = 0;   ///< the median of all turns so far; 0 where it was rejected
};

/// What was tried: tile sizes, or a way of a ring.
struct TuneCandidate {
  TileConfig config;
  std::optional<RingChoice> way = {};
  TuneVerdict verdict = TuneVerdict::Measured;
  std::string reason;           ///< of what was not measured
  std::vector<double> ms, base; ///< of the pass with them, and in turns with TunedKernel::base
  double ratio = 0;             ///< the median of the turns' ratios
  std::vector<TuneJudgement> judged = {};

  double median() const;
};

/// What is known of one task. The first candidate is the model's choice, or the ring's own way.
struct TunedKernel {
  TuneTask task;
  std::vector<TuneCandidate> candidates; ///< in the order in which they were tried
  size_t space = 0;                      ///< how many there are
  size_t base = 0;   ///< of the candidates: the model's choice, or where that cannot be had the
                     ///< first that can
  size_t best = 0;   ///< of the candidates: the base where none is surely faster
  double spread = 0; ///< of the ratios of the base to itself
  std::chrono::duration<double> budget{}; ///< its share
};

struct TuneProgress {
  std::string kernel;
  size_t seen = 0, space = 0;
  double bestRatio = 1;                 ///< so far, to the model's choice
  std::chrono::duration<double> left{}; ///< of the budget
};

struct TuneResult {
  std::vector<TunedKernel> kernels;
  TuneSetup setup; ///< the best of each
  bool interrupted = false;
};

/// Looks for the best of each task within `budget`, a share for each: in the order that the model
/// expects, each candidate in turns with the model's choice and checked against what is right
/// before its time counts; then once more, with more turns, those that were good (successive
/// halving, arXiv 1502.07943). It is over before the budget is where those that are tried get worse
/// and worse. Each task runs beside the best of those before it, and what `setup` has. `progress`
/// says whether to go on: what is known until then is the result.
///
/// Where the model's choice cannot be had (does not run, is wrong), the first in its order that can
/// takes its place. Throws InputError, with the reasons counted, where none can.
TuneResult tune(const std::vector<TuneTask> &tasks, TuneWorker &worker,
                std::chrono::duration<double> budget, uint64_t seed,
                const std::function<bool(const TuneProgress &)> &progress, TuneSetup setup = {});

/// What a table keeps of the kernels for which there is something better than the model's choice;
/// `today` is a date, YYYY-MM-DD.
std::vector<TuneEntry> entriesOf(const TuneResult &result, std::string_view version,
                                 std::string_view today);
/// In UTC.
std::string today();

} // namespace ringc
