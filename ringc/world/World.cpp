#include "ringc/world/World.h"

#include "ringc/Env.h"
#include "ringc/comm/InProcess.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/world/DeviceRing.h"
#include "ringc/world/WorldDevices.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <numeric>
#include <span>
#include <string>

namespace ringc {

namespace {

class ThreadRing final : public WorldRing {
public:
  ThreadRing(const AttentionOptions &options, int size, const AttentionContext &context,
             AttentionInputs given, const Tensor &gradient)
      : ranks(options, size, context), inputs(std::move(given)), dout(gradient) {}

  void prepare(Pass pass) override { ranks.prepare(pass, inputs); }
  void forward() override { results.forward = ranks.forward(inputs); }
  void backward() override { results.gradients = ranks.backward(inputs, results.forward, dout); }
  std::vector<ExecutionReport> reports() const override { return ranks.reports(); }
  Results collect() override { return std::move(results); }

private:
  HostAttentionRing ranks;
  AttentionInputs inputs;
  Tensor dout;
  Results results;
};

class ThreadWorld final : public World {
public:
  explicit ThreadWorld(int ranks) : count(ranks) {}

  int size() const override { return count; }
  std::vector<int> ranks() const override {
    std::vector<int> all(static_cast<size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  std::unique_ptr<WorldRing> ring(const AttentionOptions &options, const AttentionContext &context,
                                  const AttentionInputs &inputs, const Tensor &dout) override {
    return std::make_unique<ThreadRing>(options, count, context, inputs, dout);
  }
  void onRanks(const std::function<void(const WorldRank &)> &body) override {
    InProcessWorld world(count);
    runRanks(world, [&](int rank) { body({.rank = rank, .transport = &world.at(rank)}); });
  }
  std::vector<double> gather(const std::vector<double> &own) override { return own; }
  std::string ofFirst(const std::string &own) override { return own; }
  void agree(const Agreement &) override {}
  double largest(double own) override { return own; }
  void abort(const std::string &) noexcept override {}

private:
  int count;
};

} // namespace

WorldRing::Took WorldRing::timed(Pass pass) {
  auto start = std::chrono::steady_clock::now();
  switch (pass) {
  case Pass::Forward:
    forward();
    break;
  case Pass::Backward:
    backward();
    break;
  }
  std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return {.milliseconds = took.count()};
}

const std::vector<DeviceContext> &World::devices() const {
  static const std::vector<DeviceContext> none;
  return none;
}

std::unique_ptr<WorldRing> World::oneRank(const AttentionOptions &options,
                                          const AttentionContext &context,
                                          const AttentionInputs &inputs, const Tensor &dout) const {
  if (devices().empty())
    return std::make_unique<ThreadRing>(options, 1, context, inputs, dout);
  return makeDeviceRing(options, 1, {devices()[0]}, inputs, dout);
}

std::string ofFirst(const GatherBytes &gather, const std::string &own) {
  uint64_t size = own.size();
  std::vector<std::byte> first = gather(std::as_bytes(std::span(&size, 1))).front();
  std::memcpy(&size, first.data(), sizeof size);
  std::string piece = own;
  piece.resize(size);
  first = gather(std::as_bytes(std::span(piece))).front();
  return {reinterpret_cast<const char *>(first.data()), first.size()};
}

std::unique_ptr<World> makeWorld(const WorldOptions &options) {
  if (!options.onDevices && !options.devices.empty())
    throw InputError("devices", nameOfDevices(options.devices), "none for ranks on the host");
  if (options.ranks && *options.ranks < 1)
    throw InputError("ranks", std::to_string(*options.ranks), "1 or more");
  ProcessRank process = ProcessRank::of(Env::read()).value_or(ProcessRank());
  int ranks = options.ranks.value_or(options.usualRanks), processes = process.world;
  if (processes == 1 && options.onDevices)
    return makeDeviceWorld(ranks, options.devices, options.tell);
  if (processes == 1)
    return std::make_unique<ThreadWorld>(ranks);
  if (options.ranks && ranks != processes)
    throw InputError("ranks", std::to_string(ranks),
                     std::to_string(processes) + ", the processes that were started, or not given");
  if (options.onDevices)
    return makeNcclWorld(process, options.devices, options.deadline,
                         process.rank == 0 ? options.tell : TuneTable::Warn());
  // Each of them would compute the whole, and write the same files.
  if (process.launcher == ProcessRank::Launcher::Variables)
    throw InputError(
        process.worldVariable, std::to_string(processes),
        "1 or unset with --device cpu, where ranks are processes of mpirun (mpirun -n " +
            std::to_string(processes) + " ringc ...) or of one process (--ranks " +
            std::to_string(processes) + "): unset RANK and WORLD_SIZE");
#if RINGC_WITH_MPI
  return makeMpiWorld(process, options.deadline);
#else
  throw InputError((process.launcher == ProcessRank::Launcher::Slurm ? "srun" : "mpirun") +
                   std::string(" has started ") + std::to_string(processes) +
                   " processes, but this ringc is built without MPI: install libopenmpi-dev and "
                   "openmpi-bin and build it again, or start one process with --ranks " +
                   std::to_string(processes));
#endif
}

} // namespace ringc
