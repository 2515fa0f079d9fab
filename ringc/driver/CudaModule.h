#pragma once

#include "ringc/driver/CudaStream.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace ringc {

/// How often and with what a kernel of a module runs.
struct CudaGrid {
  std::array<int64_t, 3> blocks = {1, 1, 1};
  int64_t threads = 1;     ///< of a block
  int64_t sharedBytes = 0; ///< dynamic, of a block
};

/// One kernel of a CudaModule, which must outlive it.
class CudaFunction {
public:
  /// Allows blocks this much dynamic shared memory; without it 48 KiB are allowed.
  void allowSharedBytes(int64_t bytes) const;

  /// Registers of a thread, and bytes of local memory, which are spills or arrays.
  int registers() const;
  int localBytes() const;

  /// Throws CudaError where the kernel's only parameter is known not to be `slots` words of 64
  /// bits.
  void checkSlots(int64_t slots) const;

  /// Puts the kernel in the stream's order; its only parameter, passed by value, is the array of
  /// `slots`, which are read before this returns. Does nothing for a grid without blocks.
  void launch(const CudaStream &stream, const CudaGrid &grid,
              std::span<const uint64_t> slots) const;

private:
  friend class CudaModule;
  CudaFunction(std::shared_ptr<const CudaDevice> device, CudaFunctionHandle found,
               std::string named)
      : on(std::move(device)), handle(found), name(std::move(named)) {}
  int attribute(CudaFunctionAttribute asked) const;

  std::shared_ptr<const CudaDevice> on;
  CudaFunctionHandle handle;
  std::string name;
};

/// Machine code on a device.
class CudaModule {
public:
  /// `image` is PTX text, which the driver compiles, or a cubin. Throws CudaError with the driver's
  /// log where it cannot be loaded; `name` is for messages.
  CudaModule(std::shared_ptr<const CudaDevice> device, const std::string &image, std::string name);

  /// Throws CudaError where there is none.
  CudaFunction function(const std::string &entry) const;

private:
  std::string name;
  CudaHandle<CudaModuleHandle, &CudaFunctions::moduleUnload> module;
};

} // namespace ringc
