#include "runtime/comm/NcclCommunicator.h"

#include "runtime/Error.h"

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
      owned(other.owned), ownRank(other.ownRank), ranks(other.ranks), patience(other.patience) {}

NcclCommunicator NcclCommunicator::make(std::shared_ptr<const NcclLibrary> library,
                                        const CudaDevice &device, int rank, int world,
                                        const NcclUniqueId &id,
                                        std::chrono::milliseconds deadline) {
  NcclCommunicator made(std::move(library), device);
  made.owned = true;
  made.ownRank = rank;
  made.ranks = world;
  made.patience = deadline;
  std::string what =
      "ncclCommInitRankConfig of rank " + std::to_string(rank) + " of " + std::to_string(world);
  CudaCurrent current(device);
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
                                          const CudaDevice &device, NcclComm theirs) {
  NcclCommunicator made(std::move(library), device);
  made.comm = theirs;
  const NcclFunctions &functions = made.nccl->functions();
  int ordinal = 0;
  made.nccl->check(functions.commCuDevice(theirs, &ordinal), "ncclCommCuDevice");
  made.nccl->check(functions.commCount(theirs, &made.ranks), "ncclCommCount");
  made.nccl->check(functions.commUserRank(theirs, &made.ownRank), "ncclCommUserRank");
  if (ordinal != device.facts().ordinal) {
    made.comm = nullptr;
    throw InputError("communicator", "of device " + std::to_string(ordinal),
                     "of " + device.facts().describe());
  }
  return made;
}

NcclCommunicator::~NcclCommunicator() {
  if (!comm || !owned)
    return;
  CudaCurrent current(on);
  const NcclFunctions &functions = nccl->functions();
  NcclResult begun = functions.commFinalize(comm);
  bool ended = begun == NcclResult::Success ||
               (begun == NcclResult::InProgress && settle(patience) == NcclResult::Success);
  (void)(ended ? functions.commDestroy(comm) : functions.commAbort(comm));
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
  CudaCurrent current(on);
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
  CudaCurrent current(on);
  std::unique_lock lock(mutex);
  if (NcclComm gone = std::exchange(comm, nullptr))
    (void)nccl->functions().commAbort(gone);
}

} // namespace ringc
