#pragma once

#include "ringc/driver/CublasLtLibrary.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ringc {

/// A libcublasLt.so for machines without a GPU, on the streams of CudaFake: products are computed
/// on the host when their turn comes, from the matrices as the layouts describe them. What cuBLASLt
/// would refuse, or read out of bounds, is refused with its own codes.
struct CublasLtFake {
  std::vector<std::string> calls; ///< "cublasLtMatmul TN f32 pedantic 3x4x5"
  int64_t liveObjects = 0;        ///< made and not destroyed
  std::string failing;            ///< a call that shall fail, and how
  CublasStatus failure = CublasStatus::Success;
  bool hasNoKernel = false;
};

/// The symbol under which the library exports its `CublasLtFake *()`.
inline constexpr const char *cublasLtFakeSymbol = "ringcCublasLtFake";

} // namespace ringc
