#include "ringc/driver/CudaModule.h"

#include <limits>
#include <utility>

namespace ringc {

CudaModule::CudaModule(std::shared_ptr<const CudaDevice> device, const std::string &image,
                       std::string called)
    : name(std::move(called)) {
  CudaCurrent current(*device);
  std::array<char, 8192> log{};
  std::array<CudaJitOption, 2> options = {CudaJitOption::ErrorLogBuffer,
                                          CudaJitOption::ErrorLogBufferSizeBytes};
  // Numbers are passed in place of pointers.
  std::array<void *, 2> values = {log.data(), reinterpret_cast<void *>(uintptr_t(log.size() - 1))};
  CudaModuleHandle made = nullptr;
  CudaResult result = device->functions().moduleLoadDataEx(
      &made, image.c_str(), unsigned(options.size()), options.data(), values.data());
  if (result != CudaResult::Success) {
    CudaError error = device->error(result, "cuModuleLoadDataEx", name);
    throw CudaError(log[0] ? std::string(error.what()) + "\n" + log.data() : error.what(), result);
  }
  module = {std::move(device), made};
}

CudaFunction CudaModule::function(const std::string &entry) const {
  const std::shared_ptr<const CudaDevice> &device = module.device();
  CudaCurrent current(*device);
  CudaFunctionHandle found = nullptr;
  CudaResult result = device->functions().moduleGetFunction(&found, module.get(), entry.c_str());
  if (result != CudaResult::Success)
    throw device->error(result, "cuModuleGetFunction", entry + " in " + name);
  return CudaFunction(device, found, entry);
}

void CudaFunction::allowSharedBytes(int64_t bytes) const {
  CudaCurrent current(*on);
  CudaResult result = on->functions().funcSetAttribute(
      handle, CudaFunctionAttribute::MaxDynamicSharedSizeBytes, int(bytes));
  if (result != CudaResult::Success)
    throw on->error(result, "cuFuncSetAttribute",
                    name + " with " + describeBytes(bytes) +
                        " of shared memory (a block may have " +
                        describeBytes(on->facts().sharedBytesPerBlock) + ")");
}

int CudaFunction::attribute(CudaFunctionAttribute asked) const {
  CudaCurrent current(*on);
  int value = 0;
  on->check(on->functions().funcGetAttribute(&value, asked, handle), "cuFuncGetAttribute", name);
  return value;
}
int CudaFunction::registers() const { return attribute(CudaFunctionAttribute::NumRegs); }
int CudaFunction::localBytes() const { return attribute(CudaFunctionAttribute::LocalSizeBytes); }

void CudaFunction::checkSlots(int64_t slots) const {
  if (!on->functions().funcGetParamInfo)
    return;
  CudaCurrent current(*on);
  size_t offset = 0, bytes = 0;
  on->check(on->functions().funcGetParamInfo(handle, 0, &offset, &bytes), "cuFuncGetParamInfo",
            name);
  if (int64_t(bytes) != 8 * slots)
    throw CudaError(name + ": its parameter has " + std::to_string(bytes) +
                    " bytes, a launch has " + std::to_string(slots) + " slots of 8");
}

void CudaFunction::launch(const CudaStream &stream, const CudaGrid &grid,
                          std::span<const uint64_t> slots) const {
  const auto &[x, y, z] = grid.blocks;
  if (x == 0 || y == 0 || z == 0)
    return;
  auto describe = [&] {
    return name + " <<<" + std::to_string(x) + " x " + std::to_string(y) + " x " +
           std::to_string(z) + ", " + std::to_string(grid.threads) + ", " +
           std::to_string(grid.sharedBytes) + " bytes>>>";
  };
  // CUDA C++ programming guide, technical specifications: the largest grid.
  constexpr int64_t mostX = std::numeric_limits<int32_t>::max(), mostYZ = 65535;
  if (x > mostX || y > mostYZ || z > mostYZ)
    throw CudaError(describe() + ": a grid has at most 2147483647 x 65535 x 65535 blocks");
  CudaCurrent current(*on);
  CudaLaunchConfig config{.gridX = unsigned(x),
                          .gridY = unsigned(y),
                          .gridZ = unsigned(z),
                          .blockX = unsigned(grid.threads),
                          .blockY = 1,
                          .blockZ = 1,
                          .sharedBytes = unsigned(grid.sharedBytes),
                          .stream = stream.handle(),
                          .attributes = nullptr,
                          .attributeCount = 0};
  void *parameter = const_cast<uint64_t *>(slots.data());
  CudaResult result = on->functions().launchKernelEx(&config, handle, &parameter, nullptr);
  if (result != CudaResult::Success)
    throw on->error(result, "cuLaunchKernelEx", describe());
}

} // namespace ringc
