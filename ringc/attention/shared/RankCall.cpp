#include "ringc/attention/shared/RankCall.h"

#include <utility>

namespace ringc {

RankCall::RankCall(const AttentionOptions &given, int world, int rank, const AttentionShape &shape,
                   const AttentionInputs &inputs)
    : options(given), problem(options, world, rank, shape) {
  checkInputs(options, shape, Extents::ofRank(problem), inputs);
}

void RankCall::setParameters(const CompiledKernel &kernel, const AttentionInputs &inputs) {
  Parameters::checkEntries(kernel.arguments, problem.rings);
  parameters.emplace(kernel.arguments, namedValues(kernel.arguments, options, inputs), options,
                     Extents::ofRank(problem));
}

void RankCall::setShard(const Tensor &k, const Tensor &v, std::vector<KeyIndexed> gradients) {
  shard.keys = {{k, 1}, {v, 1}};
  for (const Parameters::View &view : parameters->views)
    if (view.keyAxis)
      shard.keys.push_back({view.tensor, *view.keyAxis});
  shard.gradients = std::move(gradients);
}

RingProblem RankCall::ring(Pass pass, const RankSchedule &schedule,
                           std::optional<Schedule> tuned) const {
  RingProblem ring = problemOfRing();
  ring.schedule = schedule.choose(pass, ring, problem.batch().count, tuned);
  return ring;
}

RingProblem RankCall::problemOfRing() const {
  return {.rings = problem.rings,
          .layout = problem.layout,
          .queryLength = problem.global.queryLength,
          .keyLength = problem.global.keyLength,
          .bytesPerKey = bytesPerKey(shard.keys),
          .gradientBytesPerKey = bytesPerKey(shard.gradients)};
}

PlaceVisibility RankCall::visibility(const RingProblem &ring, const CompiledKernel &kernel,
                                     const AttentionInputs &inputs) const {
  return placeVisibility(ring, problem,
                         {.mask = kernel.mask,
                          .scalars = parameters->scalars,
                          .cuSeqlens = inputs.cuSeqlens,
                          .heads = options.heads});
}

RingKernelSetup RankCall::setup(const Plan &plan) const {
  BatchRange batch = problem.batch();
  return {.problem = problem,
          .parameters = *parameters,
          .heads = {.kvHeads = options.kvHeads,
                    .groupSize = options.heads / options.kvHeads,
                    .headMap = options.headMap,
                    .firstBatch = batch.begin,
                    .batch = batch.count},
          .scale = *options.scale,
          .rowOrder = options.causal ? HostLaunch::Order::Falling : HostLaunch::Order::Rising,
          .plan = plan};
}

} // namespace ringc
