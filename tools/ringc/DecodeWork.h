#pragma once

#include "ringc/decode/Decode.h"
#include "tools/ringc/DecodeExpected.h"
#include "tools/ringc/Shape.h"

#include <cstdint>
#include <vector>

namespace ringc::cli {

/// Normal numbers in an order without end, of which any can be had without those before it.
class EndlessNumbers {
public:
  EndlessNumbers(DType dtype, uint64_t seed);

  /// The ones from `first` on fill row-major memory of their type.
  void copyTo(int64_t first, const Tensor &memory) const;

private:
  HostTensor some;
};

/// A decode to be timed: one query an entry, all entries of one length. Its numbers depend on their
/// places in the whole alone: each rank makes what it has, and nobody has all.
class DecodeWork {
public:
  /// Options of the shape. `page`: rows of a page, a divisor of the keys; 0: these lie side by
  /// side.
  DecodeWork(const DecodeOptions &options, const Shape &shape, int64_t page);

  DecodeOptions options;
  int64_t batch, keys, page;
  HostTensor q;        ///< [b, 1, h, d]
  EndlessNumbers k, v; ///< of [b, n, h_kv, d] and [b, n, h_kv, d_v]

  /// Of K and V, of all ranks.
  double bytes() const;
  HostTensor newOut() const; ///< [b, 1, h, d_v]
  HostTensor newLse() const; ///< [b, h, 1]
};

/// What a rank has of it, dealt as `ringc decode` deals whole tensors: consecutive rows, or each
/// `ranks`-th page, in a random order.
class DecodeWorkShare {
public:
  /// `work` must outlive it.
  DecodeWorkShare(const DecodeWork &work, int rank, int ranks);

  DecodeInputs inputs() const;
  DecodeKeys keys() const { return own; }
  /// i32 [b]: the keys that the rank has, for a decode of them alone.
  const Tensor &lengthsAlone() const { return ownLengths; }

private:
  void takeRows(int rank, int ranks);
  void takePages(int rank, int ranks);
  HostTensor filled(int64_t length) const;

  const DecodeWork &of;
  DecodeKeys own;
  HostTensor k, v, lengths, ownLengths, table;
};

/// What double precision makes of a decode: of all KV heads of all entries, or of some, from all
/// over them.
class DecodeWorkCheck {
public:
  /// Of at least one, and then of no more than have so many numbers in K and V, a tenth of a second
  /// for each head of a group. `work` must outlive it.
  explicit DecodeWorkCheck(const DecodeWork &work, int64_t most = 1 << 25);

  DecodeErrors errorsOf(const Tensor &out, const Tensor &lse) const;

private:
  /// The queries that share a KV head.
  struct Group {
    int64_t entry, kvHead;
  };
  reference::Problem problemOf(const Group &group) const;
  /// Of [b, 1, h, d] that of a group: [1, 1, h / h_kv, d].
  Tensor queriesOf(const Tensor &whole, const Group &group) const;

  const DecodeWork &of;
  AttentionOptions one; ///< of a group
  std::vector<Group> groups;
  DecodeExpected expected;
};

} // namespace ringc::cli
