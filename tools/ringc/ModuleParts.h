#pragma once

#include "ringc/Tensor.h"
#include "ringc/module/RingAttentionOptions.h"
#include "ringc/ring/Sharding.h"
#include "ringc/ring/SubRings.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace ringc::cli {

/// How the ranks of a module hold tokens and results: entries of the batch by `batches`, where
/// there are any, else rows of the sequence.
class ModuleParts {
public:
  ModuleParts(const RingAttentionOptions &of, int worldSize, std::vector<int64_t> batchesOfRanks,
              std::optional<int> ringSize, bool ringOff)
      : world(worldSize), ring(of.ringAttn && !of.forceRegularAttn && !ringOff),
        layout(layoutOf(of)), rings{worldSize, ringSize.value_or(worldSize)},
        batches(std::move(batchesOfRanks)) {
    for (int64_t each : batches)
      starts.push_back(starts.back() + each);
  }

  /// Of [b, n, ...].
  HostTensor of(const Tensor &whole, int rank) const {
    if (!batches.empty())
      return HostTensor::copyOf(whole.slice(0, starts[size_t(rank)], batches[size_t(rank)]));
    if (!ring)
      return HostTensor::copyOf(whole);
    BatchRange entries = batchOfRing(whole.dim(0), rings.rings(), rings.ringOf(rank));
    return shard(whole.slice(0, entries.begin, entries.count), 1, layout, rings.placeOf(rank),
                 rings.ringSize);
  }

  /// Without batches and a ring each rank has the whole, so that sums are of as many.
  double copies() const { return batches.empty() && !ring ? world : 1; }

private:
  int world;
  bool ring;
  SequenceLayout layout;
  SubRings rings;
  std::vector<int64_t> batches;
  std::vector<int64_t> starts = {0};
};

} // namespace ringc::cli
