#pragma once

#include "runtime/ring/Plan.h"

#include <cstdint>
#include <vector>

namespace ringc {

/// Everything about one ring that its plans are made from, indexed by place. Who sees whose keys is
/// looked at when it is first asked for: a rank's plan of an all-gather asks for 3 N pairs of the
/// N * N. Once `complete`, it may be read by several threads.
class RingView {
public:
  RingView(const RingProblem &problem, const PlaceVisibility &visibility);

  void complete() const;

  int place(int at) const { return (at % size + size) % size; }

  /// What the rank `hop` places right of `owner` sees of its keys.
  Visibility at(int owner, int hop) const;
  bool computes(int owner, int hop) const { return at(owner, hop) != Visibility::None; }

  /// Whether the keys of `owner` go on from hop to hop + 1.
  bool goesOn(int owner, int hop) const { return hop < lastNeedOf(owner); }

  /// Whether a sum of gradients goes on with the keys, instead of home.
  bool sumGoesOn(int owner, int hop) const {
    return hop > 0 && computes(owner, hop) && computes(owner, hop + 1);
  }
  bool sumGoesHome(int owner, int hop) const {
    return hop > 0 && computes(owner, hop) && !computes(owner, hop + 1);
  }

  int size;
  std::vector<int64_t> queryRows, keyRows;

private:
  enum class Known : uint8_t { No, None, Partial, Full };
  int lastNeedOf(int owner) const;

  PlaceVisibility visibility;
  mutable std::vector<Known> seen;
  mutable std::vector<int> lastNeed; ///< -1 until it is asked for
};

/// The plan of one world rank, from a view of its ring.
Plan planOf(Pass pass, int rank, const RingProblem &problem, const RingView &ring);

/// Throws InputError for a problem without plans, and a rank that it does not have.
void checkPlanned(const RingProblem &problem, int rank);

} // namespace ringc
