#pragma once

#include "runtime/Attention.h"
#include "runtime/attention/InProcessRing.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringc::cli {

/// Both passes over whole tensors, which each process has; a rank computes its rows of them.
class WorldRing {
public:
  /// Whole tensors; those of passes that did not run are empty.
  struct Results {
    InProcessRing::Forward forward;
    InProcessRing::Gradients gradients;
  };

  virtual ~WorldRing() = default;

  /// Compiles what a pass needs.
  virtual void prepare(Pass pass) = 0;
  virtual void forward() = 0;
  /// After `forward`.
  virtual void backward() = 0;

  /// Of the latest pass, by rank of this process.
  virtual std::vector<ExecutionReport> reports() const = 0;

  /// In the first process all rows, in another its ranks' rows; zeros elsewhere.
  virtual Results collect() = 0;
};

/// The ranks of a command: threads of this process, or processes that mpirun has started, one each.
/// All processes call the same functions in the same order.
class World {
public:
  virtual ~World() = default;

  virtual int size() const = 0;
  /// Those of this process, rising.
  virtual std::vector<int> ranks() const = 0;
  /// Whether this process has rank 0: it alone prints, and writes files.
  bool isFirst() const { return ranks().front() == 0; }

  /// The tensors behind `inputs` and `dout` must outlive the ring; `dout` may be empty.
  virtual std::unique_ptr<WorldRing> ring(const AttentionOptions &options,
                                          const AttentionContext &context,
                                          const AttentionInputs &inputs, const Tensor &dout) = 0;

  /// In the first process what all have given, in the order of their ranks; each gives as many
  /// numbers for each of its ranks. In others nothing.
  virtual std::vector<double> gather(const std::vector<double> &own) = 0;

  /// The largest that a process has given; none goes on before all have.
  virtual double largest(double own) = 0;

  /// Makes the other processes fail, too.
  virtual void abort(const std::string &reason) noexcept = 0;
};

/// Command line options of a world of processes.
struct WorldFlags {
  double deadlineSeconds = 600;
  const CLI::Option *ranks = nullptr; ///< --ranks

  /// After --ranks.
  void addTo(CLI::App &command);
};

/// Runs `command` in a world of `ranks` threads, or of the processes of mpirun. Returns the largest
/// exit code of all. Where a process fails, all do. Throws InputError where the ranks that were
/// asked for are not those that mpirun has started, or this build has no MPI.
int runInWorld(const Session &session, int ranks, const WorldFlags &flags,
               const std::function<int(const Session &, World &)> &command);

/// Of the processes that mpirun has started, which wait for each other at most so long. Throws
/// InputError when MPI does not start. Only in a build with MPI.
std::unique_ptr<World> makeMpiWorld(std::chrono::milliseconds deadline);

} // namespace ringc::cli
