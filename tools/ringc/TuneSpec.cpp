#include "tools/ringc/TuneSpec.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tools/ringc/KernelExtentFlags.h"

#include <algorithm>
#include <utility>

namespace ringc::cli {

namespace {

bool has(const std::vector<std::string> &names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// Options that say what the spec says.
void refuseSaidTwice(const AttentionFlags &flags) {
  AttentionFlags usual;
  for (auto [given, option, field] : {std::tuple(!flags.dtype.empty(), "--dtype", "dtype"),
                                      {flags.headMap != usual.headMap, "--kv-head-map", "head_map"},
                                      {flags.f32 != usual.f32, "--f32", "f32"},
                                      {flags.causal, "--causal", "mask"},
                                      {flags.alibi, "--alibi", "score"},
                                      {!flags.masks.empty(), "--mask", "mask"},
                                      {!flags.scores.empty(), "--score", "score"},
                                      {!flags.backward.empty(), "--backward", "kernel"}})
    if (given)
      throw InputError(option, "a value",
                       std::string("none beside a spec, whose field ") + field +
                           " says it: --set " + field + "=VALUE");
}

/// Options that no kernel but an attention has.
void refuseOfAttention(const AttentionFlags &flags, const std::string &kernel) {
  AttentionFlags usual;
  for (auto [given, option] : {std::pair(flags.ranks != usual.ranks, "--ranks"),
                               {flags.ringSize != usual.ringSize, "--ring-size"},
                               {flags.layout != usual.layout, "--layout"},
                               {flags.schedule != usual.schedule, "--schedule"},
                               {!flags.window.empty(), "--window"},
                               {flags.prefix != usual.prefix, "--prefix"},
                               {flags.softcap.has_value(), "--softcap"},
                               {!flags.alibiSlopes.empty(), "--alibi-slopes"},
                               {!flags.bias.empty(), "--bias"},
                               {!flags.keyMask.empty(), "--key-mask"},
                               {!flags.cuSeqlens.empty(), "--cu-seqlens"},
                               {flags.scale.has_value(), "--scale"}})
    if (given)
      throw InputError(option, "a value",
                       "none: kernel " + kernel +
                           " is no attention of the library; its own parameters are --arg");
}

/// A mask or score of the library has a value, or data, that an option gives.
void requireOption(bool given, bool wanted, const std::string &function, const char *option) {
  if (wanted && !given)
    throw InputError(function, "nothing", std::string("its value, ") + option);
  if (given && !wanted)
    throw InputError(std::string_view(option).substr(0, std::string_view(option).find(' ')),
                     "a value", "none: the spec has no " + function);
}

void setFunctions(const Spec &spec, AttentionFlags &flags) {
  for (const std::string &name : spec.mask) {
    FunctionName function = splitFunctionName(name);
    if (!function.file.empty())
      flags.masks.push_back(name);
    else if (!has({{"causal", "prefix", "window", "documents", "key_padding"}}, name))
      flags.masks.push_back(spec.source + ":" + name);
  }
  for (const std::string &name : spec.score) {
    FunctionName function = splitFunctionName(name);
    if (!function.file.empty())
      flags.scores.push_back(name);
    else if (!has({{"softcap", "wide_softcap", "alibi", "bias"}}, name))
      flags.scores.push_back(spec.source + ":" + name);
  }
  requireOption(!flags.window.empty(), has(spec.mask, "window"), "mask window", "--window L,R");
  requireOption(flags.prefix > 0, has(spec.mask, "prefix"), "mask prefix", "--prefix N");
  requireOption(!flags.cuSeqlens.empty(), has(spec.mask, "documents"), "mask documents",
                "--cu-seqlens FILE");
  requireOption(!flags.keyMask.empty(), has(spec.mask, "key_padding"), "mask key_padding",
                "--key-mask FILE");
  requireOption(flags.softcap.has_value(),
                has(spec.score, "softcap") || has(spec.score, "wide_softcap"), "score softcap",
                "--softcap C");
  requireOption(!flags.bias.empty(), has(spec.score, "bias"), "score bias", "--bias FILE");
  flags.causal = has(spec.mask, "causal") || has(spec.mask, "prefix");
  flags.alibi = has(spec.score, "alibi");
  if (!flags.alibi && !flags.alibiSlopes.empty())
    throw InputError("--alibi-slopes", flags.alibiSlopes, "none: the spec has no score alibi");
}

/// The layouts' kinds; what more there is to say, --layout does.
void setLayout(const Spec &spec, AttentionFlags &flags) {
  if (spec.queryLayout != spec.keyLayout)
    throw InputError("key_layout", enumName(spec.keyLayout),
                     std::string(enumName(spec.queryLayout)) +
                         ": queries and keys of a ring lie alike");
  bool isAny = spec.queryLayout == LayoutKind::Any;
  bool isBuckets = spec.queryLayout == LayoutKind::BucketStriped;
  if (isAny || (isBuckets && flags.layout.starts_with("striped:")))
    return;
  if (isBuckets)
    throw InputError("query_layout", "bucket_striped", "that with --layout striped:S");
  if (flags.layout != AttentionFlags().layout && flags.layout != enumName(spec.queryLayout))
    throw InputError("--layout", flags.layout,
                     "the spec's query_layout, " + std::string(enumName(spec.queryLayout)));
  flags.layout = enumName(spec.queryLayout);
}

} // namespace

bool isAttention(const Spec &spec, const SourceSet &sources) {
  if (!TileSpace::knows(spec.kernel))
    return false;
  // A key names a user's declaration by a digest, too.
  if (tuneKeyOf(spec, sources, {}, {}).kernel != spec.kernel)
    throw InputError("kernel", spec.kernel,
                     "a name that no attention kernel of the library has, for one of your own");
  return true;
}

AttentionOfSpec attentionOf(const Spec &spec, const TuneSpecFlags &given) {
  refuseSaidTwice(given.attention);
  if (given.hasPass)
    throw InputError("--pass", "a value", "none beside a spec, whose kernel is of one pass");
  if (!spec.constants.empty())
    throw InputError("constants", spec.constants.begin()->first,
                     "none: the operator's kernels have those of the library");
  if (!spec.types.empty())
    throw InputError("types", spec.types.begin()->first,
                     "none: the operator's kernels have those of the library");
  AttentionOfSpec made{.flags = given.attention, .shape = {}};
  AttentionFlags &flags = made.flags;
  setFunctions(spec, flags);
  setLayout(spec, flags);
  flags.headMap = enumName(spec.headMap);
  flags.dtype = enumName(spec.dtype);
  flags.f32 = enumName(spec.f32Products);
  if (spec.kernel != "attention_forward") {
    made.pass = Pass::Backward;
    flags.backward =
        enumName(spec.kernel == "attention_backward" ? BackwardForm::Fused : BackwardForm::Split);
  }
  KernelExtents extents = given.extents.empty() ? KernelExtents() : parseExtents(given.extents);
  for (const auto &[name, length] : extents)
    if (!has({{"B", "H", "Hkv", "Nq", "Nk"}}, name))
      throw InputError("extent " + name, std::to_string(length), "Nq, Nk, B, H, Hkv");
  constexpr int64_t usual = 4096;
  completeHeads(extents, spec.groupSize);
  if (!extents.contains("Nk"))
    extents["Nk"] = extents.contains("Nq") ? extents.at("Nq") : usual;
  extents.try_emplace("Nq", extents.at("Nk"));
  for (const char *name : {"Nq", "Nk"})
    if (extents.at(name) < 1)
      throw InputError(std::string("extent ") + name, std::to_string(extents.at(name)),
                       "1 or more");
  made.shape = {.batch = extents.at("B"),
                .queries = extents.at("Nq"),
                .keys = extents.at("Nk"),
                .heads = extents.at("H"),
                .kvHeads = extents.at("Hkv"),
                .headDim = spec.headDim,
                .valueHeadDim = spec.valueDim()};
  return made;
}

void requireSame(const TuneKey &ofSpec, const TuneKey &ofOperator) {
  nlohmann::json asked = fields_json::write(ofSpec), had = fields_json::write(ofOperator);
  for (const char *field : {"query_layout", "key_layout"})
    if (asked[field] == enumName(LayoutKind::Any))
      asked[field] = had[field];
  for (const char *field : {"length", "ranks"}) // which a spec does not say
    asked[field] = had[field];
  for (const auto &[field, value] : asked.items())
    if (value != had[field])
      throw InputError(field, value.dump(), "what the operator asks for: " + had[field].dump());
}

KernelWorkload workloadOf(const Spec &spec, const SourceSet &sources, const TuneSpecFlags &flags,
                          const AttentionInputs &given) {
  refuseSaidTwice(flags.attention);
  refuseOfAttention(flags.attention, spec.kernel);
  if (flags.hasPass)
    throw InputError("--pass", "a value", "none beside a spec");
  KernelWorkload workload{.spec = spec,
                          .sources = sources,
                          .tiles = compilerTiles(spec, sources),
                          .extents = {},
                          .scalars = {}};
  BoundKernel kernel(spec, sources, workload.tiles.sizes);
  if (workload.tiles.sizes.empty())
    throw InputError("kernel " + spec.kernel, "no tile sizes that its source leaves open",
                     "constants such as BM = 64 that are the step of the grid or of a loop");
  workload.extents =
      extentsOf(kernel, flags.extents.empty() ? KernelExtents() : parseExtents(flags.extents));
  workload.scalars = scalarsOf(kernel, given.arguments);
  for (const KernelView &view : kernel.views())
    if (view.sums && flags.attention.device != "cpu")
      throw InputError("kernel " + spec.kernel, "sums called " + view.name,
                       "none with --device cuda: a device has an order of its own for them");
  return workload;
}

TuneTask taskOf(const KernelWorkload &workload, const Target &target) {
  Spec spec = workload.spec;
  spec.target = target.name;
  BoundKernel kernel(spec, workload.sources, workload.tiles.sizes);
  return {.passes = {Pass::Forward},
          .spec = spec,
          .target = target,
          .key = tuneKeyOf(spec, workload.sources, target, workOf(kernel, workload.extents)),
          .tiles = workload.tiles};
}

int64_t bytesOf(const KernelWorkload &workload) {
  return bytesOf(BoundKernel(workload.spec, workload.sources, workload.tiles.sizes),
                 workload.extents);
}

} // namespace ringc::cli
