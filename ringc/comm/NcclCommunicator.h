#pragma once

#include "ringc/comm/NcclLibrary.h"
#include "ringc/driver/CudaDevice.h"

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

namespace ringc {

/// A communicator of NCCL's that does not block, and that a second thread may abort at any time.
class NcclCommunicator {
public:
  /// Waits for all ranks. Throws NcclError when NCCL fails, or not all come within the deadline.
  static NcclCommunicator make(std::shared_ptr<const NcclLibrary> library,
                               std::shared_ptr<const CudaDevice> device, int rank, int world,
                               const NcclUniqueId &id, std::chrono::milliseconds deadline);

  /// The user's, which may block, and is not destroyed here. Throws InputError where it is not of
  /// the device.
  static NcclCommunicator borrow(std::shared_ptr<const NcclLibrary> library,
                                 std::shared_ptr<const CudaDevice> device, NcclComm theirs);

  NcclCommunicator(NcclCommunicator &&other) noexcept;
  NcclCommunicator &operator=(NcclCommunicator &&) = delete;
  /// Ends in good order, together with the other ranks, unless it was aborted. NCCL keeps what
  /// graphs that were captured with it need until the last of them is destroyed: this waits for
  /// that a few seconds, and then leaves it to a thread.
  ~NcclCommunicator();

  int rank() const { return ownRank; }
  int world() const { return ranks; }
  const NcclLibrary &library() const { return *nccl; }

  struct Send {
    const void *bytes;
    size_t count;
    int peer;
  };
  struct Receive {
    void *bytes;
    size_t count;
    int peer;
  };
  /// All in one group, in the stream's order. InProgress where a thread of NCCL's still puts it
  /// there: then nothing else may be given to the stream or the communicator before `settle`.
  /// RemoteError once aborted.
  NcclResult exchange(std::span<const Send> sends, std::span<const Receive> receives,
                      CudaStreamHandle stream);

  /// Returns when a call that is in progress is over: InProgress when that took longer than the
  /// deadline, another code when NCCL failed, or it was aborted meanwhile.
  NcclResult settle(std::chrono::milliseconds deadline);

  /// Success, or what went wrong behind the caller's back.
  NcclResult asyncError();

  /// Ends all that is under way on the device. From any thread, and at once, whatever graphs there
  /// are; the communicator is gone then.
  void abort() noexcept;

private:
  using EndingCall = NcclResult (*NcclFunctions::*)(NcclComm);

  NcclCommunicator(std::shared_ptr<const NcclLibrary> library,
                   std::shared_ptr<const CudaDevice> device)
      : nccl(std::move(library)), on(std::move(device)) {}
  void end(EndingCall call, NcclComm gone) noexcept;

  std::shared_ptr<const NcclLibrary> nccl;
  std::shared_ptr<const CudaDevice> on;
  NcclComm comm = nullptr; ///< null once aborted
  bool owned = false;
  int ownRank = 0, ranks = 1;
  std::chrono::milliseconds patience{};
  std::mutex mutex;         ///< of `comm`
  std::future<void> ending; ///< of the thread in which NCCL takes it apart
};

} // namespace ringc
