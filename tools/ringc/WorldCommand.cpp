#include "tools/ringc/WorldCommand.h"

#include "ringc/comm/Transport.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tools/ringc/CommandAgreement.h"
#include "tools/ringc/Numbers.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>

namespace ringc::cli {

namespace {

WorldOptions worldOptions(const Session &session, const AttentionFlags &attention,
                          const WorldFlags &flags) {
  constexpr double longest = 1e6;
  if (!(flags.deadlineSeconds > 0 && flags.deadlineSeconds <= longest))
    throw InputError("deadline", std::to_string(flags.deadlineSeconds) + " s",
                     "above 0, at most 1000000");
  WorldOptions options;
  options.onDevices = attention.device == "cuda";
  if (!options.onDevices && !flags.devices.empty())
    throw InputError("devices", flags.devices, "nothing without --device cuda");
  if (attention.ranks != 1 || (flags.ranks && flags.ranks->count() > 0))
    options.ranks = attention.ranks;
  options.usualRanks = flags.usualRanks;
  options.devices = parseDevices(flags.devices);
  options.deadline = std::chrono::ceil<std::chrono::milliseconds>(
      std::chrono::duration<double>(flags.deadlineSeconds));
  options.tell = session.details();
  return options;
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

std::vector<int> parseDevices(const std::string &text) {
  const char *allowed = "numbers of devices, each once: 0,1";
  std::vector<int> devices;
  if (text.empty())
    return devices;
  for (int64_t device : parseIntegers("devices", text, allowed)) {
    if (device < 0 || device > 1023 || std::ranges::find(devices, int(device)) != devices.end())
      throw InputError("devices", text, allowed);
    devices.push_back(int(device));
  }
  return devices;
}

int runInWorld(const Session &session, const AttentionFlags &attention, const WorldFlags &flags,
               const std::function<int(const Session &, World &)> &command) {
  std::unique_ptr<World> world = makeWorld(worldOptions(session, attention, flags));
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
