#pragma once

#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/tune/TuneRunner.h"
#include "tools/ringc/KernelCheck.h"
#include "tools/ringc/KernelPlace.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace ringc::cli {

/// A kernel that is no attention, and what it is launched with.
struct KernelWorkload {
  Spec spec;
  SourceSet sources;
  SourceTiles tiles;
  KernelExtents extents;
  std::map<std::string, ArgumentValue> scalars; ///< those that the user gives
};

/// One launch of such a kernel over its grid, checked against double precision on a smaller problem
/// of ragged extents.
class KernelTuneRunner final : public TuneRunner {
public:
  KernelTuneRunner(const KernelWorkload &workload, const Target &target, int threads);

  void compile(const TuneSetup &setup, Pass pass) override;
  int64_t spilledBytes(const TuneSetup &setup, Pass pass) override;
  bool sharesProcessors() const override { return !target.isGpu(); }
  double error(const TuneSetup &setup, Pass pass, uint64_t seed) override;
  double milliseconds(const TuneSetup &setup, Pass pass) override;
  MachinePeak peak() override;

private:
  Spec with(const TileSizes &tile) const;

  const KernelWorkload &workload;
  Target target;
  std::unique_ptr<KernelPlace> place;
  BoundKernel kernel;
  PlacedData placed;
  int launches = 0; ///< that are timed together: enough for a clock to tell
  std::optional<KernelCheck> check;
  uint64_t seedOfCheck = 0;
};

/// Those of the check: a little above two of the source's tiles, and above one of the largest.
KernelExtents smallExtents(const KernelExtents &asked, const TileSizes &sizes);

} // namespace ringc::cli
