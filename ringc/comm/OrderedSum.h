#pragma once

#include "ringc/comm/Transport.h"

#include <cstdint>
#include <span>

namespace ringc {

/// Adds `numbers` up over all ranks, in the order of the ranks: every rank has the sum, of the same
/// bits every time and everywhere. Each rank adds up a share of them, and sends it to all. Called
/// by all ranks, with as many numbers of the host's memory; throws PeerError when one fails.
void orderedSum(Transport &transport, std::span<float> numbers);

/// How that is done, in memory of any kind: `parts` brings what the others have of this rank's
/// share to `received`, one share a rank, where its own belongs too; its share gets their sum in
/// order of the ranks, and `sums` brings it to all.
struct SumExchanges {
  std::span<float> share;
  Exchange parts, sums;

  /// `received` has room for shareOf(self) numbers a rank; all shares but the last are multiples of
  /// 16 bytes.
  SumExchanges(int rank, int world, std::span<float> numbers, std::span<float> received);

  static std::span<float> shareOf(int rank, int world, std::span<float> numbers);
};

} // namespace ringc
