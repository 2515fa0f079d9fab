#pragma once

#include "ringc/attention/HostAttentionRank.h"
#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/device/DeviceCode.h"
#include "ringc/comm/ProcessRank.h"
#include "ringc/comm/StreamTransport.h"
#include "ringc/ring/Agreement.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringc {

/// Both passes over whole tensors, which each process has; a rank computes its rows of them.
class WorldRing {
public:
  /// Whole tensors; those of passes that did not run are empty.
  struct Results {
    HostAttentionRing::Forward forward;
    HostAttentionRing::Gradients gradients;
  };

  virtual ~WorldRing() = default;

  /// Compiles what a pass needs.
  virtual void prepare(Pass pass) = 0;
  virtual void forward() = 0;
  /// After `forward`.
  virtual void backward() = 0;

  /// How long a pass took: on the host from call to return; on devices between events before and
  /// behind it, and for how long the host was busy with it.
  struct Took {
    double milliseconds = 0;
    std::optional<double> launchMicroseconds = {};
  };
  /// Runs it.
  virtual Took timed(Pass pass);

  /// Of the latest pass, by rank of this process.
  virtual std::vector<ExecutionReport> reports() const = 0;

  /// In the first process all rows, in another its ranks' rows; zeros elsewhere.
  virtual Results collect() = 0;
};

/// A rank of this process at work, and how it reaches the others.
struct WorldRank {
  int rank = 0;
  Transport *transport = nullptr;        ///< between memory of hosts; null on a device
  const DeviceContext *device = nullptr; ///< that it works on; null: the host's CPU
  RemoteTransport *remote = nullptr;     ///< between devices; null for a rank alone
};

/// The ranks that work together: threads of this process, devices of it that ranks are dealt over,
/// or processes that a launcher has started, one each.
/// All processes call the same functions in the same order.
class World {
public:
  virtual ~World() = default;

  virtual int size() const = 0;
  /// Those of this process, rising.
  virtual std::vector<int> ranks() const = 0;
  /// Whether this process has rank 0: it alone prints, and writes files.
  bool isFirst() const { return ranks().front() == 0; }

  /// Those that the ranks of this process run on; none: the host's CPU.
  virtual const std::vector<DeviceContext> &devices() const;

  /// The tensors behind `inputs` and `dout` must outlive the ring; `dout` may be empty.
  virtual std::unique_ptr<WorldRing> ring(const AttentionOptions &options,
                                          const AttentionContext &context,
                                          const AttentionInputs &inputs, const Tensor &dout) = 0;

  /// The same of one rank alone, in this process.
  virtual std::unique_ptr<WorldRing> oneRank(const AttentionOptions &options,
                                             const AttentionContext &context,
                                             const AttentionInputs &inputs,
                                             const Tensor &dout) const;

  /// Runs `body` for each rank of this process, at once, each on a thread. Where one throws, its
  /// others end, too, and what the first to fail has thrown is thrown. Several ranks of one process
  /// on devices cannot be captured in graphs.
  virtual void onRanks(const std::function<void(const WorldRank &)> &body) = 0;

  /// In the first process what all have given, in the order of their ranks; each gives as many
  /// numbers for each of its ranks. In others nothing.
  virtual std::vector<double> gather(const std::vector<double> &own) = 0;

  /// In each process what the first has given.
  virtual std::string ofFirst(const std::string &own) = 0;

  /// Throws DisagreementError, in all processes, where one says something else than the others.
  virtual void agree(const Agreement &own) = 0;

  /// The largest that a process has given; none goes on before all have.
  virtual double largest(double own) = 0;

  /// Makes the other processes fail, too.
  virtual void abort(const std::string &reason) noexcept = 0;
};

/// What the first of those has given who call it, by `gather` of all.
std::string ofFirst(const GatherBytes &gather, const std::string &own);

/// What a world is asked for.
struct WorldOptions {
  std::optional<int> ranks; ///< absent: in one process `usualRanks`, else as many as processes
  int usualRanks = 1;
  bool onDevices = false;
  std::vector<int> devices; ///< ordinals that ranks are dealt over; empty: all
  std::chrono::milliseconds deadline =
      std::chrono::minutes(10);                       ///< that a process waits for another
  std::function<void(const std::string &)> tell = {}; ///< hostContext's
};

/// The world that this process belongs to, as its launcher and `options` say: of so many ranks in
/// this process, or of the processes of mpirun, srun or torchrun, on the host or on devices. Throws
/// InputError where the ranks that are asked for are not those that were started, or, on the host,
/// where they are not processes of MPI or this build has none; CudaError and NcclError.
std::unique_ptr<World> makeWorld(const WorldOptions &options);

/// Of the processes that mpirun, or srun, has started, which wait for each other at most so long.
/// Throws InputError when MPI does not start, or does not know of them. Only in a build with MPI.
std::unique_ptr<World> makeMpiWorld(const ProcessRank &process, std::chrono::milliseconds deadline);

} // namespace ringc
