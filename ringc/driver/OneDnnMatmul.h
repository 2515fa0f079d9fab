#pragma once

#include "ringc/driver/OneDnnLibrary.h"

#include <memory>

namespace ringc {

/// A matrix as it lies in memory, or as its transpose does.
struct OneDnnLayout {
  DType dtype{};
  int64_t rows = 0, columns = 0, rowStride = 0, columnStride = 0; ///< in elements
  auto operator<=>(const OneDnnLayout &) const = default;
};

/// c = a b by oneDNN, of one kind of matrices: summed in f32, whatever DNNL_DEFAULT_FPMATH_MODE
/// says. Several threads may run it at the same time.
class OneDnnMatmul {
public:
  /// For as many threads as the library uses now (OneDnnLibrary::Threads). Null where it has no
  /// such product; throws OneDnnError where it should have.
  static std::unique_ptr<OneDnnMatmul> create(std::shared_ptr<const OneDnnLibrary> library,
                                              const OneDnnLayout &a, const OneDnnLayout &b,
                                              const OneDnnLayout &c);
  ~OneDnnMatmul();
  OneDnnMatmul(const OneDnnMatmul &) = delete;
  OneDnnMatmul &operator=(const OneDnnMatmul &) = delete;

  /// Of memory that each run needs for itself, 64-byte aligned.
  size_t scratchBytes() const { return scratch; }

  /// The matrices' first elements. False where a call of the library failed.
  bool run(const void *a, const void *b, void *c, void *scratchMemory) const noexcept;

private:
  explicit OneDnnMatmul(std::shared_ptr<const OneDnnLibrary> from) : library(std::move(from)) {}

  std::shared_ptr<const OneDnnLibrary> library;
  OneDnnObject description = nullptr, primitive = nullptr;
  size_t scratch = 0;
};

} // namespace ringc
