#include "ringc/tune/Tune.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <numeric>
#include <thread>
#include <utility>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

double medianOf(std::vector<double> values) {
  if (values.empty())
    return 0;
  auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

std::vector<double> ratiosOf(const TuneCandidate &candidate) {
  std::vector<double> ratios;
  for (size_t turn = 0; turn < candidate.ms.size(); ++turn)
    ratios.push_back(candidate.ms[turn] / candidate.base[turn]);
  return ratios;
}

/// In the order in which they are tried.
std::vector<TuneCandidate> candidatesOf(const TuneTask &task) {
  std::vector<TuneCandidate> all;
  for (const RingChoice &way : task.ways)
    all.push_back({.way = way});
  if (task.ways.empty())
    for (const TileConfig &config : task.space().candidates())
      all.push_back({.config = config});
  return all;
}

/// Puts what a candidate is into a setup that has all else.
void choose(TuneSetup &setup, const TuneTask &task, const TuneCandidate &candidate) {
  if (candidate.way) {
    setup.layout = candidate.way->layout;
    setup.schedule = candidate.way->schedule;
    return;
  }
  for (const auto &[name, size] : task.space().byHand(candidate.config))
    setup.tile[name] = size;
}

class Search {
public:
  Search(const TuneTask &task, TuneWorker &ofAll, Seconds share, uint64_t firstSeed,
         const TuneSetup &othersOfPass, const std::function<bool(const TuneProgress &)> &toTell)
      : worker(ofAll), budget(share), seed(firstSeed), others(othersOfPass), progress(toTell) {
    found.task = task;
    found.budget = share;
  }

  /// Whether nobody asked to stop.
  bool run() {
    std::vector<TuneCandidate> all = candidatesOf(found.task);
    found.space = all.size();
    size_t tried = 0;
    do
      startWith(all[tried++]);
    while (!hasBase && tried < all.size() && spent() < ofFirstTurns && tell());
    if (!hasBase)
      throw InputError(allRejected());
    bool goesOn = tell() && tryAll(all, tried);
    for (auto [kept, turns, until] : {std::tuple<size_t, int, double>{12, 3, 0.8}, {4, 9, 0.95}})
      goesOn = goesOn && repeatBest(kept, turns, until);
    decide();
    return goesOn;
  }

  TunedKernel found;

private:
  TuneSetup setupOf(const TuneCandidate &candidate) const {
    TuneSetup setup = others;
    choose(setup, found.task, candidate);
    return setup;
  }
  double spent() const { return Seconds(Clock::now() - begin) / budget; }

  const TuneCandidate &base() const { return found.candidates[found.base]; }

  /// Of a candidate: a compilation, the check, and the turns.
  Clock::duration deadline(int turns) const {
    if (!hasBase)
      return std::chrono::minutes(10);
    double ms = base().median();
    return std::chrono::seconds(20) + 2 * firstTook +
           std::chrono::milliseconds(int64_t(20 * ms * double(turns + 2)));
  }

  TuneWorker::Reply ask(const TuneCandidate &candidate, int turns,
                        std::vector<TuneSetup> next = {}) {
    return worker.run({.passes = found.task.passes,
                       .setup = setupOf(candidate),
                       .base = setupOf(hasBase ? base() : candidate),
                       .check = true,
                       .seed = seed,
                       .turns = turns,
                       .next = std::move(next)},
                      deadline(turns));
  }

  static void add(TuneCandidate &to, const TuneWorker::Reply &reply) {
    to.ms.insert(to.ms.end(), reply.ms.begin(), reply.ms.end());
    to.base.insert(to.base.end(), reply.base.begin(), reply.base.end());
    to.ratio = medianOf(ratiosOf(to));
  }

  static void judge(TuneCandidate &candidate, const TuneWorker::Reply &reply) {
    switch (reply.outcome) {
    case TuneWorker::Outcome::Refused:
      candidate.verdict = TuneVerdict::Refused;
      break;
    case TuneWorker::Outcome::TimedOut:
      candidate.verdict = TuneVerdict::TimedOut;
      break;
    case TuneWorker::Outcome::Crashed:
      candidate.verdict = TuneVerdict::Crashed;
      break;
    case TuneWorker::Outcome::Done:
      if (!(reply.error <= 1)) {
        candidate.verdict = TuneVerdict::Wrong;
        candidate.reason = std::to_string(reply.error) + " times the error that it may have";
        return;
      }
      add(candidate, reply);
      return;
    }
    candidate.reason = reply.what.substr(0, reply.what.find('\n'));
  }

  void note(TuneCandidate &candidate) const {
    bool measured = candidate.verdict == TuneVerdict::Measured;
    candidate.judged.push_back({.seconds = Seconds(Clock::now() - begin).count(),
                                .round = round,
                                .ratio = measured ? candidate.ratio : 0});
  }

  /// In turns with itself: what two runs of one program differ by. The base, if it can be had.
  void startWith(TuneCandidate first) {
    constexpr int turns = 7;
    TuneWorker::Reply reply = ask(first, turns);
    firstTook = Clock::now() - begin;
    judge(first, reply);
    if (first.verdict != TuneVerdict::Measured) {
      note(first);
      found.candidates.push_back(std::move(first));
      return;
    }
    std::vector<double> apart;
    for (double ratio : ratiosOf(first))
      apart.push_back(std::abs(ratio - 1));
    found.spread = medianOf(apart);
    first.ratio = 1;
    note(first);
    hasBase = true;
    found.base = found.best = found.candidates.size();
    found.candidates.push_back(std::move(first));
  }

  /// How many for which reason, and the first reason of each kind.
  std::string allRejected() const {
    std::map<TuneVerdict, std::pair<int, std::string>> kinds;
    for (const TuneCandidate &each : found.candidates) {
      auto &[count, reason] = kinds[each.verdict];
      ++count;
      if (reason.empty())
        reason = each.reason;
    }
    std::string text = found.task.name() + ": of " + std::to_string(found.space) + " sizes " +
                       std::to_string(found.candidates.size()) + " were tried, and none can be had";
    for (const auto &[verdict, kind] : kinds)
      text += "; " + std::to_string(kind.first) + " " + std::string(enumName(verdict)) +
              (kind.second.empty() ? "" : ", the first: " + kind.second);
    return text;
  }

  /// One turn for each, in the model's order, until half of the budget is spent, or as many as
  /// `patience` one after another have been far from the best.
  bool tryAll(const std::vector<TuneCandidate> &all, size_t from) {
    // The ways of a ring are few: all of them.
    const double untilSpent = found.task.ways.empty() ? ofFirstTurns : 1e9;
    constexpr double far = 1.15;
    constexpr int patience = 40;
    const size_t ahead = std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 8);
    int farOnes = 0;
    for (size_t at = from; at < all.size() && spent() < untilSpent && farOnes < patience; ++at) {
      TuneCandidate candidate = all[at];
      std::vector<TuneSetup> next;
      for (size_t later = at + 1; later < std::min(all.size(), at + ahead); ++later)
        next.push_back(setupOf(all[later]));
      judge(candidate, ask(candidate, 1, std::move(next)));
      note(candidate);
      bool isFar =
          candidate.verdict != TuneVerdict::Measured || candidate.ratio > far * bestRatio();
      farOnes = isFar ? farOnes + 1 : 0;
      found.candidates.push_back(std::move(candidate));
      if (!tell())
        return false;
    }
    return true;
  }

  std::vector<size_t> inOrder() const {
    std::vector<size_t> order;
    for (size_t at = found.base + 1; at < found.candidates.size(); ++at)
      if (found.candidates[at].verdict == TuneVerdict::Measured)
        order.push_back(at);
    std::ranges::stable_sort(order, {}, [&](size_t at) { return found.candidates[at].ratio; });
    return order;
  }

  bool repeatBest(size_t kept, int turns, double untilSpent) {
    constexpr double hopeless = 1.08;
    ++seed; // other numbers than those before
    ++round;
    std::vector<size_t> order = inOrder();
    for (size_t at : order) {
      TuneCandidate &candidate = found.candidates[at];
      if (kept-- == 0 || spent() > untilSpent || candidate.ratio > hopeless)
        break;
      TuneWorker::Reply reply = ask(candidate, turns);
      if (reply.outcome != TuneWorker::Outcome::Done || !(reply.error <= 1)) {
        candidate.ms.clear();
        candidate.base.clear();
      }
      judge(candidate, reply);
      note(candidate);
      if (!tell())
        return false;
    }
    return true;
  }

  /// Surely faster: by twice what the median of as many turns may be off, where one turn differs
  /// from another as the model's choice does from itself.
  void decide() {
    constexpr double least = 0.01, fewestTurns = 4;
    for (size_t at : inOrder()) {
      const TuneCandidate &candidate = found.candidates[at];
      auto turns = double(candidate.ms.size());
      double unsure = 4 * found.spread / std::sqrt(turns);
      if (turns >= fewestTurns && candidate.ratio < 1 - std::max(least, unsure)) {
        found.best = at;
        return;
      }
    }
  }

  double bestRatio() const {
    double best = 1;
    for (const TuneCandidate &candidate : found.candidates)
      if (candidate.verdict == TuneVerdict::Measured)
        best = std::min(best, candidate.ratio);
    return best;
  }

  bool tell() const {
    return !worker.isOver() &&
           progress({.kernel = found.task.name(),
                     .seen = found.candidates.size(),
                     .space = found.space,
                     .bestRatio = bestRatio(),
                     .left = std::max(Seconds(0), budget - Seconds(Clock::now() - begin))});
  }

  static constexpr double ofFirstTurns = 0.55; ///< of the budget

  bool hasBase = false;
  TuneWorker &worker;
  Seconds budget;
  uint64_t seed;
  int round = 0;           ///< TuneJudgement's
  const TuneSetup &others; ///< what else the passes run with
  const std::function<bool(const TuneProgress &)> &progress;
  Clock::time_point begin = Clock::now();
  Clock::duration firstTook{}; ///< with the tensors, and the first check
};

} // namespace

double TuneCandidate::median() const { return medianOf(ms); }

TuneResult tune(const std::vector<TuneTask> &tasks, TuneWorker &worker,
                std::chrono::duration<double> budget, uint64_t seed,
                const std::function<bool(const TuneProgress &)> &progress, TuneSetup setup) {
  Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(budget);
  // The model's choice of all, so that no table has a say in what is measured.
  for (const TuneTask &task : tasks)
    choose(setup, task, candidatesOf(task).front());
  TuneResult result;
  for (size_t at = 0; at < tasks.size() && !result.interrupted; ++at) {
    Seconds share = Seconds(end - Clock::now()) / double(tasks.size() - at);
    Search search(tasks[at], worker, std::max(share, Seconds(0.001)), seed + at * 1000003, setup,
                  progress);
    result.interrupted = !search.run();
    choose(setup, tasks[at], search.found.candidates[search.found.best]);
    result.kernels.push_back(std::move(search.found));
  }
  result.setup = std::move(setup);
  return result;
}

std::vector<TuneEntry> entriesOf(const TuneResult &result, std::string_view version,
                                 std::string_view today) {
  constexpr double nanosecondsPerMs = 1e6;
  std::vector<TuneEntry> entries;
  for (const TunedKernel &kernel : result.kernels) {
    const TuneCandidate &best = kernel.candidates[kernel.best];
    entries.push_back(
        {.key = kernel.task.key,
         .config = best.config,
         .layout = best.way ? nameOf(best.way->layout) : "",
         .schedule = best.way && best.way->schedule ? nameOf(*best.way->schedule) : "",
         .nanoseconds = int64_t(best.median() * nanosecondsPerMs),
         // The base took turns with itself.
         .defaultNanoseconds = int64_t(
             (kernel.best == kernel.base ? best.median() : medianOf(best.base)) * nanosecondsPerMs),
         .date = std::string(today),
         .version = std::string(version)});
  }
  return entries;
}

std::string today() {
  std::time_t now = std::time(nullptr);
  std::tm date{};
  (void)gmtime_r(&now, &date);
  char text[16];
  (void)std::strftime(text, sizeof text, "%Y-%m-%d", &date);
  return text;
}

} // namespace ringc
