#include "tools/ringc/TuneWorkload.h"

#include "ringc/Env.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/comm/ProcessRank.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/world/WorldDevices.h"
#include "tools/ringc/KernelExtentFlags.h"
#include "tools/ringc/KernelSpec.h"
#include "tools/ringc/TuneRunner.h"
#include "tools/ringc/TuneSpec.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <memory>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace ringc::cli {

Machine machineOf(const TuneFlags &flags, int processes) {
  if (flags.attention.device == "cpu")
    return {compilerHost()};
  int pipes[2];
  if (pipe(pipes) != 0)
    throw InputError("device: no pipe to be had");
  pid_t asked = fork();
  if (asked == 0) {
    std::string said;
    try {
      std::vector<int> devices =
          processes > 1 ? std::vector<int>(size_t(processes), 0)
                        : devicesOf(flags.attention.ranks, parseDevices(flags.world.devices));
      DeviceContext context = deviceContext(devices.front());
      said = "=" + targetFor(context.device->facts()).name + " " +
             std::to_string(context.device->memory().totalBytes * int64_t(devices.size()));
    } catch (const std::exception &error) {
      said = error.what();
    }
    _exit(write(pipes[1], said.data(), said.size()) == ssize_t(said.size()) ? 0 : 1);
  }
  close(pipes[1]);
  std::string said;
  char part[512];
  for (ssize_t got = 0; (got = read(pipes[0], part, sizeof part)) > 0;)
    said.append(part, size_t(got));
  close(pipes[0]);
  (void)waitpid(asked, nullptr, 0);
  if (!said.starts_with('='))
    throw InputError(said.empty() ? "device: the process that asked for it crashed" : said);
  size_t space = said.find(' ');
  return {gpuTarget(said.substr(1, space - 1)), std::stoll(said.substr(space))};
}

namespace {

std::string describe(const Shape &shape) {
  auto pair = [](int64_t first, int64_t second) {
    return std::to_string(first) + (first == second ? "" : "/" + std::to_string(second));
  };
  return std::to_string(shape.batch) + "," + pair(shape.queries, shape.keys) + "," +
         std::to_string(shape.heads) + "," + std::to_string(shape.kvHeads) + "," +
         pair(shape.headDim, shape.valueHeadDim);
}

/// Bytes of a search's tensors. Rings take turns: what they make stands twice, and on devices what
/// they are given, too.
int64_t bytesOf(const AttentionOptions &options, const Shape &shape, bool onDevice) {
  double size = double(sizeOf(options.dtype)),
         queries = double(shape.batch) * double(shape.queries) * double(shape.heads),
         keys = double(shape.batch) * double(shape.keys) * double(shape.kvHeads),
         d = double(shape.headDim),
         dv = double(shape.valueHeadDim ? shape.valueHeadDim : shape.headDim);
  double given = size * (queries * (d + dv) + keys * (d + dv)),
         made = given + 4 * (3 * queries + queries * d + keys * (d + dv));
  constexpr double most = 0x1p62;
  return int64_t(std::min(most, onDevice ? 2 * (given + made) : given + 2 * made));
}

void requireRoom(const Session &session, const AttentionFlags &attention, const Shape &shape,
                 const Machine &machine) {
  AttentionOptions options = tuneOptions(session, attention, shape);
  requireMemory("shape", describe(shape), bytesOf(options, shape, false), availableMemory(),
                "this machine");
  if (machine.target.isGpu())
    requireMemory("shape", describe(shape), bytesOf(options, shape, true), machine.deviceBytes,
                  "the devices");
}

/// What its inputs refer to stays.
struct HeldRequest : TuneRequest {
  SideInputs side;
};

std::shared_ptr<HeldRequest> requestOf(const Session &session, const AttentionFlags &attention,
                                       const Shape &shape, const std::vector<Pass> &passes) {
  auto made = std::make_shared<HeldRequest>();
  made->side = readSideInputs(session, attention);
  made->options = tuneOptions(session, attention, shape);
  made->shape = {shape.batch, shape.queries, shape.keys};
  made->inputs = made->side.inputs;
  made->passes = passes;
  made->ranks = attention.ranks;
  return made;
}

/// Whether ranks whose process has ended may begin anew. MPI does not let them.
bool comeBack(const TuneFlags &flags) { return flags.attention.device == "cuda"; }

/// Of the ring what the command line leaves open. Where nothing moves beside the kernels, chunks of
/// a hop hide nothing.
std::vector<RingChoice> waysOf(const TuneFlags &flags, const AttentionOptions &options, int ranks,
                               bool movesBesideKernels) {
  std::vector<RingChoice> ways = {{options.layout, options.schedule}};
  if (ranks == 1)
    return ways;
  auto isGiven = [&](const char *name) { return flags.world.app->get_option(name)->count() > 0; };
  constexpr int64_t tileOfRows = 64;
  std::vector<SequenceLayout> layouts = {options.layout};
  if (!isGiven("--layout"))
    layouts = {SequenceLayout::contiguous(), SequenceLayout::zigzag(), SequenceLayout::striped(),
               SequenceLayout::striped(tileOfRows)};
  std::vector<std::optional<Schedule>> schedules = {options.schedule};
  if (!isGiven("--schedule"))
    for (schedules.clear(); const Schedule &schedule : commonSchedules)
      if (schedule.chunks == 1 || movesBesideKernels)
        schedules.push_back(schedule);
  for (const SequenceLayout &layout : layouts)
    for (std::optional<Schedule> schedule : schedules)
      if (RingChoice way{layout, schedule}; way != ways.front())
        ways.push_back(way);
  return ways;
}

/// A world's runner, which leads those of other processes.
TuneWorker::Body bodyOf(const Session &session, const AttentionFlags &attention,
                        const WorldFlags &worldFlags, const Shape &shape, bool leads) {
  return [&session, attention, &worldFlags, shape,
          leads](const std::function<void(TuneRunner &)> &serve) {
    Session silent = session;
    silent.quiet = true;
    (void)runInWorld(silent, attention, worldFlags, [&](const Session &heard, World &world) {
      WorldTuneRunner runner(world, heard, attention, shape);
      if (leads) {
        LeadingTuneRunner leading(world, runner);
        serve(leading);
      } else
        serve(runner);
      return int(Ok);
    });
  };
}

/// Of these alone.
decltype(TuneWorkload::search) searchOf(std::vector<TuneTask> tasks) {
  return [tasks = std::move(tasks)](TuneWorker &worker, std::chrono::duration<double> budget,
                                    uint64_t seed, const auto &progress) {
    return tune(tasks, worker, budget, seed, progress);
  };
}

} // namespace

TuneWorkload attentionWorkload(const Session &session, const TuneFlags &flags, const Shape &shape,
                               const std::vector<Pass> &passes, const Machine &machine) {
  ProcessRank process = ProcessRank::of(Env::read()).value_or(ProcessRank());
  bool leads = process.world > 1;
  requireRoom(session, flags.attention, shape, machine);
  std::shared_ptr<HeldRequest> request = requestOf(session, flags.attention, shape, passes);
  request->processes = leads;
  request->ranks = leads ? process.world : request->ranks;
  request->ways =
      waysOf(flags, request->options, request->ranks, leads || flags.attention.device == "cuda");
  TuneWorkload made;
  made.body = bodyOf(session, flags.attention, flags.world, shape, leads);
  made.others.comeBack = comeBack(flags);
  if (leads)
    made.others.wait = std::chrono::seconds(int64_t(flags.world.deadlineSeconds));
  made.search = [request, machine](TuneWorker &worker, std::chrono::duration<double> budget,
                                   uint64_t seed, const auto &progress) {
    request->seed = seed;
    return tune(*request, compilerSources(userSources(request->options)), machine.target, worker,
                budget, progress);
  };
  return made;
}

TuneWorkload specWorkload(const Session &session, const TuneFlags &flags, const Machine &machine) {
  ProcessRank process = ProcessRank::of(Env::read()).value_or(ProcessRank());
  if (process.world > 1)
    throw InputError(process.worldVariable, std::to_string(process.world),
                     "1 with a spec: one process tunes it");
  Spec spec = specOfFile(flags.source, flags.assignments);
  if (!spec.tile.empty())
    throw InputError("tile", spec.tile.begin()->first,
                     "nothing: tile sizes are what is looked for");
  if (spec.target.starts_with("sm_") && spec.target != machine.target.name)
    throw InputError("target", spec.target,
                     machine.target.name + ", which --device " + flags.attention.device + " is");
  spec.target = machine.target.name;
  validate(spec);
  SourceSet sources = makeSources(textsOf(spec));
  TuneSpecFlags given{.extents = flags.extents,
                      .attention = flags.attention,
                      .hasPass = flags.passOption->count() > 0};
  if (isAttention(spec, sources)) {
    AttentionOfSpec asked = attentionOf(spec, given);
    requireRoom(session, asked.flags, asked.shape, machine);
    std::shared_ptr<HeldRequest> request =
        requestOf(session, asked.flags, asked.shape, {asked.pass});
    std::vector<TuneTask> tasks =
        tuneTasks(*request, compilerSources(userSources(request->options)), machine.target);
    std::erase_if(tasks, [&](const TuneTask &task) { return task.spec.kernel != spec.kernel; });
    for (const TuneTask &task : tasks)
      requireSame(tuneKeyOf(spec, sources, machine.target, {}), task.key);
    TuneWorkload made;
    made.search = searchOf(std::move(tasks));
    made.body = bodyOf(session, asked.flags, flags.world, asked.shape, /*leads=*/false);
    return made;
  }
  if (!flags.world.devices.empty())
    throw InputError("--devices", flags.world.devices,
                     "none: kernel " + spec.kernel + " runs on the first device");
  SideInputs side = readSideInputs(session, flags.attention);
  auto kernel =
      std::make_shared<const KernelWorkload>(workloadOf(spec, sources, given, side.inputs));
  requireMemory("extent", flags.extents, bytesOf(*kernel), availableMemory(), "this machine");
  if (machine.target.isGpu())
    requireMemory("extent", flags.extents, bytesOf(*kernel), machine.deviceBytes, "the device");
  TuneWorkload made;
  made.search = searchOf({taskOf(*kernel, machine.target)});
  made.body = [kernel, machine,
               threads = flags.attention.threads](const std::function<void(TuneRunner &)> &serve) {
    KernelTuneRunner runner(*kernel, machine.target, threads);
    serve(runner);
  };
  return made;
}

int followWorkload(const Session &session, const TuneFlags &flags, const Shape &shape) {
  constexpr int lost = 1, neverStarted = 2, mostInARow = 2;
  for (int inARow = 0; inARow < mostInARow;) {
    pid_t parent = getpid(), child = fork();
    if (child < 0)
      throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
      (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent)
        _exit(Ok);
      (void)std::signal(SIGINT, SIG_IGN); // the first one decides
      int code = neverStarted;
      try {
        (void)runInWorld(session, flags.attention, flags.world,
                         [&](const Session &heard, World &world) {
                           WorldTuneRunner runner(world, heard, flags.attention, shape);
                           code = lost;
                           followTuneRunner(world, runner);
                           code = Ok;
                           return int(Ok);
                         });
      } catch (const std::exception &error) {
        std::cerr << "ringc: " + std::string(error.what()) + "\n";
      }
      _exit(code);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
      ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == Ok)
      return Ok;
    if (!comeBack(flags)) { // mpirun ends all as soon as this one ends
      std::this_thread::sleep_for(std::chrono::duration<double>(flags.world.deadlineSeconds));
      return Wrong;
    }
    inARow = WIFEXITED(status) && WEXITSTATUS(status) == neverStarted ? inARow + 1 : 0;
  }
  return Wrong;
}

} // namespace ringc::cli
