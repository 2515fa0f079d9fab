#include "ringc/module/AutoShard.h"

#include "ringc/comm/Gather.h"
#include "ringc/comm/Transport.h"
#include "ringc/module/DealIn.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace ringc {

namespace {

std::vector<int> everybody(const Transport &transport) {
  std::vector<int> ranks(size_t(transport.world()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

struct HostMemory {
  HostTensor allocate(DType dtype, std::span<const int64_t> shape) const { return {dtype, shape}; }
  void copy(const Tensor &from, const Tensor &to) const { ringc::copy(from, to); }
};

} // namespace

BatchDeal dealBatch(Transport &transport, int64_t ownBatch, int64_t length,
                    const SequenceLayout &layout, int ringSize) {
  BatchDeal deal{.batches = {},
                 .length = length,
                 .rings = {transport.world(), ringSize == 0 ? transport.world() : ringSize},
                 .layout = layout};
  deal.rings.check();
  (void)paddedLength(layout, deal.rings.ringSize, length);
  if (ownBatch < 0)
    throw InputError("batch", std::to_string(ownBatch), "0 or more");
  std::vector<int> ranks = everybody(transport);
  auto exchange = [&](std::span<const std::byte> own) { return gather(transport, ranks, own); };
  if (transport.comparesCalls() && transport.world() > 1)
    requireAgreement(Agreement()
                         .add("rows of a sequence", length)
                         .add("layout", nameOf(layout))
                         .add("ranks of a ring", deal.rings.ringSize),
                     transport.rank(), ranks, exchange);
  for (const std::vector<std::byte> &bytes :
       exchange(std::as_bytes(std::span<const int64_t>(&ownBatch, 1)))) {
    int64_t batch = 0;
    std::ranges::copy(bytes, std::as_writable_bytes(std::span(&batch, 1)).begin());
    deal.batches.push_back(batch);
  }
  return deal;
}

HostTensor autoShard(Transport &transport, const Tensor &own, const BatchDeal &deal) {
  HostMemory memory;
  return DealIn(transport, deal, memory).toShard(own);
}

HostTensor gatherSharded(Transport &transport, const Tensor &shard, const BatchDeal &deal) {
  HostMemory memory;
  return DealIn(transport, deal, memory).toBatch(shard);
}

} // namespace ringc
