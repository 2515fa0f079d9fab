#include "runtime/ring/Plan.h"

#include "runtime/Error.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

namespace ringc {

std::string_view nameOf(Pass pass) {
  switch (pass) {
  case Pass::Forward:
    return "forward";
  case Pass::Backward:
    return "backward";
  }
  assert(false && "not a Pass");
  return {};
}

namespace {

/// Everything about one ring that its plans are made from, indexed by place.
class RingView {
public:
  RingView(const RingProblem &problem, const PlaceVisibility &visibility)
      : size(problem.rings.ringSize), queryRows(size), keyRows(size), seen(size_t(size) * size),
        lastNeed(size, 0) {
    for (int place = 0; place < size; ++place) {
      queryRows[place] = localLength(problem.layout, place, size, problem.queryLength);
      keyRows[place] = localLength(problem.layout, place, size, problem.keyLength);
    }
    for (int owner = 0; owner < size; ++owner)
      for (int hop = 0; hop < size; ++hop) {
        int query = (owner + hop) % size;
        bool empty = queryRows[query] == 0 || keyRows[owner] == 0;
        Visibility visible = empty ? Visibility::None : visibility(query, owner);
        seen[size_t(owner) * size + hop] = visible;
        if (visible != Visibility::None)
          lastNeed[owner] = hop;
      }
  }

  int place(int at) const { return (at % size + size) % size; }

  /// What the rank `hop` places right of `owner` sees of its keys.
  Visibility at(int owner, int hop) const {
    return hop < size ? seen[size_t(owner) * size + hop] : Visibility::None;
  }
  bool computes(int owner, int hop) const { return at(owner, hop) != Visibility::None; }

  /// Whether the keys of `owner` go on from hop to hop + 1.
  bool goesOn(int owner, int hop) const { return hop < lastNeed[owner]; }

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
  std::vector<Visibility> seen;
  std::vector<int> lastNeed;
};

Plan planOf(Pass pass, int rank, const RingProblem &problem, const RingView &ring) {
  const SubRings &rings = problem.rings;
  int place = rings.placeOf(rank);
  auto worldRank = [&](int at) { return rings.rankAt(rings.ringOf(rank), ring.place(at)); };

  Plan plan{.pass = pass,
            .rank = rank,
            .problem = problem,
            .queryRows = ring.queryRows[place],
            .steps = {}};
  for (int hop = 0; hop < ring.size; ++hop) {
    int owner = ring.place(place - hop), nextOwner = ring.place(place - hop - 1);
    Step step;
    step.step = hop;
    step.owner = worldRank(owner);
    step.rows = ring.keyRows[owner];
    step.visibility = ring.at(owner, hop);
    if (ring.goesOn(owner, hop)) {
      step.keysTo = worldRank(place + 1);
      step.sendBytes += step.rows * problem.bytesPerKey;
    }
    if (ring.goesOn(nextOwner, hop)) {
      step.keysFrom = worldRank(place - 1);
      step.receiveBytes += ring.keyRows[nextOwner] * problem.bytesPerKey;
    }
    if (pass == Pass::Backward) {
      if (ring.sumGoesOn(owner, hop))
        step.gradientsTo = worldRank(place + 1);
      else if (ring.sumGoesHome(owner, hop))
        step.gradientsTo = step.owner;
      if (step.gradientsTo)
        step.sendBytes += step.rows * problem.gradientBytesPerKey;
      if (ring.sumGoesOn(nextOwner, hop)) {
        step.gradientsFrom = worldRank(place - 1);
        step.receiveBytes += ring.keyRows[nextOwner] * problem.gradientBytesPerKey;
      }
      if (ring.sumGoesHome(place, hop)) {
        step.homeFrom = worldRank(place + hop);
        step.receiveBytes += ring.keyRows[place] * problem.gradientBytesPerKey;
      }
    }
    plan.steps.push_back(step);
  }
  return plan;
}

void checkBytes(std::string_view argument, int64_t bytes, int64_t keyLength) {
  int64_t total;
  if (bytes < 0 || __builtin_mul_overflow(bytes, keyLength, &total))
    throw InputError(argument, std::to_string(bytes),
                     "0 or more, and below 2^63 for " + std::to_string(keyLength) + " keys");
}

void check(const RingProblem &problem) {
  problem.rings.check();
  checkBytes("bytes of a key", problem.bytesPerKey, problem.keyLength);
  checkBytes("bytes of a key's gradients", problem.gradientBytesPerKey, problem.keyLength);
}

} // namespace

int64_t Plan::sentBytes() const {
  int64_t sum = 0;
  for (const Step &step : steps)
    sum += step.sendBytes;
  return sum;
}

int64_t Plan::receivedBytes() const {
  int64_t sum = 0;
  for (const Step &step : steps)
    sum += step.receiveBytes;
  return sum;
}

int64_t Plan::sentMessages() const {
  int64_t sum = 0;
  for (const Step &step : steps)
    sum += (step.keysTo ? 1 : 0) + (step.gradientsTo ? 1 : 0);
  return sum;
}

std::optional<int> Plan::firstComputed() const {
  auto found = std::ranges::find_if(steps, &Step::computes);
  return found == steps.end() ? std::nullopt : std::optional(found->step);
}

std::optional<int> Plan::lastComputed() const {
  std::optional<int> last;
  for (const Step &step : steps)
    if (step.computes())
      last = step.step;
  return last;
}

std::array<int64_t, 2> Plan::keyBufferRows(OwnKeys ownKeys) const {
  std::array<int64_t, 2> rows{};
  if (ownKeys == OwnKeys::Strided && steps[0].keysTo)
    rows[0] = steps[0].rows;
  for (size_t next = 1; next < steps.size(); ++next)
    if (steps[next - 1].keysFrom)
      rows[next % 2] = std::max(rows[next % 2], steps[next].rows);
  return rows;
}

std::array<int64_t, 2> Plan::gradientBufferRows() const {
  std::array<int64_t, 2> rows{};
  for (const Step &step : steps)
    if (step.gradientsTo)
      rows[step.step % 2] = std::max(rows[step.step % 2], step.rows);
  return rows;
}

int64_t Plan::homeBufferRows() const {
  bool comesHome =
      std::ranges::any_of(steps, [](const Step &step) { return step.homeFrom.has_value(); });
  return comesHome ? steps[0].rows : 0;
}

int64_t Plan::hopBufferBytes(OwnKeys ownKeys) const {
  std::array<int64_t, 2> keys = keyBufferRows(ownKeys), gradients = gradientBufferRows();
  return (keys[0] + keys[1]) * problem.bytesPerKey +
         (gradients[0] + gradients[1] + homeBufferRows()) * problem.gradientBytesPerKey;
}

Plan planRank(Pass pass, int rank, const RingProblem &problem, const PlaceVisibility &visibility) {
  check(problem);
  if (rank < 0 || rank >= problem.rings.world)
    throw InputError("rank", std::to_string(rank),
                     "0 to " + std::to_string(problem.rings.world - 1));
  return planOf(pass, rank, problem, RingView(problem, visibility));
}

std::vector<Plan> planRing(Pass pass, int ring, const RingProblem &problem,
                           const PlaceVisibility &visibility) {
  check(problem);
  if (ring < 0 || ring >= problem.rings.rings())
    throw InputError("ring", std::to_string(ring),
                     "0 to " + std::to_string(problem.rings.rings() - 1));
  RingView view(problem, visibility);
  std::vector<Plan> plans;
  for (int place = 0; place < view.size; ++place)
    plans.push_back(planOf(pass, problem.rings.rankAt(ring, place), problem, view));
  return plans;
}

PlaceVisibility visibilityOfShards(const RingProblem &problem, BoxVisibility box) {
  return [problem, box = std::move(box)](int queryPlace, int ownerPlace) {
    int size = problem.rings.ringSize;
    ShardRows queries{
        queryPositions(problem.layout, queryPlace, size, problem.queryLength, problem.keyLength),
        localLength(problem.layout, queryPlace, size, problem.queryLength)};
    ShardRows keys{positions(problem.layout, ownerPlace, size, problem.keyLength),
                   localLength(problem.layout, ownerPlace, size, problem.keyLength)};
    return visibilityOf(queries, keys, box);
  };
}

} // namespace ringc
