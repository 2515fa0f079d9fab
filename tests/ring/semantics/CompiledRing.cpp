#include "tests/ring/semantics/CompiledRing.h"
#include "ringc/attention/HostAttentionRank.h"

#include "ringc/attention/shared/Extents.h"
#include "ringc/ring/Sharding.h"
#include "tests/ring/GuardedTensor.h"
#include "tests/ring/semantics/Fence.h"

#include <cstring>
#include <memory>
#include <utility>

namespace ringc::test {

namespace {

/// What one rank holds.
struct Holding {
  Holding(const Case &given, const Data &data, int rank)
      : part(given.options, given.world, rank, given.shape),
        fence(std::make_shared<Fence>(context().kernels)) {
    q = take(data.q);
    k = take(data.k);
    v = take(data.v);
    dout = take(data.dout);
    if (!given.keyMask.empty())
      keyMask = take(data.keyMask);
    auto result = [&](DType dtype, std::initializer_list<int64_t> shape) {
      HostTensor nans(dtype, shape);
      std::memset(nans.data(), 0xff, size_t(nans.byteCount()));
      return keep(nans);
    };
    DType dtype = given.options.dtype;
    out = result(dtype, {q.dim(0), q.dim(1), q.dim(2), v.dim(3)});
    for (Tensor *rows : {&lse, &rowMax, &rowSum})
      *rows = result(DType::F32, {q.dim(0), q.dim(2), q.dim(1)});
    dq = result(dtype, {q.dim(0), q.dim(1), q.dim(2), q.dim(3)});
    dk = result(dtype, {k.dim(0), k.dim(1), k.dim(2), k.dim(3)});
    dv = result(dtype, {v.dim(0), v.dim(1), v.dim(2), v.dim(3)});
  }

  AttentionInputs inputs() const {
    AttentionInputs all{.q = q, .k = k, .v = v};
    if (keyMask.rank() > 0)
      all.keyMask = keyMask;
    return all;
  }

  void give(const Tensor &local, int axis, const HostTensor &whole) const {
    unshardInto(local, axis, part.layout, part.place(), part.rings.ringSize, whole);
  }

  RankProblem part;
  std::shared_ptr<Fence> fence;
  Tensor q, k, v, dout, keyMask, out, lse, rowMax, rowSum, dq, dk, dv;

private:
  Tensor take(const Tensor &whole) {
    return keep(shard(whole, 1, part.layout, part.place(), part.rings.ringSize));
  }
  Tensor keep(const Tensor &tensor) {
    Tensor kept = memory.emplace_back(tensor).view();
    fence->open(kept.data(), size_t(kept.byteCount()));
    return kept;
  }

  std::vector<GuardedTensor> memory;
};

} // namespace

reference::Result computeFenced(const Case &given, Data data, std::vector<RankReport> &reports,
                                InProcessOptions transport, std::function<void()> aroundProgram) {
  HostTensor out(data.dout.dtype(), data.dout.shape()), dq(data.q.dtype(), data.q.shape()),
      dk(data.k.dtype(), data.k.shape()), dv(data.v.dtype(), data.v.shape());
  HostTensor lse(DType::F32, {data.q.dim(0), data.q.dim(2), data.q.dim(1)});
  std::vector<std::unique_ptr<Holding>> holdings;
  for (int rank = 0; rank < given.world; ++rank)
    holdings.push_back(std::make_unique<Holding>(given, data, rank));
  data = {};
  for (const auto &own : holdings)
    own->fence->aroundProgram = aroundProgram;

  auto before = std::move(transport.beforePost);
  transport.beforePost = [&](int rank, const Exchange &exchange) {
    holdings[size_t(rank)]->fence->open(exchange);
    for (const ReceivePart &part : exchange.receives)
      std::memset(part.bytes.data(), 0xff, part.bytes.size());
    if (before)
      before(rank, exchange);
  };
  reports.assign(size_t(given.world), {});
  InProcessWorld world(given.world, std::move(transport));
  runRanks(world, [&](int rank) {
    Holding &own = *holdings[size_t(rank)];
    RankReport &report = reports[size_t(rank)];
    HostAttentionRank attention(given.options, world.at(rank),
                                {.kernels = own.fence, .pool = context().pool});
    AttentionInputs inputs = own.inputs();
    ForwardResults results{own.out, own.lse, own.rowMax, own.rowSum};
    size_t place = size_t(own.part.place());
    report.forwardPlan = attention.plans(Pass::Forward, given.shape, inputs)[place];
    report.backwardPlan = attention.plans(Pass::Backward, given.shape, inputs)[place];
    report.forward = attention.forward(given.shape, inputs, results);
    report.backward =
        attention.backward(given.shape, inputs, results, own.dout, {own.dq, own.dk, own.dv});
    report.programs = own.fence->programs;
    report.outside = own.fence->outside();
  });
  for (const auto &own : holdings) {
    own->give(own->out, 1, out);
    own->give(own->lse, 2, lse);
    own->give(own->dq, 1, dq);
    own->give(own->dk, 1, dk);
    own->give(own->dv, 1, dv);
  }
  return resultOf(out, lse, dq, dk, dv);
}

} // namespace ringc::test
