#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tools/ringc/Accuracy.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/RandomProblem.h"
#include "tools/ringc/ReferenceProblem.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/VerifyModule.h"
#include "tools/ringc/WorldCommand.h"

#include <iostream>
#include <optional>
#include <random>

namespace ringc::cli {

namespace {

struct VerifyFlags {
  AttentionFlags attention;
  WorldFlags world;
  ModuleFlags module;
  std::string program = std::string(enumName(VerifyProgram::Attention));
  std::string shape; ///< empty: the program's
  uint64_t seed = 1;
};

constexpr const char *usualShape = "1,257,4,2,64", *flashShape = "2,62,2,2,16";

using Rows = std::vector<std::vector<std::string>>;

/// Adds a line; whether the check passed.
bool check(Rows &rows, const std::string &who, const char *tensor, double error, double bar) {
  bool passed = error <= bar;
  rows.push_back({who, tensor, number(error), number(bar), passed ? "pass" : "FAIL"});
  return passed;
}

int verifyIn(World &world, const Session &session, const VerifyFlags &flags) {
  bool flash = parseEnum<VerifyProgram>("program", flags.program) == VerifyProgram::Flash;
  Shape shape = parseShape(!flags.shape.empty() ? flags.shape : flash ? flashShape : usualShape);
  AttentionOptions options = optionsOf(flags.attention);
  options.dtype =
      flags.attention.dtype.empty() ? DType::F32 : parseFloatType(flags.attention.dtype);
  options.heads = shape.heads;
  options.kvHeads = shape.kvHeads;
  options.headDim = shape.headDim;
  options.valueHeadDim = shape.valueHeadDim;
  setAlibiSlopes(session, flags.attention, options);
  validate(options);
  AttentionShape lengths{shape.batch, shape.queries, shape.keys};
  (void)RankProblem(options, world.size(), 0, lengths); // before there is memory for it
  SideInputs side = readSideInputs(session, flags.attention);
  AttentionInputs &inputs = side.inputs;
  std::mt19937_64 random(flags.seed);
  DType dtype = options.dtype;
  HostTensor q = randomTensor(dtype, {shape.batch, shape.queries, shape.heads, shape.headDim},
                              random),
             k = randomTensor(dtype, {shape.batch, shape.keys, shape.kvHeads, shape.headDim},
                              random),
             v = randomTensor(dtype, {shape.batch, shape.keys, shape.kvHeads, shape.valueHeadDim},
                              random),
             dout = randomTensor(
                 dtype, {shape.batch, shape.queries, shape.heads, shape.valueHeadDim}, random);
  if (flash && !inputs.keyMask)
    inputs.keyMask = side.memory.emplace_back(randomMask({shape.batch, shape.keys}, random));
  inputs.q = q;
  inputs.k = k;
  inputs.v = v;

  AttentionContext context = hostContext(flags.attention.threads, session.details());
  Results many = runBoth(*world.ring(options, context, inputs, dout));

  reference::Problem problem = problemOf(options, inputs, dout);
  Interpreter interpreter(options, inputs);
  interpreter.addTo(problem);
  ErrorMeasure measure(problem, reference::attention(problem));
  Bars bars{dtype, options.f32Products, std::nullopt};
  if (dtype != DType::F32)
    bars.plain.emplace(reference::plainAttention(problem, dtype));

  constexpr size_t tensors = Results::names.size();
  std::vector<double> errors; // and bars, of each tensor of each rank
  for (int rank : world.ranks()) {
    RankProblem part(options, world.size(), rank, lengths);
    double rows = independentRows(options, part.batch().count, part.queryRows(), part.keyRows());
    for (size_t tensor = 0; tensor < tensors; ++tensor) {
      errors.push_back(measure.ofRank(many, tensor, part));
      errors.push_back(bars.plain ? bars.against(measure.ofRank(*bars.plain, tensor, part), rows)
                                  : bars.ofF32());
    }
  }
  errors = world.gather(errors);
  if (!world.isFirst())
    return Ok; // what this rank missed is the first's to say

  Rows rows = {{"rank", "tensor", "error", "bar", "result"}};
  bool passed = true;
  for (size_t i = 0; i < errors.size(); i += 2)
    passed &= check(rows, std::to_string(i / (2 * tensors)), Results::names[i / 2 % tensors],
                    errors[i], errors[i + 1]);
  if (world.size() > 1) {
    AttentionOptions alone = options;
    alone.ringSize = 1;
    Results ofOne = runBoth(*world.oneRank(alone, context, inputs, dout));
    double all = independentRows(options, shape.batch, shape.queries, shape.keys);
    for (size_t tensor = 0; tensor < tensors; ++tensor)
      passed &=
          check(rows, std::to_string(world.size()) + " to 1", Results::names[tensor],
                measure.whole(many, tensor), bars.ofManyRanks(measure.whole(ofOne, tensor), all));
  }
  std::cout << table(rows);
  session.say(passed ? "all within their bars" : "an error is above its bar");
  return passed ? Ok : Wrong;
}

int verifyCommand(const Session &session, const VerifyFlags &flags) {
  checkMachine(flags.attention);
  switch (parseEnum<VerifyProgram>("program", flags.program)) {
  case VerifyProgram::Module:
  case VerifyProgram::ZigZag:
    return verifyModule(session, flags.attention, flags.module, flags.program, flags.seed);
  case VerifyProgram::Attention:
  case VerifyProgram::Flash:
    break;
  }
  return runInWorld(session, flags.attention, flags.world, [&](const Session &heard, World &world) {
    return verifyIn(world, heard, flags);
  });
}

} // namespace

void addVerify(CLI::App &app, Session &session) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App *command =
      addCommand(app, session, "verify",
                 "Both passes on random input, every rank against double precision: relative "
                 "Frobenius errors, their bars; exit 1 if one is missed",
                 flags, verifyCommand);
  command
      ->add_option(
          "--program", flags->program,
          "What is checked, with the defaults of the assertion program of "
          "ring-attention-pytorch that has the name: attention itself; flash, with a random "
          "key mask; module, the attention module; zigzag, that dealt in zigzags")
      ->type_name("attention|flash|module|zigzag")
      ->capture_default_str();
  command
      ->add_option("--shape", flags->shape,
                   "Of the unsharded tensors: " + std::string(usualShape) + ", of flash " +
                       flashShape + ", unless given")
      ->type_name("b,n[/nk],h,hkv,d[/dv]");
  addNumber(*command, "--seed", flags->seed, "Of the random input")
      ->type_name("S")
      ->capture_default_str();
  flags->attention.addTo(*command);
  flags->world.addTo(*command);
  flags->module.addTo(*command);
}

} // namespace ringc::cli
