#include "ringc/decode/DecodeCall.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <variant>

namespace ringc {

namespace {

constexpr int64_t mostQueries = 16;
constexpr int64_t keysOfSplit = 64;

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
  made.arguments.emplace("within_length.lengths", lengths);
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

} // namespace

DecodeCall::DecodeCall(const DecodeOptions &given, const DecodeInputs &with,
                       const DecodeKeys &ofRank, const Tensor &ofEntries, const Target &target)
    : options(given), inputs(with), keys(ofRank), lengths(ofEntries) {
  check();
  AttentionInputs all = withArguments(inputs, lengths);
  kernel = specOf(options.attention, 1, all, inputs.pageTable ? "decode_rows" : "decode");
  kernel.queryLayout = LayoutKind::Contiguous;
  kernel.keyLayout = LayoutKind::Any;
  kernel.mask.insert(kernel.mask.begin(), "within_length");
  bool byHand = kernel.tile.contains("kv");
  int64_t &tile = kernel.tile.try_emplace("kv", target.keysOfTile).first->second;
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
  std::shared_ptr<const CompiledKernel> made = target.compiled(kernel);
  Extents extents{batch(), queries(), keyRows(), keyRows()};
  Parameters parameters(made->arguments, namedValues(made->arguments, options.attention, all),
                        options.attention, extents);
  for (const Parameters::View &view : parameters.views)
    ofFunctions[view.name] = view.made ? target.place(view.name, view.tensor) : view.tensor;
  for (const auto &[name, scalar] : parameters.scalars)
    valuesOfFunctions[name] = valueOf(scalar);
}

int64_t DecodeCall::keyRows() const {
  return inputs.pageTable ? inputs.pageTable->dim(1) * inputs.k.dim(1) : inputs.k.dim(1);
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
  if (!inputs.pageTable)
    return;
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

DecodeCall::Parts DecodeCall::parts(int64_t programsAtOnce) const {
  int64_t rows = keyRows(), tile = std::max(tileOfKeys(), keysOfSplit);
  if (options.split > 0)
    return {std::max<int64_t>((rows + options.split - 1) / options.split, 1), options.split};
  const AttentionOptions &of = options.attention;
  int64_t packed = queries() * of.heads / of.kvHeads;
  int64_t programs = std::max<int64_t>(batch() * of.kvHeads * ((packed + 15) / 16), 1);
  // A part that is shorter than this costs more in the merge than it gains.
  constexpr int64_t leastTiles = 4;
  int64_t most = std::max<int64_t>(rows / (leastTiles * tile), 1);
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
  int64_t length = roundedUp(std::max<int64_t>((rows + count - 1) / count, 1), tile);
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
  KernelValues made = valuesOfFunctions;
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
