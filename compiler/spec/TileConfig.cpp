#include "compiler/spec/TileConfig.h"

#include "compiler/spec/FieldsJson.h"
#include "compiler/spec/SpecJson.h"

#include <algorithm>
#include <cctype>

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

/// The fused backward keeps dk and dv, [kv, d] each, in registers and k, v, two tiles of q and
/// dout, and dS in shared memory: 128 keys where both hold them, since each makes q be read and dq
/// be added to once less. With head dims above 64 the sums need eight warps.
void chooseFusedBackward(int64_t widest, const Target &target, TileConfig &config) {
  constexpr int64_t sharedOf128 = 160 << 10; // q 64, kv 128, head dim 128, in 16 bits
  if (widest <= 64) {
    config.tile = {{"q", 32}, {"kv", 128}};
  } else if (widest <= 128 && target.sharedBytes >= sharedOf128) {
    config.tile = {{"q", 64}, {"kv", 128}};
    config.warps = 8;
  } else {
    config.tile = {{"q", widest <= 128 ? 32 : 16}, {"kv", 64}};
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
    chooseFusedBackward(widest, target, config);
  for (const auto &[dimension, size] : spec.tile)
    config.tile[dimension] = size;
  if (!target.isGpu())
    chooseRegisterBlock(target, config);
  return config;
}

} // namespace ringc
