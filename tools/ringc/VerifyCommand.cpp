#include "runtime/Error.h"
#include "runtime/attention/Extents.h"
#include "runtime/attention/InProcessRing.h"
#include "runtime/attention/Options.h"
#include "runtime/jit/HostCompiler.h"
#include "tools/ringc/Accuracy.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/ReferenceProblem.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/World.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <random>

namespace ringc::cli {

namespace {

struct VerifyFlags {
  AttentionFlags attention;
  WorldFlags world;
  std::string shape = "1,257,4,2,64";
  uint64_t seed = 1;
};

/// What an error may be.
struct Bars {
  DType dtype;
  F32Products f32Products;      ///< of a GPU
  std::optional<Results> plain; ///< 16 bit: of a plain implementation in the same type

  /// The rounding of one result.
  double unit() const {
    switch (dtype) {
    case DType::F16:
      return 0x1p-11;
    case DType::BF16:
      return 0x1p-8;
    default:
      return 0x1p-24;
    }
  }
  /// How far two errors, root mean squares over `rows` rows, may lie apart by chance. What is
  /// rounded once for a row (its maximum, its sum, in the backward its delta) moves all of its
  /// elements together, so that one implementation is as lucky with a row as a die, and by
  /// 1 / sqrt(rows) with all. How much a row has to lose: in f32 the logits, of magnitude 8, are
  /// rounded when they are summed, scaled, made powers of two, and their maximum and sum once more
  /// from rank to rank, 16 units that exp passes on; of 16 bit P, dP, dS and the result are
  /// rounded.
  double luck(double rows) const {
    double unitsOfRow = dtype == DType::F32 ? 16 : 4;
    return unit() * unitsOfRow / std::sqrt(std::max(rows, 1.0));
  }
  static constexpr double exact = 2e-5;
  double ofF32() const { return f32Products == F32Products::Tf32 ? 2e-3 : exact; }
  double against(double plainError, double rows) const {
    return std::max(exact, 2 * plainError + unit() / 2 + luck(rows));
  }
  double ofManyRanks(double oneRank, double rows) const {
    return 1.5 * oneRank + unit() / 4 + luck(rows);
  }
};

HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape,
                        std::mt19937_64 &random) {
  HostTensor exact(DType::F32, shape), rounded(dtype, shape);
  std::normal_distribution<float> normal;
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, rounded);
  return rounded;
}

/// Rows whose errors do not depend on each other: of the queries, or of the keys where there are
/// fewer.
double independentRows(const AttentionOptions &options, int64_t batch, int64_t queryRows,
                       int64_t keyRows) {
  return double(batch) *
         double(std::min(queryRows * options.heads,
                         keyRows * (options.kvHeads ? options.kvHeads : options.heads)));
}

using Rows = std::vector<std::vector<std::string>>;

/// Adds a line; whether the check passed.
bool check(Rows &rows, const std::string &who, const char *tensor, double error, double bar) {
  bool passed = error <= bar;
  rows.push_back({who, tensor, number(error), number(bar), passed ? "pass" : "FAIL"});
  return passed;
}

/// Both passes.
Results run(WorldRing &ring) {
  ring.forward();
  ring.backward();
  WorldRing::Results collected = ring.collect();
  return Results(collected.forward, collected.gradients);
}

int verifyIn(World &world, const Session &session, const VerifyFlags &flags) {
  Shape shape = parseShape(flags.shape);
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
  inputs.q = q;
  inputs.k = k;
  inputs.v = v;

  AttentionContext context = hostContext(flags.attention.threads);
  Results many = run(*world.ring(options, context, inputs, dout));

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
    Results ofOne = run(*world.oneRank(alone, context, inputs, dout));
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
  command->add_option("--shape", flags->shape, "Of the unsharded tensors")
      ->type_name("b,n[/nk],h,hkv,d[/dv]")
      ->capture_default_str();
  addNumber(*command, "--seed", flags->seed, "Of the random input")
      ->type_name("S")
      ->capture_default_str();
  flags->attention.addTo(*command);
  flags->world.addTo(*command);
}

} // namespace ringc::cli
