#pragma once

#include "ringc/comm/Transport.h"
#include "ringc/module/BatchDeal.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringc {

/// autoShard and gatherSharded in memory of any kind: `Memory` allocates what owns a row-major
/// tensor, not filled, and copies between tensors of one shape, any strides.
template <class Memory> class DealIn {
public:
  using Owned = decltype(std::declval<Memory &>().allocate(DType(), std::span<const int64_t>()));

  DealIn(Transport &ofRank, const BatchDeal &dealt, Memory &in)
      : transport(ofRank), deal(dealt), memory(in), self(ofRank.rank()) {
    if (int(deal.batches.size()) != transport.world() || deal.rings.world != transport.world())
      throw InputError("deal", std::to_string(deal.batches.size()) + " ranks",
                       std::to_string(transport.world()) + ", those of the transport");
  }

  Owned toShard(const Tensor &own) {
    check("batch to shard", own, deal.batches[size_t(self)], deal.length);
    Owned shard = allocate(own, deal.shardEntries(self).count, deal.shardRows(self));
    Exchange exchange{.hop = 0, .channel = Channel::Keys, .sends = {}, .receives = {}};
    std::vector<Owned> sent;
    for (int peer = 0; peer < transport.world(); ++peer) {
      Tensor rows = ofShard(shard, peer), entries = ofOwn(own, peer);
      if (peer == self) {
        copyRows(entries, peer, rows, Direction::ToLocal);
        continue;
      }
      if (!rows.empty())
        exchange.receives.push_back({peer, bytesOf(rows)});
      Owned packed = allocate(own, entries.dim(0), deal.shardRows(peer));
      if (const Tensor &part = packed; !part.empty()) {
        copyRows(entries, peer, part, Direction::ToLocal);
        exchange.sends.push_back({peer, bytesOf(part)});
        sent.push_back(std::move(packed));
      }
    }
    run(exchange);
    return shard;
  }

  Owned toBatch(const Tensor &given) {
    check("shard to gather", given, deal.shardEntries(self).count, deal.shardRows(self));
    Owned dense;
    Tensor shard = given;
    if (!given.isContiguous()) {
      dense = memory.allocate(given.dtype(), given.shape());
      memory.copy(given, dense);
      shard = dense;
    }
    Owned own = allocate(shard, deal.batches[size_t(self)], deal.length);
    Exchange exchange{.hop = 0, .channel = Channel::Results, .sends = {}, .receives = {}};
    std::vector<std::pair<int, Owned>> received;
    for (int peer = 0; peer < transport.world(); ++peer) {
      Tensor rows = ofShard(shard, peer);
      if (peer == self) {
        copyRows(ofOwn(own, peer), peer, rows, Direction::ToGlobal);
        continue;
      }
      if (!rows.empty())
        exchange.sends.push_back({peer, bytesOf(rows)});
      Owned room = allocate(shard, deal.shared(self, peer).count, deal.shardRows(peer));
      if (const Tensor &part = room; !part.empty()) {
        exchange.receives.push_back({peer, bytesOf(part)});
        received.emplace_back(peer, std::move(room));
      }
    }
    run(exchange);
    for (const auto &[peer, part] : received)
      copyRows(ofOwn(own, peer), peer, part, Direction::ToGlobal);
    return own;
  }

private:
  enum class Direction : uint8_t { ToLocal, ToGlobal };

  static std::span<std::byte> bytesOf(const Tensor &dense) {
    return {dense.dataAs<std::byte>(), size_t(dense.byteCount())};
  }

  static void check(std::string_view name, const Tensor &part, int64_t entries, int64_t rows) {
    if (part.rank() < 2 || part.dim(0) != entries || part.dim(1) != rows)
      throw InputError(name, describe(part),
                       "two or more axes, the first " + std::to_string(entries) + " entries and " +
                           std::to_string(rows) + " rows");
  }

  Owned allocate(const Tensor &like, int64_t entries, int64_t rows) {
    std::vector<int64_t> shape(like.shape().begin(), like.shape().end());
    shape[0] = entries;
    shape[1] = rows;
    return memory.allocate(like.dtype(), shape);
  }

  /// Of a tensor that holds the entries `held`; none of them where there are none of `some`.
  static Tensor entriesOf(const Tensor &tensor, const BatchRange &some, const BatchRange &held) {
    return tensor.slice(0, some.count == 0 ? 0 : some.begin - held.begin, some.count);
  }
  /// The entries of this rank's, by batch, that `holder` has rows of.
  Tensor ofOwn(const Tensor &own, int holder) const {
    return entriesOf(own, deal.shared(self, holder), deal.entriesOfRank(self));
  }
  /// The entries of `owner` in this rank's shard.
  Tensor ofShard(const Tensor &shard, int owner) const {
    return entriesOf(shard, deal.shared(owner, self), deal.shardEntries(self));
  }

  /// Between whole entries and the rows of `holder` of them: a copy for each run of rows, or one
  /// for all where rows are dealt one by one.
  void copyRows(const Tensor &entries, int holder, const Tensor &rows, Direction direction) {
    if (rows.empty())
      return;
    auto move = [&](const Tensor &local, const Tensor &global) {
      if (direction == Direction::ToLocal)
        memory.copy(global, local);
      else
        memory.copy(local, global);
    };
    Positions at =
        positions(deal.layout, deal.rings.placeOf(holder), deal.rings.ringSize, deal.length);
    int64_t count = rows.dim(1);
    if (at.block == 1)
      return move(rows, everyRow(entries, at.first, at.jump, count));
    for (int64_t row = 0; row < count; row += at.block) {
      int64_t some = std::min(at.block, count - row);
      move(rows.slice(1, row, some), entries.slice(1, at(row), some));
    }
  }

  /// Rows first, first + step, ...
  static Tensor everyRow(const Tensor &entries, int64_t first, int64_t step, int64_t count) {
    Tensor from = entries.slice(1, first, 1);
    std::vector<int64_t> shape(from.shape().begin(), from.shape().end()),
        strides(from.strides().begin(), from.strides().end());
    shape[1] = count;
    strides[1] *= step;
    return Tensor(from.data(), from.dtype(), shape, strides);
  }

  void run(const Exchange &exchange) {
    if (!exchange.empty())
      transport.post(exchange)->wait();
  }

  Transport &transport;
  const BatchDeal &deal;
  Memory &memory;
  int self;
};

} // namespace ringc
