#include "tools/ringc/World.h"

#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/comm/Transport.h"
#include "runtime/jit/HostCompiler.h"
#include "tools/ringc/DeviceRing.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/WorldAgreement.h"
#include "tools/ringc/WorldDevices.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <iostream>
#include <numeric>
#include <span>
#include <string>

namespace ringc::cli {

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
  InProcessRing ranks;
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
  std::vector<double> gather(const std::vector<double> &own) override { return own; }
  std::string ofFirst(const std::string &own) override { return own; }
  void agree(const Agreement &) override {}
  double largest(double own) override { return own; }
  void abort(const std::string &) noexcept override {}

private:
  int count;
};

std::unique_ptr<World> makeWorld(const Session &session, const AttentionFlags &attention,
                                 const WorldFlags &flags) {
  constexpr double longest = 1e6;
  if (!(flags.deadlineSeconds > 0 && flags.deadlineSeconds <= longest))
    throw InputError("deadline", std::to_string(flags.deadlineSeconds) + " s",
                     "above 0, at most 1000000");
  bool onDevices = attention.device == "cuda";
  if (!onDevices && !flags.devices.empty())
    throw InputError("devices", flags.devices, "nothing without --device cuda");
  ProcessRank process = ProcessRank::of(Env::read()).value_or(ProcessRank());
  int ranks = attention.ranks, processes = process.world;
  if (processes == 1 && onDevices)
    return makeDeviceWorld(ranks, flags.devices, session.details());
  if (processes == 1)
    return std::make_unique<ThreadWorld>(ranks);
  if (flags.ranks && flags.ranks->count() > 0 && ranks != processes)
    throw InputError("ranks", std::to_string(ranks),
                     std::to_string(processes) + ", the processes that were started, or not given");
  auto deadline = std::chrono::ceil<std::chrono::milliseconds>(
      std::chrono::duration<double>(flags.deadlineSeconds));
  if (onDevices)
    return makeNcclWorld(process, flags.devices, deadline,
                         process.rank == 0 ? session.details() : TuneTable::Warn());
  // Each of them would compute the whole, and write the same files.
  if (process.launcher == ProcessRank::Launcher::Variables)
    throw InputError(
        process.worldVariable, std::to_string(processes),
        "1 or unset with --device cpu, where ranks are processes of mpirun (mpirun -n " +
            std::to_string(processes) + " ringc ...) or of one process (--ranks " +
            std::to_string(processes) + "): unset RANK and WORLD_SIZE");
#if RINGC_WITH_MPI
  return makeMpiWorld(process, deadline);
#else
  throw InputError((process.launcher == ProcessRank::Launcher::Slurm ? "srun" : "mpirun") +
                   std::string(" has started ") + std::to_string(processes) +
                   " processes, but this ringc is built without MPI: install libopenmpi-dev and "
                   "openmpi-bin and build it again, or start one process with --ranks " +
                   std::to_string(processes));
#endif
}

} // namespace

void WorldFlags::addTo(CLI::App &command) {
  app = &command;
  ranks = command.get_option("--ranks");
  command
      .add_option("--deadline", deadlineSeconds,
                  "Of several processes: the longest that one waits for another, in seconds")
      ->transform(decimal<double>())
      ->type_name("S")
      ->capture_default_str();
  command
      .add_option("--devices", devices,
                  "With --device cuda: those that ranks are dealt over; all unless given")
      ->type_name("0,1,...");
  command.footer(
      "With --device cuda each process that torchrun, srun or mpirun has started is a rank:\n"
      "by RANK, WORLD_SIZE and LOCAL_RANK, or by what srun and mpirun set instead. Rank 0\n"
      "listens at MASTER_ADDR (unless set: 127.0.0.1, or the first of several hosts that srun\n"
      "names) and MASTER_PORT (29500); mpirun over several hosts needs -x MASTER_ADDR=HOST.\n"
      "Whoever reaches that port can take a rank's place, unless RINGC_JOB_TOKEN is set to one\n"
      "secret for all ranks: then each has to prove that it knows it, which is never sent.");
}

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

int runInWorld(const Session &session, const AttentionFlags &attention, const WorldFlags &flags,
               const std::function<int(const Session &, World &)> &command) {
  std::unique_ptr<World> world = makeWorld(session, attention, flags);
  Session heard = session;
  heard.quiet |= !world->isFirst();
  try {
    world->agree(agreementOf(*flags.app, compilerBuild()));
    int code = command(heard, *world);
    return int(world->largest(code));
  } catch (const PeerError &error) {
    if (!dynamic_cast<const DisagreementError *>(&error)) // that all have seen
      world->abort(error.what());
    // In one piece: other processes write to the same place.
    std::cerr << "ringc: " + std::string(error.what()) + '\n';
    return Wrong;
  } catch (const std::exception &error) {
    world->abort(error.what());
    throw;
  }
}

} // namespace ringc::cli
