#include "runtime/Error.h"
#include "runtime/attention/InProcessRing.h"
#include "runtime/attention/Options.h"
#include "runtime/jit/HostCompiler.h"
#include "tools/ringc/Accuracy.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/ReferenceProblem.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/Table.h"

#include <algorithm>
#include <iostream>
#include <optional>
#include <random>

namespace ringc::cli {

namespace {

struct VerifyFlags {
  AttentionFlags attention;
  std::string shape = "1,257,4,2,64";
  uint64_t seed = 1;
};

/// What an error may be.
struct Bars {
  DType dtype;
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
  static constexpr double f32 = 2e-5;
  double against(double plainError) const { return std::max(f32, 2 * plainError + unit() / 2); }
  double ofManyRanks(double oneRank) const { return 1.5 * oneRank + unit() / 4; }
};

HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape,
                        std::mt19937_64 &random) {
  HostTensor exact(DType::F32, shape), rounded(dtype, shape);
  std::normal_distribution<float> normal;
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, rounded);
  return rounded;
}

using Rows = std::vector<std::vector<std::string>>;

/// Adds a line; whether the check passed.
bool check(Rows &rows, const std::string &who, const char *tensor, double error, double bar) {
  bool passed = error <= bar;
  rows.push_back({who, tensor, number(error), number(bar), passed ? "pass" : "FAIL"});
  return passed;
}

int verifyCommand(const Session &session, const VerifyFlags &flags) {
  checkMachine(flags.attention);
  Shape shape = parseShape(flags.shape);
  AttentionOptions options = optionsOf(flags.attention);
  options.dtype =
      flags.attention.dtype.empty() ? DType::F32 : parseFloatType(flags.attention.dtype);
  options.heads = shape.heads;
  options.kvHeads = shape.kvHeads;
  options.headDim = shape.headDim;
  options.valueHeadDim = shape.valueHeadDim;
  validate(options);
  SideInputs side = readSideInputs(flags.attention);
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
  auto runOn = [&](int world, int ringSize) {
    AttentionOptions onWorld = options;
    onWorld.ringSize = ringSize;
    InProcessRing ring(onWorld, world, context);
    InProcessRing::Forward forward = ring.forward(inputs);
    InProcessRing::Gradients gradients = ring.backward(inputs, forward, dout);
    return Results(forward, gradients);
  };
  int world = flags.attention.ranks;
  Results many = runOn(world, options.ringSize);

  reference::Problem problem = problemOf(options, inputs, dout);
  Interpreter interpreter(options, inputs);
  interpreter.addTo(problem);
  ErrorMeasure measure(problem, reference::attention(problem));
  Bars bars{dtype, std::nullopt};
  if (dtype != DType::F32)
    bars.plain.emplace(reference::plainAttention(problem, dtype));

  Rows rows = {{"rank", "tensor", "error", "bar", "result"}};
  bool passed = true;
  for (int rank = 0; rank < world; ++rank) {
    RankProblem part(options, world, rank, {shape.batch, shape.queries, shape.keys});
    for (size_t tensor = 0; tensor < Results::names.size(); ++tensor)
      passed &= check(
          rows, std::to_string(rank), Results::names[tensor], measure.ofRank(many, tensor, part),
          bars.plain ? bars.against(measure.ofRank(*bars.plain, tensor, part)) : Bars::f32);
  }
  if (world > 1) {
    Results one = runOn(1, 1);
    for (size_t tensor = 0; tensor < Results::names.size(); ++tensor)
      passed &= check(rows, std::to_string(world) + " to 1", Results::names[tensor],
                      measure.whole(many, tensor), bars.ofManyRanks(measure.whole(one, tensor)));
  }
  std::cout << table(rows);
  session.say(passed ? "all within their bars" : "an error is above its bar");
  return passed ? Ok : Wrong;
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
  command->add_option("--seed", flags->seed, "Of the random input")
      ->type_name("S")
      ->capture_default_str();
  flags->attention.addTo(*command);
}

} // namespace ringc::cli
