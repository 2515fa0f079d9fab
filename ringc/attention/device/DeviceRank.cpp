#include "ringc/attention/device/DeviceRank.h"

#include "ringc/attention/device/DeviceFusedBackward.h"
#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/support/Error.h"

#include <bit>
#include <cassert>
#include <functional>
#include <type_traits>

namespace ringc {

namespace {

/// Prepared passes that are kept.
constexpr size_t most = 64;

/// What a view is, without where it lies.
void describeTensor(std::vector<int64_t> &key, const Tensor &tensor) {
  key.push_back(int64_t(tensor.dtype()));
  key.push_back(tensor.rank());
  key.insert(key.end(), tensor.shape().begin(), tensor.shape().end());
  key.push_back(tensor.isContiguous());
}

std::vector<int64_t> keyOf(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) {
  std::vector<int64_t> key = {int64_t(pass), shape.batch, shape.queryLength, shape.keyLength};
  for (const Tensor *tensor : {&inputs.q, &inputs.k, &inputs.v})
    describeTensor(key, *tensor);
  for (const std::optional<Tensor> *tensor : {&inputs.keyMask, &inputs.bias}) {
    key.push_back(tensor->has_value());
    if (*tensor)
      describeTensor(key, **tensor);
  }
  key.push_back(inputs.cuSeqlens.has_value());
  if (inputs.cuSeqlens) {
    describeTensor(key, *inputs.cuSeqlens);
    for (int64_t at = 0; inputs.cuSeqlens->rank() == 1 && at < inputs.cuSeqlens->dim(0); ++at)
      key.push_back(inputs.cuSeqlens->dtype() == DType::I32
                        ? inputs.cuSeqlens->dataAs<int32_t>()[at * inputs.cuSeqlens->stride(0)]
                        : 0);
  }
  for (const auto &[name, value] : inputs.arguments) {
    key.push_back(int64_t(std::hash<std::string>()(name)));
    key.push_back(int64_t(value.index()));
    if (auto *tensor = std::get_if<Tensor>(&value))
      describeTensor(key, *tensor);
    else if (auto *integer = std::get_if<int64_t>(&value))
      key.push_back(*integer);
    else if (auto *truth = std::get_if<bool>(&value))
      key.push_back(*truth);
    else
      key.push_back(std::bit_cast<int64_t>(std::get<double>(value)));
  }
  return key;
}

/// CUDA C++ programming guide, technical specifications: the largest y and z of a grid.
void checkGrid(const AttentionOptions &options, const RankProblem &problem) {
  constexpr int64_t largest = 65535;
  auto check = [](std::string_view argument, int64_t value) {
    if (value > largest)
      throw InputError(argument, std::to_string(value),
                       "at most " + std::to_string(largest) + " on a GPU");
  };
  check("kv heads", options.kvHeads);
  check("batch entries of a rank", problem.batch().count);
}

} // namespace

DeviceRank::DeviceRank(const AttentionOptions &completeOptions, StreamTransport &ownTransport,
                       const DeviceContext &ownContext, const SourceSet &allSources,
                       const DeviceElementwise &between)
    : options(completeOptions), transport(ownTransport), context(ownContext), sources(allSources),
      elementwise(between), schedule(options, ringSize(), transport.lends(),
                                     typicalDeviceSpeed(options.dtype, options.f32Products)) {
  SubRings{transport.world(), ringSize()}.check();
}

int DeviceRank::ringSize() const {
  return options.ringSize == 0 ? transport.world() : options.ringSize;
}

DeviceCode DeviceRank::kernel(std::string_view name, const AttentionInputs &inputs,
                              int64_t keyLength) const {
  return context.kernels->get(specOf(options, ringSize(), inputs, name), sources,
                              workOf(options, ringSize(), keyLength));
}

std::optional<Schedule> DeviceRank::tuned(Pass pass, const AttentionInputs &inputs,
                                          int64_t keyLength) const {
  if (options.schedule || ringSize() == 1 || transport.lends())
    return std::nullopt;
  return context.kernels->schedule(pass, specOf(options, ringSize(), inputs, "attention_forward"),
                                   sources, workOf(options, ringSize(), keyLength), options.layout);
}

const PreparedPass *DeviceRank::find(Pass pass, const AttentionShape &shape,
                                     const AttentionInputs &inputs) {
  std::vector<int64_t> key = keyOf(pass, shape, inputs);
  for (auto known = prepared.begin(); known != prepared.end(); ++known)
    if (known->key == key) {
      prepared.splice(prepared.begin(), prepared, known);
      return &prepared.front();
    }
  return nullptr;
}

/// The call with its views on the device, but without gradients.
RankCall DeviceRank::describe(const PreparedPass &pass, const AttentionShape &shape,
                              const AttentionInputs &inputs) const {
  RankCall call(options, transport.world(), transport.rank(), shape, inputs);
  checkGrid(options, call.problem);
  for (auto [name, tensor] : {std::pair("q", &inputs.q), {"k", &inputs.k}, {"v", &inputs.v}})
    checkUnitStride(name, *tensor);
  call.setParameters(pass.kernel(), inputs);
  std::erase_if(call.parameters->views, [](const Parameters::View &view) { return view.made; });
  for (const auto &[view, memory] : pass.made)
    call.parameters->views.push_back({view.name, memory, view.keyAxis, true});
  return call;
}

const PreparedPass &DeviceRank::prepare(Pass pass, const AttentionShape &shape,
                                        const AttentionInputs &inputs) {
  PreparedPass made;
  made.pass = pass;
  made.key = keyOf(pass, shape, inputs);
  if (pass == Pass::Forward) {
    made.forward = kernel("attention_forward", inputs, shape.keyLength);
  } else {
    BackwardNames names = backwardNames(*options.backward);
    made.backward = DeviceBackwardCode{kernel("attention_delta", inputs, shape.keyLength),
                                       kernel(names.keys, inputs, shape.keyLength),
                                       kernel(names.queries, inputs, shape.keyLength)};
  }
  const std::vector<KernelArgument> &arguments = made.kernel().arguments;
  checkTypes(arguments, namedValues(arguments, options, inputs));

  RankCall host(options, transport.world(), transport.rank(), shape, inputs);
  host.setParameters(made.kernel(), inputs);
  if (inputs.cuSeqlens)
    host.parameters->addDocuments(*inputs.cuSeqlens, host.problem);
  CudaStream uploads(context.device);
  for (const Parameters::View &view : host.parameters->views)
    if (view.made)
      made.made.emplace_back(view, DeviceTensor::copyOf(uploads, view.tensor));

  RankCall call = describe(made, shape, inputs);
  std::vector<KeyIndexed> gradients;
  if (pass == Pass::Backward)
    gradients = {{Tensor(nullptr, DType::F32, inputs.k.shape()), 1},
                 {Tensor(nullptr, DType::F32, inputs.v.shape()), 1}};
  call.setShard(inputs.k, inputs.v, std::move(gradients));
  RingProblem ring = call.ring(pass, schedule, tuned(pass, inputs, shape.keyLength));
  made.ring = planRing(pass, call.problem.rings.ringOf(call.problem.rank), ring,
                       call.visibility(ring, made.kernel(), inputs));
  made.plan = made.ring[size_t(call.problem.place())];
  std::string build = context.kernels->build();
  made.agreement = agreementOf({.pass = pass,
                                .call = call,
                                .given = options,
                                .inputs = inputs,
                                .kernel = made.kernel(),
                                .sources = sources,
                                .compilerBuild = build,
                                .schedule = made.plan.problem.schedule,
                                .memory = Memory::Device});
  made.announcement = announcementOf(made.agreement);
  int64_t announced = int64_t(made.announcement.size());
  made.announcementOnDevice = DeviceMemory(context.device, announced);
  uploads.upload(made.announcementOnDevice.data(), made.announcement.data(), announced);
  uploads.synchronize();

  // As much as a call takes that has to round its gradients.
  Extents extents = Extents::ofRank(call.problem);
  ForwardResults results{
      Tensor(nullptr, options.dtype,
             {extents.batch, extents.queryRows, options.heads, options.valueHeadDim}),
      Tensor(nullptr, DType::F32, {extents.batch, options.heads, extents.queryRows})};
  GradientResults written{Tensor(nullptr, options.dtype, inputs.q.shape()),
                          Tensor(nullptr, DType::F16, inputs.k.shape()),
                          Tensor(nullptr, DType::F16, inputs.v.shape())};
  DeviceTensors tensors{inputs, results, &results.out, &written};
  made.workspaceBytes = Run(*this, made, uploads, shape, tensors, DeviceRoom()).bytes;

  prepared.push_front(std::move(made));
  if (prepared.size() > most)
    prepared.pop_back();
  return prepared.front();
}

void DeviceRank::check(const AttentionShape &shape, const DeviceTensors &tensors) const {
  Extents extents =
      Extents::ofRank(RankProblem(options, transport.world(), transport.rank(), shape));
  checkResults(options, extents, tensors.results);
  if (tensors.gradients) {
    checkGradients(options, extents, *tensors.dout, *tensors.gradients);
    checkUnitStride("dout", *tensors.dout);
  }
}

/// Where an f32 gradient is summed: in the caller's own memory, if it can be.
Tensor DeviceRank::Run::sumOf(const Tensor &gradient, DeviceRoom &room) {
  if (gradient.dtype() == DType::F32 && gradient.isContiguous())
    return gradient;
  Tensor sum = room.tensor(DType::F32, gradient.shape());
  toRound.emplace_back(sum, gradient);
  return sum;
}

DeviceRank::Run::Run(DeviceRank &ofRank, const PreparedPass &prepared, const CudaStream &order,
                     const AttentionShape &shape, const DeviceTensors &tensors, DeviceRoom room)
    : rank(ofRank), stream(order), call(rank.describe(prepared, shape, tensors.inputs)) {
  const AttentionInputs &inputs = tensors.inputs;
  std::vector<KeyIndexed> gradients;
  if (prepared.pass == Pass::Backward) {
    Tensor dk = sumOf(tensors.gradients->dk, room), dv = sumOf(tensors.gradients->dv, room);
    gradients = {{dk, 1}, {dv, 1}};
  }
  call.setShard(inputs.k, inputs.v, std::move(gradients));
  makeKernels(prepared, tensors, room);
  int64_t hopBytes = HopMemory::roomFor(prepared.plan, call.shard.keys, call.shard.gradients);
  hops = HopMemory({static_cast<std::byte *>(room.take(hopBytes)), size_t(hopBytes)});
  bytes = room.bytes();
  run.emplace(prepared.plan, call.shard, *kernels, rank.transport, hops, rank.context.trace.get());
}

void DeviceRank::Run::makeKernels(const PreparedPass &prepared, const DeviceTensors &tensors,
                                  DeviceRoom &room) {
  RingKernelSetup setup = call.setup(prepared.plan);
  const Tensor &q = tensors.inputs.q;
  if (prepared.pass == Pass::Forward) {
    kernels = std::make_unique<DeviceForwardKernels>(setup, stream, rank.elementwise,
                                                     *prepared.forward, room, q, tensors.results);
    return;
  }
  auto make = [&]<typename Kernels>(std::type_identity<Kernels>) {
    kernels = std::make_unique<Kernels>(setup, stream, rank.elementwise, *prepared.backward, room,
                                        q, *tensors.dout, tensors.results, tensors.gradients->dq);
  };
  switch (*rank.options.backward) {
  case BackwardForm::Split:
    return make(std::type_identity<DeviceBackwardKernels>());
  case BackwardForm::Fused:
    return make(std::type_identity<DeviceFusedBackwardKernels>());
  }
}

void DeviceRank::Run::finish() {
  for (const auto &[sum, gradient] : toRound)
    rank.elementwise.round(stream, sum, gradient);
}

} // namespace ringc
