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

/// Sizes of a kernel with two loops over tiles, in the order of their speed where they fit
/// (docs/performance.md): a larger tile of what stays is read by more products for each tile that
/// streams.
struct GpuTiles {
  int64_t q, kv;
};
using Candidates = std::vector<GpuTiles>;

/// What a thread and a block need for the tiles.
struct GpuNeeds {
  int64_t sums;   ///< f32 registers of a thread: accumulators, scores and their gradients
  int64_t shared; ///< bytes: the windows that stay, and two of those that stream
};

/// Blocks of 16 rows (columns: of 8) of a product's result are dealt to at most four warps; of a
/// block of 16x8 a thread keeps four numbers. Rows of shared memory are an odd number of 16-byte
/// chunks apart.
class GpuModel {
public:
  explicit GpuModel(const Spec &spec)
      : d(spec.headDim), dv(spec.valueDim()), bytes(bytesOf(spec.dtype)) {}

  GpuNeeds forward(GpuTiles tiles) const {
    return {.sums = sums(tiles.q, dv + tiles.kv),
            .shared = tiles.q * row(d) + 2 * tiles.kv * (row(d) + row(dv))};
  }
  GpuNeeds dkdv(GpuTiles tiles) const {
    return {.sums = sums(tiles.kv, d + dv + 2 * tiles.q),
            .shared = (tiles.kv + 2 * tiles.q) * (row(d) + row(dv))};
  }
  GpuNeeds dq(GpuTiles tiles) const {
    return {.sums = sums(tiles.q, d + 2 * tiles.kv),
            .shared = (tiles.q + 2 * tiles.kv) * (row(d) + row(dv))};
  }
  /// How many sums leave a thread enough of its 255 registers for operands and addresses: those of
  /// f32 are split in two.
  int64_t mostSums() const { return bytes == 4 ? 144 : 192; }

private:
  static int64_t bytesOf(ElementType type) { return type == ElementType::F32 ? 4 : 2; }
  static int64_t sums(int64_t rows, int64_t columns) {
    int64_t blocks = (rows + 15) / 16, warps = std::clamp<int64_t>(blocks, 1, 4);
    return (blocks + warps - 1) / warps * (columns / 2);
  }
  int64_t row(int64_t columns) const { return ((columns * bytes + 15) / 16 | 1) * 16; }

  int64_t d, dv, bytes;
};

/// The first that leaves registers and shared memory enough. Where none does, that with the fewest
/// sums of those that fit shared memory: spilled numbers cost more than small tiles.
template <class Needs>
GpuTiles firstThatFits(const Candidates &candidates, int64_t mostSums, const Target &target,
                       Needs needsOf) {
  GpuTiles best = candidates.back();
  for (const GpuTiles &tiles : candidates) {
    GpuNeeds needs = needsOf(tiles);
    if (needs.shared > target.sharedBytes)
      continue;
    if (needs.sums <= mostSums)
      return tiles;
    if (needs.sums < needsOf(best).sums)
      best = tiles;
  }
  return best;
}

std::map<std::string, int64_t> gpuTilesOf(const Spec &spec, const Target &target) {
  GpuModel model(spec);
  auto choose = [&](const Candidates &candidates, GpuNeeds (GpuModel::*needs)(GpuTiles) const) {
    GpuTiles tiles = firstThatFits(candidates, model.mostSums(), target,
                                   [&](GpuTiles each) { return (model.*needs)(each); });
    return std::map<std::string, int64_t>{{"q", tiles.q}, {"kv", tiles.kv}};
  };
  if (spec.kernel == "attention_forward")
    return choose(
        {{128, 128}, {128, 64}, {128, 32}, {64, 64}, {64, 32}, {64, 16}, {32, 16}, {16, 16}},
        &GpuModel::forward);
  if (spec.kernel == "attention_backward_dkdv")
    return choose({{32, 128}, {32, 64}, {16, 64}, {16, 32}, {16, 16}}, &GpuModel::dkdv);
  if (spec.kernel == "attention_backward_dq")
    return choose({{128, 64}, {64, 64}, {64, 32}, {64, 16}, {32, 16}, {16, 16}}, &GpuModel::dq);
  if (spec.kernel == "row_softmax") // its source has the host in mind: rows of one warp
    return {{"m", 64}, {"n", 64}};
  return tilesOf(spec.kernel);
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
  TileConfig config = {.tile = target.isGpu() ? gpuTilesOf(spec, target) : tilesOf(spec.kernel)};
  if (target.isGpu() && spec.kernel == "attention_backward")
    chooseFusedBackward(spec, target, config);
  for (const auto &[dimension, size] : spec.tile)
    config.tile[dimension] = size;
  if (!target.isGpu())
    chooseRegisterBlock(target, config);
  return config;
}

} // namespace ringc
