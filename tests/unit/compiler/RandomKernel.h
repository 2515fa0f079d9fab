#pragma once

#include "tests/unit/compiler/Matrix.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace ringc::testing {

/// A kernel made at random of everything that tiles can go through, and what it computes, step by
/// step in double precision. Values stay near 1.
class RandomKernel {
public:
  /// Tiles are of `rows`, called BM, and `columns`, called BN, or of one row or column.
  RandomKernel(unsigned seed, int64_t rows, int64_t columns);

  /// Reads x [BM, BN] and z [BN, BM], writes o0, o1, ...
  std::string text() const;
  const Matrix &x() const { return left; }
  const Matrix &z() const { return right; }

  struct Output {
    int64_t rows, columns;
    std::vector<double> values;
  };
  const std::vector<Output> &outputs() const { return results; }

private:
  enum class Extent { One, Rows, Columns };
  struct Tile {
    std::string name;
    Extent rows, columns;
    std::vector<double> values;
  };

  int64_t sizeOf(Extent extent) const;
  static const char *nameOf(Extent extent);
  int64_t below(int64_t bound); ///< a random number
  const Tile &any();
  /// A new value from those that exist: its text and what it is.
  std::pair<std::string, Tile> expression();
  std::pair<std::string, Tile> broadcastBinary();
  std::pair<std::string, Tile> reduction();
  std::pair<std::string, Tile> transpose();
  std::pair<std::string, Tile> product();
  void let();
  void loop();
  void store(const Tile &tile);
  /// Some tile of that shape, or null.
  Tile *sameShape(const Tile &like);

  std::mt19937 generator;
  int64_t m, n;
  Matrix left, right;
  int grid; ///< 0: rows of x belong to the program, 1: its columns, 2: neither
  std::string indent = "  ", body;
  std::vector<Tile> tiles;
  std::vector<Output> results;
  int names = 0;
};

} // namespace ringc::testing
