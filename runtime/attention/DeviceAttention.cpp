#include "runtime/attention/DeviceAttention.h"

#include "runtime/Error.h"
#include "runtime/attention/DeviceFusedBackward.h"
#include "runtime/attention/DeviceKernels.h"
#include "runtime/attention/DeviceRing.h"
#include "runtime/attention/Extents.h"
#include "runtime/attention/MaskPlan.h"
#include "runtime/attention/Options.h"
#include "runtime/attention/Parameters.h"
#include "runtime/ring/Sharding.h"

#include <deque>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringc {

namespace {

AttentionShape shapeOf(const AttentionInputs &inputs) {
  auto requireFour = [](const char *name, const Tensor &tensor) {
    if (tensor.rank() != 4)
      throw InputError(name, describe(tensor), "four axes: batch, sequence, heads, head dim");
  };
  requireFour("q", inputs.q);
  requireFour("k", inputs.k);
  requireFour("v", inputs.v);
  return {inputs.q.dim(0), inputs.q.dim(1), inputs.k.dim(1)};
}

/// One rank's part of the problem and everything that it holds on the device.
class RankOnDevice {
public:
  RankOnDevice(const AttentionOptions &given, const RankProblem &ofRank, const CudaStream &order)
      : options(given), problem(ofRank), stream(order) {}

  /// The rank's part of a tensor of the host, on the device. `rowAxis` counts rows of the sequence;
  /// `batchAxis` is -1 where all entries share the tensor.
  Tensor take(const Tensor &whole, int batchAxis, std::optional<int> rowAxis) {
    Tensor entries = entriesOf(whole, batchAxis);
    if (!rowAxis)
      return held.emplace_back(DeviceTensor::copyOf(stream, entries));
    HostTensor rows =
        shard(entries, *rowAxis, problem.layout, problem.place(), problem.rings.ringSize);
    return held.emplace_back(DeviceTensor::copyOf(stream, rows));
  }

  /// Memory for the rank's part of a result, as `take` would make it.
  Tensor place(const Tensor &whole, DType dtype, int rowAxis) {
    Tensor entries = entriesOf(whole, 0);
    std::vector<int64_t> shape(entries.shape().begin(), entries.shape().end());
    shape[size_t(rowAxis)] =
        localLength(problem.layout, problem.place(), problem.rings.ringSize, entries.dim(rowAxis));
    Tensor made = held.emplace_back(stream.device(), dtype, shape);
    results.push_back({&held.back(), entries, rowAxis});
    return made;
  }

  /// Brings home what was placed, once it has been computed.
  void give() const {
    for (const Result &result : results) {
      HostTensor local = result.local->download(stream),
                 rounded(result.home.dtype(), local.shape());
      convert(local, rounded);
      unshardInto(rounded, result.rowAxis, problem.layout, problem.place(), problem.rings.ringSize,
                  result.home);
    }
  }

  /// The rank's parts of what masks and scores read; `whole` are those of the whole sequence.
  void takeParameters(const Parameters &whole, std::span<const KernelArgument> arguments,
                      const std::optional<Tensor> &cuSeqlens) {
    parameters.emplace(std::span<const KernelArgument>(), NamedValues(), options,
                       Extents::ofRank(problem));
    parameters->scalars = whole.scalars;
    parameters->extents = whole.extents;
    if (cuSeqlens)
      parameters->addDocuments(*cuSeqlens, problem);
    for (Parameters::View &view : parameters->views)
      view.tensor = held.emplace_back(DeviceTensor::copyOf(stream, view.tensor));
    for (const Parameters::View &view : whole.views)
      for (const KernelArgument &argument : arguments)
        if (argument.name == view.name) {
          std::optional<int> rows = axisOf(argument, "Nq");
          int entries = axisOf(argument, "B").value_or(-1);
          if (entries >= 0 && view.tensor.dim(entries) == 1)
            entries = -1;
          parameters->views.push_back(
              {view.name, take(view.tensor, entries, rows ? rows : view.keyAxis), view.keyAxis});
        }
  }

  /// K, V and what travels with them.
  void shardKeys(const AttentionInputs &inputs) {
    rank.shard.keys = {{take(inputs.k, 0, 1), 1}, {take(inputs.v, 0, 1), 1}};
    for (const Parameters::View &view : parameters->views)
      if (view.keyAxis)
        rank.shard.keys.push_back({view.tensor, *view.keyAxis});
  }

  RingProblem ringProblem() const {
    return {.rings = problem.rings,
            .layout = problem.layout,
            .queryLength = problem.global.queryLength,
            .keyLength = problem.global.keyLength,
            .bytesPerKey = bytesPerKey(rank.shard.keys),
            .gradientBytesPerKey = bytesPerKey(rank.shard.gradients)};
  }

  RingKernelSetup setup() const {
    return {.problem = problem,
            .parameters = *parameters,
            .heads = {.kvHeads = options.kvHeads,
                      .groupSize = options.heads / options.kvHeads,
                      .headMap = options.headMap,
                      .firstBatch = 0,
                      .batch = problem.batch().count},
            .scale = *options.scale,
            .plan = rank.plan};
  }

  const AttentionOptions &options;
  RankProblem problem;
  std::optional<Parameters> parameters; ///< views lie on the device
  DeviceRank rank;
  std::unique_ptr<HopKernels> kernels;

private:
  Tensor entriesOf(const Tensor &whole, int batchAxis) const {
    BatchRange batch = problem.batch();
    return batchAxis < 0 ? whole : whole.slice(batchAxis, batch.begin, batch.count);
  }

  struct Result {
    const DeviceTensor *local;
    Tensor home;
    int rowAxis;
  };
  const CudaStream &stream;
  std::deque<DeviceTensor> held; ///< addresses stay
  std::vector<Result> results;
};

} // namespace

class DeviceAttention::World {
public:
  World(AttentionOptions given, int world, DeviceContext shared)
      : options((validate(given), completed(std::move(given)))), size(world),
        context(std::move(shared)), sources(context.kernels->sources(userSources(options))),
        stream(context.device), adder(context.device) {
    SubRings rings{size, ringSize()};
    rings.check();
    if (rings.rings() > 1 && !(options.masks.empty() && options.scores.empty()))
      throw InputError("ring size", std::to_string(ringSize()),
                       std::to_string(size) +
                           ", all ranks: with masks or scores of your own, which may read the "
                           "batch entry, a device runs one ring");
  }

  Forward forward(const AttentionInputs &inputs) {
    DeviceCode code = kernel("attention_forward", inputs);
    Forward made;
    std::deque<RankOnDevice> ranks = deal(inputs, *code.kernel);
    made.out = HostTensor(options.dtype,
                          {inputs.q.dim(0), inputs.q.dim(1), options.heads, options.valueHeadDim});
    made.lse = HostTensor(DType::F32, {inputs.q.dim(0), options.heads, inputs.q.dim(1)});
    run(Pass::Forward, ranks, *code.kernel, inputs, [&](RankOnDevice &rank) {
      ForwardResults results{rank.place(made.out, options.dtype, 1),
                             rank.place(made.lse, DType::F32, 2)};
      rank.kernels = std::make_unique<DeviceForwardKernels>(rank.setup(), stream, adder, code,
                                                            rank.take(inputs.q, 0, 1), results);
    });
    return made;
  }

  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout) {
    BackwardNames names = backwardNames(options.backward);
    DeviceBackwardCode code{kernel("attention_delta", inputs), kernel(names.keys, inputs),
                            kernel(names.queries, inputs)};
    std::deque<RankOnDevice> ranks = deal(inputs, *code.keys.kernel);
    checkTensor("dout", dout, options.dtype,
                {inputs.q.dim(0), inputs.q.dim(1), options.heads, options.valueHeadDim});
    Gradients made{HostTensor(options.dtype, inputs.q.shape()),
                   HostTensor(options.dtype, inputs.k.shape()),
                   HostTensor(options.dtype, inputs.v.shape())};
    for (RankOnDevice &rank : ranks)
      rank.rank.shard.gradients = {{rank.place(made.dk, DType::F32, 1), 1},
                                   {rank.place(made.dv, DType::F32, 1), 1}};
    run(Pass::Backward, ranks, *code.keys.kernel, inputs, [&](RankOnDevice &rank) {
      ForwardResults results{rank.take(forward.out, 0, 1), rank.take(forward.lse, 0, 2)};
      auto make = [&]<typename Kernels>(std::type_identity<Kernels>) {
        rank.kernels = std::make_unique<Kernels>(rank.setup(), stream, adder, code,
                                                 rank.take(inputs.q, 0, 1), rank.take(dout, 0, 1),
                                                 results, rank.place(made.dq, options.dtype, 1));
      };
      switch (options.backward) {
      case BackwardForm::Split:
        return make(std::type_identity<DeviceBackwardKernels>());
      case BackwardForm::Fused:
        return make(std::type_identity<DeviceFusedBackwardKernels>());
      }
    });
    return made;
  }

private:
  int ringSize() const { return options.ringSize == 0 ? size : options.ringSize; }

  DeviceCode kernel(std::string_view name, const AttentionInputs &inputs) {
    return context.kernels->get(specOf(options, ringSize(), inputs, name), sources);
  }

  /// Every rank with its keys and parameters on the device.
  std::deque<RankOnDevice> deal(const AttentionInputs &inputs, const CompiledKernel &kernel) {
    AttentionShape shape = shapeOf(inputs);
    Extents extents = Extents::ofWhole(shape);
    checkInputs(options, shape, extents, inputs);
    Parameters whole(kernel.arguments, namedValues(kernel.arguments, options, inputs), options,
                     extents);
    std::deque<RankOnDevice> ranks;
    for (int rank = 0; rank < size; ++rank) {
      RankOnDevice &made =
          ranks.emplace_back(options, RankProblem(options, size, rank, shape), stream);
      made.takeParameters(whole, kernel.arguments, inputs.cuSeqlens);
      made.shardKeys(inputs);
    }
    return ranks;
  }

  template <typename MakeKernels>
  void run(Pass pass, std::deque<RankOnDevice> &ranks, const CompiledKernel &kernel,
           const AttentionInputs &inputs, MakeKernels &&makeKernels) {
    std::vector<DeviceRank> onDevice;
    for (int first = 0; first < size; first += ringSize()) {
      RankOnDevice &rank = ranks[size_t(first)];
      RingProblem ring = rank.ringProblem();
      PlaceVisibility visibility = placeVisibility(ring, rank.problem,
                                                   {.mask = kernel.mask,
                                                    .scalars = rank.parameters->scalars,
                                                    .cuSeqlens = inputs.cuSeqlens,
                                                    .heads = options.heads});
      for (Plan &plan : planRing(pass, ring.rings.ringOf(first), ring, visibility))
        ranks[size_t(plan.rank)].rank.plan = std::move(plan);
    }
    for (RankOnDevice &rank : ranks) {
      makeKernels(rank);
      rank.rank.kernels = rank.kernels.get();
      onDevice.push_back(rank.rank);
    }
    DeviceRing(onDevice, stream).run();
    stream.synchronize();
    for (const RankOnDevice &rank : ranks)
      rank.give();
  }

  AttentionOptions options;
  int size;
  DeviceContext context;
  SourceSet sources;
  CudaStream stream;
  DeviceAdd adder;
};

DeviceAttention::DeviceAttention(AttentionOptions options, int world, DeviceContext context)
    : self(std::make_unique<World>(std::move(options), world, std::move(context))) {}
DeviceAttention::~DeviceAttention() = default;
DeviceAttention::DeviceAttention(DeviceAttention &&) noexcept = default;
DeviceAttention &DeviceAttention::operator=(DeviceAttention &&) noexcept = default;

DeviceAttention::Forward DeviceAttention::forward(const AttentionInputs &inputs) {
  return self->forward(inputs);
}
DeviceAttention::Gradients DeviceAttention::backward(const AttentionInputs &inputs,
                                                     const Forward &forward, const Tensor &dout) {
  return self->backward(inputs, forward, dout);
}

} // namespace ringc
