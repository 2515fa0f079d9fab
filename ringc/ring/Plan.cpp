#include "ringc/ring/Plan.h"

#include "ringc/ring/RingView.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cassert>
#include <numeric>
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

/// Who exchanges what in one hop of one rank, in places; -1 is nobody.
struct Peers {
  int keysTo = -1, keysFrom = -1, gradientsTo = -1, gradientsFrom = -1, homeFrom = -1;
};

Peers ringPeers(const RingView::Chunk &ring, Pass pass, int place, int hop) {
  int owner = ring.place(place - hop), nextOwner = ring.place(place - hop - 1);
  int left = ring.place(place - 1), right = ring.place(place + 1);
  Peers peers;
  if (ring.goesOn(owner, hop))
    peers.keysTo = right;
  if (ring.goesOn(nextOwner, hop))
    peers.keysFrom = left;
  if (pass == Pass::Forward)
    return peers;
  if (ring.sumGoesOn(owner, hop))
    peers.gradientsTo = right;
  else if (ring.sumGoesHome(owner, hop))
    peers.gradientsTo = owner;
  if (ring.sumGoesOn(nextOwner, hop))
    peers.gradientsFrom = left;
  if (ring.sumGoesHome(place, hop))
    peers.homeFrom = ring.place(place + hop);
  return peers;
}

Peers allGatherPeers(const RingView::Chunk &ring, Pass pass, int place, int hop) {
  int owner = ring.place(place - hop), nextOwner = ring.place(place - hop - 1);
  Peers peers;
  if (ring.computes(place, hop + 1))
    peers.keysTo = ring.place(place + hop + 1);
  if (ring.computes(nextOwner, hop + 1))
    peers.keysFrom = nextOwner;
  if (pass == Pass::Forward || hop == 0)
    return peers;
  if (ring.computes(owner, hop))
    peers.gradientsTo = owner;
  if (ring.computes(place, hop))
    peers.homeFrom = ring.place(place + hop);
  return peers;
}

Peers peersOf(const RingView::Chunk &ring, Schedule schedule, Pass pass, int place, int hop) {
  switch (schedule.kind) {
  case Schedule::Kind::Ring:
    return ringPeers(ring, pass, place, hop);
  case Schedule::Kind::AllGather:
    return allGatherPeers(ring, pass, place, hop);
  }
  assert(false && "not a Schedule");
  return {};
}

} // namespace

Plan planOf(Pass pass, int rank, const RingProblem &problem, const RingView &ring) {
  const SubRings &rings = problem.rings;
  int place = rings.placeOf(rank);
  auto worldRank = [&](int at) -> std::optional<int> {
    return at < 0 ? std::nullopt : std::optional(rings.rankAt(rings.ringOf(rank), at));
  };

  Plan plan{.pass = pass,
            .rank = rank,
            .problem = problem,
            .queryRows = ring.queryRows[size_t(place)],
            .keyRows = localLength(problem.layout, place, ring.size, problem.keyLength),
            .steps = {}};
  plan.steps.reserve(size_t(ring.size) * size_t(ring.chunks));
  for (int hop = 0; hop < ring.size; ++hop)
    for (int number = 0; number < ring.chunks; ++number) {
      RingView::Chunk chunk = ring.chunk(number);
      int owner = ring.place(place - hop);
      const RowRange &rows = chunk.keyRows(owner);
      Peers peers = peersOf(chunk, problem.schedule, pass, place, hop);
      plan.steps.push_back({.step = int(plan.steps.size()),
                            .hop = hop,
                            .owner = *worldRank(owner),
                            .firstRow = rows.begin,
                            .rows = rows.count,
                            .visibility = chunk.at(owner, hop),
                            .keysTo = worldRank(peers.keysTo),
                            .keysFrom = worldRank(peers.keysFrom),
                            .gradientsTo = worldRank(peers.gradientsTo),
                            .gradientsFrom = worldRank(peers.gradientsFrom),
                            .homeFrom = worldRank(peers.homeFrom)});
    }
  for (Step &step : plan.steps) {
    if (step.keysTo)
      step.sendBytes += plan.sent(step.step).rows * problem.bytesPerKey;
    if (step.keysFrom)
      step.receiveBytes += plan.fed(step.step).rows * problem.bytesPerKey;
    if (step.gradientsTo)
      step.sendBytes += step.rows * problem.gradientBytesPerKey;
    if (step.gradientsFrom)
      step.receiveBytes += plan.fed(step.step).rows * problem.gradientBytesPerKey;
    if (step.homeFrom)
      step.receiveBytes += plan.home(step.step).rows * problem.gradientBytesPerKey;
  }
  return plan;
}

namespace {

void checkBytes(std::string_view argument, int64_t bytes, int64_t keyLength) {
  int64_t total;
  if (bytes < 0 || __builtin_mul_overflow(bytes, keyLength, &total))
    throw InputError(argument, std::to_string(bytes),
                     "0 or more, and below 2^63 for " + std::to_string(keyLength) + " keys");
}

void check(const RingProblem &problem) {
  problem.rings.check();
  int most = problem.schedule.kind == Schedule::Kind::Ring ? Schedule::mostChunks : 1;
  if (problem.schedule.chunks < 1 || problem.schedule.chunks > most)
    throw InputError("schedule", nameOf(problem.schedule), scheduleNames);
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

bool Plan::sendsOwnKeys() const {
  return std::ranges::any_of(
      steps, [&](const Step &step) { return step.keysTo && sent(step.step).hop == 0; });
}

namespace {

void reserve(std::vector<int64_t> &rows, int buffer, int64_t needed) {
  rows.resize(std::max(rows.size(), size_t(buffer) + 1));
  rows[size_t(buffer)] = std::max(rows[size_t(buffer)], needed);
}

int64_t sumOf(const std::vector<int64_t> &rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t(0));
}

} // namespace

std::vector<int64_t> Plan::keyBufferRows(OwnKeys ownKeys, FromOthers fromOthers) const {
  std::vector<int64_t> rows;
  bool gathers = ownKeys == OwnKeys::Strided && sendsOwnKeys(),
       receives = fromOthers == FromOthers::Received;
  for (const Step &step : steps) {
    bool comes = step.hop == 0 ? gathers : receives && feeder(step.step).keysFrom.has_value();
    reserve(rows, keyBuffer(step.step), comes ? step.rows : 0);
  }
  return rows;
}

std::vector<int64_t> Plan::gradientBufferRows(FromOthers fromOthers) const {
  std::vector<int64_t> rows;
  for (const Step &step : steps)
    if (step.gradientsTo && fromOthers == FromOthers::Received)
      reserve(rows, gradientBuffer(step.step), step.rows);
  return rows;
}

std::vector<int64_t> Plan::homeBufferRows(FromOthers fromOthers) const {
  std::vector<int64_t> rows;
  for (const Step &step : steps)
    if (step.homeFrom && fromOthers == FromOthers::Received)
      reserve(rows, homeBuffer(step.step), home(step.step).rows);
  return rows;
}

int64_t Plan::hopBufferBytes(OwnKeys ownKeys, FromOthers fromOthers) const {
  return sumOf(keyBufferRows(ownKeys, fromOthers)) * problem.bytesPerKey +
         (sumOf(gradientBufferRows(fromOthers)) + sumOf(homeBufferRows(fromOthers))) *
             problem.gradientBytesPerKey;
}

void checkPlanned(const RingProblem &problem, int rank) {
  check(problem);
  if (rank < 0 || rank >= problem.rings.world)
    throw InputError("rank", std::to_string(rank),
                     "0 to " + std::to_string(problem.rings.world - 1));
}

Plan planRank(Pass pass, int rank, const RingProblem &problem, const PlaceVisibility &visibility) {
  checkPlanned(problem, rank);
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
  plans.reserve(size_t(view.size));
  for (int place = 0; place < view.size; ++place)
    plans.push_back(planOf(pass, problem.rings.rankAt(ring, place), problem, view));
  return plans;
}

PlaceVisibility visibilityOfShards(const RingProblem &problem, BoxVisibility box) {
  return [problem, box = std::move(box)](int queryPlace, int ownerPlace, int chunk) {
    int size = problem.rings.ringSize;
    ShardRows queries{
        queryPositions(problem.layout, queryPlace, size, problem.queryLength, problem.keyLength),
        localLength(problem.layout, queryPlace, size, problem.queryLength)};
    RowRange rows = chunkOfRows(problem.layout, ownerPlace, size, problem.keyLength, chunk,
                                problem.schedule.chunks);
    ShardRows keys{
        positionsOf(positions(problem.layout, ownerPlace, size, problem.keyLength), rows),
        rows.count};
    return visibilityOf(queries, keys, box);
  };
}

} // namespace ringc
