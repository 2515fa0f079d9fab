#include "tests/unit/compiler/RandomKernel.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ringc::testing {

RandomKernel::RandomKernel(unsigned seed, int64_t rows, int64_t columns)
    : generator(seed), m(rows), n(columns), left(Matrix::random(ElementType::F32, m, n, seed + 1)),
      right(Matrix::random(ElementType::F32, n, m, seed + 2)), grid(static_cast<int>(below(3))) {
  auto values = [](const Matrix &matrix) {
    std::vector<double> all;
    for (int64_t r = 0; r < matrix.rows(); ++r)
      for (int64_t c = 0; c < matrix.columns(); ++c)
        all.push_back(matrix.at(r, c));
    return all;
  };
  tiles.push_back({"x0", Extent::Rows, Extent::Columns, values(left)});
  tiles.push_back({"z0", Extent::Columns, Extent::Rows, values(right)});
  for (int64_t steps = 3 + below(8); steps > 0; --steps)
    switch (below(6)) {
    case 0:
      loop();
      break;
    case 1:
      store(any());
      break;
    default:
      let();
    }
  for (size_t i = tiles.size() - std::min<size_t>(4, tiles.size()); i < tiles.size(); ++i)
    store(tiles[i]);
}

int64_t RandomKernel::sizeOf(Extent extent) const {
  return extent == Extent::One ? 1 : extent == Extent::Rows ? m : n;
}

const char *RandomKernel::nameOf(Extent extent) {
  return extent == Extent::One ? "1" : extent == Extent::Rows ? "BM" : "BN";
}

int64_t RandomKernel::below(int64_t bound) {
  return static_cast<int64_t>(generator() % static_cast<uint64_t>(bound));
}

const RandomKernel::Tile &RandomKernel::any() {
  // Mostly what was made last.
  int64_t count = static_cast<int64_t>(tiles.size());
  int64_t back = std::min(below(count), below(count));
  return tiles[static_cast<size_t>(count - 1 - back)];
}

std::pair<std::string, RandomKernel::Tile> RandomKernel::broadcastBinary() {
  const Tile &a = any(), &b = any();
  auto meet = [](Extent one, Extent other) {
    return one == Extent::One ? other : other == Extent::One || one == other ? one : Extent(-1);
  };
  Tile made{"", meet(a.rows, b.rows), meet(a.columns, b.columns), {}};
  if (made.rows == Extent(-1) || made.columns == Extent(-1))
    return transpose();
  int64_t rows = sizeOf(made.rows), columns = sizeOf(made.columns), operation = below(4);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      auto at = [&](const Tile &tile) {
        int64_t width = sizeOf(tile.columns);
        return tile.values[static_cast<size_t>((tile.rows == Extent::One ? 0 : r) * width +
                                               (width == 1 ? 0 : c))];
      };
      double x = at(a), y = at(b);
      made.values.push_back(operation == 0   ? x * 0.5 + y * 0.25
                            : operation == 1 ? x - y * 0.5
                            : operation == 2 ? std::tanh(x) * y
                                             : std::max(x, y));
    }
  std::string p = a.name, q = b.name;
  std::string text = operation == 0   ? p + " * 0.5 + " + q + " * 0.25"
                     : operation == 1 ? p + " - " + q + " * 0.5"
                     : operation == 2 ? "tanh(" + p + ") * " + q
                                      : "max(" + p + ", " + q + ")";
  return {text, made};
}

std::pair<std::string, RandomKernel::Tile> RandomKernel::reduction() {
  const Tile &a = any();
  bool alongRow = below(2), isMax = below(2);
  int64_t rows = sizeOf(a.rows), columns = sizeOf(a.columns);
  Tile made{"", alongRow ? a.rows : Extent::One, alongRow ? Extent::One : a.columns, {}};
  made.values.assign(static_cast<size_t>(alongRow ? rows : columns), isMax ? -INFINITY : 0);
  double factor = isMax ? 1 : 0.25;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      double &value = made.values[static_cast<size_t>(alongRow ? r : c)];
      double element = a.values[static_cast<size_t>(r * columns + c)];
      value = isMax ? std::max(value, element) : value + element * factor;
    }
  std::string name = std::string(alongRow ? "row" : "col") + (isMax ? "max(" : "sum(") + a.name;
  return {name + (isMax ? ")" : " * 0.25)"), made};
}

std::pair<std::string, RandomKernel::Tile> RandomKernel::transpose() {
  const Tile &a = any();
  Tile made{"", a.columns, a.rows, {}};
  int64_t rows = sizeOf(a.rows), columns = sizeOf(a.columns);
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r)
      made.values.push_back(a.values[static_cast<size_t>(r * columns + c)]);
  return {a.name + "^T", made};
}

std::pair<std::string, RandomKernel::Tile> RandomKernel::product() {
  const Tile &a = any(), &b = any();
  if (a.columns != b.rows)
    return reduction();
  Tile made{"", a.rows, b.columns, {}};
  int64_t depth = sizeOf(a.columns), columns = sizeOf(b.columns);
  for (int64_t r = 0; r < sizeOf(a.rows); ++r)
    for (int64_t c = 0; c < columns; ++c) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum += a.values[static_cast<size_t>(r * depth + k)] *
               b.values[static_cast<size_t>(k * columns + c)];
      made.values.push_back(sum * 0.125);
    }
  return {"dot(" + a.name + ", " + b.name + ") * 0.125", made};
}

std::pair<std::string, RandomKernel::Tile> RandomKernel::expression() {
  switch (below(5)) {
  case 0:
    return reduction();
  case 1:
    return transpose();
  case 2:
    return product();
  default:
    return broadcastBinary();
  }
}

void RandomKernel::let() {
  auto [text, tile] = expression();
  tile.name = "t" + std::to_string(names++);
  body += indent + "let " + tile.name + " = " + text + "\n";
  tiles.push_back(std::move(tile));
}

void RandomKernel::store(const Tile &tile) {
  std::string rows = nameOf(tile.rows), columns = nameOf(tile.columns);
  auto start = [&](Extent extent) {
    bool own = (grid == 0 && extent == Extent::Rows) || (grid == 1 && extent == Extent::Columns);
    return own ? "p : " : "0 : ";
  };
  body += indent + "o" + std::to_string(results.size()) + "[" + start(tile.rows) + rows + ", " +
          start(tile.columns) + columns + "] = " + tile.name + "\n";
  results.push_back({sizeOf(tile.rows), sizeOf(tile.columns), tile.values});
}

RandomKernel::Tile *RandomKernel::sameShape(const Tile &like) {
  for (auto it = tiles.rbegin(); it != tiles.rend(); ++it)
    if (it->rows == like.rows && it->columns == like.columns && below(2))
      return &*it;
  return nullptr;
}

/// Two or three variables, of one shape or several, that are assigned in a loop from each other and
/// from what the loop's body makes.
void RandomKernel::loop() {
  if (indent.size() > 4)
    return let();
  size_t count = static_cast<size_t>(2 + below(2)), first = tiles.size();
  for (size_t v = 0; v < count; ++v) {
    Tile start = any();
    std::string name = "v" + std::to_string(names++);
    body += indent + "var " + name + " = " + start.name + "\n";
    start.name = name;
    tiles.push_back(start);
  }
  int64_t times = below(4);
  body += indent + "for i" + std::to_string(names++) + " in 0 .. " + std::to_string(times) +
          " step 1 {\n";
  indent += "  ";
  // The body is made once as text and evaluated for each iteration from the same random numbers.
  std::mt19937 before = generator;
  int namesBefore = names;
  std::string outside = body, inside;
  for (int64_t i = 0; i < std::max<int64_t>(times, 1); ++i) {
    std::vector<Tile> kept(tiles.begin(), tiles.begin() + static_cast<long>(first + count));
    generator = before;
    names = namesBefore;
    body.clear();
    for (int64_t steps = 1 + below(3); steps > 0; --steps)
      let();
    for (size_t v = 0; v < count; ++v) {
      Tile *from = sameShape(tiles[first + v]);
      if (!from || from->name == tiles[first + v].name)
        continue;
      body += indent + tiles[first + v].name + " = " + from->name + "\n";
      tiles[first + v].values = from->values;
    }
    inside = body;
    tiles.resize(first + count);
    if (times == 0)
      tiles = kept;
  }
  indent.resize(indent.size() - 2);
  body = outside + inside + indent + "}\n";
}

std::string RandomKernel::text() const {
  std::string views;
  for (size_t i = 0; i < results.size(); ++i)
    views += ", o" + std::to_string(i) + ": view<f32>[M" + std::to_string(i) + ", N" +
             std::to_string(i) + "]";
  std::string rows = grid == 0 ? "p" : "0", columns = grid == 1 ? "p" : "0";
  std::string over = grid == 0 ? "M step BM" : grid == 1 ? "N step BN" : "1 step 1";
  return "kernel drawn<BM = 8, BN = 8>(x: view<f32>[M, N], z: view<f32>[N, M]" + views +
         ") over p in " + over + " {\n  let x0 = x[" + rows + " : BM, " + columns +
         " : BN]\n  let z0 = z[" + columns + " : BN, " + rows + " : BM]\n" + body + "}\n";
}

} // namespace ringc::testing
