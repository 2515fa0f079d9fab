#include "compiler/spec/TileConfig.h"

#include "compiler/spec/FieldsJson.h"
#include "compiler/spec/SpecJson.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace ringc {

namespace {

/// Kernels whose tile sizes are chosen here; others keep their source's.
///
/// Between 64 and 128 a side all sizes run within a few percent of each other (the products'
/// operands lie in L1 and L2 either way); squares of 64 waste least on a causal diagonal and on
/// short sequences.
std::map<std::string, int64_t> tilesOf(std::string_view kernel) {
  if (kernel == "attention_forward" || kernel == "attention_backward_dkdv" ||
      kernel == "attention_backward_dq" || kernel == "attention_backward")
    return {{"q", 64}, {"kv", 64}};
  if (kernel == "attention_delta" || kernel == "attention_backward_round")
    return {{"q", 64}};
  return {};
}

/// The register block of a product [.., depth] x [depth, ..] keeps rows * vectors accumulators, the
/// vectors of one row of the right side and one broadcast element of the left. Each step over the
/// depth loads rows + vectors registers for rows * vectors multiply-adds: the most of these for
/// each load wins, and the taller block among equals, since a broadcast may fold into the
/// multiply-add where a vector load is shared by all rows.
void chooseRegisterBlock(const Target &target, TileConfig &config) {
  double best = 0;
  for (int64_t rows : {1, 2, 4, 8, 16})
    for (int64_t vectors : {1, 2, 4}) {
      if (rows * vectors + vectors + 1 > target.vectorRegisters)
        continue;
      double perLoad = double(rows * vectors) / double(rows + vectors);
      if (perLoad >= best) {
        best = perLoad;
        config.microRows = rows;
        config.microVectors = vectors;
      }
    }
}

/// On a GPU a block of 128 threads keeps the sums of a program in registers, 255 a thread at most:
/// the largest tiles whose sums fit run fastest, since each key tile is then read by more rows. The
/// sizes are measured ones (docs/performance.md).
std::map<std::string, int64_t> gpuTilesOf(std::string_view kernel, int64_t widest) {
  bool small = widest <= 64, middle = widest <= 128;
  if (kernel == "attention_forward")
    return small    ? std::map<std::string, int64_t>{{"q", 128}, {"kv", 128}}
           : middle ? std::map<std::string, int64_t>{{"q", 128}, {"kv", 64}}
                    : std::map<std::string, int64_t>{{"q", 64}, {"kv", 32}};
  if (kernel == "attention_backward_dkdv")
    return small    ? std::map<std::string, int64_t>{{"q", 32}, {"kv", 128}}
           : middle ? std::map<std::string, int64_t>{{"q", 32}, {"kv", 64}}
                    : std::map<std::string, int64_t>{{"q", 16}, {"kv", 64}};
  if (kernel == "attention_backward_dq")
    return small    ? std::map<std::string, int64_t>{{"q", 128}, {"kv", 64}}
           : middle ? std::map<std::string, int64_t>{{"q", 64}, {"kv", 64}}
                    : std::map<std::string, int64_t>{{"q", 64}, {"kv", 32}};
  return tilesOf(kernel);
}

/// The fused backward keeps dk and dv, [kv, d] each, in registers, and k, v, a tile of q and dout,
/// and dS in shared memory: the largest tiles that both hold, since each key more makes q be read
/// and dq be added to less. Where registers hold none, the fewest sums of a thread spill least.
void chooseFusedBackward(const Spec &spec, const Target &target, TileConfig &config) {
  struct Candidate {
    int64_t q, kv, warps;
  };
  bool wide = spec.dtype == ElementType::F32;
  int64_t d = spec.headDim, dv = spec.valueDim(), bytes = wide ? 4 : 2;
  int64_t mostSums = wide ? 144 : 192; // of 255 registers; f32 is split in two for its products
  // Rows are whole blocks of 16, of k, whose head dim the warps share, a block for each.
  auto row = [&](int64_t columns, int64_t warps = 1) {
    int64_t blocks = (columns + 16 * warps - 1) / (16 * warps) * warps;
    return (blocks * bytes | 1) * 16;
  };
  std::optional<int64_t> fewest;
  for (auto [q, kv, warps] :
       {Candidate{32, 128, 4}, {64, 128, 8}, {32, 64, 4}, {16, 64, 4}, {16, 32, 2}, {16, 16, 1}}) {
    int64_t shared = kv * (2 * row(d, warps) + row(dv) + row(q)) + q * (row(d) + row(dv));
    int64_t sums = kv / (16 * warps) * ((d + dv) / 2 + q);
    if (shared > target.sharedBytes || (fewest && sums >= *fewest))
      continue;
    config.tile = {{"q", q}, {"kv", kv}};
    config.warps = warps;
    if (sums <= mostSums)
      return;
    fewest = sums;
  }
}

} // namespace

nlohmann::json toJson(const TileConfig &config) { return fields_json::write(config); }

TileConfig tileConfigFromJson(const nlohmann::json &json) {
  TileConfig config;
  fields_json::readFields(json, "", config);
  return config;
}

std::string tileConstant(std::string_view dimension) {
  std::string constant = "B";
  for (char c : dimension)
    constant += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return constant;
}

TileConfig chooseTileConfig(const Spec &spec, const Target &target) {
  int64_t widest = std::max(spec.headDim, spec.valueHeadDim);
  TileConfig config = {.tile =
                           target.isGpu() ? gpuTilesOf(spec.kernel, widest) : tilesOf(spec.kernel)};
  if (target.isGpu() && spec.kernel == "attention_backward")
    chooseFusedBackward(spec, target, config);
  for (const auto &[dimension, size] : spec.tile)
    config.tile[dimension] = size;
  if (!target.isGpu())
    chooseRegisterBlock(target, config);
  return config;
}

} // namespace ringc
