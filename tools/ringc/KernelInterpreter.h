#pragma once

#include "tools/ringc/BoundKernel.h"
#include "tools/ringc/FunctionInterpreter.h"
#include "tools/ringc/KernelData.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace ringc::cli {

/// Kernels, read off their source text: a second opinion on them that shares nothing with the
/// compiler behind its parser and checker. Tiles are matrices of doubles; programs run one after
/// another.
///
/// In double precision the only roundings are those of constants and of casts to 16 bit; in F32
/// each operation is rounded, and sums are in order: how far that is off says what the rounding of
/// a right implementation may do.
class KernelInterpreter {
public:
  /// Both must outlive it.
  KernelInterpreter(const BoundKernel &kernel, const KernelData &data, Precision precision);

  /// What the kernel's own views hold afterwards, those that it stores to: row-major, in the order
  /// of KernelView::axes.
  std::map<std::string, std::vector<double>> run();

private:
  /// Bools are 0 and 1, integers exact.
  struct Tile {
    int64_t rows = 0, columns = 0;
    std::vector<double> at;
    bool integers = false; ///< i32: exact
  };
  using Value = std::variant<int64_t, double, bool, std::shared_ptr<const Tile>>;
  using TilePtr = std::shared_ptr<const Tile>;
  /// A tile, or a scalar that takes any shape.
  struct Operand {
    explicit Operand(const Value &value);
    double get(int64_t row, int64_t column) const;
    TilePtr tile;
    double scalar = 0;
  };
  /// Of a view: rows [row, row + rows), columns likewise.
  struct Window {
    int64_t row = 0, rows = 1, column = 0, columns = 1;
    int rowAxis = -1, columnAxis = -1; ///< of the declaration; -1 where there is none
    std::vector<int64_t> index;        ///< of each axis of the declaration; of a window's unused
    TilePtr named;                     ///< where rows lie that a tile names
  };
  struct View {
    KernelView described;
    std::vector<int64_t> extents, strides; ///< of `at`, by axis
    size_t implicit = 0;                   ///< axes before those of the declaration
    int64_t group = 1;                     ///< rows over Nq are packed, of so many heads
    std::vector<double> at;
    bool stored = false;
  };

  int64_t programsAlong(size_t axis) const;
  int64_t extent(const std::string &name) const; ///< Nq counts packed rows
  double round(double value) const { return exact ? value : double(float(value)); }

  void run(const frontend::Block &block);
  void run(const frontend::ForStatement &loop);
  void store(const frontend::StoreStatement &store);
  bool anyVisible(const Value &seen) const;

  Value evaluate(const frontend::Expr &expr);
  Value evaluateCall(const frontend::CallExpr &call, const frontend::Type &type);
  Value apply(const frontend::CallExpr &call); ///< a mask, a score or its derivative
  Value callOnTiles(const frontend::FunctionDecl &function, const std::vector<Value> &arguments);
  Value load(const frontend::SubscriptExpr &subscript, const frontend::Type &type);
  Value positions(const frontend::SubscriptExpr &subscript, const frontend::Parameter &of);
  Value element(const frontend::Parameter &view, const Window &place, double fill);
  Value name(const frontend::NameExpr &name);
  Value product(const Tile &a, const Tile &b) const;
  Value reduced(frontend::Builtin builtin, const Tile &tile) const;
  double rounded(double value, const frontend::Element &to) const;
  template <class Function>
  TilePtr elementwise(std::span<const Value> values, const Function &function,
                      bool integers = false) const;
  Value integerOperation(frontend::BinaryOp op, std::span<const Value> both) const;
  Value operation(frontend::UnaryOp op, const Value &value) const;
  Value operation(frontend::BinaryOp op, const Value &a, const Value &b) const;

  int64_t integer(const frontend::Expr &expr);
  /// `subscript` may be null for a view whose axes are all the program's own.
  Window windowOf(const frontend::Parameter &parameter, const frontend::SubscriptExpr *subscript);
  /// Of an element of a window of a view, in this program; nothing outside.
  double *elementOf(View &view, const Window &window, int64_t row, int64_t column) const;

  const BoundKernel &kernel;
  const KernelData &data;
  FunctionInterpreter functions;
  bool exact;
  std::map<std::string, View> views;
  std::map<std::string, std::vector<BoundFunction>> applied; ///< by callee
  std::map<std::string, Value> names;
  int64_t batch = 0, head = 0; ///< of the program
};

} // namespace ringc::cli
