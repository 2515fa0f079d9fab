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

/// Sizes of a kernel with two loops over tiles, and the warps that share them: nWarps side by side
/// along a product's columns.
struct GpuTiles {
  int64_t q, kv, warps = 4, nWarps = 1;
};

/// In the order of their speed where they fit (docs/performance.md): a larger tile of what stays is
/// read by more products for each tile that streams.
using Candidates = std::vector<GpuTiles>;

/// What a thread and a block need for the tiles.
struct GpuNeeds {
  int64_t sums;   ///< f32 registers of a thread: accumulators, scores and their gradients
  int64_t shared; ///< bytes: the windows that stay, those that stream, and computed tiles
};

/// Blocks of 16 rows and of 16 columns of a product's result are dealt to the warps; of a block a
/// thread keeps eight numbers. Rows of shared memory are an odd number of 16-byte chunks apart, or,
/// of what streams, whole lines of 128 bytes.
class GpuModel {
public:
  explicit GpuModel(const Spec &spec)
      : d(spec.headDim), dv(spec.valueDim()), bytes(spec.dtype == ElementType::F32 ? 4 : 2),
        beyondCausal(std::ranges::any_of(
            spec.mask, [](const std::string &mask) { return mask != "causal"; })) {}

  GpuNeeds forward(GpuTiles tiles) const {
    return {.sums = sums(tiles, tiles.q, {dv, tiles.kv}),
            .shared = tiles.q * row(d) + 2 * tiles.kv * (lines(d) + lines(dv))};
  }
  GpuNeeds dkdv(GpuTiles tiles) const {
    int64_t computed = tiles.nWarps > 1 ? 2 * tiles.kv * row(tiles.q) : 0;
    return {.sums = sums(tiles, tiles.kv, {d, dv, tiles.q, tiles.q}),
            .shared = tiles.kv * (row(d) + row(dv)) + 2 * streamed(tiles.q, tiles) + computed};
  }
  GpuNeeds dq(GpuTiles tiles) const {
    int64_t computed = tiles.nWarps > 1 ? tiles.q * row(tiles.kv) : 0;
    return {.sums = sums(tiles, tiles.q, {d, tiles.kv, tiles.kv}),
            .shared = tiles.q * (row(d) + row(dv)) + 2 * streamed(tiles.kv, tiles) + computed};
  }
  /// dk and dv stay in registers; k, v, a tile of q and dout, dS (and p, where warps share rows) in
  /// shared memory, and k again, where a key may be seen by no query of a tile and yet by others.
  /// The warps share the head dim of dq, a block for each.
  GpuNeeds fused(GpuTiles tiles) const {
    int64_t wide = turns(d, mWarps(tiles, tiles.kv));
    int64_t computed = tiles.kv * row(tiles.q) * (tiles.nWarps > 1 ? 2 : 1);
    int64_t again = beyondCausal ? tiles.kv * whole(d) + 1024 : 0; // and which of them are seen
    return {.sums = sums(tiles, tiles.kv, {d, dv, tiles.q, tiles.q}),
            .shared =
                tiles.kv * (row(wide) + row(dv)) + again + streamed(tiles.q, tiles) + computed};
  }
  /// How many sums leave a thread enough of its 255 registers for operands and addresses: those of
  /// f32 are split in two.
  int64_t mostSums() const { return isF32() ? 144 : 192; }
  /// The same where dk and dv stay. More of f32 would be a little faster under a mask as well, and
  /// keep ptxas busy for longer than half a second.
  int64_t mostSumsOfKeys() const { return isF32() && !beyondCausal ? 160 : mostSums(); }
  bool isF32() const { return bytes == 4; }
  /// Whether masks need more than the order of two positions.
  bool masksBeyondCausal() const { return beyondCausal; }

private:
  /// Blocks of 16 that the warps take in turns, whole turns.
  static int64_t turns(int64_t extent, int64_t warps) {
    return (extent + 16 * warps - 1) / (16 * warps) * 16 * warps;
  }
  /// Rows of two matrices which products read along both axes.
  int64_t streamed(int64_t rows, GpuTiles tiles) const {
    return turns(rows, tiles.nWarps) *
           (lines(turns(d, tiles.nWarps)) + lines(turns(dv, tiles.nWarps)));
  }
  static int64_t mWarps(GpuTiles tiles, int64_t rows) {
    return std::clamp<int64_t>((rows + 15) / 16, 1, tiles.warps / tiles.nWarps);
  }
  static int64_t sums(GpuTiles tiles, int64_t rows, std::initializer_list<int64_t> columns) {
    int64_t turn = 16 * mWarps(tiles, rows), nTurn = 16 * tiles.nWarps, blocks = 0;
    for (int64_t each : columns)
      blocks += (each + nTurn - 1) / nTurn;
    return (rows + turn - 1) / turn * blocks * 8;
  }
  /// Bytes of a row of a window that stays, and of one that streams.
  int64_t row(int64_t columns) const { return ((columns + 15) / 16 * bytes | 1) * 16; }
  int64_t whole(int64_t columns) const { return (columns + 15) / 16 * 16 * bytes; }
  int64_t lines(int64_t columns) const {
    return whole(columns) % 128 == 0 ? whole(columns) : row(columns);
  }

  int64_t d, dv, bytes;
  bool beyondCausal;
};

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
  bool isWide = std::max(spec.headDim, spec.valueDim()) > 96; // 8 warps compile in half the time
  if (spec.kernel == "attention_backward_dkdv")
    return choose(f32First({32, 64}, {{32, 128},
                                      {64, 128, 8, 2},
                                      {32, 64},
                                      {32, 64, 8, 2},
                                      {16, 64},
                                      {16, 32},
                                      {16, 16},
                                      {32, 32, 4, 2},
                                      {16, 32, 4, 2},
                                      {16, 16, 2, 2}}),
                  &GpuModel::dkdv, model.mostSumsOfKeys());
  if (spec.kernel == "attention_backward_dq") {
    Candidates candidates{{64, 64}, {64, 32}, {64, 16}, {32, 16}, {16, 16}};
    if (!masksToo)
      candidates.insert(candidates.begin(), {128, 64});
    else if (model.isF32() && isWide)
      candidates.insert(candidates.begin(), {64, 64, 8, 2});
    return choose(candidates, &GpuModel::dq, model.mostSums());
  }
  if (spec.kernel == "attention_backward")
    return choose(f32First(isWide ? GpuTiles{32, 64, 8, 2} : GpuTiles{32, 64}, {{32, 128},
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
                                                                                {16, 16, 2, 2}}),
                  &GpuModel::fused, model.mostSumsOfKeys());
  if (spec.kernel == "row_softmax") // its source has the host in mind: rows of one warp
    return {.tile = {{"m", 64}, {"n", 64}}};
  return {.tile = tilesOf(spec.kernel)};
}

int64_t &sizeOf(TileConfig &config, const std::string &dimension) {
  if (dimension == "warps")
    return config.warps;
  return dimension == "n_warps" ? config.nWarps : config.tile[dimension];
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

TileConfig chooseTileConfig(const Spec &spec, const Target &target) {
  TileConfig config =
      target.isGpu() ? gpuConfigOf(spec, target) : TileConfig{.tile = tilesOf(spec.kernel)};
  takeSizesByHand(spec, config);
  if (!target.isGpu())
    chooseRegisterBlock(target, config);
  return config;
}

} // namespace ringc
