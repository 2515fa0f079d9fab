#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/comm/Gather.h"
#include "ringc/comm/Mpi.h"
#include "ringc/support/Error.h"
#include "ringc/world/World.h"
#include "ringc/world/WorldAgreement.h"
#include "ringc/world/WorldShard.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>

namespace ringc {

namespace {

/// The first process gets, or gives, what another has; both call it.
void send(Transport &transport, int peer, std::span<const std::byte> bytes) {
  transport.post({.channel = Channel::Results, .sends = {{peer, bytes}}, .receives = {}})->wait();
}
void receive(Transport &transport, int peer, std::span<std::byte> bytes) {
  transport.post({.channel = Channel::Results, .sends = {}, .receives = {{peer, bytes}}})->wait();
}

std::span<std::byte> bytesOf(const Tensor &tensor) {
  return {tensor.dataAs<std::byte>(), size_t(tensor.byteCount())};
}

class MpiRing final : public WorldRing {
public:
  MpiRing(const AttentionOptions &given, Transport &ownTransport, const AttentionContext &context,
          const AttentionInputs &inputs, const Tensor &gradient)
      : options(checked(given)), transport(ownTransport),
        shape{inputs.q.dim(0), inputs.q.dim(1), inputs.k.dim(1)}, whole(inputs), dout(gradient),
        part(problemOf(transport.rank())), attention(given, transport, context),
        own(dealt(context)) {
    if (dout.rank() != 0) {
      checkTensor("dout", dout, options.dtype,
                  {shape.batch, shape.queryLength, options.heads, options.valueHeadDim});
      ownDout = part.take(dout, 0, 1);
    }
  }

  void prepare(Pass pass) override { attention.prepare(pass, own); }

  void forward() override {
    out = part.room(options.dtype, outShape(), 1);
    for (HostTensor *rows : {&lse, &rowMax, &rowSum})
      *rows = part.room(DType::F32, lseShape(), 2);
    report = attention.forward(shape, own, {out, lse, rowMax, rowSum});
  }

  void backward() override {
    dq = part.room(options.dtype, shapeOf(whole.q), 1);
    dk = part.room(options.dtype, shapeOf(whole.k), 1);
    dv = part.room(options.dtype, shapeOf(whole.v), 1);
    report = attention.backward(shape, own, {out, lse, rowMax, rowSum}, ownDout, {dq, dk, dv});
  }

  std::vector<ExecutionReport> reports() const override { return {report}; }

  Results collect() override {
    Results results;
    results.forward = {gathered(out, outShape(), 1), gathered(lse, lseShape(), 2)};
    results.gradients = {gathered(dq, shapeOf(whole.q), 1), gathered(dk, shapeOf(whole.k), 1),
                         gathered(dv, shapeOf(whole.v), 1)};
    return results;
  }

private:
  static AttentionOptions checked(const AttentionOptions &options) {
    validate(options);
    return completed(options, hostProcessors());
  }
  static std::vector<int64_t> shapeOf(const Tensor &tensor) {
    return {tensor.shape().begin(), tensor.shape().end()};
  }
  std::vector<int64_t> outShape() const {
    return {shape.batch, shape.queryLength, options.heads, options.valueHeadDim};
  }
  std::vector<int64_t> lseShape() const { return {shape.batch, options.heads, shape.queryLength}; }
  RankProblem problemOf(int rank) const {
    return RankProblem(options, transport.world(), rank, shape);
  }

  AttentionInputs dealt(const AttentionContext &context) {
    Extents extents = Extents::ofWhole(shape);
    checkInputs(options, shape, extents, whole);
    HostCode code = context.kernels->get(
        specOf(options, problemOf(0).rings.ringSize, whole, "attention_forward"),
        context.kernels->sources(userSources(options)),
        workOf(options, problemOf(0).rings.ringSize, shape.keyLength));
    std::span<const KernelArgument> arguments = code.kernel->arguments;
    (void)Parameters(arguments, namedValues(arguments, options, whole), options, extents);
    return part.take(options, whole, arguments);
  }

  HostTensor gathered(const HostTensor &local, const std::vector<int64_t> &wholeShape,
                      int rowAxis) const {
    if (local.rank() == 0)
      return {};
    HostTensor made(local.dtype(), wholeShape);
    part.give(local, rowAxis, made);
    if (transport.rank() != 0) {
      send(transport, 0, bytesOf(local));
      return made;
    }
    for (int rank = 1; rank < transport.world(); ++rank) {
      WorldShard other(problemOf(rank));
      HostTensor theirs = other.room(local.dtype(), wholeShape, rowAxis);
      receive(transport, rank, bytesOf(theirs));
      other.give(theirs, rowAxis, made);
    }
    return made;
  }

  AttentionOptions options;
  Transport &transport;
  AttentionShape shape;
  AttentionInputs whole;
  Tensor dout;
  WorldShard part;
  HostAttentionRank attention;
  AttentionInputs own;
  Tensor ownDout;
  HostTensor out, lse, rowMax, rowSum, dq, dk, dv;
  ExecutionReport report;
};

class MpiWorld final : public World {
public:
  MpiWorld(const ProcessRank &process, std::chrono::milliseconds deadline)
      : transport(session, MPI_COMM_WORLD, {.deadline = deadline}), all(size_t(transport.world())) {
    if (transport.world() != process.world)
      throw InputError(process.worldVariable, std::to_string(process.world),
                       std::to_string(transport.world()) +
                           ", the ranks that MPI knows: start them by the mpirun of the MPI that "
                           "this ringc is built with (or srun --mpi=pmix), or unset the launcher's "
                           "variables");
    std::iota(all.begin(), all.end(), 0);
  }

  int size() const override { return transport.world(); }
  std::vector<int> ranks() const override { return {transport.rank()}; }

  std::unique_ptr<WorldRing> ring(const AttentionOptions &options, const AttentionContext &context,
                                  const AttentionInputs &inputs, const Tensor &dout) override {
    agree(agreementOf(options, context.kernels->sources(userSources(options)), inputs, dout));
    return std::make_unique<MpiRing>(options, transport, context, inputs, dout);
  }

  void onRanks(const std::function<void(const WorldRank &)> &body) override {
    body({.rank = transport.rank(), .transport = &transport});
  }

  std::vector<double> gather(const std::vector<double> &own) override {
    if (transport.rank() != 0) {
      send(transport, 0, std::as_bytes(std::span(own)));
      return {};
    }
    std::vector<double> given = own, theirs(own.size());
    for (int rank = 1; rank < size(); ++rank) {
      receive(transport, rank, std::as_writable_bytes(std::span(theirs)));
      given.insert(given.end(), theirs.begin(), theirs.end());
    }
    return given;
  }

  std::string ofFirst(const std::string &own) override {
    return ringc::ofFirst(
        [&](std::span<const std::byte> bytes) { return ringc::gather(transport, all, bytes); },
        own);
  }

  void agree(const Agreement &own) override {
    requireAgreement(own, transport.rank(), all, [&](std::span<const std::byte> bytes) {
      return ringc::gather(transport, all, bytes);
    });
  }

  double largest(double own) override {
    std::vector<double> given = gather({own});
    std::array<double, 1> result{};
    if (transport.rank() != 0) {
      receive(transport, 0, std::as_writable_bytes(std::span(result)));
      return result[0];
    }
    result[0] = std::ranges::max(given);
    for (int rank = 1; rank < size(); ++rank)
      send(transport, rank, std::as_bytes(std::span(result)));
    return result[0];
  }

  void abort(const std::string &reason) noexcept override { transport.abort(reason); }

private:
  MpiSession session;
  MpiTransport transport;
  std::vector<int> all; ///< ranks
};

} // namespace

std::unique_ptr<World> makeMpiWorld(const ProcessRank &process,
                                    std::chrono::milliseconds deadline) {
  try {
    return std::make_unique<MpiWorld>(process, deadline);
  } catch (const MpiError &error) {
    throw InputError(error.what());
  }
}

} // namespace ringc
