#include "ringc/comm/NcclCommunicator.h"

#include "ringc/support/Error.h"

#include <exception>
#include <string>
#include <thread>
#include <utility>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

/// Between two looks: yields at first, then sleeps.
class Pause {
public:
  void operator()() {
    constexpr int yields = 4096;
    if (++polls <= yields)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

private:
  int polls = 0;
};

} // namespace

NcclCommunicator::NcclCommunicator(NcclCommunicator &&other) noexcept
    : nccl(std::move(other.nccl)), on(other.on), comm(std::exchange(other.comm, nullptr)),
      owned(other.owned), ownRank(other.ownRank), ranks(other.ranks), patience(other.patience),
      ending(std::move(other.ending)) {}

NcclCommunicator NcclCommunicator::make(std::shared_ptr<const NcclLibrary> library,
                                        std::shared_ptr<const CudaDevice> device, int rank,
                                        int world, const NcclUniqueId &id,
                                        std::chrono::milliseconds deadline) {
  NcclCommunicator made(std::move(library), std::move(device));
  made.owned = true;
  made.ownRank = rank;
  made.ranks = world;
  made.patience = deadline;
  std::string what =
      "ncclCommInitRankConfig of rank " + std::to_string(rank) + " of " + std::to_string(world);
  CudaCurrent current(*made.on);
  NcclConfig config;
  config.blocking = 0;
  NcclResult begun =
      made.nccl->functions().commInitRankConfig(&made.comm, world, id, rank, &config);
  if (begun != NcclResult::Success && begun != NcclResult::InProgress)
    throw made.nccl->error(begun, what);
  NcclResult ended = made.settle(deadline);
  if (ended == NcclResult::Success)
    return made;
  NcclError error = ended == NcclResult::InProgress
                        ? NcclError(what + ": not all ranks came within " +
                                        std::to_string(deadline.count()) + " ms",
                                    ended)
                        : made.nccl->error(ended, what);
  made.abort();
  throw error;
}

NcclCommunicator NcclCommunicator::borrow(std::shared_ptr<const NcclLibrary> library,
                                          std::shared_ptr<const CudaDevice> device,
                                          NcclComm theirs) {
  NcclCommunicator made(std::move(library), std::move(device));
  made.comm = theirs;
  const NcclFunctions &functions = made.nccl->functions();
  int ordinal = 0;
  made.nccl->check(functions.commCuDevice(theirs, &ordinal), "ncclCommCuDevice");
  made.nccl->check(functions.commCount(theirs, &made.ranks), "ncclCommCount");
  made.nccl->check(functions.commUserRank(theirs, &made.ownRank), "ncclCommUserRank");
  if (ordinal != made.on->facts().ordinal) {
    made.comm = nullptr;
    throw InputError("communicator", "of device " + std::to_string(ordinal),
                     "of " + made.on->facts().describe());
  }
  return made;
}

NcclCommunicator::~NcclCommunicator() {
  if (comm && owned) {
    CudaCurrent current(*on);
    const NcclFunctions &functions = nccl->functions();
    NcclResult begun = functions.commFinalize(comm);
    bool final = begun == NcclResult::Success ||
                 (begun == NcclResult::InProgress && settle(patience) == NcclResult::Success);
    end(final ? &NcclFunctions::commDestroy : &NcclFunctions::commAbort, comm);
  }
  constexpr std::chrono::seconds forGraphs(5);
  if (ending.valid())
    (void)ending.wait_for(forGraphs);
}

/// Both of NCCL's ways to end return only when no graph is left that was captured with the
/// communicator, and the thread that has failed is likely to be the one that holds the graphs.
void NcclCommunicator::end(EndingCall call, NcclComm gone) noexcept {
  try {
    std::packaged_task<void()> task([library = nccl, device = on, call, gone] {
      CudaCurrent current(*device);
      (void)(library->functions().*call)(gone);
    });
    std::future<void> done = task.get_future();
    std::thread(std::move(task)).detach();
    ending = std::move(done);
  } catch (const std::exception &) { // no thread to be had
    (void)(nccl->functions().*call)(gone);
  }
}

NcclResult NcclCommunicator::settle(std::chrono::milliseconds deadline) {
  Clock::time_point end = Clock::now() + deadline;
  for (Pause pause;; pause()) {
    NcclResult state = asyncError();
    if (state != NcclResult::InProgress || Clock::now() > end)
      return state;
  }
}

NcclResult NcclCommunicator::asyncError() {
  std::lock_guard lock(mutex);
  if (!comm)
    return NcclResult::RemoteError;
  NcclResult state = NcclResult::Success;
  NcclResult asked = nccl->functions().commGetAsyncError(comm, &state);
  return asked == NcclResult::Success ? state : asked;
}

NcclResult NcclCommunicator::exchange(std::span<const Send> sends,
                                      std::span<const Receive> receives, CudaStreamHandle stream) {
  CudaCurrent current(*on);
  const NcclFunctions &functions = nccl->functions();
  NcclResult result = NcclResult::Success;
  {
    // A communicator of the user's may block in here, until another thread aborts it.
    std::unique_lock lock(mutex, std::defer_lock);
    if (owned)
      lock.lock();
    if (!comm)
      return NcclResult::RemoteError;
    result = functions.groupStart();
    auto add = [&](NcclResult next) {
      if (result == NcclResult::Success && next != NcclResult::InProgress)
        result = next;
    };
    for (const Receive &part : receives)
      add(functions.receive(part.bytes, part.count, NcclType::Int8, part.peer, comm, stream));
    for (const Send &part : sends)
      add(functions.send(part.bytes, part.count, NcclType::Int8, part.peer, comm, stream));
    NcclResult ended = functions.groupEnd();
    if (result == NcclResult::Success)
      result = ended;
  }
  return result;
}

void NcclCommunicator::abort() noexcept {
  constexpr std::chrono::seconds forKernels(
      1); // that have heard of it, unless graphs are waited for
  NcclComm gone = nullptr;
  {
    std::lock_guard lock(mutex);
    gone = std::exchange(comm, nullptr);
  }
  if (!gone)
    return;
  end(&NcclFunctions::commAbort, gone);
  if (ending.valid())
    (void)ending.wait_for(forKernels);
}

} // namespace ringc
