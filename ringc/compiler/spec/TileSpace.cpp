#include "ringc/compiler/spec/TileSpace.h"

#include "ringc/compiler/spec/GpuModel.h"
#include "ringc/compiler/spec/ProductForm.h"
#include "ringc/compiler/spec/TileSizes.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace ringc {

namespace {

/// Of a kernel of which nobody knows what is best.
std::vector<int64_t> sizesAround(int64_t usual) {
  std::vector<int64_t> sizes = {16, 32, 64, 128, 256};
  if (std::ranges::find(sizes, usual) == sizes.end())
    sizes.insert(std::ranges::lower_bound(sizes, usual), usual);
  return sizes;
}

/// Nothing for kernels that the model does not know.
std::optional<GpuNeeds> needsOnGpu(const Spec &spec, GpuTiles tiles) {
  GpuModel model(spec);
  if (spec.kernel == "attention_forward")
    return model.forward(tiles);
  if (spec.kernel == "attention_backward_dkdv")
    return model.dkdv(tiles);
  if (spec.kernel == "attention_backward_dq")
    return model.dq(tiles);
  if (spec.kernel == "attention_backward")
    return model.fused(tiles);
  return std::nullopt;
}

/// Terms at a time of the forms that a host has for the products of a spec; empty where it has one.
std::vector<int64_t> depthsOf(const Spec &spec, const Target &target) {
  std::vector<int64_t> depths;
  for (const auto &[form, name] : EnumNames<ProductForm>::table)
    if (hasForm(target, spec.dtype, form))
      depths.push_back(depthOf(form));
  return depths.size() > 1 ? depths : std::vector<int64_t>();
}

} // namespace

bool TileSpace::knows(const std::string &kernel) {
  return kernel == "attention_forward" || kernel == "attention_backward" ||
         kernel == "attention_backward_dkdv" || kernel == "attention_backward_dq";
}

TileSpace::TileSpace(const Spec &ofKernel, const Target &on, const SourceTiles &ofSource,
                     const std::map<std::string, int64_t> &extents)
    : spec(ofKernel), target(on) {
  spec.tile.clear();
  chosen = chooseTileConfig(spec, target, extents);
  if (!knows(spec.kernel)) {
    chosen.tile.insert(ofSource.sizes.begin(), ofSource.sizes.end()); // where the model has none
    for (const auto &[name, size] : ofSource.sizes)
      axes.push_back({name, sizesAround(chosen.tile.at(name))});
    if (!axes.empty() && target.isGpu())
      axes.push_back({"warps", {1, 2, 4, 8}});
    if (!axes.empty() && target.isGpu() && ofSource.hasProducts)
      axes.push_back({"n_warps", {1, 2}});
  } else {
    if (target.isGpu())
      axes = {{"q", {16, 32, 64, 128}},
              {"kv", {16, 32, 64, 128}},
              {"warps", {1, 2, 4, 8}},
              {"n_warps", {1, 2}}};
    else
      axes = {{"q", {16, 32, 48, 64, 96, 128}}, {"kv", {16, 32, 48, 64, 96, 128, 192, 256}}};
  }
  if (!axes.empty() && !target.isGpu() && ofSource.hasProducts) {
    axes.push_back({"micro_rows", {1, 2, 4, 8, 16}});
    axes.push_back({"micro_vectors", {1, 2, 4}});
    if (std::vector<int64_t> depths = depthsOf(spec, target); !depths.empty()) {
      axes.push_back({"micro_depth", depths});
      constexpr ProductShape large{64, 64, 64};
      chosen.microDepth = depthOf(formOf(target, spec.dtype, large));
    }
  }
}

int64_t TileSpace::sizeOf(const TileConfig &config, const std::string &name) const {
  TileConfig copy = config;
  return ringc::sizeOf(copy, name);
}

std::string TileSpace::objection(const TileConfig &config) const {
  for (const TileDimension &axis : axes)
    if (int64_t size = sizeOf(config, axis.name);
        size < 1 || (!knows(spec.kernel) && size > std::max<int64_t>(axis.values.back(), 1024)))
      return axis.name + " is " + std::to_string(size);
  for (const auto &[name, size] : config.tile)
    if (std::ranges::find(axes, name, &TileDimension::name) == axes.end())
      return spec.kernel + " has no dimension " + name;
  if (!target.isGpu()) {
    int64_t registers = config.microRows * config.microVectors + config.microVectors + 1;
    if (registers > target.vectorRegisters)
      return "a register block of " + std::to_string(registers) + " registers, of " +
             std::to_string(target.vectorRegisters);
    return {};
  }
  if (config.warps > 32 || config.warps % config.nWarps)
    return std::to_string(config.warps) + " warps, " + std::to_string(config.nWarps) +
           " side by side";
  if (!knows(spec.kernel))
    return {};
  GpuTiles tiles{sizeOf(config, "q"), sizeOf(config, "kv"), config.warps, config.nWarps};
  std::optional<GpuNeeds> needs = needsOnGpu(spec, tiles);
  if (needs && needs->shared > target.sharedBytes)
    return std::to_string(needs->shared) + " bytes of shared memory, of " +
           std::to_string(target.sharedBytes);
  return {};
}

/// How far from the model's choice, each doubling of a dimension one step; and by how much a
/// thread's sums leave its registers.
double TileSpace::expectedCost(const TileConfig &config) const {
  double cost = 0;
  for (const TileDimension &axis : axes)
    if (axis.name == "micro_depth") // another form, not so many times another size
      cost += double(config.microDepth != chosen.microDepth);
    else
      cost += std::abs(std::log2(double(sizeOf(config, axis.name)) /
                                 double(std::max<int64_t>(1, sizeOf(chosen, axis.name)))));
  if (!target.isGpu() || !knows(spec.kernel))
    return cost;
  std::optional<GpuNeeds> needs =
      needsOnGpu(spec, {sizeOf(config, "q"), sizeOf(config, "kv"), config.warps, config.nWarps});
  double most = double(GpuModel(spec).mostSumsOfKeys());
  if (needs && double(needs->sums) > most)
    cost += 8 * std::log2(double(needs->sums) / most);
  return cost;
}

std::vector<TileConfig> TileSpace::candidates() const {
  std::vector<TileConfig> all{chosen};
  std::vector<size_t> at(axes.size(), 0);
  bool more = !axes.empty();
  while (more) {
    TileConfig config = chosen;
    for (size_t i = 0; i < axes.size(); ++i) {
      const auto &[name, values] = axes[i];
      ringc::sizeOf(config, name) = values[at[i]];
    }
    if (config != chosen && objection(config).empty())
      all.push_back(config);
    more = false;
    for (size_t i = 0; i < axes.size() && !more; ++i) {
      more = ++at[i] < axes[i].values.size();
      if (!more)
        at[i] = 0;
    }
  }
  std::stable_sort(all.begin() + 1, all.end(), [&](const TileConfig &a, const TileConfig &b) {
    return expectedCost(a) < expectedCost(b);
  });
  return all;
}

std::map<std::string, int64_t> TileSpace::byHand(const TileConfig &config) const {
  std::map<std::string, int64_t> tile;
  for (const TileDimension &axis : axes)
    tile[spec.kernel + "." + axis.name] = sizeOf(config, axis.name);
  return tile;
}

} // namespace ringc
