#pragma once

#include "ringc/ring/Plan.h"

#include <cstdint>
#include <vector>

namespace ringc {

/// Everything about one ring that its plans are made from, indexed by place. Who sees whose keys is
/// looked at when it is first asked for: a rank's plan of an all-gather asks for 3 N pairs of the
/// N * N (and chunk). Once `complete`, it may be read by several threads.
class RingView {
public:
  RingView(const RingProblem &problem, const PlaceVisibility &visibility);

  void complete() const;

  int place(int at) const { return (at % size + size) % size; }

  /// The same of one chunk of everybody's keys, which is a ring by itself.
  class Chunk;
  Chunk chunk(int number) const;

  int size, chunks;
  std::vector<int64_t> queryRows;

private:
  enum class Known : uint8_t { No, None, Partial, Full };
  int lastNeedOf(int owner, int chunk) const;
  Visibility at(int owner, int chunk, int hop) const;
  size_t indexOf(int owner, int chunk) const {
    return size_t(chunk) * size_t(size) + size_t(owner);
  }

  PlaceVisibility visibility;
  std::vector<RowRange> keyRows; ///< by indexOf
  mutable std::vector<Known> seen;
  mutable std::vector<int> lastNeed; ///< -1 until it is asked for
};

class RingView::Chunk {
public:
  Chunk(const RingView &whole, int ownNumber) : ring(whole), number(ownNumber) {}

  int place(int at) const { return ring.place(at); }
  const RowRange &keyRows(int owner) const { return ring.keyRows[ring.indexOf(owner, number)]; }

  /// What the rank `hop` places right of `owner` sees of its keys.
  Visibility at(int owner, int hop) const { return ring.at(owner, number, hop); }
  bool computes(int owner, int hop) const { return at(owner, hop) != Visibility::None; }

  /// Whether the keys of `owner` go on from hop to hop + 1.
  bool goesOn(int owner, int hop) const { return hop < ring.lastNeedOf(owner, number); }

  /// Whether a sum of gradients goes on with the keys, instead of home.
  bool sumGoesOn(int owner, int hop) const {
    return hop > 0 && computes(owner, hop) && computes(owner, hop + 1);
  }
  bool sumGoesHome(int owner, int hop) const {
    return hop > 0 && computes(owner, hop) && !computes(owner, hop + 1);
  }

private:
  const RingView &ring;
  int number;
};

inline RingView::Chunk RingView::chunk(int number) const { return {*this, number}; }

/// The plan of one world rank, from a view of its ring.
Plan planOf(Pass pass, int rank, const RingProblem &problem, const RingView &ring);

/// Throws InputError for a problem without plans, and a rank that it does not have.
void checkPlanned(const RingProblem &problem, int rank);

} // namespace ringc
