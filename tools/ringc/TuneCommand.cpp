#include "compiler/Compiler.h"
#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/attention/Options.h"
#include "runtime/comm/ProcessRank.h"
#include "runtime/jit/DeviceCompiler.h"
#include "runtime/jit/HostCompiler.h"
#include "runtime/tune/TuneAttention.h"
#include "tools/ringc/KernelExtentFlags.h"
#include "tools/ringc/KernelSpec.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/TuneReport.h"
#include "tools/ringc/TuneRunner.h"
#include "tools/ringc/TuneSpec.h"
#include "tools/ringc/TuneTableCommand.h"

#include <atomic>
#include <csignal>
#include <ctime>
#include <iostream>
#include <optional>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace ringc::cli {

namespace {

struct TuneFlags {
  std::string source; ///< SPEC.json or FILE.tile; empty: a shape
  std::vector<std::string> assignments;
  std::string extents;
  std::vector<std::string> shapes;
  AttentionFlags attention;
  WorldFlags world;
  std::string pass = "both";
  std::string budget = "60s";
  std::optional<uint64_t> seed;
  std::string out;
  std::string show, forget;
  const CLI::Option *showOption = nullptr, *passOption = nullptr;
  bool all = false, json = false;
};

using Seconds = std::chrono::duration<double>;

Seconds parseBudget(const std::string &text) {
  const char *allowed = "a time with its unit, 20s, 5m or 1h";
  size_t end = 0;
  double value = 0;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception &) {
    throw InputError("budget", text, allowed);
  }
  std::string unit = text.substr(end);
  double seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  constexpr double longest = 7 * 24 * 3600.0;
  if (seconds == 0 || !(value * seconds > 0) || value * seconds > longest)
    throw InputError("budget", text, allowed);
  return Seconds(value * seconds);
}

std::vector<Pass> passesOf(const std::string &text) {
  if (text == "forward")
    return {Pass::Forward};
  if (text == "backward")
    return {Pass::Backward};
  if (text != "both")
    throw InputError("pass", text, "forward, backward, both");
  return {Pass::Forward, Pass::Backward};
}

/// What is compiled for, and how much memory it has.
struct Machine {
  Target target;
  int64_t deviceBytes = 0; ///< of a device
};

/// A process that has asked the CUDA driver cannot fork any more: another one asks.
Machine machineOf(const TuneFlags &flags) {
  if (flags.attention.device == "cpu")
    return {hostTarget()};
  int pipes[2];
  if (pipe(pipes) != 0)
    throw InputError("device: no pipe to be had");
  pid_t asked = fork();
  if (asked == 0) {
    std::string said;
    try {
      DeviceContext device = deviceContext();
      said = "=" + targetFor(device.device->facts()).name + " " +
             std::to_string(device.device->memory().totalBytes);
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

/// Kernels whose sizes are looked for, and the process that runs them.
struct Workload {
  std::vector<TuneTask> tasks;
  TuneWorker::Body body;
};

std::string describe(const Shape &shape) {
  auto pair = [](int64_t first, int64_t second) {
    return std::to_string(first) + (first == second ? "" : "/" + std::to_string(second));
  };
  return std::to_string(shape.batch) + "," + pair(shape.queries, shape.keys) + "," +
         std::to_string(shape.heads) + "," + std::to_string(shape.kvHeads) + "," +
         pair(shape.headDim, shape.valueHeadDim);
}

Workload attentionWorkload(const Session &session, const AttentionFlags &attention,
                           const WorldFlags &worldFlags, const Shape &shape,
                           const std::vector<Pass> &passes, const Machine &machine) {
  SideInputs side = readSideInputs(session, attention);
  TuneRequest request{.options = tuneOptions(session, attention, shape),
                      .shape = {shape.batch, shape.queries, shape.keys},
                      .inputs = side.inputs,
                      .passes = passes,
                      .ranks = attention.ranks};
  requireMemory("shape", describe(shape), bytesOf(shape, request.options.dtype), availableMemory(),
                "this machine");
  if (machine.target.isGpu() && attention.ranks == 1)
    requireMemory("shape", describe(shape), bytesOf(shape, request.options.dtype),
                  machine.deviceBytes, "the device");
  auto body = [&session, attention, &worldFlags,
               shape](const std::function<void(TuneRunner &)> &serve) {
    Session silent = session;
    silent.quiet = true;
    (void)runInWorld(silent, attention, worldFlags, [&](const Session &heard, World &world) {
      WorldTuneRunner runner(world, heard, attention, shape);
      serve(runner);
      return int(Ok);
    });
  };
  return {tuneTasks(request, compilerSources(userSources(request.options)), machine.target), body};
}

Workload specWorkload(const Session &session, const TuneFlags &flags, const Machine &machine) {
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
    Workload made =
        attentionWorkload(session, asked.flags, flags.world, asked.shape, {asked.pass}, machine);
    std::erase_if(made.tasks,
                  [&](const TuneTask &task) { return task.spec.kernel != spec.kernel; });
    for (const TuneTask &task : made.tasks)
      requireSame(tuneKeyOf(spec, sources, machine.target, {}), task.key);
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
  return {{taskOf(*kernel, machine.target)},
          [kernel, machine,
           threads = flags.attention.threads](const std::function<void(TuneRunner &)> &serve) {
            KernelTuneRunner runner(*kernel, machine.target, threads);
            serve(runner);
          }};
}

std::atomic<bool> interrupted = false;

/// While it lives, Ctrl-C ends the search and not the process.
class Interrupts {
public:
  Interrupts() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    (void)sigaction(SIGINT, &action, &before);
  }
  ~Interrupts() { (void)sigaction(SIGINT, &before, nullptr); }

private:
  struct sigaction before{};
};

std::string today() {
  std::time_t now = std::time(nullptr);
  std::tm date{};
  (void)gmtime_r(&now, &date);
  char text[16];
  (void)std::strftime(text, sizeof text, "%Y-%m-%d", &date);
  return text;
}

int tuneCommand(const Session &session, const TuneFlags &flags) {
  if (flags.showOption->count())
    return showTuned(session, flags.show);
  if (!flags.forget.empty())
    return forgetTuned(session, flags.out, flags.forget);
  checkMachine(flags.attention);
  Seconds budget = parseBudget(flags.budget);
  (void)passesOf(flags.pass);
  if (!flags.attention.tile.empty())
    throw InputError("tile", flags.attention.tile, "nothing: tile sizes are what is looked for");
  if (std::optional<ProcessRank> process = ProcessRank::of(Env::read());
      process && process->world > 1)
    throw InputError(process->worldVariable, std::to_string(process->world),
                     "1: one process tunes, with --ranks for a ring");
  bool ofSpec = !flags.source.empty();
  if (ofSpec && !flags.shapes.empty())
    throw InputError("--shape", flags.shapes.front(),
                     "none beside a spec: its sizes are the spec's and --extent");
  if (!ofSpec && !(flags.extents.empty() && flags.assignments.empty()))
    throw InputError(flags.extents.empty() ? "--set" : "--extent",
                     flags.extents.empty() ? flags.assignments.front() : flags.extents,
                     "none without SPEC.json or FILE.tile");
  std::vector<std::string> shapes =
      flags.shapes.empty() ? std::vector<std::string>{"1,4096,8,8,64"} : flags.shapes;
  std::string path = tuneTableAt(flags.out);
  uint64_t seed = flags.seed.value_or(std::random_device()());
  session.detail("seed " + std::to_string(seed));
  Machine machine = machineOf(flags);
  bool isTerminal = !session.quiet && isatty(STDERR_FILENO) != 0;
  Interrupts interrupts;
  bool stopped = false;
  std::vector<TuneEntry> entries;
  for (size_t at = 0; at < shapes.size() && !stopped; ++at) {
    Workload work = ofSpec
                        ? specWorkload(session, flags, machine)
                        : attentionWorkload(session, flags.attention, flags.world,
                                            parseShape(shapes[at]), passesOf(flags.pass), machine);
    TuneResult result = tune(work.tasks, work.body, budget / double(shapes.size()), seed,
                             [&](const TuneProgress &progress) {
                               if (isTerminal)
                                 drawProgress(progress);
                               return !interrupted;
                             });
    if (isTerminal)
      endProgress();
    for (const TunedKernel &kernel : result.kernels)
      flags.json ? printJson(kernel, flags.all) : print(kernel, flags.all);
    std::vector<TuneEntry> found = entriesOf(result, RINGC_VERSION, today());
    entries.insert(entries.end(), found.begin(), found.end());
    stopped = result.interrupted;
  }
  std::cout.flush();
  TuneTable::update(path, [&](TuneTable &known) {
    for (const TuneEntry &entry : entries)
      known.put(entry);
  });
  session.say(path + ": " + std::to_string(entries.size()) + " entries" +
              (stopped ? ", of a search that was interrupted" : ""));
  return Ok;
}

} // namespace

void addTune(CLI::App &app, Session &session) {
  auto flags = std::make_shared<TuneFlags>();
  CLI::App *command = addCommand(
      app, session, "tune",
      "Looks for the tile sizes that are fastest here, each checked against double precision, and "
      "keeps them in a table that all other commands and the library read",
      flags, tuneCommand);
  command
      ->add_option(
          "source", flags->source,
          "A kernel of any kind, as compile takes it; its fields stand for the options "
          "that say the same. Unless given, the kernels of an attention as the options say")
      ->type_name("SPEC.json|FILE.tile");
  command->add_option("--set", flags->assignments, "Set a field of the spec")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--extent", flags->extents,
                   "With a spec, the extents of the kernel's views; of an attention Nq, Nk, B, H, "
                   "Hkv, unless given 4096, 4096, 1, 8")
      ->type_name("M=4096,N=4096");
  command->add_option("--shape", flags->shapes, "1,4096,8,8,64 unless given")
      ->type_name("b,n[/nk],h,hkv,d[/dv]");
  flags->passOption = command->add_option("--pass", flags->pass, "Whose kernels")
                          ->type_name("forward|backward|both")
                          ->capture_default_str();
  command->add_option("--budget", flags->budget, "Time for all: 20s, 5m, 1h")
      ->type_name("T")
      ->capture_default_str();
  addNumber(*command, "--seed", flags->seed, "Of the random input of checks; drawn unless given")
      ->type_name("S");
  command
      ->add_option("--out", flags->out,
                   "The table; unless given that of RINGC_TUNE_TABLE, else ringc/tune.json in "
                   "XDG_DATA_HOME or ~/.local/share")
      ->type_name("TABLE.json");
  command->add_flag("--all", flags->all,
                    "All sizes that were tried, with what was wrong with them");
  command->add_flag("--json", flags->json, "A line of JSON for each kernel");
  flags->showOption =
      command->add_option("--show", flags->show, "Prints a table, and tunes nothing")
          ->type_name("[TABLE.json]")
          ->expected(0, 1);
  command->add_option("--forget", flags->forget, "Removes an entry of the table, or all of them")
      ->type_name("KEY|all");
  flags->attention.addTo(*command);
  flags->world.addTo(*command);
}

} // namespace ringc::cli
