#include "compiler/Compiler.h"
#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/attention/Options.h"
#include "runtime/comm/ProcessRank.h"
#include "runtime/jit/DeviceCompiler.h"
#include "runtime/jit/HostCompiler.h"
#include "runtime/tune/TuneAttention.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TuneReport.h"
#include "tools/ringc/TuneRunner.h"
#include "tools/ringc/TuneTableCommand.h"
#include "tools/ringc/WorldDevices.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <iostream>
#include <optional>
#include <random>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace ringc::cli {

namespace {

struct TuneFlags {
  std::vector<std::string> shapes;
  AttentionFlags attention;
  WorldFlags world;
  std::string pass = "both";
  std::string budget = "60s";
  std::optional<uint64_t> seed;
  std::string out;
  std::string show, forget;
  const CLI::Option *showOption = nullptr;
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

/// What a device that is compiled for has. A process that has asked the CUDA driver cannot fork any
/// more: another one asks.
struct Machine {
  Target target;
  double bytes = 0; ///< of memory, of all devices that there will be
};

Machine machineOf(const TuneFlags &flags, int processes) {
  if (flags.attention.device == "cpu")
    return {hostTarget(), double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE))};
  int pipes[2];
  if (pipe(pipes) != 0)
    throw InputError("device: no pipe to be had");
  pid_t asked = fork();
  if (asked == 0) {
    std::string said;
    try {
      std::vector<int> devices = processes > 1
                                     ? std::vector<int>(size_t(processes), 0)
                                     : devicesOf(flags.attention.ranks, flags.world.devices);
      DeviceContext context = deviceContext(devices.front());
      said = "=" + targetFor(context.device->facts()).name + " " +
             std::to_string(double(context.device->memory().totalBytes) * double(devices.size()));
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
  return {gpuTarget(said.substr(1, space - 1)), std::stod(said.substr(space))};
}

std::string gibibytes(double bytes) { return number(bytes / double(1 << 30), 3) + " GiB"; }

/// Throws InputError where the tensors of a search would have no room.
void requireRoom(const AttentionOptions &options, const Shape &shape, const Machine &machine) {
  double size = double(sizeOf(options.dtype)),
         queries = double(shape.batch) * double(shape.queries) * double(shape.heads),
         keys = double(shape.batch) * double(shape.keys) * double(shape.kvHeads),
         d = double(shape.headDim),
         dv = double(shape.valueHeadDim ? shape.valueHeadDim : shape.headDim);
  double given = size * (queries * (d + dv) + keys * (d + dv)),
         made = given + 4 * (3 * queries + queries * d + keys * (d + dv));
  // Rings take turns: what is made stands twice; on devices what is given, too.
  double need = machine.target.isGpu() ? 2 * (given + made) : given + 2 * made;
  if (need > machine.bytes)
    throw InputError("shape: needs about " + gibibytes(need) + " of memory, of " +
                     gibibytes(machine.bytes) + " that there are");
}

std::atomic<bool> interrupted = false;

/// While it lives, Ctrl-C and what a launcher makes of it end the search and not the process.
class Interrupts {
public:
  Interrupts() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    (void)sigaction(SIGINT, &action, &beforeInterrupt);
    (void)sigaction(SIGTERM, &action, &beforeTerminate);
  }
  ~Interrupts() {
    (void)sigaction(SIGINT, &beforeInterrupt, nullptr);
    (void)sigaction(SIGTERM, &beforeTerminate, nullptr);
  }

private:
  struct sigaction beforeInterrupt{}, beforeTerminate{};
};

/// Whether ranks whose process has ended may begin anew. MPI does not let them.
bool comeBack(const TuneFlags &flags) { return flags.attention.device == "cuda"; }

/// A process other than the first: what it runs follows that of the first one, in a process of its
/// own, which is made again where the world breaks.
int follow(const Session &session, const TuneFlags &flags, const Shape &shape) {
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

/// Of the ring what the command line leaves open.
std::vector<RingChoice> waysOf(const TuneFlags &flags, const AttentionOptions &options, int ranks) {
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
    schedules.assign(allSchedules.begin(), allSchedules.end());
  for (const SequenceLayout &layout : layouts)
    for (std::optional<Schedule> schedule : schedules)
      if (RingChoice way{layout, schedule}; way != ways.front())
        ways.push_back(way);
  return ways;
}

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
  ProcessRank process = ProcessRank::of(Env::read()).value_or(ProcessRank());
  int ranks = process.world > 1 ? process.world : flags.attention.ranks;
  std::vector<std::string> shapes =
      flags.shapes.empty() ? std::vector<std::string>{"1,4096,8,8,64"} : flags.shapes;
  if (process.rank > 0) {
    Session silent = session;
    silent.quiet = true;
    int code = Ok;
    for (size_t at = 0; at < shapes.size() && code == Ok; ++at)
      code = follow(silent, flags, parseShape(shapes[at]));
    return code;
  }
  std::string path = tuneTableAt(flags.out);
  uint64_t seed = flags.seed.value_or(std::random_device()());
  session.detail("seed " + std::to_string(seed));
  Machine machine = machineOf(flags, process.world);
  for (const std::string &text : shapes) {
    Shape shape = parseShape(text);
    requireRoom(tuneOptions(session, flags.attention, shape), shape, machine);
  }
  bool isTerminal = !session.quiet && isatty(STDERR_FILENO) != 0;
  Interrupts interrupts;
  bool stopped = false;
  size_t entries = 0;
  for (size_t at = 0; at < shapes.size() && !stopped; ++at) {
    Shape shape = parseShape(shapes[at]);
    SideInputs side = readSideInputs(session, flags.attention);
    TuneRequest request{.options = tuneOptions(session, flags.attention, shape),
                        .shape = {shape.batch, shape.queries, shape.keys},
                        .inputs = side.inputs,
                        .passes = passesOf(flags.pass),
                        .ranks = ranks,
                        .seed = seed};
    request.processes = process.world > 1;
    request.ways = waysOf(flags, request.options, ranks);
    auto body = [&](const std::function<void(TuneRunner &)> &serve) {
      Session silent = session;
      silent.quiet = true;
      (void)runInWorld(silent, flags.attention, flags.world,
                       [&](const Session &heard, World &world) {
                         WorldTuneRunner runner(world, heard, flags.attention, shape);
                         if (process.world == 1) {
                           serve(runner);
                           return int(Ok);
                         }
                         LeadingTuneRunner leading(world, runner);
                         serve(leading);
                         return int(Ok);
                       });
    };
    TuneWorker::Others others{.comeBack = comeBack(flags)};
    if (process.world > 1)
      others.wait = std::chrono::seconds(int64_t(flags.world.deadlineSeconds));
    TuneWorker worker(body, others);
    TuneResult result =
        tune(request, compilerSources(userSources(request.options)), machine.target, worker,
             budget / double(shapes.size()), [&](const TuneProgress &progress) {
               if (isTerminal)
                 drawProgress(progress);
               return !interrupted;
             });
    if (isTerminal)
      endProgress();
    for (const TunedKernel &kernel : result.kernels)
      flags.json ? printJson(kernel, flags.all) : print(kernel, flags.all);
    std::cout.flush();
    stopped = result.interrupted;
    std::vector<TuneEntry> found = entriesOf(result, RINGC_VERSION, today());
    entries += found.size();
    TuneTable::update(path, [&](TuneTable &known) {
      for (const TuneEntry &entry : found)
        known.put(entry);
    });
  }
  session.say(path + ": " + std::to_string(entries) + " entries" +
              (stopped ? ", of a search that was interrupted" : ""));
  return Ok;
}

} // namespace

void addTune(CLI::App &app, Session &session) {
  auto flags = std::make_shared<TuneFlags>();
  flags->world.deadlineSeconds = 120; // a rank that crashes is soon seen
  CLI::App *command = addCommand(
      app, session, "tune",
      "Looks for the tile sizes that are fastest here, each checked against double precision, and "
      "keeps them in a table that all other commands and the library read",
      flags, tuneCommand);
  command->add_option("--shape", flags->shapes, "1,4096,8,8,64 unless given")
      ->type_name("b,n[/nk],h,hkv,d[/dv]");
  command->add_option("--pass", flags->pass, "Whose kernels")
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
