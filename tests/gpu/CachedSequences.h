#pragma once

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/decode/KvCache.h"
#include "tools/ringc/RandomProblem.h"

#include <deque>
#include <random>
#include <vector>

namespace ringc::test {

/// Sequences that grow in the caches of ranks that share a device, in the order of a stream, and
/// what they hold on the host.
class CachedSequences {
public:
  /// `stream` must outlive it.
  CachedSequences(const AttentionOptions &options, KvCacheOptions each, int ranks,
                  const CudaStream &stream, unsigned seed);

  void append(int64_t entry, int64_t tokens);
  void share(int64_t from, int64_t to, int64_t tokens);
  void free(int64_t entry);

  /// Of all ranks, one query an entry, results in memory of its own.
  const std::vector<RankDecode> &calls() const { return decodes; }
  /// Whether every rank has the attention of each entry in double precision; returns when all that
  /// the stream was given has run.
  bool areRight() const;

private:
  HostTensor download(const Tensor &from) const;
  void grow(HostTensor &whole, const Tensor &more) const;

  AttentionOptions of;
  const CudaStream &stream;
  std::mt19937_64 random;
  HostTensor q;
  std::deque<DeviceTensor> memory;
  std::deque<KvCache> caches;           ///< by rank
  std::vector<HostTensor> keys, values; ///< by entry, [n, h_kv, d]
  std::vector<RankDecode> decodes;      ///< by rank
};

} // namespace ringc::test
