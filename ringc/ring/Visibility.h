#pragma once

#include "ringc/ring/SequenceLayout.h"

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

namespace ringc {

/// What the query rows of one rank see of the key rows of one owner. `None` is a proof: such a hop
/// is dead. `Full` is a proof too; `Partial` is what remains.
enum class Visibility : uint8_t { None, Partial, Full };

inline constexpr std::array<Visibility, 3> allVisibilities = {Visibility::None, Visibility::Partial,
                                                              Visibility::Full};

/// "none", "partial", "full"
std::string_view nameOf(Visibility visibility);

/// Inclusive ranges of positions.
struct PositionBox {
  int64_t queryFirst, queryLast, keyFirst, keyLast;
};

/// What a box shows; an interval evaluator of the mask.
using BoxVisibility = std::function<Visibility(const PositionBox &)>;

/// The positions of one shard and how many of them are valid.
struct ShardRows {
  Positions positions;
  int64_t rows = 0;
};

/// Splits both shards into runs of consecutive positions (a zigzag shard has two) and joins what
/// `box` says of every pair; shards of many runs (stripes) are taken as one box, which is coarser
/// and never wrong.
Visibility visibilityOf(const ShardRows &queries, const ShardRows &keys, const BoxVisibility &box);

} // namespace ringc
