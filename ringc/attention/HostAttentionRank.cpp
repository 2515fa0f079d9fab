#include "ringc/attention/HostAttentionRank.h"

#include "ringc/attention/host/FusedBackward.h"
#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/RankCall.h"
#include "ringc/attention/shared/RankSchedule.h"
#include "ringc/comm/Gather.h"
#include "ringc/comm/Transport.h"
#include "ringc/support/Error.h"

#include <future>
#include <memory>
#include <span>
#include <utility>

namespace ringc {

namespace {

/// `tensor`, or a copy of it where the rows of its last axis have gaps.
class UnitStrideRows {
public:
  explicit UnitStrideRows(const Tensor &tensor) : rows(tensor) {
    int last = tensor.rank() - 1;
    if (tensor.stride(last) == 1 || tensor.dim(last) <= 1)
      return;
    copied = HostTensor::copyOf(tensor);
    rows = copied;
  }
  operator const Tensor &() const { return rows; }

private:
  Tensor rows;
  HostTensor copied;
};

/// `tensor`, or a copy by heads where its rows have gaps.
Tensor dense(const Tensor &tensor, KeptMemory &memory, HostPool &pool) {
  if (tensor.isContiguous() || exchangeRowsAndHeads(tensor).isContiguous())
    return tensor;
  Tensor rows =
      exchangeRowsAndHeads(memory.tensor(tensor.dtype(), exchangeRowsAndHeads(tensor).shape()));
  copy(pool, tensor, rows);
  return rows;
}

/// f32 without gaps, as the executor adds them up: of an f32 gradient the caller's own memory,
/// where it is that; of a 16-bit one, which is rounded at the end anyway, memory by heads.
class GradientSum {
public:
  GradientSum(const Tensor &gradient, KeptMemory &memory) : target(gradient) {
    if (target.dtype() != DType::F32)
      shard = {memory.tensor(DType::F32, exchangeRowsAndHeads(target).shape()), 2};
    else
      shard = {target.isContiguous() ? target : memory.tensor(DType::F32, target.shape()), 1};
  }

  /// Which order it is in the type says, so that all ranks of a ring have one.
  const KeyIndexed &shared() const { return shard; }
  void finish(HostPool &pool) const {
    if (shard.tensor.data() != target.data())
      convert(pool, rowsOfKeys(shard.tensor, shard.keyAxis), target);
  }

private:
  Tensor target;
  KeyIndexed shard;
};

} // namespace

class HostAttentionRank::Rank {
public:
  Rank(const AttentionOptions &asked, Transport &ownTransport, AttentionContext ownContext)
      : transport(ownTransport), given((validate(asked), asked)),
        options(completed(asked, hostProcessors())), context(std::move(ownContext)),
        sources(context.kernels->sources(userSources(options))),
        schedule(options, ringSize(), transport.lends(), typicalHostSpeed(options.dtype)) {
    SubRings{transport.world(), ringSize()}.check();
  }

  ExecutionReport forward(const AttentionShape &shape, const AttentionInputs &inputs,
                          const ForwardResults &results) {
    Call call(*this, shape, inputs);
    checkResults(options, Extents::ofRank(call.problem), results);
    HostCode code = kernel("attention_forward", inputs, shape.keyLength);
    call.prepare(Pass::Forward, *code.kernel, {});
    compare(Pass::Forward, call, *code.kernel);
    ForwardKernels kernels(call.setup(), code, carry, call.q, results);
    return execute(call.plan, call.shard, kernels, transport, hops, context.trace.get());
  }

  ExecutionReport backward(const AttentionShape &shape, const AttentionInputs &inputs,
                           const ForwardResults &results, const Tensor &dout,
                           const GradientResults &gradients) {
    Call call(*this, shape, inputs);
    checkResults(options, Extents::ofRank(call.problem), results);
    checkGradients(options, Extents::ofRank(call.problem), dout, gradients);
    BackwardCode code = backwardCode(inputs, shape.keyLength);
    GradientSum dk(gradients.dk, keySums), dv(gradients.dv, valueSums);
    call.prepare(Pass::Backward, *code.keys.kernel, {dk.shared(), dv.shared()});
    compare(Pass::Backward, call, *code.keys.kernel);
    Tensor q = dense(inputs.q, queryRows, *context.pool),
           rows = dense(dout, gradientRows, *context.pool);
    std::unique_ptr<HopKernels> kernels;
    RingKernelSetup setup = call.setup();
    setup.gradientKeyAxis = dk.shared().keyAxis;
    switch (*options.backward) {
    case BackwardForm::Split:
      kernels =
          std::make_unique<BackwardKernels>(setup, code, carry, q, rows, results, gradients.dq);
      break;
    case BackwardForm::Fused:
      kernels = std::make_unique<FusedBackwardKernels>(setup, code, carry, q, rows, results,
                                                       gradients.dq);
      break;
    }
    ExecutionReport report =
        execute(call.plan, call.shard, *kernels, transport, hops, context.trace.get());
    dk.finish(*context.pool);
    dv.finish(*context.pool);
    return report;
  }

  void prepare(Pass pass, const AttentionInputs &inputs) {
    int64_t length = inputs.k.rank() > 1 ? inputs.k.dim(1) * ringSize() : 0;
    if (pass == Pass::Forward)
      (void)kernel("attention_forward", inputs, length);
    else
      (void)backwardCode(inputs, length);
  }

  std::vector<Plan> plans(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) {
    Call call(*this, shape, inputs);
    std::vector<KeyIndexed> gradients;
    if (pass == Pass::Backward)
      gradients = {{Tensor(nullptr, DType::F32, inputs.k.shape()), 1},
                   {Tensor(nullptr, DType::F32, inputs.v.shape()), 1}};
    HostCode code = kernel("attention_forward", inputs, shape.keyLength);
    call.describe(*code.kernel, std::move(gradients));
    RingProblem ring = call.ring(pass, schedule, tuned(pass, inputs, shape.keyLength));
    return planRing(pass, call.problem.rings.ringOf(call.problem.rank), ring,
                    call.visibility(ring, *code.kernel, inputs));
  }

  Transport &transport;

private:
  int ringSize() const { return options.ringSize == 0 ? transport.world() : options.ringSize; }

  /// Everything that one call of a pass works on.
  struct Call : RankCall {
    Call(Rank &rank, const AttentionShape &shape, const AttentionInputs &given)
        : RankCall(rank.options, rank.transport.world(), rank.transport.rank(), shape, given),
          owner(rank), inputs(given), q(given.q), k(given.k), v(given.v) {}

    void prepare(Pass pass, const CompiledKernel &kernel, std::vector<KeyIndexed> gradients) {
      describe(kernel, std::move(gradients));
      RingProblem ofRing =
          ring(pass, owner.schedule, owner.tuned(pass, inputs, problem.global.keyLength));
      PlaceVisibility seen = visibility(ofRing, kernel, inputs);
      SharedPlans *shared = owner.context.plans.get();
      plan = shared ? shared->planRank(pass, problem.rank, ofRing, seen)
                    : planRank(pass, problem.rank, ofRing, seen);
    }

    void describe(const CompiledKernel &kernel, std::vector<KeyIndexed> gradients) {
      setParameters(kernel, inputs);
      if (inputs.cuSeqlens)
        parameters->addDocuments(*inputs.cuSeqlens, problem);
      setShard(k, v, std::move(gradients));
    }

    RingKernelSetup setup() const {
      RingKernelSetup made = RankCall::setup(plan);
      made.context = owner.context;
      return made;
    }

    Rank &owner;
    const AttentionInputs &inputs;
    UnitStrideRows q, k, v;
    Plan plan;
  };

  /// Each time: that a rank's own call is what it was says nothing of the others'.
  void compare(Pass pass, const Call &call, const CompiledKernel &kernel) {
    if (ringSize() == 1 || !transport.comparesCalls())
      return;
    std::vector<int> ranks = ranksOfRing(transport.rank(), ringSize());
    std::string build = context.kernels->build();
    requireAgreement(agreementOf({.pass = pass,
                                  .call = call,
                                  .given = given,
                                  .inputs = call.inputs,
                                  .kernel = kernel,
                                  .sources = sources,
                                  .compilerBuild = build,
                                  .schedule = call.plan.problem.schedule,
                                  .memory = Memory::Host}),
                     transport.rank(), ranks,
                     [&](std::span<const std::byte> own) { return gather(transport, ranks, own); });
  }

  HostCode kernel(std::string_view name, const AttentionInputs &inputs, int64_t keyLength) {
    return context.kernels->get(specOf(options, ringSize(), inputs, name), sources,
                                workOf(options, ringSize(), keyLength));
  }

  /// Threads of one process lend keys to each other: there is nothing to choose.
  std::optional<Schedule> tuned(Pass pass, const AttentionInputs &inputs, int64_t keyLength) {
    if (options.schedule || ringSize() == 1 || transport.lends())
      return std::nullopt;
    return context.kernels->schedule(pass, specOf(options, ringSize(), inputs, "attention_forward"),
                                     sources, workOf(options, ringSize(), keyLength),
                                     options.layout);
  }

  /// Compiled side by side where they are not known yet.
  BackwardCode backwardCode(const AttentionInputs &inputs, int64_t keyLength) {
    BackwardNames names = backwardNames(*options.backward);
    bool warm = context.kernels->isWarm(specOf(options, ringSize(), inputs, names.keys), sources,
                                        workOf(options, ringSize(), keyLength));
    auto keys = std::async(warm ? std::launch::deferred : std::launch::async,
                           [=, this, &inputs] { return kernel(names.keys, inputs, keyLength); });
    HostCode queries = kernel(names.queries, inputs, keyLength);
    return {kernel("attention_delta", inputs, keyLength), keys.get(), queries};
  }

  AttentionOptions given, options; ///< as the user has them; complete
  AttentionContext context;
  SourceSet sources;
  RankSchedule schedule;
  HopMemory hops;
  KeptMemory carry, keySums, valueSums, queryRows, gradientRows;
};

HostAttentionRank::HostAttentionRank(AttentionOptions options, Transport &transport,
                                     AttentionContext context)
    : self(std::make_unique<Rank>(options, transport, std::move(context))) {}
HostAttentionRank::~HostAttentionRank() = default;
HostAttentionRank::HostAttentionRank(HostAttentionRank &&) noexcept = default;
HostAttentionRank &HostAttentionRank::operator=(HostAttentionRank &&) noexcept = default;

ExecutionReport HostAttentionRank::forward(const AttentionShape &shape,
                                           const AttentionInputs &inputs,
                                           const ForwardResults &results) {
  return guarded(self->transport, [&] { return self->forward(shape, inputs, results); });
}

ExecutionReport HostAttentionRank::backward(const AttentionShape &shape,
                                            const AttentionInputs &inputs,
                                            const ForwardResults &results, const Tensor &dout,
                                            const GradientResults &gradients) {
  return guarded(self->transport,
                 [&] { return self->backward(shape, inputs, results, dout, gradients); });
}

void HostAttentionRank::prepare(Pass pass, const AttentionInputs &inputs) {
  self->prepare(pass, inputs);
}

std::vector<Plan> HostAttentionRank::plans(Pass pass, const AttentionShape &shape,
                                           const AttentionInputs &inputs) {
  return self->plans(pass, shape, inputs);
}

} // namespace ringc
