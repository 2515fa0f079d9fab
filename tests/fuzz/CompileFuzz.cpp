// A mask and a score, compiled for this host and run on a ring of ranks, against the interpreter of
// their source in double precision.

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tests/fuzz/RandomFunctions.h"
#include "tests/fuzz/Require.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/ReferenceProblem.h"

#include <algorithm>
#include <random>

using namespace ringc;
using ringc::fuzz::require;

namespace {

// Sums of f32 over a few keys are within 1e-5; what the compiler or the interpreter has wrong is
// not.
constexpr double allowed = 2e-3;

HostTensor filled(DType dtype, std::initializer_list<int64_t> shape, std::mt19937 &random) {
  HostTensor tensor(dtype, shape);
  std::normal_distribution<float> normal;
  for (int64_t at = 0; at < tensor.elementCount(); ++at)
    switch (dtype) {
    case DType::I32:
      tensor.dataAs<int32_t>()[at] = int32_t(random() % 9) - 4;
      break;
    case DType::Bool:
      tensor.dataAs<uint8_t>()[at] = random() % 3 != 0;
      break;
    default:
      tensor.dataAs<float>()[at] = normal(random);
    }
  return tensor;
}

HostTensor eighths(std::initializer_list<int64_t> shape, std::mt19937 &random) {
  HostTensor tensor(DType::F32, shape);
  for (int64_t at = 0; at < tensor.elementCount(); ++at)
    tensor.dataAs<float>()[at] = float(int(random() % 65) - 32) / 8;
  return tensor;
}

/// Kernels in memory alone, none of which outlives the input.
AttentionContext freshContext() {
  auto cache = std::make_shared<KernelCache>(std::optional<KernelFolder>());
  return {.kernels = std::make_shared<HostCompiler>(cache), .pool = std::make_shared<HostPool>(1)};
}

void close(const reference::Array &actual, const reference::Array &expected, const char *name,
           const std::string &text) {
  double error = reference::relativeError(actual, expected);
  require(error <= allowed,
          std::string(name) + " is off by " + std::to_string(error) + ":\n" + text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  constexpr size_t longest =
      400; // beyond it programs grow that the compiler may refuse for their size
  fuzz::Choices choices({data, std::min(size, longest)});
  int world = 1 + choices.below(3);
  constexpr int64_t lengths[] = {7, 1, 16, 33};
  int64_t batch = 1 + choices.below(2), queries = lengths[choices.below(4)],
          keys = lengths[choices.below(4)];
  const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                    SequenceLayout::zigzag()};
  SequenceLayout layout = layouts[choices.below(3)];
  bool causal = choices.oneIn(4), backward = choices.oneIn(3);
  constexpr int64_t widths[] = {3, 1, 40};
  int64_t width = widths[choices.below(3)];
  std::mt19937 random(uint32_t(choices.below(256)));
  fuzz::RandomFunctions functions(choices);
  std::string text = functions.text();

  constexpr int64_t heads = 2, d = 8;
  AttentionOptions options{.heads = heads,
                           .kvHeads = 1,
                           .headDim = d,
                           .causal = causal,
                           .masks = {{.file = "fuzz.tile", .name = "seen", .text = text}},
                           .scores = {{.file = "fuzz.tile", .name = "moved", .text = text}},
                           .layout = layout};
  HostTensor q = filled(DType::F32, {batch, queries, heads, d}, random),
             k = filled(DType::F32, {batch, keys, 1, d}, random),
             v = filled(DType::F32, {batch, keys, 1, d}, random),
             dout = filled(DType::F32, {batch, queries, heads, d}, random);
  HostTensor w = filled(DType::I32, {width}, random), e = eighths({width}, random),
             hs = filled(DType::I32, {heads}, random), rows = eighths({heads, queries}, random),
             keyNumbers = filled(DType::I32, {batch, keys}, random),
             keep = filled(DType::Bool, {keys}, random);
  AttentionInputs inputs{.q = q, .k = k, .v = v};
  for (const char *function : {"seen.", "moved."}) {
    auto bind = [&](const char *name, ArgumentValue value) {
      inputs.arguments.emplace(std::string(function) + name, value);
    };
    bind("p", int64_t(random() % 7) - 3);
    bind("x", double(random() % 9) / 8);
    bind("w", w.view());
    bind("e", e.view());
    bind("hs", hs.view());
    bind("rows", rows.view());
    bind("keys", keyNumbers.view());
    bind("keep", keep.view());
  }

  try {
    HostAttentionRing ring(options, world, freshContext());
    HostAttentionRing::Forward forward = ring.forward(inputs);
    reference::Problem problem = cli::problemOf(options, inputs, dout);
    cli::Interpreter interpreter(options, inputs);
    interpreter.addTo(problem);
    bool gradients = backward && !functions.hasKinks();
    if (!gradients)
      problem.dout.reset();
    reference::Result expected = reference::attention(problem);
    close(reference::arrayOf(forward.out), expected.out, "out", text);
    close(reference::arrayOf(forward.lse), expected.lse, "lse", text);
    if (gradients) {
      HostAttentionRing::Gradients got = ring.backward(inputs, forward, dout);
      close(reference::arrayOf(got.dv), expected.dv, "dv", text);
      // Of dS, a difference, only the part that does not cancel has digits.
      auto sum = [](const reference::Array &array) {
        return std::ranges::max(array.data, {}, [](double x) { return std::abs(x); });
      };
      if (sum(expected.dq) > 1e-2 && sum(expected.dk) > 1e-2) {
        close(reference::arrayOf(got.dq), expected.dq, "dq", text);
        close(reference::arrayOf(got.dk), expected.dk, "dk", text);
      }
    }
  } catch (const InputError &error) {
    require(false, std::string(error.what()) + "\n" + text);
  }
  return 0;
}
