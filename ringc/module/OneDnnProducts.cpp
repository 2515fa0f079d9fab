#include "ringc/module/OneDnnProducts.h"

#include "ringc/driver/HostPool.h"
#include "ringc/driver/OneDnnMatmul.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <compare>
#include <map>
#include <utility>

namespace ringc {

namespace {

/// Of batches whose lengths always differ.
constexpr size_t mostKnown = 1024;

OneDnnLayout layoutOf(const Factor &factor, int64_t leading, int64_t rows, int64_t columns) {
  DType dtype = factor.matrix.dtype();
  return factor.transposed ? OneDnnLayout{dtype, rows, columns, 1, leading}
                           : OneDnnLayout{dtype, rows, columns, leading, 1};
}

/// Into which pieces c is cut: one for each thread, along its longer side. Each packs all of the
/// factor that it does not share, so that more pieces, of a size that depends on c alone, would
/// take up to a fifth longer (docs/performance.md).
struct Cut {
  int64_t rows, columns;

  Cut(int64_t m, int64_t n, int64_t threads) : rows(m), columns(n) {
    constexpr int64_t granule = 64;
    int64_t &longer = m >= n ? rows : columns;
    int64_t share = (longer + threads - 1) / threads;
    longer = std::min(longer, (share + granule - 1) / granule * granule);
  }
};

} // namespace

/// A kind of piece: a cut along k there is none.
struct OneDnnProducts::Piece {
  OneDnnLayout a, b, c;
  auto operator<=>(const Piece &) const = default;
};

struct OneDnnProducts::Known {
  std::map<Piece, std::unique_ptr<OneDnnMatmul>> matmuls; ///< null: oneDNN has none

  const OneDnnMatmul *get(const std::shared_ptr<const OneDnnLibrary> &library, const Piece &piece) {
    auto found = matmuls.find(piece);
    if (found == matmuls.end())
      found =
          matmuls.emplace(piece, OneDnnMatmul::create(library, piece.a, piece.b, piece.c)).first;
    return found->second.get();
  }
};

OneDnnProducts::OneDnnProducts(std::shared_ptr<const OneDnnLibrary> of, HostPool &threads,
                               std::unique_ptr<Products> ofOthers)
    : library(std::move(of)), pool(threads), others(std::move(ofOthers)),
      known(std::make_unique<Known>()) {}

OneDnnProducts::~OneDnnProducts() = default;

void OneDnnProducts::multiply(const Factor &a, const Factor &b, const Tensor &c) {
  checkProduct(a, b, c);
  auto leadingA = leadingDimension(a.matrix), leadingB = leadingDimension(b.matrix),
       leadingC = leadingDimension(c);
  int64_t m = c.dim(0), n = c.dim(1), k = a.columns();
  if (m == 0 || n == 0 || k == 0 || !leadingA || !leadingB || !leadingC)
    return others->multiply(a, b, c);

  // Whole pieces, and what is left of rows, columns and both.
  Cut cut(m, n, pool.threads());
  std::array<const OneDnnMatmul *, 4> matmuls{};
  size_t scratchBytes = 0;
  if (known->matmuls.size() + matmuls.size() > mostKnown)
    known->matmuls.clear();
  {
    OneDnnLibrary::Threads one(*library, 1);
    for (size_t kind = 0; kind < matmuls.size(); ++kind) {
      int64_t rows = kind & 1 ? m % cut.rows : cut.rows,
              columns = kind & 2 ? n % cut.columns : cut.columns;
      if (rows == 0 || columns == 0)
        continue;
      matmuls[kind] = known->get(library, {layoutOf(a, *leadingA, rows, k),
                                           layoutOf(b, *leadingB, k, columns),
                                           {c.dtype(), rows, columns, *leadingC, 1}});
      if (!matmuls[kind])
        return others->multiply(a, b, c);
      scratchBytes = std::max(scratchBytes, matmuls[kind]->scratchBytes());
    }
  }

  auto run = [&](int64_t p0, int64_t p1, void *scratch) {
    int64_t row = p0 * cut.rows, column = p1 * cut.columns;
    bool lastRows = row + cut.rows > m, lastColumns = column + cut.columns > n;
    auto at = [](const Tensor &matrix, int64_t elements) {
      return static_cast<std::byte *>(matrix.data()) + elements * sizeOf(matrix.dtype());
    };
    OneDnnLibrary::Threads one(*library, 1);
    return matmuls[size_t(lastRows) + 2 * size_t(lastColumns)]->run(
        at(a.matrix, row * (a.transposed ? 1 : *leadingA)),
        at(b.matrix, column * (b.transposed ? *leadingB : 1)), at(c, row * *leadingC + column),
        scratch);
  };
  struct Call {
    decltype(run) &body;
    std::atomic<bool> failed = false;
  } call{run};
  uint64_t slot = std::bit_cast<uint64_t>(&call);
  auto program = [](const uint64_t *slots, int64_t p0, int64_t p1, int64_t, int64_t,
                    void *scratch) {
    auto &of = *std::bit_cast<Call *>(slots[0]);
    if (!of.body(p0, p1, scratch))
      of.failed = true;
  };
  pool.run({.kernel = program,
            .slots = {&slot, 1},
            .grid = {(m + cut.rows - 1) / cut.rows, (n + cut.columns - 1) / cut.columns, 1, 1},
            .scratchBytes = scratchBytes});
  if (call.failed)
    throw OneDnnError("oneDNN: " + describeProduct(a, b, c) + " failed");
}

} // namespace ringc
