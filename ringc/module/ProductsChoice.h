#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/module/Products.h"

#include <functional>
#include <memory>
#include <string>

namespace ringc {

class CublasLt;
class CudaStream;
class HostPool;
class ModuleKernels;
class OneDnnLibrary;
struct Env;

/// Hears in a line who multiplies a module's matrices, and why nobody faster does.
using TellProducts = std::function<void(const std::string &)>;

/// Who multiplies the matrices of a module's rank: a library of the vendor's where there is one
/// that works, else matmul.tile. This is decided here alone, once for a backend.
class ProductsChoice {
public:
  /// cuBLASLt, unless RINGC_CUBLASLT_LIBRARY is "none". One that the variable names must work:
  /// throws CublasError, CudaError. `kernels` and `stream` outlive what is made.
  static ProductsChoice onDevice(const Env &env, ModuleKernels &kernels, const CudaStream &stream,
                                 const TellProducts &tell);

  /// oneDNN, unless RINGC_ONEDNN_LIBRARY is "none". One that the variable names must work: throws
  /// OneDnnError. `kernels` and `pool` outlive what is made.
  static ProductsChoice onHost(const Env &env, ModuleKernels &kernels, HostPool &pool,
                               const TellProducts &tell);

  std::unique_ptr<Products> make(F32Products f32) const;

private:
  explicit ProductsChoice(ModuleKernels &ofTiles) : kernels(&ofTiles) {}

  ModuleKernels *kernels;
  std::shared_ptr<CublasLt> cublas;            ///< may be null
  std::shared_ptr<const OneDnnLibrary> oneDnn; ///< may be null
  HostPool *pool = nullptr;                    ///< oneDNN's
};

} // namespace ringc
