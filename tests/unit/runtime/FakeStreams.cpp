#include "tests/unit/runtime/FakeStreams.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

namespace ringc {

namespace {

// cuda.h: CUDA_ERROR_STREAM_CAPTURE_UNJOINED, ISOLATION, CAPTURED_EVENT
constexpr CudaResult unjoined{904}, isolation{905};

} // namespace

bool FakeGraph::joins(CudaStreamHandle origin) const {
  std::map<const FakeTicket *, std::pair<CudaStreamHandle, size_t>> recorded;
  for (const auto &[stream, works] : streams)
    for (size_t at = 0; at < works.size(); ++at)
      if (works[at].completes)
        recorded[works[at].completes.get()] = {stream, at + 1};
  std::map<CudaStreamHandle, size_t> reached;
  auto start = streams.find(origin);
  std::vector<std::pair<CudaStreamHandle, size_t>> open = {
      {origin, start == streams.end() ? 0 : start->second.size()}};
  while (!open.empty()) {
    auto [stream, end] = open.back();
    open.pop_back();
    for (size_t at = reached[stream]; at < end; ++at)
      if (const auto &ticket = streams.at(stream)[at].waits;
          ticket && recorded.contains(ticket.get()))
        open.push_back(recorded.at(ticket.get()));
    reached[stream] = std::max(reached[stream], end);
  }
  return std::ranges::all_of(
      streams, [&](const auto &each) { return reached[each.first] == each.second.size(); });
}

FakeReplay::FakeReplay(std::shared_ptr<const FakeGraph> what, unsigned seed)
    : graph(std::move(what)), random(seed) {
  for (const auto &[stream, works] : graph->streams)
    if (!works.empty())
      open.push_back({stream});
}

bool FakeReplay::step(Line &line) {
  const FakeWork &work = graph->streams.at(line.stream)[line.next];
  if (work.waits && !done.contains(work.waits.get()))
    return false;
  if (work.begin && !line.ready)
    line.ready = work.begin();
  if (line.ready && !line.ready()) {
    waits = true;
    return false;
  }
  if (work.run)
    work.run();
  if (work.completes)
    done.insert(work.completes.get());
  line = {line.stream, line.next + 1};
  return true;
}

bool FakeReplay::advance() {
  for (bool ran = true; ran && !open.empty();) {
    std::ranges::shuffle(open, random);
    ran = waits = false;
    for (size_t at = 0; at < open.size() && !ran; ++at)
      if ((ran = step(open[at])) && open[at].next == graph->streams.at(open[at].stream).size())
        open.erase(open.begin() + ptrdiff_t(at));
  }
  if (!open.empty() && !waits)
    std::abort();
  return open.empty();
}

CudaResult FakeStreams::push(CudaStreamHandle handle, FakeWork work) {
  std::lock_guard lock(mutex);
  Stream &stream = streams[handle];
  if (stream.capture)
    stream.capture->streams[handle].push_back(std::move(work));
  else {
    if (work.begin)
      work.ready = work.begin();
    stream.queue.push_back(std::move(work));
  }
  return CudaResult::Success;
}

CudaResult FakeStreams::record(CudaStreamHandle handle, std::shared_ptr<FakeTicket> &latest) {
  std::lock_guard lock(mutex);
  auto ticket = std::make_shared<FakeTicket>();
  ticket->graph = streams[handle].capture;
  ticket->captured = streams[handle].capture != nullptr;
  latest = ticket;
  return push(handle, {.run = {}, .ready = {}, .waits = {}, .completes = ticket});
}

CudaResult FakeStreams::wait(CudaStreamHandle handle, const std::shared_ptr<FakeTicket> &ticket) {
  std::lock_guard lock(mutex);
  if (!ticket)
    return CudaResult::Success;
  Stream &stream = streams[handle];
  std::shared_ptr<FakeGraph> graph = ticket->graph.lock();
  if (ticket->captured) {
    if (!graph || (stream.capture && stream.capture != graph))
      return isolation;
    stream.capture = graph;
  } else if (stream.capture) {
    return isolation;
  }
  return push(handle, {.run = {}, .ready = {}, .waits = ticket, .completes = {}});
}

void FakeStreams::beginCapture(CudaStreamHandle stream) {
  std::lock_guard lock(mutex);
  streams[stream].capture = std::make_shared<FakeGraph>();
}

CudaResult FakeStreams::endCapture(CudaStreamHandle origin, std::shared_ptr<FakeGraph> &graph) {
  std::lock_guard lock(mutex);
  graph = streams[origin].capture;
  for (auto &[handle, stream] : streams)
    if (stream.capture == graph)
      stream.capture.reset();
  return graph->joins(origin) ? CudaResult::Success : unjoined;
}

bool FakeStreams::isCapturing(CudaStreamHandle stream) {
  std::lock_guard lock(mutex);
  return streams[stream].capture != nullptr;
}

bool FakeStreams::isAnyCapturing() {
  std::lock_guard lock(mutex);
  return std::ranges::any_of(streams, [](const auto &each) { return bool(each.second.capture); });
}

bool FakeStreams::isIdle(CudaStreamHandle stream) {
  std::lock_guard lock(mutex);
  return streams[stream].queue.empty();
}

void FakeStreams::reseed(unsigned seed) {
  std::lock_guard lock(mutex);
  if (seed != seededWith)
    random.seed(seededWith = seed);
}

bool FakeStreams::step() {
  std::vector<CudaStreamHandle> heads;
  for (const auto &[handle, stream] : streams)
    if (!stream.queue.empty())
      heads.push_back(handle);
  std::ranges::shuffle(heads, random);
  for (CudaStreamHandle handle : heads) {
    std::deque<FakeWork> &queue = streams[handle].queue;
    FakeWork &head = queue.front();
    if ((head.waits && !head.waits->done) || (head.ready && !head.ready()))
      continue;
    FakeWork work = std::move(head);
    queue.pop_front();
    if (work.run)
      work.run();
    if (work.completes)
      work.completes->done = true;
    return true;
  }
  return false;
}

bool FakeStreams::runUntil(const std::function<bool()> &over) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {
    {
      std::lock_guard lock(mutex);
      if (over())
        return true;
      if (step())
        continue;
    }
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200)); // another thread may go on
  }
}

void FakeStreams::progress() {
  std::lock_guard lock(mutex);
  while (step()) {
  }
}

} // namespace ringc
