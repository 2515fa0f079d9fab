#include "ringc/Env.h"
#include "ringc/comm/ProcessRank.h"
#include "ringc/files/File.h"
#include "ringc/support/Error.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/TunePlot.h"
#include "tools/ringc/TuneReport.h"
#include "tools/ringc/TuneTableCommand.h"
#include "tools/ringc/TuneWorkload.h"

#include <atomic>
#include <csignal>
#include <iostream>
#include <optional>
#include <random>
#include <unistd.h>

namespace ringc::cli {

namespace {

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
  ProcessRank process = ProcessRank::of(Env::read()).value_or(ProcessRank());
  if (process.rank > 0) {
    Session silent = session;
    silent.quiet = true;
    int code = Ok;
    for (size_t at = 0; at < shapes.size() && code == Ok && !ofSpec; ++at)
      code = followWorkload(silent, flags, parseShape(shapes[at]));
    return code;
  }
  std::string path = tuneTableAt(flags.out);
  uint64_t seed = flags.seed.value_or(std::random_device()());
  session.detail("seed " + std::to_string(seed));
  Machine machine = machineOf(flags, process.world);
  bool isTerminal = !session.quiet && isatty(STDERR_FILENO) != 0;
  Interrupts interrupts;
  bool stopped = false;
  size_t entries = 0;
  std::vector<PlotPanel> panels;
  MachinePeak peak;
  std::vector<TuneWorkload> works;
  if (ofSpec)
    works.push_back(specWorkload(session, flags, machine));
  for (size_t at = 0; at < shapes.size() && !ofSpec; ++at)
    works.push_back(
        attentionWorkload(session, flags, parseShape(shapes[at]), passesOf(flags.pass), machine));
  for (size_t at = 0; at < works.size() && !stopped; ++at) {
    TuneWorker worker(works[at].body, works[at].others);
    if (!flags.plot.empty() && at == 0)
      peak = worker.peak();
    TuneResult result = works[at].search(worker, budget / double(works.size()), seed,
                                         [&](const TuneProgress &progress) {
                                           if (isTerminal)
                                             drawProgress(progress);
                                           return !interrupted;
                                         });
    if (isTerminal)
      endProgress();
    for (const TunedKernel &kernel : result.kernels)
      flags.json ? printJson(kernel, flags.all) : print(kernel, flags.all);
    std::cout.flush();
    for (const TunedKernel &kernel : result.kernels)
      panels.push_back(panelOf(kernel));
    stopped = result.interrupted;
    std::vector<TuneEntry> found = entriesOf(result, RINGC_VERSION, today());
    entries += found.size();
    TuneTable::update(path, [&](TuneTable &known) {
      for (const TuneEntry &entry : found)
        known.put(entry);
    });
  }
  if (!flags.plot.empty())
    writePlot(flags.plot, panels, peak);
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
                   "With a spec, the extents of the kernel's views; of an attention Nk (4096), Nq, "
                   "B (1), H (8), Hkv")
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
