#include "ringc/attention/OffloadedAttentionRing.h"

#include "ringc/attention/DeviceAttentionRing.h"
#include "ringc/attention/device/DeviceDeal.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/support/Error.h"

#include <deque>
#include <map>
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

} // namespace

class OffloadedAttentionRing::World {
public:
  World(AttentionOptions given, int world, std::vector<DeviceContext> devices)
      : options((validate(given), completed(std::move(given)))), size(world),
        ring(options, world, devices), stream(ring.deviceOf(0).device) {
    for (int rank = 0; rank < size; ++rank) {
      const std::shared_ptr<const CudaDevice> &device = ring.deviceOf(rank).device;
      uploads.try_emplace(device.get(), device);
    }
  }

  Forward forward(const AttentionInputs &inputs) {
    Whole whole(*this, inputs, "attention_forward");
    Forward made;
    made.out = HostTensor(options.dtype, {whole.shape.batch, whole.shape.queryLength, options.heads,
                                          options.valueHeadDim});
    for (HostTensor *rows : {&made.lse, &made.rowMax, &made.rowSum})
      *rows = HostTensor(DType::F32, {whole.shape.batch, options.heads, whole.shape.queryLength});
    std::vector<RankForward> ranks;
    for (DeviceDeal &deal : whole.deals)
      ranks.push_back({.inputs = deal.take(options, inputs, whole.code->kernel->arguments),
                       .results = {deal.place(made.out, 1), deal.place(made.lse, 2),
                                   deal.place(made.rowMax, 2), deal.place(made.rowSum, 2)}});
    ring.forward(stream, whole.shape, ranks);
    whole.give();
    return made;
  }

  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout) {
    Whole whole(*this, inputs, backwardNames(*options.backward).keys);
    checkTensor("dout", dout, options.dtype,
                {whole.shape.batch, whole.shape.queryLength, options.heads, options.valueHeadDim});
    Gradients made{HostTensor(options.dtype, inputs.q.shape()),
                   HostTensor(options.dtype, inputs.k.shape()),
                   HostTensor(options.dtype, inputs.v.shape())};
    std::vector<RankBackward> ranks;
    for (DeviceDeal &deal : whole.deals) {
      RankBackward &rank = ranks.emplace_back(RankBackward{
          .inputs = deal.take(options, inputs, whole.code->kernel->arguments),
          .results = {deal.take(forward.out, 0, 1), deal.take(forward.lse, 0, 2)},
          .dout = deal.take(dout, 0, 1),
          .gradients = {deal.place(made.dq, 1), deal.place(made.dk, 1), deal.place(made.dv, 1)}});
      if (forward.rowMax.rank() != 0 && forward.rowSum.rank() != 0) {
        rank.results.rowMax = deal.take(forward.rowMax, 0, 2);
        rank.results.rowSum = deal.take(forward.rowSum, 0, 2);
      }
    }
    ring.backward(stream, whole.shape, ranks);
    whole.give();
    return made;
  }

private:
  /// The whole, checked, and a deal for each rank.
  struct Whole {
    Whole(World &world, const AttentionInputs &inputs, std::string_view kernel)
        : owner(world), shape(shapeOf(inputs)) {
      Extents extents = Extents::ofWhole(shape);
      checkInputs(owner.options, shape, extents, inputs);
      RankProblem first(owner.options, owner.size, 0, shape);
      const DeviceContext &context = owner.ring.deviceOf(0);
      int ringSize = first.rings.ringSize;
      code = context.kernels->get(specOf(owner.options, ringSize, inputs, kernel),
                                  context.kernels->sources(userSources(owner.options)),
                                  workOf(owner.options, ringSize, shape.keyLength));
      Parameters::checkEntries(code->kernel->arguments, first.rings);
      (void)Parameters(code->kernel->arguments,
                       namedValues(code->kernel->arguments, owner.options, inputs), owner.options,
                       extents);
      for (int rank = 0; rank < owner.size; ++rank)
        deals.emplace_back(RankProblem(owner.options, owner.size, rank, shape),
                           owner.uploads.at(owner.ring.deviceOf(rank).device.get()));
    }

    void give() {
      owner.stream.synchronize();
      for (const DeviceDeal &deal : deals)
        deal.give();
    }

    World &owner;
    AttentionShape shape;
    std::optional<DeviceCode> code;
    std::deque<DeviceDeal> deals; ///< by rank
  };

  AttentionOptions options;
  int size;
  DeviceAttentionRing ring;
  CudaStream stream; ///< of the first rank's device
  std::map<const CudaDevice *, CudaStream> uploads;
};

OffloadedAttentionRing::OffloadedAttentionRing(AttentionOptions options, int world,
                                               std::vector<DeviceContext> devices)
    : self(std::make_unique<World>(std::move(options), world, std::move(devices))) {}
OffloadedAttentionRing::~OffloadedAttentionRing() = default;
OffloadedAttentionRing::OffloadedAttentionRing(OffloadedAttentionRing &&) noexcept = default;
OffloadedAttentionRing &
OffloadedAttentionRing::operator=(OffloadedAttentionRing &&) noexcept = default;

OffloadedAttentionRing::Forward OffloadedAttentionRing::forward(const AttentionInputs &inputs) {
  return self->forward(inputs);
}
OffloadedAttentionRing::Gradients OffloadedAttentionRing::backward(const AttentionInputs &inputs,
                                                                   const Forward &forward,
                                                                   const Tensor &dout) {
  return self->backward(inputs, forward, dout);
}

} // namespace ringc
