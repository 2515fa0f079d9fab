#include "ringc/comm/NcclLink.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace ringc {

using Clock = std::chrono::steady_clock;

NcclLink::NcclLink(std::shared_ptr<const CudaDevice> on, NcclCommunicator made,
                   const NcclOptions &given)
    : device(std::move(on)), options(given), communicator(std::move(made)),
      stream(device, CudaStream::Priority::Highest), events(device),
      watcher([this](const std::stop_token &stop) { watch(stop); }) {}

NcclLink::~NcclLink() { finish(); }

void NcclLink::finish() noexcept {
  try {
    settle();
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return watched.empty() || givenUp; });
    }
    stream.synchronize(); // which is on its way behind the last exchange
  } catch (const std::exception &error) {
    abort(error.what());
  }
}

/// The peer that is waited for: who sends, where somebody does.
NcclLink::Place NcclLink::placeOf(const Exchange &exchange) {
  int peer =
      exchange.receives.empty() ? exchange.sends.front().peer : exchange.receives.front().peer;
  return {peer, exchange.hop, exchange.channel};
}

std::string NcclLink::deadlineText() const {
  return std::to_string(options.deadline.count()) + " ms";
}

/// NCCL's own thread gives the group to the device, while the caller goes on with the kernel beside
/// which it moves.
std::shared_ptr<NcclLink::Posted> NcclLink::post(const Exchange &exchange) {
  settle();
  check();
  bool capturing = follower->isCapturing();
  auto posted = std::make_shared<Posted>();
  posted->place = placeOf(exchange);
  stream.wait(*events.record(*follower));
  if (!capturing)
    posted->start = events.record(stream);
  std::vector<NcclCommunicator::Send> sends;
  std::vector<NcclCommunicator::Receive> receives;
  for (const ReceivePart &part : exchange.receives) {
    receives.push_back({part.bytes.data(), part.bytes.size(), part.peer});
    posted->receiveBytes += int64_t(part.bytes.size());
  }
  for (const SendPart &part : exchange.sends) {
    sends.push_back({part.bytes.data(), part.bytes.size(), part.peer});
    posted->sendBytes += int64_t(part.bytes.size());
  }
  posted->state = communicator.exchange(sends, receives, stream.handle());
  begun = posted;
  if (capturing || posted->state != NcclResult::InProgress)
    settle();
  return posted;
}

void NcclLink::settle() {
  std::shared_ptr<Posted> posted = std::exchange(begun, nullptr);
  if (!posted)
    return;
  if (posted->state == NcclResult::InProgress)
    posted->state = communicator.settle(options.deadline);
  if (posted->state == NcclResult::InProgress)
    fail(posted->place, "could not be begun within " + deadlineText());
  else if (posted->state != NcclResult::Success)
    fail(posted->place, communicator.library().error(posted->state, "ncclGroupEnd").what());
  check();
  sent += posted->sendBytes;
  received += posted->receiveBytes;
  posted->end = events.record(stream);
  if (!posted->start) {
    if (!captured)
      captured = posted->place;
    return;
  }
  std::lock_guard lock(mutex);
  watched.push_back(
      {.place = posted->place, .start = posted->start, .end = posted->end, .running = {}});
  changed.notify_all();
}

void NcclLink::join(Posted &exchange) {
  if (begun.get() == &exchange)
    settle();
  if (exchange.end)
    follower->wait(*exchange.end);
  else
    check();
}

void NcclLink::bringHome(Posted &exchange, void *toHost, const void *from, int64_t bytes) {
  settle();
  if (!exchange.end)
    return check();
  stream.download(toHost, from, bytes);
  exchange.end = events.record(stream);
}

std::vector<std::vector<std::byte>> NcclLink::gather(std::span<const int> ranks,
                                                     std::span<const std::byte> own) {
  int64_t size = int64_t(own.size()), count = int64_t(ranks.size());
  std::vector<std::vector<std::byte>> all(ranks.size());
  int64_t self = std::ranges::find(ranks, rank()) - ranks.begin();
  all[size_t(self)].assign(own.begin(), own.end());
  if (count == 1)
    return all;
  if (staging.bytes() < size * count)
    staging = DeviceMemory(device, size * count);
  auto *pieces = static_cast<std::byte *>(staging.data());
  auto piece = [&](int64_t place) { return std::span(pieces + size * place, size_t(size)); };
  stream.upload(piece(self).data(), own.data(), size);
  const CudaStream *before = std::exchange(follower, &stream);
  for (int64_t distance = 1; distance < count; ++distance) {
    int64_t to = (self + distance) % count, from = (self + count - distance) % count;
    post({.hop = int(distance),
          .channel = Channel::Plans,
          .sends = {{ranks[size_t(to)], piece(self)}},
          .receives = {{ranks[size_t(from)], piece(from)}}});
  }
  settle();
  follower = before;
  wait(stream);
  for (int64_t place = 0; place < count; ++place)
    if (place != self) {
      all[size_t(place)].resize(size_t(size));
      stream.download(all[size_t(place)].data(), piece(place).data(), size);
    }
  stream.synchronize();
  return all;
}

void NcclLink::check() const {
  std::unique_lock lock(mutex);
  if (!failure)
    return;
  changed.wait(lock, [this] { return givenUp; });
  throw PeerError(rank(), failure->place.peer, failure->place.hop, failure->place.channel,
                  failure->what);
}

/// Exchanges have their own deadlines; work that was captured has only this one.
void NcclLink::wait(const CudaStream &waited) {
  settle();
  Clock::time_point begin = Clock::now();
  for (int polls = 0; !waited.isIdle(); ++polls) {
    check();
    if (captured && Clock::now() - begin > options.deadline)
      fail(*captured, "captured work did not end within " + deadlineText());
    if (polls < 4096)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  check();
}

void NcclLink::abort(std::string_view reason) noexcept {
  Place here{.peer = rank(), .hop = 0, .channel = Channel::Plans};
  try {
    fail(here, "this rank failed: " + std::string(reason));
  } catch (...) { // no memory for the text
    fail(here, "this rank failed");
  }
}

/// Known before the device comes to rest, so that nobody takes that for an end; and told only when
/// it has been given up.
void NcclLink::fail(const Place &place, std::string_view what) noexcept {
  {
    std::lock_guard lock(mutex);
    if (failure)
      return;
    try {
      failure = {place, std::string(what)};
    } catch (...) {
      failure = {place, {}};
    }
  }
  communicator.abort();
  {
    std::lock_guard lock(mutex);
    givenUp = true;
  }
  changed.notify_all();
}

bool NcclLink::look() {
  std::unique_lock lock(mutex);
  if (failure)
    return true;
  while (!watched.empty() && watched.front().end->isDone())
    watched.pop_front();
  if (watched.empty()) {
    changed.notify_all();
    return false;
  }
  Watched &next = watched.front();
  if (!next.running && next.start->isDone())
    next.running = Clock::now();
  Place place = next.place;
  bool late = next.running && Clock::now() - *next.running > options.deadline;
  lock.unlock();
  NcclResult state = communicator.asyncError();
  if (state != NcclResult::Success && state != NcclResult::InProgress) {
    fail(place, communicator.library().error(state, "NCCL").what());
    return true;
  }
  if (late)
    fail(place, "nothing came within " + deadlineText());
  return late;
}

void NcclLink::watch(const std::stop_token &stop) {
  // Looking at events must not disturb what other threads capture.
  CudaCurrent current(*device);
  CudaCaptureMode relaxed = CudaCaptureMode::Relaxed;
  (void)device->functions().threadExchangeCaptureMode(&relaxed);
  auto interval = std::clamp<Clock::duration>(options.deadline / 50, std::chrono::milliseconds(1),
                                              std::chrono::milliseconds(20));
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex);
      if (!changed.wait(lock, stop, [&] { return !watched.empty(); }))
        return;
      if (changed.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); }))
        return;
    }
    try {
      if (look())
        return;
    } catch (const CudaError &error) {
      Place place;
      {
        std::lock_guard lock(mutex);
        if (!watched.empty())
          place = watched.front().place;
      }
      fail(place, error.what());
      return;
    }
  }
}

} // namespace ringc
