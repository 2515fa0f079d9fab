#include "ringc/decode/DecodeCall.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>
#include <variant>

namespace ringc {

namespace {

constexpr int64_t mostQueries = 16;
constexpr int64_t keysOfSplit = 64;
constexpr int64_t rowsOfSource = 16; // BQ, where no tile says
constexpr int64_t mostPositions = int64_t(1) << 31;
/// Of within_length, which the user does not give.
constexpr const char *lengthsOfMask = "within_length.lengths";

int64_t roundedUp(int64_t number, int64_t of) { return (number + of - 1) / of * of; }

void requireShape(const char *name, const Tensor &tensor, DType dtype,
                  std::initializer_list<int64_t> shape, const std::string &axes) {
  bool fits = tensor.dtype() == dtype && tensor.rank() == int(shape.size()) &&
              std::ranges::equal(tensor.shape(), shape);
  if (fits)
    return;
  std::string allowed = std::string(nameOf(dtype)) + " [";
  for (auto size = shape.begin(); size != shape.end(); ++size)
    allowed += (size == shape.begin() ? "" : ", ") + std::to_string(*size);
  throw InputError(name, describe(tensor), allowed + "]: " + axes);
}

AttentionInputs withArguments(const DecodeInputs &inputs, const Tensor &lengths) {
  AttentionInputs made{.q = inputs.q, .k = inputs.k, .v = inputs.v};
  made.arguments = inputs.arguments;
  made.arguments.emplace(lengthsOfMask, lengths);
  return made;
}

KernelValue valueOf(const predicate::ScalarValue &scalar) {
  return std::visit(
      [](auto value) -> KernelValue {
        if constexpr (std::is_same_v<decltype(value), bool>)
          return value;
        else if constexpr (std::is_integral_v<decltype(value)>)
          return int64_t(value);
        else
          return double(value);
      },
      scalar);
}

/// Whether it matters to the results where keys are.
bool seesPositions(const AttentionOptions &of) {
  return of.causal || of.window != Window() || of.alibi || !of.masks.empty() || !of.scores.empty();
}

} // namespace

DecodePlace DecodePlace::of(const DecodeOptions &options, const DecodeInputs &inputs,
                            const DecodeKeys &keys, int ranks) {
  if (inputs.lengths)
    return {keys, std::nullopt};
  if (inputs.pageTable)
    throw InputError("lengths", "none", "i32 [b], with a page table");
  if (keys.length && (*keys.length < 0 || *keys.length >= mostPositions))
    throw InputError("length of all entries", std::to_string(*keys.length), "0 to 2^31 - 1");
  if (keys.length)
    return {keys, keys.length};
  if (ranks > 1 && seesPositions(options.attention))
    throw InputError("lengths", "none",
                     "i32 [b], or one for all entries, where masks and scores see positions");
  if (inputs.q.rank() != 4 || inputs.k.rank() != 4)
    return {};
  return {{}, inputs.k.dim(1)};
}

DecodeCall::DecodeCall(const DecodeOptions &asked, const DecodeInputs &with,
                       const DecodeKeys &ofRank, const Tensor &ofEntries, const Target &target)
    : options(asked), inputs(with), keys(ofRank), lengths(ofEntries), memory(target.memory),
      bytesOfPart(target.bytesOfPart) {
  check();
  AttentionInputs all = withArguments(inputs, lengths);
  kernel = specOf(options.attention, 1, all, inputs.pageTable ? "decode_rows" : "decode");
  kernel.queryLayout = LayoutKind::Contiguous;
  kernel.keyLayout = LayoutKind::Any;
  kernel.mask.insert(kernel.mask.begin(), "within_length");
  bool byHand = kernel.tile.contains("kv");
  int64_t &tile = kernel.tile.try_emplace("kv", target.keysOfTile).first->second;
  if (target.mostRowsOfTile > 0)
    kernel.tile.try_emplace(
        "q", std::min(int64_t(std::bit_ceil(uint64_t(packedRows()))), target.mostRowsOfTile));
  if (inputs.pageTable) {
    int64_t page = inputs.k.dim(1);
    // A smaller tile within a page is faster than a larger one whose rows are looked up.
    constexpr int64_t leastTile = 16;
    if (!byHand && page % leastTile == 0)
      while (page % tile != 0)
        tile /= 2;
    kernel.constants["PAGE"] = page;
    if (page % tile == 0)
      kernel.kernel = "decode_pages";
  }
  compiled = target.compiled(kernel);
  given = namedValues(compiled->arguments, options.attention, all);
  if (memory == Memory::Device)
    checkTypes(compiled->arguments, given);
  Extents extents{batch(), queries(), keyRows(), keyRows()};
  Parameters parameters(compiled->arguments, given, options.attention, extents);
  for (const Parameters::View &view : parameters.views)
    ofFunctions[view.name] = view.made ? target.place(view.name, view.tensor) : view.tensor;
  scalars = parameters.scalars;
}

int64_t DecodeCall::keyRows() const {
  return inputs.pageTable ? inputs.pageTable->dim(1) * inputs.k.dim(1) : inputs.k.dim(1);
}

int64_t DecodeCall::packedRows() const {
  return queries() * (options.attention.heads / options.attention.kvHeads);
}

int64_t DecodeCall::tileOfKeys() const { return kernel.tile.at("kv"); }

void DecodeCall::check() const {
  const AttentionOptions &of = options.attention;
  for (auto [name, tensor] : {std::pair("q", &inputs.q), {"k", &inputs.k}, {"v", &inputs.v}})
    if (tensor->rank() != 4)
      throw InputError(name, describe(*tensor), "four axes");
  if (queries() < 1 || queries() > mostQueries)
    throw InputError("queries of an entry", std::to_string(queries()), "1 to 16");
  requireShape("q", inputs.q, of.dtype, {batch(), queries(), of.heads, of.headDim},
               "batch, queries, heads, head dim");
  int64_t outer = inputs.pageTable ? inputs.k.dim(0) : batch(), rows = inputs.k.dim(1);
  const char *axes =
      inputs.pageTable ? "pages, page size, KV heads, head dim" : "batch, keys, KV heads, head dim";
  requireShape("k", inputs.k, of.dtype, {outer, rows, of.kvHeads, of.headDim}, axes);
  requireShape("v", inputs.v, of.dtype, {outer, rows, of.kvHeads, of.valueHeadDim}, axes);
  requireShape("lengths", lengths, DType::I32, {batch()}, "one an entry");
  if (options.split < 0 || options.split % keysOfSplit)
    throw InputError("split", std::to_string(options.split), "0, or a multiple of 64 keys");
  if (inputs.pageTable)
    checkPages();
  checkPositions();
}

void DecodeCall::checkPages() const {
  int64_t rows = inputs.k.dim(1);
  if (rows < 1 || rows > 4096)
    throw InputError("page size", std::to_string(rows), "1 to 4096 rows");
  if (inputs.pageTable->rank() != 2)
    throw InputError("page table", describe(*inputs.pageTable), "i32 [b, pages of an entry]");
  requireShape("page table", *inputs.pageTable, DType::I32, {batch(), inputs.pageTable->dim(1)},
               "batch, pages of an entry");
  for (auto [name, pool] : {std::pair("k", &inputs.k), {"v", &inputs.v}})
    if (pool->dim(0) > 1 && pool->stride(0) != rows * pool->stride(1))
      throw InputError(name, describe(*pool), "pages without gaps between them");
}

void DecodeCall::checkPositions() const {
  const auto &[first, block, jump] = keys.positions;
  if (first < 0 || first >= mostPositions || block < 1 || jump < block || jump >= mostPositions)
    throw InputError("positions of keys",
                     "first " + std::to_string(first) + ", block " + std::to_string(block) +
                         ", jump " + std::to_string(jump),
                     "a block of 1 or more, a jump as long or longer, all below 2^31");
  int64_t last = keyRows() == 0 ? first : keys.positions(keyRows() - 1);
  if (last >= mostPositions)
    throw InputError("position of the last key", std::to_string(last), "below 2^31");
}

void DecodeCall::checkResults(const Tensor &out, const Tensor &lse) const {
  const AttentionOptions &of = options.attention;
  requireShape("out", out, of.dtype, {batch(), queries(), of.heads, of.valueHeadDim},
               "batch, queries, heads, value head dim");
  requireShape("lse", lse, DType::F32, {batch(), of.heads, queries()}, "batch, heads, queries");
}

Agreement DecodeCall::agreement(int ranks, const SourceSet &sources,
                                std::string_view compilerBuild) const {
  Agreement made;
  made.add("ringc", buildText(compilerBuild))
      .add("pass", "decode")
      .add("ranks of the world", ranks)
      .add("entries in the batch", batch())
      .add("queries", queries())
      .add("split", options.split);
  AttentionOptions compared = options.attention;
  compared.layout = {}; // of a ring's
  compared.ringSize = 0;
  compared.schedule = {};
  compared.backward = {};
  addOptions(made, compared);
  addSources(made, options.attention, sources);
  if (inputs.lengths)
    addTensor(made, "lengths", *inputs.lengths, memory);
  else
    made.add("lengths", keys.length ? std::to_string(*keys.length) + " of each entry" : "");
  NamedValues ofUser = given;
  ofUser.erase(lengthsOfMask);
  addArguments(made, compiled->arguments, ofUser, optionValues(options.attention, {}), scalars,
               memory);
  return made;
}

DecodeCall::Parts DecodeCall::parts(int64_t programsAtOnce) const {
  int64_t rows = keyRows(), tile = std::max(tileOfKeys(), keysOfSplit);
  if (options.split > 0)
    return {std::max<int64_t>((rows + options.split - 1) / options.split, 1), options.split};
  const AttentionOptions &of = options.attention;
  int64_t rowsOfTile = kernel.tile.contains("q") ? kernel.tile.at("q") : rowsOfSource;
  int64_t tilesOfRows = (packedRows() + rowsOfTile - 1) / rowsOfTile;
  int64_t programs = std::max<int64_t>(batch() * of.kvHeads * tilesOfRows, 1);
  // A part that is shorter than this costs more in the merge than it gains.
  constexpr int64_t leastTiles = 4;
  int64_t least = leastTiles * tile;
  int64_t most = std::max<int64_t>(rows / least, 1);
  // The fewest parts that leave next to no processor idle in the last round.
  int64_t count = 1;
  double best = 0;
  for (int64_t parts = 1; parts <= std::min(most, 4 * programsAtOnce); ++parts) {
    double rounds = double(programs * parts) / double(programsAtOnce);
    double busy = rounds / std::ceil(rounds);
    if (busy > best + 0.02) {
      best = busy;
      count = parts;
    }
    if (rounds > 4)
      break;
  }
  int64_t length = std::max<int64_t>((rows + count - 1) / count, 1);
  if (bytesOfPart > 0) {
    int64_t bytesOfKey =
        of.kvHeads * (of.headDim + of.valueHeadDim) * int64_t(sizeOf(inputs.k.dtype()));
    length = std::min(length, std::max(bytesOfPart / bytesOfKey, least));
  }
  length = roundedUp(length, tile);
  return {std::max<int64_t>((rows + length - 1) / length, 1), length};
}

KernelViews DecodeCall::views(const Tensor &parts, const Tensor &logs) const {
  KernelViews made = ofFunctions;
  made["q"] = inputs.q;
  made["lengths"] = lengths;
  made["parts"] = parts;
  made["logs"] = logs;
  auto pool = [](const Tensor &pages) {
    return Tensor(pages.data(), pages.dtype(),
                  std::vector<int64_t>{pages.dim(2), pages.dim(0) * pages.dim(1), pages.dim(3)},
                  std::vector<int64_t>{pages.stride(2), pages.stride(1), pages.stride(3)});
  };
  made["k"] = inputs.pageTable ? pool(inputs.k) : inputs.k;
  made["v"] = inputs.pageTable ? pool(inputs.v) : inputs.v;
  if (inputs.pageTable)
    made["table"] = *inputs.pageTable;
  return made;
}

KernelValues DecodeCall::values(const Parts &parts) const {
  KernelValues made;
  for (const auto &[name, scalar] : scalars)
    made[name] = valueOf(scalar);
  constexpr int64_t whole = int64_t(1) << 30;
  made["qpos"] = Positions{-queries(), whole, whole};
  made["kpos"] = keys.positions;
  made["scale"] = *options.attention.scale;
  made["span"] = parts.keys;
  if (inputs.pageTable)
    made["Nk"] = keyRows();
  return made;
}

Spec mergeSpecOf(const AttentionOptions &options, DType dtype) {
  Spec spec;
  spec.kernel = "decode_merge";
  spec.headDim = options.headDim;
  spec.valueHeadDim = options.valueHeadDim;
  spec.groupSize = options.heads / options.kvHeads;
  spec.headMap = options.headMap;
  spec.dtype = elementTypeOf(dtype);
  return spec;
}

} // namespace ringc
