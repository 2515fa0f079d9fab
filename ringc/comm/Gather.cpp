#include "ringc/comm/Gather.h"

#include <algorithm>
#include <cassert>

namespace ringc {

/// Bruck's: with 2^t pieces, of itself and of those behind it, a rank gets as many from 2^t places
/// further on.
///
///     place 0 of 5    0 | 1 | 2 3 | 4
std::vector<std::vector<std::byte>> gather(Transport &transport, std::span<const int> ranks,
                                           std::span<const std::byte> own) {
  size_t count = ranks.size(), size = own.size();
  size_t self = size_t(std::ranges::find(ranks, transport.rank()) - ranks.begin());
  assert(self < count && "gathers with ranks of which it is none");
  std::vector<std::byte> pieces(count * size); // from this place on
  std::ranges::copy(own, pieces.begin());
  size_t have = 1;
  for (int hop = 0; have < count; ++hop) {
    size_t more = std::min(have, count - have);
    std::span<std::byte> all(pieces);
    transport
        .post({.hop = hop,
               .channel = Channel::Plans,
               .sends = {{ranks[(self + count - have) % count], all.first(more * size)}},
               .receives = {{ranks[(self + have) % count], all.subspan(have * size, more * size)}}})
        ->wait();
    have += more;
  }
  std::vector<std::vector<std::byte>> result(count);
  for (size_t i = 0; i < count; ++i) {
    auto piece = std::span(pieces).subspan(i * size, size);
    result[(self + i) % count].assign(piece.begin(), piece.end());
  }
  return result;
}

} // namespace ringc
