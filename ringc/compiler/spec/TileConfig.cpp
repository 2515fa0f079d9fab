#include "ringc/compiler/spec/TileConfig.h"

#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/GpuModel.h"
#include "ringc/compiler/spec/SpecJson.h"
#include "ringc/compiler/spec/TileSizes.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

namespace ringc {

int64_t &sizeOf(TileConfig &config, const std::string &dimension) {
  if (dimension == "warps")
    return config.warps;
  if (dimension == "n_warps")
    return config.nWarps;
  if (dimension == "micro_rows")
    return config.microRows;
  if (dimension == "micro_depth")
    return config.microDepth;
  return dimension == "micro_vectors" ? config.microVectors : config.tile[dimension];
}

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

/// Of sizes that rise, the largest one that an extent fills about as well as any.
int64_t largestFilled(const std::vector<int64_t> &sizes, int64_t extent) {
  auto padded = [&](int64_t size) {
    return (std::max<int64_t>(extent, 1) + size - 1) / size * size;
  };
  int64_t least = padded(sizes.front()), chosen = sizes.front();
  for (int64_t size : sizes)
    least = std::min(least, padded(size));
  for (int64_t size : sizes)
    if (8 * padded(size) <= 9 * least)
      chosen = size;
  return chosen;
}

/// Products of the library's on a host whose extents are known. An element of a is packed once for
/// n columns, one of b once for m rows: a sixth of the time in tiles of 64, a tenth in these
/// (docs/performance.md). All of a tile is computed, so a narrow product has narrow tiles.
std::map<std::string, int64_t> tilesOfProduct(const Spec &spec,
                                              const std::map<std::string, int64_t> &extents) {
  bool isOfLibrary =
      spec.source.empty() &&
      (spec.kernel == "matmul" || spec.kernel == "matmul_at" || spec.kernel == "matmul_bt");
  if (!isOfLibrary || !extents.contains("M") || !extents.contains("N") || !extents.contains("K"))
    return {};
  return {{"m", largestFilled({64, 128}, extents.at("M"))},
          {"n", largestFilled({64, 128, 256}, extents.at("N"))},
          {"k", largestFilled({64, 128}, extents.at("K"))}};
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

/// In the order of their speed where they fit (docs/performance.md): a larger tile of what stays is
/// read by more products for each tile that streams.
using Candidates = std::vector<GpuTiles>;

/// The first that leaves registers and shared memory enough. Where none does, that with the fewest
/// sums of those that fit shared memory: spilled numbers cost more than small tiles.
template <class Needs>
GpuTiles firstThatFits(const Candidates &candidates, int64_t mostSums, const Target &target,
                       Needs needsOf) {
  std::optional<GpuTiles> best;
  for (const GpuTiles &tiles : candidates) {
    GpuNeeds needs = needsOf(tiles);
    if (needs.shared > target.sharedBytes)
      continue;
    if (needs.sums <= mostSums)
      return tiles;
    if (!best || needs.sums < needsOf(*best).sums)
      best = tiles;
  }
  return best.value_or(candidates.back());
}

TileConfig gpuConfigOf(const Spec &spec, const Target &target) {
  GpuModel model(spec);
  auto choose = [&](const Candidates &candidates, GpuNeeds (GpuModel::*needs)(GpuTiles) const,
                    int64_t mostSums, int64_t blocks = 1) {
    GpuTiles tiles = firstThatFits(candidates, mostSums, target, [&](GpuTiles each) {
      GpuNeeds needed = (model.*needs)(each);
      needed.shared *= blocks;
      return needed;
    });
    return TileConfig{
        .tile = {{"q", tiles.q}, {"kv", tiles.kv}}, .warps = tiles.warps, .nWarps = tiles.nWarps};
  };
  // Of the forward's four warps a multiprocessor needs two blocks; where it has little shared
  // memory smaller tiles make room for them (as FA2 chooses for compute capability 8.6 and 8.9).
  bool hasLittle = target.sharedBytes < int64_t{128} * 1024;
  // A score, and a mask that needs more than the order of two positions, work on all of a thread's
  // numbers at once: beside many of them they spill, and wait for each other.
  bool scores = !spec.score.empty();
  bool masksToo = scores && model.masksBeyondCausal();
  if (spec.kernel == "attention_forward") {
    int64_t widest = std::max(spec.headDim, spec.valueDim());
    Candidates candidates{{64, 32}, {64, 16}, {32, 16}, {16, 16}};
    auto prefer = [&](const Candidates &better) {
      candidates.insert(candidates.begin(), better.begin(), better.end());
    };
    if (!scores || widest <= 128)
      prefer({{64, 64}});
    if (!masksToo)
      prefer({{128, 32}});
    if (!masksToo && widest > 128)
      prefer({{128, 64, 8}});
    if (!masksToo)
      prefer({{128, 64}});
    // Registers of a thread by ptxas for compute capability 8.0, which spills one under a window.
    if (!scores && model.masksBeyondCausal() && widest > 96 && target.sm == 80)
      prefer({{128, 64, 8}});
    if (!scores)
      prefer({{128, 128}});
    // Of f32 a product is three. With fewer in a round a masked forward is up to a tenth faster (at
    // head dim 128 two in a hundred slower), and compiles in half the time.
    if (model.isF32() && !spec.mask.empty())
      prefer({{64, widest <= 64 ? 64 : 32}});
    return choose(candidates, &GpuModel::forward, model.mostSums(), hasLittle ? 2 : 1);
  }
  // f32's are a tenth faster with half the keys where they leave a thread registers enough.
  auto f32First = [&](GpuTiles tiles, Candidates candidates) {
    if (model.isF32())
      candidates.insert(candidates.begin(), tiles);
    return candidates;
  };
  int64_t widest = std::max(spec.headDim, spec.valueDim());
  bool isWide = widest > 96; // 8 warps compile in half the time
  // By measurement on an H200, of 16 bit (tools/fit_tile_config.py): 4 to 17 % of a pass.
  auto bySize = [&](Candidates candidates) {
    if (!model.isF32() && widest > 64 && widest <= 96)
      candidates.insert(candidates.begin(), {64, 64, 8});
    if (!model.isF32() && widest > 128)
      candidates.insert(candidates.begin(), {64, 64, 8, 2});
    return candidates;
  };
  if (spec.kernel == "attention_backward_dkdv")
    return choose(f32First({32, 64}, bySize({{32, 128},
                                             {64, 128, 8, 2},
                                             {32, 64},
                                             {32, 64, 8, 2},
                                             {16, 64},
                                             {16, 32},
                                             {16, 16},
                                             {32, 32, 4, 2},
                                             {16, 32, 4, 2},
                                             {16, 16, 2, 2}})),
                  &GpuModel::dkdv, model.mostSumsOfKeys());
  if (spec.kernel == "attention_backward_dq") {
    Candidates candidates{{64, 64}, {64, 32}, {64, 16}, {32, 16}, {16, 16}};
    if (!masksToo)
      candidates.insert(candidates.begin(), {128, 64});
    else if (model.isF32() && isWide)
      candidates.insert(candidates.begin(), {64, 64, 8, 2});
    if (!model.isF32() && !scores && widest > 64)
      candidates.insert(candidates.begin(),
                        widest > 128 ? GpuTiles{64, 64, 4, 2} : GpuTiles{128, 32});
    return choose(candidates, &GpuModel::dq, model.mostSums());
  }
  if (spec.kernel == "attention_backward")
    return choose(
        f32First(isWide ? GpuTiles{32, 64, 8, 2} : GpuTiles{32, 64}, bySize({{32, 128},
                                                                             {64, 128, 8, 2},
                                                                             {32, 128, 8, 2},
                                                                             {64, 128, 8},
                                                                             {32, 64},
                                                                             {32, 64, 8, 2},
                                                                             {16, 64},
                                                                             {16, 32, 2},
                                                                             {16, 16, 1},
                                                                             {32, 32, 4, 2},
                                                                             {16, 32, 4, 2},
                                                                             {16, 16, 2, 2}})),
        &GpuModel::fused, model.mostSumsOfKeys());
  // A program has whole rows, of which there are few beside what a multiprocessor can hold: eight
  // warps side by side read one (docs/performance.md).
  if (spec.source.empty() && (spec.kernel == "rms_norm" || spec.kernel == "rms_norm_backward" ||
                              spec.kernel == "cross_entropy"))
    return {.tile = {{"m", 16}, {"n", 256}}, .warps = 8, .nWarps = 8};
  if (spec.kernel == "row_softmax") // its source has the host in mind: rows of one warp
    return {.tile = {{"m", 64}, {"n", 64}}};
  return {.tile = tilesOf(spec.kernel)};
}

/// "q" is every kernel's; "attention_forward.q" is that kernel's alone, and goes before it.
void takeSizesByHand(const Spec &spec, TileConfig &config) {
  std::string own = spec.kernel + ".";
  for (const auto &[name, size] : spec.tile)
    if (name.find('.') == std::string::npos)
      sizeOf(config, name) = size;
  for (const auto &[name, size] : spec.tile)
    if (name.starts_with(own))
      sizeOf(config, name.substr(own.size())) = size;
  constexpr int64_t mostMicro = 32;
  for (auto [name, size] : {std::pair("tile.micro_rows", config.microRows),
                            {"tile.micro_vectors", config.microVectors}})
    if (size > mostMicro)
      throw InputError(name, std::to_string(size),
                       "an integer from 1 to " + std::to_string(mostMicro));
  constexpr int64_t depths[] = {0, 1, 2, 32};
  if (std::ranges::find(depths, config.microDepth) == std::end(depths))
    throw InputError("tile.micro_depth", std::to_string(config.microDepth),
                     "1 (widened to f32), 2 (pairs), 32 (tiles)");
  if (config.warps > 32)
    throw InputError("tile.warps", std::to_string(config.warps), "an integer from 1 to 32");
  if (config.warps % config.nWarps)
    throw InputError("tile.n_warps", std::to_string(config.nWarps),
                     "a divisor of warps, " + std::to_string(config.warps));
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

TileConfig chooseTileConfig(const Spec &spec, const Target &target,
                            const std::map<std::string, int64_t> &extents) {
  TileConfig config =
      target.isGpu() ? gpuConfigOf(spec, target) : TileConfig{.tile = tilesOf(spec.kernel)};
  if (!target.isGpu()) {
    config.tile.merge(tilesOfProduct(spec, extents));
    chooseRegisterBlock(target, config);
  }
  takeSizesByHand(spec, config);
  return config;
}

} // namespace ringc
