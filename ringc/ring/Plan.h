#pragma once

#include "ringc/ring/Schedule.h"
#include "ringc/ring/SequenceLayout.h"
#include "ringc/ring/SubRings.h"
#include "ringc/ring/Visibility.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace ringc {

/// Which kernels run on a hop, and so what travels with K and V.
enum class Pass : uint8_t { Forward, Backward };

inline constexpr std::array<Pass, 2> allPasses = {Pass::Forward, Pass::Backward};

/// "forward", "backward"
std::string_view nameOf(Pass pass);

/// All that a plan depends on besides the mask.
struct RingProblem {
  SubRings rings;
  Schedule schedule = Schedule::Ring;
  SequenceLayout layout;
  int64_t queryLength = 0; ///< of the unsharded sequence
  int64_t keyLength = 0;

  /// What travels for one key row: K, V and key-indexed arguments; dK and dV, in f32.
  int64_t bytesPerKey = 0;
  int64_t gradientBytesPerKey = 0;

  bool operator==(const RingProblem &) const = default;
};

/// What the queries of the rank at `queryPlace` see of a chunk of the keys of the rank at
/// `ownerPlace`; places in the ring. Must be the same function on every rank of a ring.
using PlaceVisibility = std::function<Visibility(int queryPlace, int ownerPlace, int chunk)>;

/// One hop of one rank, or one chunk of it. Peers and owners are world ranks.
struct Step {
  int step = 0;
  int hop = 0;
  int owner = 0;                            ///< whose keys are due at this rank
  int64_t firstRow = 0;                     ///< of the owner's key rows: where the chunk begins
  int64_t rows = 0;                         ///< of the chunk
  Visibility visibility = Visibility::None; ///< None also where the keys did not come

  std::optional<int> keysTo;        ///< keys go to: those of this step, or own ones (`Plan::sent`)
  std::optional<int> keysFrom;      ///< the keys of step + chunks come from
  std::optional<int> gradientsTo;   ///< this step's dK, dV go to: next rank or owner
  std::optional<int> gradientsFrom; ///< dK, dV of step + chunks come from
  std::optional<int> homeFrom;      ///< dK, dV of this rank's own keys come from

  int64_t sendBytes = 0;
  int64_t receiveBytes = 0;

  bool computes() const { return visibility != Visibility::None; }
  bool operator==(const Step &) const = default;
};

/// What one rank does in one pass. At hop t the rank at place p computes on the block of place
/// p - t.
///
/// Ring: keys travel to the right. The block that a rank holds goes on while a rank further on
/// needs it: at most N - 1 hops. A step's exchange of keys runs beside its kernel; its exchange of
/// gradients follows it, and is over before the next step's kernel. Where hops are cut into C
/// chunks, each chunk is such a ring by itself, and they take turns: step t C + c is hop t of chunk
/// c, and what a step exchanges is due C steps later, beside the kernels of the others.
///
/// All-gather: the exchange of step t brings an owner's keys to the rank t + 1 places to its right,
/// if it needs them. All of these are one, before the first kernel. A step's exchange of gradients
/// follows its kernel and runs beside the next one.
///
/// dK and dV: an owner's own part never travels. In a ring the others' parts are summed along each
/// run of consecutive ranks that compute on the block, one hop behind the keys, and the last of a
/// run sends the sum home; in an all-gather each part goes home by itself, and they are added in
/// the order of the steps, or, where ranks reach each other's memory, computed there in that order.
/// Either way every rank that computed on a foreign block sends once, which
/// is the least there can be: with all visible, 4 (N - 1) messages of the size of K in all.
///
/// All exchanges are posted whole, in the order of the steps, on every rank, and a send is always
/// posted in the same exchange as its receive: so there is no order in which they block each other,
/// whatever the transport buffers.
struct Plan {
  Pass pass = Pass::Forward;
  int rank = 0;
  RingProblem problem;
  int64_t queryRows = 0;   ///< of this rank
  int64_t keyRows = 0;     ///< the same
  std::vector<Step> steps; ///< one for each rank of the ring and chunk

  int64_t sentBytes() const;
  int64_t receivedBytes() const;
  int64_t sentMessages() const;

  /// First and last computing step: where the running state begins and ends. None when no row of
  /// this rank sees a key.
  std::optional<int> firstComputed() const;
  std::optional<int> lastComputed() const;

  /// Whether this rank's own keys can be sent from where they lie, or are gathered first.
  enum class OwnKeys : uint8_t { Contiguous, Strided };

  /// Whether what comes from other ranks and what is made for them lies in hop buffers, or, in an
  /// all-gather of the ranks of a process, where they keep it.
  enum class FromOthers : uint8_t { Received, Borrowed };

  /// The step whose keys the exchange of `step` sends.
  const Step &sent(int step) const { return steps[isRing() ? size_t(step) : 0]; }
  /// Whether own keys go anywhere.
  bool sendsOwnKeys() const;

  bool isRing() const { return problem.schedule.kind == Schedule::Kind::Ring; }

  /// The step that the exchange of `step` brings keys or gradients for.
  const Step &fed(int step) const { return steps[size_t(step + problem.schedule.chunks)]; }
  /// The step whose exchange brings those of `step`, which is not of the first hop.
  const Step &feeder(int step) const { return steps[size_t(step - problem.schedule.chunks)]; }

  /// That of this rank's own chunk whose dK, dV come home at `step`.
  const Step &home(int step) const { return steps[size_t(step % problem.schedule.chunks)]; }

  /// In which hop buffer the keys of a step lie; at hop 0, own ones that had to be gathered. In a
  /// ring two blocks take turns.
  int keyBuffer(int step) const { return isRing() ? step % (2 * problem.schedule.chunks) : step; }

  /// Exchanges of gradients that may be under way while a kernel runs: a ring's kernel goes on with
  /// the sum of its chunk that has come.
  int gradientsUnderWay() const { return isRing() ? problem.schedule.chunks - 1 : 1; }

  /// Key rows that hop buffers hold: those of keys, by `keyBuffer`; in the backward two blocks that
  /// the steps' gradients take turns in, and some likewise for what comes home.
  std::vector<int64_t> keyBufferRows(OwnKeys ownKeys, FromOthers fromOthers) const;
  std::vector<int64_t> gradientBufferRows(FromOthers fromOthers) const;
  std::vector<int64_t> homeBufferRows(FromOthers fromOthers) const;
  int gradientBuffer(int step) const { return step % (2 * problem.schedule.chunks); }
  int homeBuffer(int step) const { return step % (1 + gradientsUnderWay()); }

  /// Bytes of all of them.
  int64_t hopBufferBytes(OwnKeys ownKeys, FromOthers fromOthers = FromOthers::Received) const;
};

/// The plan of one world rank. Pure; every rank of a ring that asks with the same arguments gets
/// plans that fit together. Throws InputError on a rank, ring size or length that cannot be.
Plan planRank(Pass pass, int rank, const RingProblem &problem, const PlaceVisibility &visibility);

/// The plans of all ranks of one ring, by place.
std::vector<Plan> planRing(Pass pass, int ring, const RingProblem &problem,
                           const PlaceVisibility &visibility);

/// A function of places for the shards of `problem`, from one of position boxes.
PlaceVisibility visibilityOfShards(const RingProblem &problem, BoxVisibility box);

} // namespace ringc
