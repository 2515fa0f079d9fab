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
#include "tools/ringc/VerifyDecode.h"
#include "tools/ringc/VerifyFlags.h"
#include "tools/ringc/VerifyModule.h"
#include "tools/ringc/VerifyTable.h"
#include "tools/ringc/WorldCommand.h"

#include <optional>
#include <random>

namespace ringc::cli {

namespace {

constexpr const char *usualShape = "1,257,4,2,64", *flashShape = "2,62,2,2,16";

/// Both passes.
int verifyAttention(const Session &session, World &world, const VerifyFlags &flags) {
  bool flash = flags.what() == VerifyProgram::Flash;
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
  std::vector<std::vector<RankError>> own;
  for (int rank : world.ranks()) {
    RankProblem part(options, world.size(), rank, lengths);
    double rows = independentRows(options, part.batch().count, part.queryRows(), part.keyRows());
    std::vector<RankError> &errors = own.emplace_back();
    for (size_t tensor = 0; tensor < tensors; ++tensor)
      errors.push_back({measure.ofRank(many, tensor, part),
                        bars.plain ? bars.against(measure.ofRank(*bars.plain, tensor, part), rows)
                                   : bars.ofF32()});
  }
  std::vector<std::vector<RankError>> all = gatherErrors(world, own);
  if (!world.isFirst())
    return Ok; // what this rank missed is the first's to say

  VerifyTable table({"rank", "tensor"});
  for (size_t rank = 0; rank < all.size(); ++rank)
    for (size_t tensor = 0; tensor < tensors; ++tensor)
      table.add({std::to_string(rank), Results::names[tensor]}, all[rank][tensor]);
  if (world.size() > 1) {
    AttentionOptions alone = options;
    alone.ringSize = 1;
    Results ofOne = runBoth(*world.oneRank(alone, context, inputs, dout));
    double rows = independentRows(options, shape.batch, shape.queries, shape.keys);
    for (size_t tensor = 0; tensor < tensors; ++tensor)
      table.add(
          {std::to_string(world.size()) + " to 1", Results::names[tensor]},
          {measure.whole(many, tensor), bars.ofManyRanks(measure.whole(ofOne, tensor), rows)});
  }
  return table.tell(session);
}

/// Of one process, where --ranks does not say it.
int usualRanks(const VerifyFlags &flags) {
  bool onDevice = flags.attention.device == "cuda";
  switch (flags.what()) {
  case VerifyProgram::Attention:
  case VerifyProgram::Flash:
    return 1;
  case VerifyProgram::Module:
  case VerifyProgram::ZigZag:
  case VerifyProgram::Assert:
  case VerifyProgram::Tree:
    return onDevice ? 1 : 8;
  case VerifyProgram::Decode:
    return onDevice ? 1 : 5;
  }
  return 1;
}

int verifyIn(const Session &session, World &world, const VerifyFlags &flags) {
  switch (flags.what()) {
  case VerifyProgram::Attention:
  case VerifyProgram::Flash:
    return verifyAttention(session, world, flags);
  case VerifyProgram::Module:
  case VerifyProgram::ZigZag:
  case VerifyProgram::Assert:
    return verifyModule(session, world, flags);
  case VerifyProgram::Decode:
    return verifyDecode(session, world, flags);
  case VerifyProgram::Tree:
    return verifyTree(session, world, flags);
  }
  return Internal;
}

int verifyCommand(const Session &session, const VerifyFlags &flags) {
  checkMachine(flags.attention);
  refuseOtherFlags(flags);
  WorldFlags ofWorld = flags.world;
  ofWorld.usualRanks = usualRanks(flags);
  return runInWorld(session, flags.attention, ofWorld, [&](const Session &heard, World &world) {
    return verifyIn(heard, world, flags);
  });
}

} // namespace

void addVerify(CLI::App &app, Session &session) {
  auto flags = std::make_shared<VerifyFlags>();
  flags->program = enumName(VerifyProgram::Attention);
  CLI::App *command =
      addCommand(app, session, "verify",
                 "On random input, every rank against double precision: relative Frobenius "
                 "errors, their bars; exit 1 if one is missed",
                 flags, verifyCommand);
  command
      ->add_option(
          "--program", flags->program,
          "What is checked, with the defaults of the assertion program of "
          "ring-attention-pytorch that has the name: attention itself; flash, with a random "
          "key mask; module, the attention module; zigzag, that dealt in zigzags; tree, one query "
          "to keys of all ranks; and decode, random decodes")
      ->type_name("attention|flash|module|zigzag|decode|tree")
      ->capture_default_str();
  command
      ->add_option("--shape", flags->shape,
                   "Of the unsharded tensors: " + std::string(usualShape) + ", of flash " +
                       flashShape + ", of decode random, unless given")
      ->type_name("b,n[/nk],h,hkv,d[/dv]");
  addNumber(*command, "--seed", flags->seed, "Of the random input")
      ->type_name("S")
      ->capture_default_str();
  flags->attention.addTo(*command);
  flags->world.addTo(*command);
  flags->module.addTo(*command);
  flags->decode.addTo(*command);
}

} // namespace ringc::cli
