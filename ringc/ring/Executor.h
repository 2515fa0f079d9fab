#pragma once

#include "ringc/Tensor.h"
#include "ringc/comm/Transport.h"
#include "ringc/ring/HopMemory.h"
#include "ringc/ring/Plan.h"
#include "ringc/ring/Trace.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ringc {

/// The keys that are resident at one step, for the kernels of one rank.
struct HopBlock {
  int step = 0;
  int owner = 0;        ///< world rank
  int64_t firstRow = 0; ///< of the owner's rows
  int64_t rows = 0;
  Visibility visibility = Visibility::Partial;

  /// Whether this is the first, the last computed step of the rank: the running state begins, ends.
  bool begins = false, ends = false;

  /// The keys stay until the next block that does not stay has been used: whatever does not write
  /// `gradients` may wait for it, and take all at once.
  bool stays = false;

  /// As `RankShard::keys` has them, with these rows; not to be written.
  std::span<const Tensor> keys;

  /// Backward: as `RankShard::gradients`, with these rows: a part of larger ones, where they are
  /// a chunk. The kernel adds to them.
  std::span<const Tensor> gradients;
};

/// What runs on a block: queries, results and running state are its own business. Where kernels and
/// transport work in the order of a stream, "returns when" means: is in that order before what
/// comes later.
class HopKernels {
public:
  virtual ~HopKernels() = default;

  /// Returns when the block's gradients are complete.
  virtual void run(const HopBlock &block) = 0;

  /// What else there is to do for the block, beside the transfer of its gradients. Returns when the
  /// block has been used; then its memory may change, unless it stays.
  virtual void runBesideGradients(const HopBlock &) {}

  /// Called instead, once, on a rank none of whose rows sees a key: out is 0, lse -inf, dq 0.
  virtual void runNothing() = 0;

  /// What the executor does to memory between blocks, where the kernels' memory lies: on the host,
  /// by the calling thread, unless overridden. Row-major tensors; `add` has f32 of one shape.
  virtual void zero(const Tensor &tensor);
  virtual void add(const Tensor &part, const Tensor &sum);
  virtual void copy(const Tensor &from, const Tensor &to); ///< `from` with any strides

  /// Tells the times between which all of these ran: the calling thread's, unless overridden.
  virtual std::unique_ptr<TraceClock> traceClock();
};

/// All that an executor sees besides its hop buffers: what it holds, never the whole sequence.
struct RankShard {
  /// K, V and key-indexed arguments of the rank's own rows, any strides.
  std::vector<KeyIndexed> keys;

  /// Backward: dK, dV of the rank's own rows, f32, row-major. Written, whatever they held.
  std::vector<KeyIndexed> gradients;
};

struct ExecutionReport {
  int64_t sentBytes = 0;
  int64_t receivedBytes = 0;
  int64_t hopBufferBytes = 0;
  int computedSteps = 0;
  std::chrono::nanoseconds computing{0}; ///< in kernels
  std::chrono::nanoseconds waiting{0};   ///< for transfers, kernels being over
};

/// One pass of one rank, in pieces that a thread can take turns with. A rank's calls are begin(),
/// for each step post(), compute(), finish(), and end(). None of them waits for a peer but
/// compute() and end(), for gradients of steps before, and finish(), for what post() began
/// for the step to come.
class Execution {
public:
  /// What is given must outlive it. Throws InputError when the shard does not have the rows and
  /// bytes of the plan. `trace` may be null.
  Execution(const Plan &plan, const RankShard &shard, HopKernels &kernels, Transport &transport,
            HopMemory &memory, Trace *trace = nullptr);

  int steps() const { return int(plan.steps.size()); }
  void begin();
  void post(int step);
  void compute(int step);
  void finish(int step);
  ExecutionReport end();

private:
  /// An exchange under way, or none.
  struct Move {
    std::unique_ptr<Transfer> transfer;
    int hop = 0;
    SpanKind kind = SpanKind::Keys;
    size_t posted = 0; ///< mark of the trace
  };
  /// One of gradients, and what it brings home.
  struct GradientsMove {
    Move move;
    std::vector<Tensor> homecoming, home; ///< what comes, and where it is added
  };

  bool borrows() const;
  void borrow();
  void giveBack();
  std::vector<Tensor> residentKeys(const Step &step) const;
  std::vector<Tensor> keysAt(const Step &step) const;
  std::vector<Tensor> gradientsAt(const Step &step) const;
  std::vector<Tensor> ownGradientsOf(const Step &step) const;
  std::vector<Tensor> gradientsToAddTo(const Step &step);
  void lendGradients(const Step &step);
  bool sharesLaunch(const Step &step) const;
  bool stays(const Step &step) const;
  bool keysWait(const Step &step) const;
  void gatherToSend(const Step &step);
  void addKeys(const Step &step, Exchange &exchange) const;
  void postKeys(const Step &step);
  void postGradients(const Step &step);
  void finishKeys(int underWay);
  void finishGradients(int underWay);
  void addHome(const GradientsMove &over);
  void zero(std::span<const Tensor> tensors);
  Move post(const Exchange &exchange);
  void wait(Move &move);
  template <typename Wait> void exposed(const Move &move, Wait &&untilOver);

  const Plan &plan;
  const std::optional<int> firstComputed, lastComputed; ///< of the plan, which looks for them
  HopKernels &kernels;
  Transport &transport;
  HopMemory &memory;
  PassTrace trace;
  std::span<const KeyIndexed> keyModels, gradientModels;
  std::vector<Tensor> ownKeys, ownGradients;
  std::vector<Tensor> resident; ///< the keys of the step under way
  std::deque<Move> keysMoves;
  std::vector<std::vector<Tensor>> borrowed; ///< keys by step, while `loan` is not given back
  std::unique_ptr<Transfer> loan;
  std::deque<GradientsMove> gradientsMoves;
  std::vector<Tensor> ownersGradients; ///< of the step under way, where ranks lend
  int64_t sentBefore = 0, receivedBefore = 0;
  ExecutionReport report;
};

/// Runs one rank's plan: sends and receives while the kernels run, in the order that the plan says,
/// and decides nothing. All ranks of a ring must run, each with its own transport and memory.
/// Throws InputError when the shard does not have the rows and bytes of the plan; PeerError when a
/// peer fails; whatever the kernels throw. On any of these the other ranks fail too. `trace` may be
/// null.
ExecutionReport execute(const Plan &plan, const RankShard &shard, HopKernels &kernels,
                        Transport &transport, HopMemory &memory, Trace *trace = nullptr);

/// All ranks of a ring, or of a world of rings of one size, by one thread, which gives each its
/// turn: for transports whose waits do not wait for the thread.
std::vector<ExecutionReport> executeInTurns(std::span<Execution *const> ranks);

} // namespace ringc
