#include "ringc/world/DeviceShard.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/support/Error.h"
#include "ringc/world/WorldShard.h"

#include <stdexcept>
#include <utility>

namespace ringc {

namespace {

AttentionOptions checked(const AttentionOptions &options) {
  validate(options);
  return completed(options);
}

std::vector<int64_t> shapeOf(const Tensor &tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

HostTensor converted(const Tensor &tensor, DType dtype) {
  HostTensor made(dtype, tensor.shape());
  convert(tensor, made);
  return made;
}

constexpr size_t forwardResults = 2;

} // namespace

DeviceProblem::DeviceProblem(const AttentionOptions &given, int ranks,
                             const AttentionInputs &inputs, const Tensor &gradient,
                             DeviceKernelSource &kernels)
    : options(checked(given)), world(ranks),
      shape{inputs.q.dim(0), inputs.q.dim(1), inputs.k.dim(1)}, whole(inputs), dout(gradient) {
  Extents extents = Extents::ofWhole(shape);
  checkInputs(options, shape, extents, whole);
  if (dout.rank() != 0)
    checkTensor("dout", dout, options.dtype,
                {shape.batch, shape.queryLength, options.heads, options.valueHeadDim});
  Spec spec = specOf(options, ofRank(0).rings.ringSize, whole, "attention_forward");
  KernelWork work = workOf(options, ofRank(0).rings.ringSize, shape.keyLength);
  arguments = kernels.get(spec, kernels.sources(userSources(options)), work).kernel->arguments;
  (void)Parameters(arguments, namedValues(arguments, options, whole), options, extents);
}

std::vector<DeviceProblem::Result> DeviceProblem::results(Pass pass) const {
  switch (pass) {
  case Pass::Forward:
    return {
        {options.dtype, {shape.batch, shape.queryLength, options.heads, options.valueHeadDim}, 1},
        {DType::F32, {shape.batch, options.heads, shape.queryLength}, 2}};
  case Pass::Backward:
    return {{options.dtype, shapeOf(whole.q), 1},
            {options.dtype, shapeOf(whole.k), 1},
            {options.dtype, shapeOf(whole.v), 1}};
  }
  throw std::logic_error("not a pass");
}

DeviceShard::DeviceShard(const DeviceProblem &problem, int rank,
                         std::shared_ptr<const CudaDevice> device)
    : stream(std::move(device)) {
  RankProblem ofRank = problem.ofRank(rank);
  WorldShard host(ofRank);
  own = host.take(problem.options, problem.whole, problem.arguments);
  own.q = upload(own.q);
  own.k = upload(own.k);
  own.v = upload(own.v);
  if (own.keyMask)
    own.keyMask = upload(*own.keyMask);
  if (own.bias) // the library's score takes f32
    own.bias = upload(converted(*own.bias, DType::F32));
  for (const KernelArgument &argument : problem.arguments) {
    auto given = own.arguments.find(argument.name);
    if (given == own.arguments.end())
      continue;
    if (auto *tensor = std::get_if<Tensor>(&given->second)) {
      DType dtype = dtypeOf(argument.type);
      *tensor = tensor->dtype() == dtype ? upload(*tensor) : upload(converted(*tensor, dtype));
    }
  }
  size_t at = 0;
  for (Pass pass : allPasses) {
    if (pass == Pass::Backward && problem.dout.rank() == 0)
      break;
    for (const DeviceProblem::Result &result : problem.results(pass)) {
      HostTensor like = host.room(result.dtype, result.shape, result.rowAxis);
      made[at++] = memory.emplace_back(stream.device(), like.dtype(), like.shape());
    }
  }
  for (Tensor *rows : {&rowMax, &rowSum})
    *rows = memory.emplace_back(stream.device(), DType::F32, made[1].shape());
  if (problem.dout.rank() != 0)
    dout = upload(host.take(problem.dout, 0, 1));
}

Tensor DeviceShard::upload(const Tensor &host) {
  return memory.emplace_back(DeviceTensor::copyOf(stream, host));
}

std::vector<Tensor> DeviceShard::results(Pass pass) const {
  auto middle = made.begin() + forwardResults;
  return pass == Pass::Forward ? std::vector<Tensor>(made.begin(), middle)
                               : std::vector<Tensor>(middle, made.end());
}

std::vector<HostTensor> DeviceShard::downloaded(Pass pass) const {
  std::vector<HostTensor> parts;
  for (const Tensor &on : results(pass)) {
    HostTensor &host = parts.emplace_back(on.dtype(), on.shape());
    stream.download(host.data(), on.data(), host.byteCount());
  }
  stream.synchronize();
  return parts;
}

void giveHome(const DeviceProblem &problem, Pass pass, int rank,
              const std::vector<HostTensor> &parts, const std::vector<HostTensor> &wholes) {
  WorldShard shard(problem.ofRank(rank));
  std::vector<DeviceProblem::Result> results = problem.results(pass);
  for (size_t i = 0; i < results.size(); ++i)
    shard.give(parts[i], results[i].rowAxis, wholes[i]);
}

} // namespace ringc
