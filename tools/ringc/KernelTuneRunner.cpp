#include "tools/ringc/KernelTuneRunner.h"

#include "ringc/attention/shared/Options.h"

#include <algorithm>
#include <cmath>

namespace ringc::cli {

KernelExtents smallExtents(const KernelExtents &asked, const TileSizes &sizes) {
  int64_t longest = 256;
  for (const auto &[dimension, size] : sizes)
    longest = std::max(longest, 2 * size);
  KernelExtents small = asked;
  int64_t next = longest + 13;
  for (auto &[name, extent] : small) {
    if (name == "B" || name == "H" || name == "Hkv")
      continue;
    extent = std::min(extent, next);
    next += 6;
  }
  if (asked.contains("Hkv")) {
    int64_t group = asked.at("H") / asked.at("Hkv");
    small["B"] = 1;
    small["Hkv"] = std::min<int64_t>(asked.at("Hkv"), 2);
    small["H"] = small.at("Hkv") * group;
  }
  return small;
}

KernelTuneRunner::KernelTuneRunner(const KernelWorkload &given, const Target &on, int threads)
    : workload(given), target(on),
      place(on.isGpu() ? devicePlace(given.sources) : hostPlace(given.sources, threads)),
      kernel(given.spec, given.sources, given.tiles.sizes),
      placed(place->put(randomData(kernel, given.extents, given.scalars, 1))) {}

Spec KernelTuneRunner::with(const TileSizes &tile) const {
  Spec spec = workload.spec;
  spec.tile = tile;
  return spec;
}

void KernelTuneRunner::compile(const TuneSetup &setup, Pass) { place->compile(with(setup.tile)); }

int64_t KernelTuneRunner::spilledBytes(const TuneSetup &setup, Pass) {
  return place->spilledBytes(with(setup.tile));
}

double KernelTuneRunner::error(const TuneSetup &setup, Pass, uint64_t seed) {
  if (!check || seedOfCheck != seed) {
    check.emplace(kernel, smallExtents(workload.extents, workload.tiles.sizes), workload.scalars,
                  seed);
    seedOfCheck = seed;
  }
  PlacedData data = place->put(check->data());
  (void)place->run(with(setup.tile), data, 1);
  double worst = 0;
  for (const std::string &name : check->written()) {
    const Tensor &view = data.data.views.at(name);
    HostTensor memory(DType::Bool, {view.byteCount()});
    Tensor found(memory.data(), view.dtype(), view.shape(), view.strides());
    place->get(view, found);
    double own = check->error(name, found);
    worst = own <= worst ? worst : own; // what is no number is the worst
  }
  return worst;
}

double KernelTuneRunner::milliseconds(const TuneSetup &setup, Pass) {
  constexpr double enough = 1;
  constexpr int most = 100;
  Spec spec = with(setup.tile);
  if (launches == 0) {
    (void)place->run(spec, placed, 1);
    double one = std::max(place->run(spec, placed, 1), 1e-3);
    launches = std::clamp(int(std::ceil(enough / one)), 1, most);
  }
  return place->run(spec, placed, launches) / launches;
}

MachinePeak KernelTuneRunner::peak() {
  return place->peak(dtypeOf(workload.spec.dtype), workload.spec.f32Products);
}

} // namespace ringc::cli
