#include "ringc/attention/shared/Options.h"

#include "ringc/TileFile.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <sstream>
#include <string>
#include <unistd.h>

namespace ringc {

namespace {

/// The compiler multiplies factors of scores with each other, and with log2(e).
constexpr double mostFactor = 0x1p126;
constexpr double leastCap = 1e-30, mostCap = 1e30;

void require(bool holds, std::string_view argument, const std::string &value,
             const std::string &allowed) {
  if (!holds)
    throw InputError(argument, value, allowed);
}

void requireInteger(std::string_view argument, int64_t value, int64_t low, int64_t high) {
  require(value >= low && value <= high, argument, std::to_string(value),
          std::to_string(low) + " to " + std::to_string(high));
}

std::string print(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

void validateSlopes(const AttentionOptions &options) {
  const std::vector<float> &slopes = options.alibiSlopes;
  if (slopes.empty())
    return;
  require(options.alibi, "ALiBi slopes", std::to_string(slopes.size()), "none without ALiBi");
  require(int64_t(slopes.size()) == options.heads, "ALiBi slopes", std::to_string(slopes.size()),
          "one for each head, " + std::to_string(options.heads));
  for (size_t head = 0; head < slopes.size(); ++head)
    require(std::isfinite(slopes[head]), "ALiBi slope of head " + std::to_string(head),
            print(slopes[head]), "a finite number");
}

LayoutKind layoutKindOf(const SequenceLayout &layout, int ringSize) {
  if (ringSize == 1)
    return LayoutKind::Contiguous;
  switch (layout.kind) {
  case SequenceLayout::Kind::Contiguous:
    return LayoutKind::Contiguous;
  case SequenceLayout::Kind::Striped:
    return layout.stripe == 1 ? LayoutKind::Striped : LayoutKind::BucketStriped;
  case SequenceLayout::Kind::Zigzag:
    return LayoutKind::Zigzag;
  }
  assert(false && "not a layout");
  return LayoutKind::Any;
}

std::string qualified(const UserFunction &function) { return function.file + ":" + function.name; }

} // namespace

void validate(const AttentionOptions &options) {
  constexpr int64_t positionLimit = (int64_t(1) << 31) - 1;
  requireInteger("heads", options.heads, 1, 1 << 20);
  bool divides = options.kvHeads > 0 && options.heads % options.kvHeads == 0;
  require(divides || options.kvHeads == 0, "kv heads", std::to_string(options.kvHeads),
          "a divisor of heads, " + std::to_string(options.heads));
  requireInteger("head dim", options.headDim, 1, 256);
  requireInteger("value head dim", options.valueHeadDim, 0, 256);
  require(isFloat(options.dtype), "dtype", std::string(nameOf(options.dtype)), "f32, f16, bf16");
  if (options.scale)
    require(std::abs(*options.scale) < mostFactor, "scale", print(*options.scale),
            "a number below 2^126 (8.5e37) in magnitude");
  if (options.softcap) {
    require(*options.softcap >= leastCap && *options.softcap <= mostCap, "softcap",
            print(*options.softcap), "1e-30 to 1e30");
    require(std::abs(options.scale.value_or(1)) / *options.softcap < mostFactor, "softcap",
            print(*options.softcap) + " with scale " + print(options.scale.value_or(1)),
            "a scale below 2^126 (8.5e37) times it");
  }
  validateSlopes(options);
  requireInteger("prefix", options.prefix, 0, positionLimit);
  requireInteger("window left", options.window.left, -1, positionLimit);
  requireInteger("window right", options.window.right, -1, positionLimit);
  require(options.ringSize >= 0, "ring size", std::to_string(options.ringSize),
          "a divisor of the world, or 0 for all of it");
  for (const auto &[dimension, size] : options.tile) {
    std::string_view own = std::string_view(dimension).substr(dimension.find('.') + 1);
    constexpr std::string_view dimensions[] = {
        "q", "kv", "warps", "n_warps", "micro_rows", "micro_vectors", "micro_depth"};
    require(std::ranges::find(dimensions, own) != std::end(dimensions), "tile", dimension,
            "q, kv, warps, n_warps, micro_rows, micro_vectors, micro_depth, or KERNEL.q for one "
            "kernel alone");
    requireInteger("tile " + dimension, size, 1, 4096);
  }
  for (const auto *functions : {&options.masks, &options.scores})
    for (const UserFunction &function : *functions)
      require(!function.file.empty() && !function.name.empty(), "mask or score",
              "\"" + qualified(function) + "\"", "a file and the name of a function in it");
}

/// One thread runs all programs of a KV head that add to its dq. Five products for seven, and the
/// additions: 0.8 of the split backward's time, as long as no processor waits.
static BackwardForm fasterOnHost(int64_t kvHeads, int processors) {
  int64_t rounds = (kvHeads + processors - 1) / processors;
  return 8 * rounds * processors <= 10 * kvHeads ? BackwardForm::Fused : BackwardForm::Split;
}

int hostProcessors() {
  // Neither std::thread nor OpenMP: they count those that this process is bound to.
  return int(std::max(sysconf(_SC_NPROCESSORS_CONF), 1L));
}

AttentionOptions completed(AttentionOptions options, std::optional<int> processors) {
  if (options.kvHeads == 0)
    options.kvHeads = options.heads;
  if (options.valueHeadDim == 0)
    options.valueHeadDim = options.headDim;
  if (!options.scale)
    options.scale = 1 / std::sqrt(double(options.headDim));
  if (!options.backward)
    options.backward =
        processors ? fasterOnHost(options.kvHeads, *processors) : BackwardForm::Split;
  return options;
}

std::vector<SourceText> userSources(const AttentionOptions &options) {
  std::vector<SourceText> sources;
  for (const auto *functions : {&options.masks, &options.scores})
    for (const UserFunction &function : *functions) {
      auto known = std::ranges::find(sources, function.file, &SourceText::name);
      if (known == sources.end())
        sources.push_back(
            {function.file, function.text ? *function.text : readTileFile(function.file)});
      else if (function.text && *function.text != known->text)
        throw InputError(function.file + ": names two different texts");
    }
  return sources;
}

Spec specOf(const AttentionOptions &options, int ringSize, const AttentionInputs &inputs,
            std::string_view kernel) {
  Spec spec{.kernel = std::string(kernel),
            .headDim = options.headDim,
            .valueHeadDim = options.valueHeadDim,
            .groupSize = options.heads / options.kvHeads,
            .headMap = options.headMap,
            .dtype = elementTypeOf(options.dtype),
            .f32Products = options.f32Products,
            .queryLayout = layoutKindOf(options.layout, ringSize),
            .keyLayout = layoutKindOf(options.layout, ringSize),
            .tile = options.tile};
  std::erase_if(spec.tile, [&](const auto &size) { // another kernel's
    size_t dot = size.first.find('.');
    return dot != std::string::npos && size.first.substr(0, dot) != kernel;
  });
  if (kernel == "attention_delta" || kernel == "attention_backward_round") { // rows alone
    spec.tile.erase("kv");
    return spec;
  }
  if (options.causal)
    spec.mask.push_back(options.prefix > 0 ? "prefix" : "causal");
  if (options.window.left >= 0 || options.window.right >= 0)
    spec.mask.push_back("window");
  if (inputs.cuSeqlens)
    spec.mask.push_back("documents");
  if (inputs.keyMask)
    spec.mask.push_back("key_padding");
  for (const UserFunction &mask : options.masks)
    spec.mask.push_back(qualified(mask));
  if (options.softcap)
    spec.score.push_back(softcapScore(*options.softcap));
  for (const UserFunction &score : options.scores)
    spec.score.push_back(qualified(score));
  if (options.alibi)
    spec.score.push_back("alibi");
  if (inputs.bias)
    spec.score.push_back("bias");
  return spec;
}

KernelWork workOf(const AttentionOptions &options, int ringSize, int64_t keyLength) {
  return {.length = keyLength, .ranks = ringSize, .table = options.tune};
}

std::string softcapScore(double cap) {
  constexpr double mostOfTanh = 1000; // kernels.tiles/scores.tile
  return cap > mostOfTanh ? "wide_softcap" : "softcap";
}

BackwardNames backwardNames(BackwardForm form) {
  switch (form) {
  case BackwardForm::Split:
    return {"attention_backward_dkdv", "attention_backward_dq"};
  case BackwardForm::Fused:
    return {"attention_backward", "attention_backward_round"};
  }
  assert(false && "not a form of the backward");
  return {};
}

ElementType elementTypeOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return ElementType::F32;
  case DType::F16:
    return ElementType::F16;
  case DType::BF16:
    return ElementType::BF16;
  case DType::I32:
    return ElementType::I32;
  case DType::Bool:
    return ElementType::Bool;
  case DType::I64:
    break;
  }
  throw InputError("dtype", nameOf(dtype), "f32, f16, bf16, i32, bool");
}

DType dtypeOf(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return DType::F32;
  case ElementType::F16:
    return DType::F16;
  case ElementType::BF16:
    return DType::BF16;
  case ElementType::I32:
    return DType::I32;
  case ElementType::Bool:
    return DType::Bool;
  }
  assert(false && "not an ElementType");
  return DType::F32;
}

} // namespace ringc
