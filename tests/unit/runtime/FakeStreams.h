#pragma once

#include "ringc/driver/CudaFunctions.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <vector>

namespace ringc {

struct FakeGraph;

/// One record of an event: done once its place in the stream has been passed.
struct FakeTicket {
  bool done = false;
  std::weak_ptr<FakeGraph> graph; ///< that it was captured in
  bool captured = false;
};

/// An entry of a stream's queue.
struct FakeWork {
  std::function<void()> run;
  std::function<bool()> ready;
  /// Gives `ready` anew for each time that it runs: of a graph, each replay.
  std::function<std::function<bool()>()> begin = {};
  std::shared_ptr<FakeTicket> waits, completes;
};

/// Captured work: queues of streams that have forked from one.
struct FakeGraph {
  std::map<CudaStreamHandle, std::vector<FakeWork>> streams;

  /// Whether all that was captured comes before the end of the stream.
  bool joins(CudaStreamHandle origin) const;
};

/// One launch of it.
class FakeReplay {
public:
  FakeReplay(std::shared_ptr<const FakeGraph> what, unsigned seed);

  /// Runs what can run now, in an order that the events allow. Whether all has run. Aborts where
  /// they allow none, and nothing waits for another library: a deadlock on a device.
  bool advance();

private:
  struct Line {
    CudaStreamHandle stream;
    size_t next = 0;
    std::function<bool()> ready = {}; ///< of the next one, where it has begun
  };
  bool step(Line &line); ///< whether something ran

  std::shared_ptr<const FakeGraph> graph;
  std::mt19937 random;
  std::set<const FakeTicket *> done;
  std::vector<Line> open;
  bool waits = false; ///< for another library
};

/// All streams of a process; safe to use from many threads.
class FakeStreams {
public:
  CudaResult push(CudaStreamHandle stream, FakeWork work);
  CudaResult record(CudaStreamHandle stream, std::shared_ptr<FakeTicket> &latest);
  CudaResult wait(CudaStreamHandle stream, const std::shared_ptr<FakeTicket> &ticket);

  void beginCapture(CudaStreamHandle stream);
  CudaResult endCapture(CudaStreamHandle stream, std::shared_ptr<FakeGraph> &graph);
  bool isCapturing(CudaStreamHandle stream);
  bool isAnyCapturing();

  bool isIdle(CudaStreamHandle stream);
  /// Runs what can run until `over` holds; false when it did not within half a minute.
  bool runUntil(const std::function<bool()> &over);
  /// Runs what can run now.
  void progress();
  void reseed(unsigned seed);

private:
  struct Stream {
    std::deque<FakeWork> queue;
    std::shared_ptr<FakeGraph> capture;
  };
  bool step(); ///< whether something ran

  std::recursive_mutex mutex;
  std::map<CudaStreamHandle, Stream> streams;
  std::mt19937 random;
  unsigned seededWith = 0;
};

} // namespace ringc
