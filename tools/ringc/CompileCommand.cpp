#include "ringc/Env.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/files/File.h"
#include "ringc/jit/KernelCache.h"
#include "ringc/support/Error.h"
#include "ringc/tune/TunedConfigs.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/KernelExtentFlags.h"
#include "tools/ringc/KernelSpec.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>

namespace ringc::cli {

namespace {

struct CompileFlags {
  std::string source;
  std::string target;
  std::vector<std::string> assignments;
  std::string tile, extents;
  std::string stopAfter, startFrom, dump, output;
};

Spec specOf(const CompileFlags &flags) {
  Spec spec = specOfFile(flags.source, flags.assignments);
  if (!flags.tile.empty())
    spec.tile = parseTile(flags.tile);
  if (!flags.target.empty())
    spec.target = flags.target;
  validate(spec);
  return spec;
}

void write(const std::string &path, const std::string &text) {
  OutputFile file(path);
  file.write(text);
  file.close();
  file.publish();
}

void requireNoInput(const CompileFlags &flags, const std::vector<SourceText> &sources) {
  if (flags.output.empty())
    return;
  std::vector<std::string> inputs = {flags.source, flags.startFrom};
  for (const SourceText &source : sources)
    inputs.push_back(source.name);
  for (const std::string &input : inputs)
    if (!input.empty() && placeOf(input) == placeOf(flags.output))
      throw InputError(flags.output + ": is also an input, " + input + ", which it would replace");
}

int compileCommand(const Session &session, const CompileFlags &flags) {
  Spec spec = specOf(flags);
  if (!flags.output.empty())
    checkWritable(flags.output);
  std::vector<SourceText> sources = textsOf(spec);
  requireNoInput(flags, sources);

  SourceSet all = makeSources(std::move(sources));
  Target target = targetCalled(spec.target, Env::read().cpuFeatures.value_or(""));
  KernelWork work;
  if (!flags.extents.empty())
    work = workOf(BoundKernel(spec, all, {}), parseExtents(flags.extents));
  TunedConfigs tables(tuneTablePath(Env::read()), KernelCache::warnOnStderr, sourceTilesOf,
                      session.details());
  TunedConfig tuned = tables.find(spec, all, target, work);
  KernelRequest request = makeRequest(spec, all, target, tuned.config);
  auto start = std::chrono::steady_clock::now();
  CompileOutput made = compile(
      request, {.stopAfter = flags.stopAfter, .startFrom = flags.startFrom, .dump = flags.dump});
  std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (!made.diagnostics.empty()) {
    std::cerr << made.diagnostics;
    return Wrong;
  }
  bool stopped = !flags.stopAfter.empty() && !made.kernel;
  std::string product = stopped ? made.text : made.kernel->code;
  if (!flags.output.empty())
    write(flags.output, product);
  else if (stopped)
    std::cout << product;
  else
    std::cout << toJson(*made.kernel).dump(2) << '\n';
  session.detail("compiled " + spec.kernel + " in " + std::to_string(took.count()) + " ms");
  if (!flags.output.empty())
    session.say(flags.output + ": " + std::to_string(product.size()) + " bytes");
  return Ok;
}

} // namespace

void addCompile(CLI::App &app, Session &session) {
  auto flags = std::make_shared<CompileFlags>();
  CLI::App *command =
      addCommand(app, session, "compile", "Compile a kernel: a description on stdout, code with -o",
                 flags, compileCommand);
  command->add_option("source", flags->source, "What to compile")
      ->type_name("SPEC.json|FILE.tile")
      ->required();
  command->add_option("--target", flags->target, "What to compile for: " + availableTargets())
      ->type_name("TARGET");
  command->add_option("--set", flags->assignments, "Set a field of the spec")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--tile", flags->tile, "Tile sizes by hand")->type_name("q=64,kv=128");
  command
      ->add_option("--extent", flags->extents,
                   "Extents of its views, for which tuned tile sizes are looked up")
      ->type_name("M=4096,N=4096");
  std::string stages;
  for (const std::string &stage : stageNames(Target{}))
    stages += (stages.empty() ? "" : ", ") + stage;
  command
      ->add_option("--stop-after", flags->stopAfter,
                   "Print this stage: " + stages +
                       "; for a GPU placed, staged, nvvm in place of vector")
      ->type_name("STAGE");
  command
      ->add_option("--start-from", flags->startFrom,
                   "A stage's output, edited or not, to go on from; its name says which")
      ->type_name("FILE");
  command->add_option("--dump", flags->dump, "Write the output of every stage to this folder")
      ->type_name("DIR");
  command
      ->add_option("-o,--output", flags->output,
                   "The code, or the stage's text. The target alone, not OUT's suffix, says what "
                   "code is: an ELF object for a host, PTX text for a GPU")
      ->type_name("OUT");
  command->footer("Fields of SPEC.json, and keys of --set:\n" + describeSpec());
}

} // namespace ringc::cli
