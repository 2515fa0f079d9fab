#include "ringc/kernel/DeviceKernel.h"

#include "ringc/TileFile.h"
#include "ringc/support/Error.h"

#include <array>
#include <limits>
#include <utility>

namespace ringc {

namespace {

/// CUDA C++ programming guide, technical specifications: the largest grid.
void requireGrid(const CompiledKernel &kernel, const CudaGrid &grid) {
  constexpr std::array<int64_t, 3> most = {std::numeric_limits<int32_t>::max(), 65535, 65535};
  std::array<std::string, 3> along = {"programs along " + kernel.grid.front().extent, "KV heads",
                                      "batch entries"};
  if (kernel.grid.size() > 1)
    along[kernel.perHead ? 0 : 1] = kernel.perHead ? along[0] + " and " + kernel.grid[1].extent
                                                   : "programs along " + kernel.grid[1].extent;
  for (size_t axis = 0; axis < most.size(); ++axis)
    if (grid.blocks[axis] > most[axis])
      throw InputError("kernel " + kernel.name + ": " + along[axis],
                       std::to_string(grid.blocks[axis]),
                       "at most " + std::to_string(most[axis]) + " on a GPU");
}

} // namespace

DeviceKernelLaunch::DeviceKernelLaunch(const DeviceContext &context, DeviceCode code,
                                       KernelBinding bound)
    : device(context.device), name(code.kernel->name), arguments(std::move(bound)),
      launch(code, arguments.heads()) {
  const CompiledKernel &kernel = *code.kernel;
  arguments.fill(launch);
  requireGrid(kernel, launch.blocks());
  if (auto carry = arguments.carry())
    setCarry(carry->step);
}

void DeviceKernelLaunch::setCarry(const CarryStep &step) {
  if (!(step.begins && step.ends) && !state.data())
    state = DeviceMemory(device, launch.carryBytes());
  launch.setCarry(arguments.carry()->name, state.data(), step.begins, step.ends);
}

void DeviceKernelLaunch::set(std::string_view value, const KernelValue &given) {
  arguments.set(launch, value, given);
  if (auto *step = std::get_if<CarryStep>(&given))
    setCarry(*step);
}

void DeviceKernelLaunch::run(const CudaStream &stream) const {
  if (stream.device()->context() != device->context())
    throw InputError("kernel " + name + ": a stream",
                     "one of " + stream.device()->facts().describe(),
                     "one of " + device->facts().describe());
  launch.run(stream);
}

DeviceKernel::DeviceKernel(const DeviceContext &on, const Spec &asked,
                           std::vector<SourceText> texts, std::optional<std::string> tableOfTiles)
    : DeviceKernel(on, on.kernels->sources(sourceTexts(asked, std::move(texts))), asked,
                   std::move(tableOfTiles)) {}

DeviceKernel::DeviceKernel(const DeviceContext &on, SourceSet all, const Spec &asked,
                           std::optional<std::string> tableOfTiles)
    : context(on), spec(asked), sources(std::move(all)), table(std::move(tableOfTiles)),
      compiled(context.kernels->get(spec, sources, {.table = ""}).kernel) {}

DeviceKernelLaunch DeviceKernel::bind(const KernelViews &views, const KernelValues &values) const {
  KernelBinding arguments(compiled, spec, KernelBinding::Where::Device, views, values);
  DeviceCode code = context.kernels->get(arguments.specOfLaunch(), sources, arguments.work(table));
  return {context, std::move(code), std::move(arguments)};
}

void launch(const DeviceKernel &kernel, const KernelViews &views, const KernelValues &values,
            const CudaStream &stream) {
  DeviceKernelLaunch once = kernel.bind(views, values);
  requireWholeState(values);
  once.run(stream);
}

} // namespace ringc
