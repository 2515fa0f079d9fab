#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/driver/CublasLtLibrary.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/module/Products.h"

#include <memory>

namespace ringc {

/// cuBLASLt on one stream: its handle, the workspace that all products of the stream share, for
/// they run one after another, and for each kind of product the algorithm that its heuristics name
/// first.
///
/// What is asked of the heuristics depends on extents, strides, types and alignments up to 16 bytes
/// and on nothing else, and parts of a split sum are added up in f32 in a fixed order: the same
/// bits every time on one kind of device and one version. One thread at a time calls it.
class CublasLt {
public:
  /// The stream outlives it. Throws CublasError where the library does not work on its device,
  /// CudaError.
  CublasLt(std::shared_ptr<const CublasLtLibrary> library, const CudaStream &stream);
  ~CublasLt();
  CublasLt(const CublasLt &) = delete;
  CublasLt &operator=(const CublasLt &) = delete;

  /// c = a b in the order of the stream, of matrices that checkProduct takes, none of them empty.
  /// False, and nothing is done, where the library has no kernel for it.
  bool multiply(const Factor &a, const Factor &b, const Tensor &c, F32Products f32);

private:
  struct Key;
  struct Plan;
  struct Plans;
  std::unique_ptr<Plan> planOf(const Key &key) const;

  std::shared_ptr<const CublasLtLibrary> library;
  const CudaStream &stream;
  CublasLtHandle handle = nullptr;
  DeviceMemory workspace;
  std::unique_ptr<Plans> plans;
};

} // namespace ringc
