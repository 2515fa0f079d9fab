#pragma once

#include "ringc/driver/OneDnnLibrary.h"
#include "ringc/module/Products.h"

#include <memory>

namespace ringc {

class HostPool;

/// Products by oneDNN on the threads of a pool: a piece of c each, for itself, so that no threads
/// of oneDNN's own compete with other ranks'. The same bits every time on one kind of processor,
/// one version and as many threads; oneDNN does not promise them for others. Products that the
/// library does not have, or of matrices that BLAS does not know, are another's.
class OneDnnProducts final : public Products {
public:
  /// The pool outlives it. One thread at a time calls it.
  OneDnnProducts(std::shared_ptr<const OneDnnLibrary> library, HostPool &pool,
                 std::unique_ptr<Products> ofOthers);
  ~OneDnnProducts() override;

  /// Throws OneDnnError, too.
  void multiply(const Factor &a, const Factor &b, const Tensor &c) override;

private:
  struct Piece;
  struct Known;

  std::shared_ptr<const OneDnnLibrary> library;
  HostPool &pool;
  std::unique_ptr<Products> others;
  std::unique_ptr<Known> known;
};

} // namespace ringc
