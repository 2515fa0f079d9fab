#pragma once

#include "ringc/Tensor.h"
#include "tools/ringc/Accuracy.h"
#include "tools/ringc/WorldCommand.h"

#include <initializer_list>
#include <optional>
#include <random>

namespace ringc::cli {

/// What an error may be.
struct Bars {
  DType dtype;
  F32Products f32Products;      ///< of a GPU
  std::optional<Results> plain; ///< 16 bit: of a plain implementation in the same type

  /// The rounding of one result.
  double unit() const;
  /// How far two errors, root mean squares over `rows` rows, may lie apart by chance. What is
  /// rounded once for a row (its maximum, its sum, in the backward its delta) moves all of its
  /// elements together, so that one implementation is as lucky with a row as a die, and by
  /// 1 / sqrt(rows) with all. How much a row has to lose: in f32 the logits, of magnitude 8, are
  /// rounded when they are summed, scaled, made powers of two, and their maximum and sum once more
  /// from rank to rank, 16 units that exp passes on; of 16 bit P, dP, dS and the result are
  /// rounded.
  double luck(double rows) const;
  static constexpr double exact = 2e-5;
  double ofF32() const { return f32Products == F32Products::Tf32 ? 2e-3 : exact; }
  double against(double plainError, double rows) const;
  double ofManyRanks(double oneRank, double rows) const {
    return 1.5 * oneRank + unit() / 4 + luck(rows);
  }
};

/// Normal random numbers.
HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape, std::mt19937_64 &random);

/// Bools, each true as often as not.
HostTensor randomMask(std::initializer_list<int64_t> shape, std::mt19937_64 &random);

/// After so many, a prime number, those of repeatedTensor come again.
constexpr int64_t repeatedNumbers = 1048573;

/// Normal ones, and then these again: large tensors for devices would take longer to make than to
/// use.
HostTensor repeatedTensor(DType dtype, std::initializer_list<int64_t> shape,
                          std::mt19937_64 &random);

/// Rows whose errors do not depend on each other: of the queries, or of the keys where there are
/// fewer.
double independentRows(const AttentionOptions &options, int64_t batch, int64_t queryRows,
                       int64_t keyRows);

/// Both passes.
Results runBoth(WorldRing &ring);

} // namespace ringc::cli
