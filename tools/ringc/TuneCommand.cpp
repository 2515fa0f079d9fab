#include "compiler/Compiler.h"
#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/attention/Options.h"
#include "runtime/comm/ProcessRank.h"
#include "runtime/files/File.h"
#include "runtime/jit/DeviceCompiler.h"
#include "runtime/jit/HostCompiler.h"
#include "runtime/tune/TuneAttention.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/TunePlot.h"
#include "tools/ringc/TuneReport.h"
#include "tools/ringc/TuneRunner.h"
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
  std::vector<std::string> shapes;
  AttentionFlags attention;
  WorldFlags world;
  std::string pass = "both";
  std::string budget = "60s";
  std::optional<uint64_t> seed;
  std::string out;
  std::string plot; ///< a file; empty: none
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

/// What is compiled for. A process that has asked the CUDA driver cannot fork any more: another
/// one asks.
Target targetOf(const TuneFlags &flags) {
  if (flags.attention.device == "cpu")
    return hostTarget();
  int pipes[2];
  if (pipe(pipes) != 0)
    throw InputError("device: no pipe to be had");
  pid_t asked = fork();
  if (asked == 0) {
    std::string said;
    try {
      said = "=" + targetFor(deviceContext().device->facts()).name;
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
  return gpuTarget(said.substr(1));
}

/// Throws InputError where no plot could go to such a file.
void checkPlot(const std::string &path) {
  if (path.empty())
    return;
  if (!path.ends_with(".svg") && !path.ends_with(".html"))
    throw InputError("plot", path, "a file that ends in .svg or .html");
  checkWritable(path);
}

void writePlot(const std::string &path, const std::vector<PlotPanel> &panels,
               const MachinePeak &peak) {
  OutputFile file(path);
  file.write(path.ends_with(".svg") ? plotSvg(panels, peak) : plotHtml(panels, peak));
  file.close();
  file.publish();
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
  checkPlot(flags.plot);
  if (std::optional<ProcessRank> process = ProcessRank::of(Env::read());
      process && process->world > 1)
    throw InputError(process->worldVariable, std::to_string(process->world),
                     "1: one process tunes, with --ranks for a ring");
  std::vector<std::string> shapes =
      flags.shapes.empty() ? std::vector<std::string>{"1,4096,8,8,64"} : flags.shapes;
  std::string path = tuneTableAt(flags.out);
  uint64_t seed = flags.seed.value_or(std::random_device()());
  session.detail("seed " + std::to_string(seed));
  Target target = targetOf(flags);
  bool isTerminal = !session.quiet && isatty(STDERR_FILENO) != 0;
  Interrupts interrupts;
  bool stopped = false;
  std::vector<TuneEntry> entries;
  std::vector<PlotPanel> panels;
  MachinePeak peak;
  for (size_t at = 0; at < shapes.size() && !stopped; ++at) {
    Shape shape = parseShape(shapes[at]);
    SideInputs side = readSideInputs(session, flags.attention);
    TuneRequest request{.options = tuneOptions(session, flags.attention, shape),
                        .shape = {shape.batch, shape.queries, shape.keys},
                        .inputs = side.inputs,
                        .passes = passesOf(flags.pass),
                        .ranks = flags.attention.ranks};
    std::vector<TuneTask> tasks =
        tuneTasks(request, compilerSources(userSources(request.options)), target);
    auto body = [&](const std::function<void(TuneRunner &)> &serve) {
      Session silent = session;
      silent.quiet = true;
      (void)runInWorld(silent, flags.attention, flags.world,
                       [&](const Session &heard, World &world) {
                         WorldTuneRunner runner(world, heard, flags.attention, shape);
                         serve(runner);
                         return int(Ok);
                       });
    };
    TuneWorker worker(body);
    if (!flags.plot.empty() && at == 0)
      peak = worker.peak();
    TuneResult result = tune(tasks, worker, budget / double(shapes.size()), seed,
                             [&](const TuneProgress &progress) {
                               if (isTerminal)
                                 drawProgress(progress);
                               return !interrupted;
                             });
    if (isTerminal)
      endProgress();
    for (const TunedKernel &kernel : result.kernels)
      flags.json ? printJson(kernel, flags.all) : print(kernel, flags.all);
    for (const TunedKernel &kernel : result.kernels)
      panels.push_back(panelOf(kernel));
    std::vector<TuneEntry> found = entriesOf(result, RINGC_VERSION, today());
    entries.insert(entries.end(), found.begin(), found.end());
    stopped = result.interrupted;
  }
  std::cout.flush();
  if (!flags.plot.empty())
    writePlot(flags.plot, panels, peak);
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
  command
      ->add_option("--plot", flags->plot,
                   "A picture of what was tried: heat map, roofline and convergence")
      ->type_name("FILE.svg|FILE.html");
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
