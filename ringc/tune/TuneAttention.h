#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/tune/Tune.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace ringc {

/// An attention whose kernels' tile sizes are looked for.
struct TuneRequest {
  AttentionOptions options;
  AttentionShape shape;
  /// What masks and scores read: keyMask, bias, cuSeqlens, arguments; must outlive the call. q, k
  /// and v are drawn.
  AttentionInputs inputs = {};
  std::vector<Pass> passes = {Pass::Forward, Pass::Backward};
  int ranks = 1;          ///< of one process, for the functions that run it
  bool processes = false; ///< the ranks are processes of MPI, or of NCCL
  /// Ways of the ring among which the best is looked for, too, beginning with the options' own;
  /// none: that alone.
  std::vector<RingChoice> ways = {};
  int threads = 0; ///< of all ranks together; 0: as hostContext has them
  uint64_t seed = 1;
};

/// The kernels of the passes, in an order in which each is tuned beside the best of those before.
/// `sources` are the library's and the options' (KernelSource::sources). Throws InputError for what
/// cannot be.
std::vector<TuneTask> tuneTasks(const TuneRequest &request, const SourceSet &sources,
                                const Target &target);

/// Looks for the way of the ring, for the tile sizes under the best one, and once more for the way
/// with these sizes. Throws as Tune.h's does.
TuneResult tune(const TuneRequest &request, const SourceSet &sources, const Target &target,
                TuneWorker &worker, std::chrono::duration<double> budget,
                const std::function<bool(const TuneProgress &)> &progress);

/// Looks for the tile sizes that are fastest on this host (Tune.h), in a process of its own that
/// fork() makes. A candidate is right where its results are those of the model's choice, to the
/// rounding of their type; `ringc tune` compares with double precision.
///
///     TuneResult found = tune(request, 10s, [](const TuneProgress &) { return true; });
///     TuneTable::update(path, [&](TuneTable &table) {
///       for (const TuneEntry &entry : entriesOf(found, version, today)) table.put(entry);
///     });
///
/// A context that is made later (hostContext) takes what the user's table has; an attention with
/// AttentionOptions::tune = path that table.
TuneResult tune(const TuneRequest &request, std::chrono::duration<double> budget,
                const std::function<bool(const TuneProgress &)> &progress);

} // namespace ringc
