#include "ringc/world/DeviceRing.h"

#include "ringc/world/WorldShard.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <span>
#include <utility>

namespace ringc {

void DeviceRing::runPass(Pass pass) {
  enqueue(pass);
  wait();
  report(pass);
}

WorldRing::Took DeviceRing::timed(Pass pass) {
  CudaEvent start(stream.device(), CudaEvent::Timing::On),
      end(stream.device(), CudaEvent::Timing::On);
  start.record(stream);
  auto before = std::chrono::steady_clock::now();
  enqueue(pass);
  std::chrono::duration<double, std::micro> enqueuing = std::chrono::steady_clock::now() - before;
  end.record(stream);
  wait();
  report(pass);
  return {.milliseconds = end.since(start), .launchMicroseconds = enqueuing.count()};
}

void DeviceRing::report(Pass pass) {
  done = pass;
  latest.clear();
  for (const Plan &plan : ownPlans(pass)) {
    int computed = int(std::ranges::count_if(plan.steps, &Step::computes));
    latest.push_back({.sentBytes = plan.sentBytes(),
                      .receivedBytes = plan.receivedBytes(),
                      .hopBufferBytes = plan.hopBufferBytes(Plan::OwnKeys::Contiguous),
                      .computedSteps = computed});
  }
}

WorldRing::Results DeviceRing::collect() {
  Results results;
  auto take = [&](Pass pass, std::initializer_list<HostTensor *> into) {
    std::vector<HostTensor> wholes = collected(pass);
    for (size_t i = 0; i < wholes.size(); ++i)
      *into.begin()[i] = std::move(wholes[i]);
  };
  if (done)
    take(Pass::Forward, {&results.forward.out, &results.forward.lse});
  if (done == Pass::Backward)
    take(Pass::Backward, {&results.gradients.dq, &results.gradients.dk, &results.gradients.dv});
  return results;
}

std::vector<HostTensor> DeviceRing::emptyResults(Pass pass) const {
  std::vector<HostTensor> wholes;
  for (const DeviceProblem::Result &result : problem.results(pass))
    wholes.emplace_back(result.dtype, result.shape);
  return wholes;
}

namespace {

class DealtRing final : public DeviceRing {
public:
  DealtRing(DeviceProblem ofWorld, const std::vector<DeviceContext> &devices)
      : DeviceRing(std::move(ofWorld), devices[0]), ring(problem.options, problem.world, devices) {
    for (int rank = 0; rank < problem.world; ++rank)
      shards.emplace_back(problem, rank, ring.deviceOf(rank).device);
  }

  void prepare(Pass pass) override { ring.prepare(pass, problem.shape, inputs()); }

private:
  std::vector<AttentionInputs> inputs() const {
    std::vector<AttentionInputs> all;
    for (const DeviceShard &shard : shards)
      all.push_back(shard.inputs());
    return all;
  }

  void enqueue(Pass pass) override {
    if (pass == Pass::Forward) {
      std::vector<RankForward> ranks;
      for (const DeviceShard &shard : shards)
        ranks.push_back(shard.forward());
      ring.forward(stream, problem.shape, ranks);
    } else {
      std::vector<RankBackward> ranks;
      for (const DeviceShard &shard : shards)
        ranks.push_back(shard.backward());
      ring.backward(stream, problem.shape, ranks);
    }
  }
  void wait() override { stream.synchronize(); }
  std::vector<Plan> ownPlans(Pass pass) override {
    return ring.plans(pass, problem.shape, inputs());
  }
  std::vector<HostTensor> collected(Pass pass) override {
    std::vector<HostTensor> wholes = emptyResults(pass);
    for (int rank = 0; rank < problem.world; ++rank)
      giveHome(problem, pass, rank, shards[size_t(rank)].downloaded(pass), wholes);
    return wholes;
  }

  DeviceAttentionRing ring;
  std::deque<DeviceShard> shards; ///< by rank
};

/// The first process gets the results of all others, over their transports.
class RemoteRing final : public DeviceRing {
public:
  RemoteRing(DeviceProblem ofWorld, RemoteTransport &ownTransport, const DeviceContext &context)
      : DeviceRing(std::move(ofWorld), context), transport(ownTransport),
        attention(problem.options, transport, context),
        shard(problem, transport.rank(), context.device) {}

  void prepare(Pass pass) override { attention.prepare(pass, problem.shape, shard.inputs()); }

private:
  void enqueue(Pass pass) override {
    if (pass == Pass::Forward) {
      RankForward own = shard.forward();
      attention.forward(stream, problem.shape, own.inputs, own.results);
    } else {
      RankBackward own = shard.backward();
      attention.backward(stream, problem.shape, own.inputs, own.results, own.dout, own.gradients);
    }
  }
  void wait() override { attention.wait(stream); }
  std::vector<Plan> ownPlans(Pass pass) override {
    std::vector<Plan> ofRing = attention.plans(pass, problem.shape, shard.inputs()), own;
    std::ranges::copy_if(ofRing, std::back_inserter(own),
                         [&](const Plan &plan) { return plan.rank == transport.rank(); });
    return own;
  }

  std::vector<HostTensor> collected(Pass pass) override {
    std::vector<HostTensor> wholes = emptyResults(pass);
    giveHome(problem, pass, transport.rank(), shard.downloaded(pass), wholes);
    if (transport.rank() != 0)
      send(pass);
    for (int rank = 1; rank < transport.world() && transport.rank() == 0; ++rank)
      giveHome(problem, pass, rank, received(pass, rank), wholes);
    return wholes;
  }

  static std::span<std::byte> bytesOf(const Tensor &tensor) {
    return {static_cast<std::byte *>(tensor.data()), size_t(tensor.byteCount())};
  }
  void exchange(const Exchange &all) {
    transport.follow(stream);
    transport.post(all)->wait();
    transport.wait(stream);
  }
  void send(Pass pass) {
    Exchange all{.channel = Channel::Results, .sends = {}, .receives = {}};
    for (const Tensor &part : shard.results(pass))
      all.sends.push_back({0, bytesOf(part)});
    exchange(all);
  }
  std::vector<HostTensor> received(Pass pass, int rank) {
    WorldShard theirs(problem.ofRank(rank));
    std::vector<DeviceTensor> parts;
    Exchange all{.channel = Channel::Results, .sends = {}, .receives = {}};
    for (const DeviceProblem::Result &result : problem.results(pass)) {
      HostTensor like = theirs.room(result.dtype, result.shape, result.rowAxis);
      parts.emplace_back(stream.device(), like.dtype(), like.shape());
      all.receives.push_back({rank, bytesOf(parts.back())});
    }
    exchange(all);
    std::vector<HostTensor> home;
    for (const DeviceTensor &part : parts)
      home.push_back(part.download(stream));
    return home;
  }

  RemoteTransport &transport;
  DeviceAttentionRank attention;
  DeviceShard shard;
};

} // namespace

std::unique_ptr<WorldRing> makeDeviceRing(const AttentionOptions &options, int world,
                                          const std::vector<DeviceContext> &devices,
                                          const AttentionInputs &inputs, const Tensor &dout) {
  return std::make_unique<DealtRing>(
      DeviceProblem(options, world, inputs, dout, *devices[0].kernels), devices);
}

std::unique_ptr<WorldRing> makeRemoteRing(const AttentionOptions &options,
                                          RemoteTransport &transport, const DeviceContext &context,
                                          const AttentionInputs &inputs, const Tensor &dout) {
  return std::make_unique<RemoteRing>(
      DeviceProblem(options, transport.world(), inputs, dout, *context.kernels), transport,
      context);
}

} // namespace ringc
