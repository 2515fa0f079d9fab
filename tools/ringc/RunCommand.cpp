#include "ringc/files/TensorFile.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/ring/PlanText.h"
#include "ringc/support/Error.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Progress.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/WorldCommand.h"
#include "tools/ringc/WorldTrace.h"

#include <chrono>

namespace ringc::cli {

namespace {

struct RunFlags {
  AttentionFlags attention;
  WorldFlags world;
  std::string q, k, v, dout;
  std::string out, lse, dq, dk, dv;
  std::string trace;
};

std::vector<std::string> targetsOf(const RunFlags &flags) {
  std::vector<std::string> targets;
  for (const std::string *target : {&flags.out, &flags.lse, &flags.dq, &flags.dk, &flags.dv})
    if (!target->empty())
      targets.push_back(*target);
  return targets;
}

std::vector<std::string> sourcesOf(const RunFlags &flags) {
  std::vector<std::string> sources = sourcesOf(flags.attention);
  for (const std::string *source : {&flags.q, &flags.k, &flags.v, &flags.dout})
    if (!source->empty())
      sources.push_back(*source);
  return sources;
}

/// Of what is computed and goes nowhere.
void sayWhatIsNotWritten(const Session &session, const RunFlags &flags) {
  if (targetsOf(flags).empty() && flags.trace.empty())
    session.say("ringc: nothing will be written: name a file by --out, --lse, --dq, --dk, --dv or "
                "--trace");
  else if (!flags.dout.empty() && flags.trace.empty() && flags.dq.empty() && flags.dk.empty() &&
           flags.dv.empty())
    session.say("ringc: no gradient will be written: name a file by --dq, --dk or --dv");
}

/// q, k, v and dout in one type.
struct MainInputs {
  HostTensor q, k, v, dout;
  DType dtype = DType::F32;
};

MainInputs readMainInputs(const Session &session, const RunFlags &flags) {
  ReadOptions as = floatInputs(session, flags.attention);
  MainInputs read{readFile("--q", flags.q, as), readFile("--k", flags.k, as),
                  readFile("--v", flags.v, as)};
  if (!flags.dout.empty())
    read.dout = readFile("--dout", flags.dout, as);
  read.dtype = read.q.dtype();
  auto require = [&](const char *name, const HostTensor &tensor) {
    if (!isFloat(tensor.dtype()))
      throw InputError(name, describe(tensor), "f32, f16 or bf16");
    if (tensor.dtype() != read.dtype)
      throw InputError(name, describe(tensor),
                       std::string(nameOf(read.dtype)) + " as q, or a type asked for by --dtype");
  };
  require("q", read.q);
  require("k", read.k);
  require("v", read.v);
  if (!flags.dout.empty())
    require("dout", read.dout);
  return read;
}

AttentionOptions optionsFor(const Session &session, const RunFlags &flags, const MainInputs &main) {
  AttentionOptions options = optionsOf(flags.attention);
  auto requireFour = [](const char *name, const Tensor &tensor) {
    if (tensor.rank() != 4)
      throw InputError(name, describe(tensor), "four axes: batch, sequence, heads, head dim");
  };
  requireFour("q", main.q);
  requireFour("k", main.k);
  requireFour("v", main.v);
  options.dtype = main.dtype;
  options.heads = main.q.dim(2);
  options.kvHeads = main.k.dim(2);
  options.headDim = main.q.dim(3);
  options.valueHeadDim = main.v.dim(3);
  auto requireSome = [](const char *name, const Tensor &tensor) {
    if (tensor.dim(2) < 1 || tensor.dim(3) < 1)
      throw InputError(name, describe(tensor), "one head or more, a head dim of 1 to 256");
  };
  requireSome("q", main.q);
  requireSome("k", main.k);
  requireSome("v", main.v);
  setAlibiSlopes(session, flags.attention, options);
  return options;
}

std::string summary(const char *pass, World &world, const WorldRing &ring,
                    std::chrono::steady_clock::duration took) {
  std::vector<double> counted;
  for (const ExecutionReport &report : ring.reports()) {
    counted.push_back(double(report.sentBytes));
    counted.push_back(report.computedSteps);
  }
  counted = world.gather(counted);
  int64_t sent = 0, hops = 0;
  for (size_t i = 0; i < counted.size(); i += 2) {
    sent += int64_t(counted[i]);
    hops += int64_t(counted[i + 1]);
  }
  double ms = std::chrono::duration<double, std::milli>(took).count();
  return std::string(pass) + ": " + number(ms, 4) + " ms, " + std::to_string(hops) +
         " hops computed, " + std::to_string(sent) + " bytes sent";
}

int runIn(World &world, const Session &session, const RunFlags &flags) {
  std::vector<std::string> targets = targetsOf(flags);
  if (world.isFirst())
    checkTargets(targets, sourcesOf(flags));
  WorldTrace trace(world, flags.trace);
  MainInputs main = readMainInputs(session, flags);
  SideInputs side = readSideInputs(session, flags.attention);
  AttentionInputs &inputs = side.inputs;
  inputs.q = main.q;
  inputs.k = main.k;
  inputs.v = main.v;
  if (flags.attention.prefix > 0 && !flags.attention.causal)
    session.say("ringc: --prefix changes nothing without --causal");

  AttentionContext context = hostContext(flags.attention.threads, session.details());
  context.progress = std::make_shared<LaunchProgress>();
  context.trace = trace.recorder();
  AttentionOptions options = optionsFor(session, flags, main);
  std::unique_ptr<WorldRing> ring = world.ring(options, context, inputs, main.dout);
  sayWhatIsNotWritten(session, flags);
  ProgressBar bar(context.progress,
                  session.quiet ? ProgressBar::Shown::Never : ProgressBar::Shown::Yes);
  using Clock = std::chrono::steady_clock;
  ring->prepare(Pass::Forward);
  if (!flags.dout.empty())
    ring->prepare(Pass::Backward);
  std::vector<std::string> talk;
  auto run = [&](const char *name, auto &&pass) {
    Clock::time_point start = Clock::now();
    pass();
    talk.push_back(summary(name, world, *ring, Clock::now() - start));
  };
  auto passes = [&] {
    run("forward", [&] { ring->forward(); });
    if (!flags.dout.empty())
      run("backward", [&] { ring->backward(); });
  };
  if (trace.isAsked())
    (void)trace.record(passes);
  else
    passes();
  WorldRing::Results results = ring->collect();
  if (!world.isFirst())
    return Ok;
  std::vector<TensorOutput> outputs;
  auto output = [&](const std::string &target, const Tensor &tensor) {
    if (!target.empty())
      outputs.push_back({target, tensor});
  };
  output(flags.out, results.forward.out);
  output(flags.lse, results.forward.lse);
  output(flags.dq, results.gradients.dq);
  output(flags.dk, results.gradients.dk);
  output(flags.dv, results.gradients.dv);
  writeTensors(outputs);
  trace.write();
  if (session.talk() == Talk::Verbose)
    session.detail(
        planTable(HostAttentionRing(options, world.size(), context).plans(Pass::Forward, inputs)));
  for (const std::string &line : talk)
    session.say(line);
  return Ok;
}

int runCommand(const Session &session, const RunFlags &flags) {
  checkMachine(flags.attention);
  return runInWorld(session, flags.attention, flags.world,
                    [&](const Session &heard, World &world) { return runIn(world, heard, flags); });
}

} // namespace

void addRun(CLI::App &app, Session &session) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App *command =
      addCommand(app, session, "run",
                 "Ring attention of tensors: FILE.npy, FILE.npz:NAME, FILE.safetensors:NAME", flags,
                 runCommand);
  auto file = [&](const char *name, std::string &into, const char *description) {
    return command->add_option(name, into, description)->type_name("F");
  };
  file("--q", flags->q, "[b, n_q, h, d]")->required();
  file("--k", flags->k, "[b, n_k, h_kv, d]")->required();
  file("--v", flags->v, "[b, n_k, h_kv, d_v]")->required();
  CLI::Option *dout = file("--dout", flags->dout, "[b, n_q, h, d_v]: computes gradients");
  flags->attention.addTo(*command);
  flags->world.addTo(*command);
  file("--out", flags->out, "Writes [b, n_q, h, d_v]");
  file("--lse", flags->lse, "Writes f32 [b, h, n_q], natural logarithm");
  file("--dq", flags->dq, "Writes the gradient of q")->needs(dout);
  file("--dk", flags->dk, "Writes the gradient of k")->needs(dout);
  file("--dv", flags->dv, "Writes the gradient of v")->needs(dout);
  addTraceOption(*command, flags->trace);
}

} // namespace ringc::cli
