#include "runtime/ring/PlanDigest.h"

#include <cassert>
#include <cstring>
#include <tuple>

namespace ringc {

namespace {

/// FNV-1a, a number at a time.
class Hash {
public:
  void add(int64_t number) { value = (value ^ uint64_t(number)) * 1099511628211u; }
  void add(const std::optional<int> &peer) { add(int64_t(peer.value_or(-1))); }
  int64_t result() const { return int64_t(value); }

private:
  uint64_t value = 14695981039346656037u;
};

} // namespace

PlanDigest PlanDigest::of(std::span<const Plan> ring, int64_t batch) {
  Hash hash;
  for (const Plan &plan : ring) {
    hash.add(plan.rank);
    hash.add(plan.queryRows);
    for (const Step &step : plan.steps) {
      for (int64_t number : {int64_t(step.owner), step.rows, int64_t(step.visibility),
                             step.sendBytes, step.receiveBytes})
        hash.add(number);
      for (const auto &peer :
           {step.keysTo, step.keysFrom, step.gradientsTo, step.gradientsFrom, step.homeFrom})
        hash.add(peer);
    }
  }
  const Plan &first = ring.front();
  return {.pass = int64_t(first.pass),
          .schedule = int64_t(first.problem.schedule),
          .batch = batch,
          .queryLength = first.problem.queryLength,
          .keyLength = first.problem.keyLength,
          .bytesPerKey = first.problem.bytesPerKey,
          .gradientBytesPerKey = first.problem.gradientBytesPerKey,
          .hash = hash.result()};
}

PlanDigest PlanDigest::of(std::span<const std::byte> bytes) {
  PlanDigest made;
  assert(bytes.size() == sizeof made);
  std::memcpy(&made, bytes.data(), sizeof made);
  return made;
}

std::string describeDifference(const PlanDigest &here, const PlanDigest &there) {
  if (here.pass != there.pass)
    return here.pass == int64_t(Pass::Forward) ? "a forward here, a backward there"
                                               : "a backward here, a forward there";
  for (auto [unit, mine, theirs] :
       {std::tuple("entries in the batch", here.batch, there.batch),
        {"queries", here.queryLength, there.queryLength},
        {"keys", here.keyLength, there.keyLength},
        {"bytes a key", here.bytesPerKey, there.bytesPerKey},
        {"bytes of gradients a key", here.gradientBytesPerKey, there.gradientBytesPerKey}})
    if (mine != theirs)
      return std::to_string(mine) + " " + unit + " here, " + std::to_string(theirs) + " there";
  if (here.schedule != there.schedule)
    return here.schedule == int64_t(Schedule::Ring) ? "a ring here, an all-gather there"
                                                    : "an all-gather here, a ring there";
  return here.hash == there.hash ? "nothing" : "another layout, mask or ring size there";
}

} // namespace ringc
