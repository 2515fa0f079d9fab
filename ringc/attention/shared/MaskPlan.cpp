#include "ringc/attention/shared/MaskPlan.h"

#include "ringc/attention/shared/Parameters.h"

#include <cassert>
#include <memory>
#include <utility>

namespace ringc {

namespace {

constexpr predicate::Range unknownRow = {INT32_MIN, INT32_MAX};

Visibility fromPredicate(predicate::Visibility visibility) {
  switch (visibility) {
  case predicate::Visibility::None:
    return Visibility::None;
  case predicate::Visibility::Partial:
    return Visibility::Partial;
  case predicate::Visibility::Full:
    return Visibility::Full;
  }
  assert(false && "not a Visibility");
  return Visibility::Partial;
}

} // namespace

PlaceVisibility placeVisibility(const RingProblem &ring, const RankProblem &problem,
                                const MaskFacts &facts) {
  BatchRange batch = problem.batch();
  if (batch.count == 0)
    return [](int, int, int) { return Visibility::None; };
  if (!facts.mask)
    return [](int, int, int) { return Visibility::Full; };
  auto documents = std::make_shared<std::vector<int32_t>>();
  if (facts.cuSeqlens)
    *documents = documentIds(*facts.cuSeqlens, ring.keyLength);
  auto box = [facts, batch, documents](const PositionBox &at) {
    auto elements =
        [&](const predicate::Node &element,
            std::span<const predicate::Range>) -> std::optional<predicate::ElementBounds> {
      auto of = [&](int64_t first, int64_t last) { // ids rise with the position
        return predicate::ElementBounds{double((*documents)[size_t(first)]),
                                        double((*documents)[size_t(last)])};
      };
      if (!documents->empty() && element.name == "documents.query_document")
        return of(at.queryFirst, at.queryLast);
      if (!documents->empty() && element.name == "documents.key_document")
        return of(at.keyFirst, at.keyLast);
      return std::nullopt;
    };
    return fromPredicate(
        predicate::visibility(*facts.mask,
                              {.batch = {batch.begin, batch.begin + batch.count - 1},
                               .head = {0, facts.heads - 1},
                               .queryPosition = {at.queryFirst, at.queryLast},
                               .keyPosition = {at.keyFirst, at.keyLast},
                               .queryRow = unknownRow,
                               .keyRow = unknownRow},
                              facts.scalars, elements));
  };
  return visibilityOfShards(ring, box);
}

} // namespace ringc
