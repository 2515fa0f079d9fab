#include "tools/ringc/KernelInterpreter.h"

#include "ringc/Float16.h"
#include "tools/ringc/ScalarValue.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ringc::cli {

using namespace frontend;

KernelInterpreter::Operand::Operand(const Value &value) {
  if (auto *given = std::get_if<TilePtr>(&value))
    tile = *given;
  else if (auto *whole = std::get_if<int64_t>(&value))
    scalar = double(*whole);
  else if (auto *real = std::get_if<double>(&value))
    scalar = *real;
  else
    scalar = std::get<bool>(value) ? 1 : 0;
}

double KernelInterpreter::Operand::get(int64_t row, int64_t column) const {
  if (!tile)
    return scalar;
  return tile
      ->at[size_t((tile->rows == 1 ? 0 : row) * tile->columns + (tile->columns == 1 ? 0 : column))];
}

/// Axes of length 1, and scalars, repeat.
template <class Function>
KernelInterpreter::TilePtr KernelInterpreter::elementwise(std::span<const Value> values,
                                                          const Function &function,
                                                          bool integers) const {
  constexpr size_t most = 3;
  std::vector<Operand> operands(values.begin(), values.end());
  int64_t rows = 1, columns = 1;
  for (const Operand &operand : operands)
    if (operand.tile) {
      rows = std::max(rows, operand.tile->rows);
      columns = std::max(columns, operand.tile->columns);
    }
  operands.resize(std::max(most, operands.size()), Operand(0.0));
  auto result = std::make_shared<Tile>(Tile{rows, columns, {}, integers});
  result->at.reserve(size_t(rows * columns));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      double a = operands[0].get(row, column), b = operands[1].get(row, column);
      double value;
      if constexpr (std::is_invocable_v<Function, double>)
        value = function(a);
      else if constexpr (std::is_invocable_v<Function, double, double>)
        value = function(a, b);
      else if constexpr (std::is_invocable_v<Function, double, double, double>)
        value = function(a, b, operands[2].get(row, column));
      else
        value = function(operands, row, column);
      result->at.push_back(integers ? value : round(value));
    }
  return result;
}

namespace {

bool isTile(const auto &value) { return value.index() == 3; }

/// Whether it is a tile of i32.
bool isOfIntegers(const auto &value) { return isTile(value) && std::get<3>(value)->integers; }

ArgumentValue scalarOf(const auto &value) {
  if (auto *whole = std::get_if<int64_t>(&value))
    return *whole;
  if (auto *truth = std::get_if<bool>(&value))
    return *truth;
  return std::get<double>(value);
}

} // namespace

KernelInterpreter::Value KernelInterpreter::operation(UnaryOp op, const Value &value) const {
  auto *tile = std::get_if<TilePtr>(&value);
  switch (op) {
  case UnaryOp::Negate:
    if (tile && (*tile)->integers)
      return elementwise({&value, 1}, [](double x) { return realOf(negated(int64_t(x))); }, true);
    if (tile)
      return elementwise({&value, 1}, [](double x) { return -x; });
    if (auto *whole = std::get_if<int64_t>(&value))
      return integerOf(negated(*whole));
    return -std::get<double>(value);
  case UnaryOp::Not:
    if (tile)
      return elementwise({&value, 1}, [](double x) { return double(x == 0); });
    return !std::get<bool>(value);
  case UnaryOp::Transpose:
    break;
  }
  const Tile &from = **tile;
  auto to = std::make_shared<Tile>(Tile{from.columns, from.rows, from.at, from.integers});
  for (int64_t row = 0; row < from.rows; ++row)
    for (int64_t column = 0; column < from.columns; ++column)
      to->at[size_t(column * from.rows + row)] = from.at[size_t(row * from.columns + column)];
  return to;
}

KernelInterpreter::Value KernelInterpreter::operation(BinaryOp op, const Value &a,
                                                      const Value &b) const {
  if (!isTile(a) && !isTile(b)) {
    ArgumentValue value = binary(op, scalarOf(a), scalarOf(b));
    if (auto *whole = std::get_if<int64_t>(&value))
      return *whole;
    if (auto *truth = std::get_if<bool>(&value))
      return *truth;
    return round(std::get<double>(value));
  }
  Value both[] = {a, b};
  if (isOfIntegers(a) || isOfIntegers(b))
    return integerOperation(op, both);
  switch (op) {
  case BinaryOp::Or:
    return elementwise(both, [](double x, double y) { return double(x != 0 || y != 0); });
  case BinaryOp::And:
    return elementwise(both, [](double x, double y) { return double(x != 0 && y != 0); });
  case BinaryOp::Equal:
    return elementwise(both, [](double x, double y) { return double(x == y); });
  case BinaryOp::NotEqual:
    return elementwise(both, [](double x, double y) { return double(x != y); });
  case BinaryOp::Less:
    return elementwise(both, [](double x, double y) { return double(x < y); });
  case BinaryOp::LessEqual:
    return elementwise(both, [](double x, double y) { return double(x <= y); });
  case BinaryOp::Greater:
    return elementwise(both, [](double x, double y) { return double(x > y); });
  case BinaryOp::GreaterEqual:
    return elementwise(both, [](double x, double y) { return double(x >= y); });
  case BinaryOp::Add:
    return elementwise(both, [](double x, double y) { return x + y; });
  case BinaryOp::Subtract:
    return elementwise(both, [](double x, double y) { return x - y; });
  case BinaryOp::Multiply:
    return elementwise(both, [](double x, double y) { return x * y; });
  case BinaryOp::Divide:
    return elementwise(both, [](double x, double y) { return x / y; });
  case BinaryOp::Remainder:
    break;
  }
  throw std::logic_error("an operator that tiles do not have");
}

KernelInterpreter::Value KernelInterpreter::integerOperation(BinaryOp op,
                                                             std::span<const Value> both) const {
  bool compares = op >= BinaryOp::Equal && op <= BinaryOp::GreaterEqual;
  return elementwise(
      both,
      [&](double x, double y) {
        ArgumentValue value = binary(op, int64_t(x), int64_t(y));
        return compares ? double(truthOf(value)) : realOf(value);
      },
      !compares);
}

double KernelInterpreter::rounded(double value, const Element &to) const {
  switch (kernel.type(to)) {
  case DType::F16:
    return floatFromF16(f16FromFloat(float(value)));
  case DType::BF16:
    return floatFromBF16(bf16FromFloat(float(value)));
  default:
    return round(value);
  }
}

KernelInterpreter::Value KernelInterpreter::product(const Tile &a, const Tile &b) const {
  auto result = std::make_shared<Tile>(Tile{a.rows, b.columns, {}});
  auto multiply = [&]<class Number>(Number) {
    std::vector<Number> sums(size_t(b.columns));
    for (int64_t row = 0; row < a.rows; ++row) {
      std::ranges::fill(sums, Number(0));
      for (int64_t k = 0; k < a.columns; ++k) {
        auto factor = Number(a.at[size_t(row * a.columns + k)]);
        const double *other = &b.at[size_t(k * b.columns)];
        for (int64_t column = 0; column < b.columns; ++column)
          sums[size_t(column)] += factor * Number(other[column]);
      }
      result->at.insert(result->at.end(), sums.begin(), sums.end());
    }
  };
  if (exact)
    multiply(double());
  else
    multiply(float());
  return result;
}

KernelInterpreter::Value KernelInterpreter::reduced(Builtin builtin, const Tile &tile) const {
  bool ofRows = builtin == Builtin::RowMax || builtin == Builtin::RowSum;
  bool isMax = builtin == Builtin::RowMax || builtin == Builtin::ColMax;
  auto result = std::make_shared<Tile>(Tile{ofRows ? tile.rows : 1, ofRows ? 1 : tile.columns, {}});
  result->at.assign(size_t(result->rows * result->columns),
                    isMax ? -std::numeric_limits<double>::infinity() : 0);
  for (int64_t row = 0; row < tile.rows; ++row)
    for (int64_t column = 0; column < tile.columns; ++column) {
      double &to = result->at[size_t(ofRows ? row : column)];
      double own = tile.at[size_t(row * tile.columns + column)];
      to = isMax ? std::fmax(to, own) : round(to + own);
    }
  return result;
}

KernelInterpreter::Value KernelInterpreter::evaluateCall(const CallExpr &call, const Type &type) {
  bool isFunction = call.target == CallExpr::Target::Function &&
                    call.function->kind == FunctionDecl::Kind::Function;
  if (call.target != CallExpr::Target::Builtin && !isFunction)
    return apply(call);
  std::vector<Value> arguments;
  for (const ExprPtr &argument : call.arguments)
    arguments.push_back(evaluate(*argument));
  if (isFunction)
    return callOnTiles(*call.function, arguments);
  auto constructed = [&](double value) {
    int64_t rows = kernel.size(call.shape[0]), columns = kernel.size(call.shape[1]);
    bool integers = *call.element == i32Element;
    double element = integers ? value : rounded(value, *call.element);
    return std::make_shared<Tile>(
        Tile{rows, columns, std::vector<double>(size_t(rows * columns), element), integers});
  };
  auto tile = [&](size_t at) -> const Tile & { return *std::get<TilePtr>(arguments[at]); };
  switch (call.builtin) {
  case Builtin::Zeros:
    return constructed(0);
  case Builtin::Full:
    return constructed(Operand(arguments[0]).scalar);
  case Builtin::Iota: {
    auto counted = constructed(0);
    std::iota(counted->at.begin(), counted->at.end(), 0.0);
    return counted;
  }
  case Builtin::Cast:
    return elementwise(arguments, [&](double x) { return rounded(x, *call.element); });
  case Builtin::Dot:
    return product(tile(0), tile(1));
  case Builtin::RowMax:
  case Builtin::RowSum:
  case Builtin::ColMax:
  case Builtin::ColSum:
    return reduced(call.builtin, tile(0));
  case Builtin::Shortcut: // what is always right
    return elementwise(arguments, [](double, double, double b) { return b; });
  default:
    break;
  }
  if (!std::ranges::any_of(arguments, [](const Value &each) { return isTile(each); })) {
    std::vector<ArgumentValue> scalars;
    for (const Value &argument : arguments)
      scalars.push_back(scalarOf(argument));
    ArgumentValue value = builtin(call.builtin, scalars, type.element.isFloat());
    if (auto *whole = std::get_if<int64_t>(&value))
      return *whole;
    if (auto *truth = std::get_if<bool>(&value))
      return *truth;
    return round(std::get<double>(value));
  }
  bool integers = type.element == i32Element;
  auto onIntegers = [&](double x) {
    ArgumentValue whole = int64_t(x);
    return realOf(builtin(call.builtin, {&whole, 1}, false));
  };
  switch (call.builtin) {
  case Builtin::Min:
    return elementwise(arguments, [](double a, double b) { return std::fmin(a, b); }, integers);
  case Builtin::Max:
    return elementwise(arguments, [](double a, double b) { return std::fmax(a, b); }, integers);
  case Builtin::Abs:
    if (integers)
      return elementwise(arguments, onIntegers, true);
    return elementwise(arguments, [](double a) { return std::abs(a); });
  case Builtin::ToF32:
    return elementwise(arguments, [](double a) { return a; });
  case Builtin::ToI32:
    return elementwise(
        arguments,
        [](double a) {
          ArgumentValue real = a;
          return realOf(builtin(Builtin::ToI32, {&real, 1}, false));
        },
        true);
  case Builtin::Tanh:
    return elementwise(arguments, [](double a) { return std::tanh(a); });
  case Builtin::Exp:
    return elementwise(arguments, [](double a) { return std::exp(a); });
  case Builtin::Exp2:
    return elementwise(arguments, [](double a) { return std::exp2(a); });
  case Builtin::Log:
    return elementwise(arguments, [](double a) { return std::log(a); });
  case Builtin::Sin:
    return elementwise(arguments, [](double a) { return std::sin(a); });
  case Builtin::Cos:
    return elementwise(arguments, [](double a) { return std::cos(a); });
  case Builtin::Erf:
    return elementwise(arguments, [](double a) { return std::erf(a); });
  case Builtin::Random:
    return elementwise(arguments,
                       [](const std::vector<Operand> &operands, int64_t row, int64_t column) {
                         std::vector<ArgumentValue> words;
                         for (const Operand &operand : operands)
                           words.emplace_back(int64_t(operand.get(row, column)));
                         return realOf(builtin(Builtin::Random, words, true));
                       });
  case Builtin::Log2:
    return elementwise(arguments, [](double a) { return std::log2(a); });
  case Builtin::Sqrt:
    return elementwise(arguments, [](double a) { return std::sqrt(a); });
  case Builtin::Where:
    return elementwise(
        arguments, [](double c, double a, double b) { return c != 0 ? a : b; }, integers);
  case Builtin::Fma:
    return elementwise(arguments, [](double a, double b, double c) { return std::fma(a, b, c); });
  default:
    throw std::logic_error("a builtin that tiles do not have");
  }
}

KernelInterpreter::Value KernelInterpreter::callOnTiles(const FunctionDecl &function,
                                                        const std::vector<Value> &arguments) {
  if (!std::ranges::any_of(arguments, [](const Value &each) { return isTile(each); })) {
    std::vector<ArgumentValue> scalars;
    for (const Value &argument : arguments)
      scalars.push_back(scalarOf(argument));
    ArgumentValue value = functions.call(function, scalars);
    if (auto *whole = std::get_if<int64_t>(&value))
      return *whole;
    if (auto *truth = std::get_if<bool>(&value))
      return *truth;
    return std::get<double>(value);
  }
  std::vector<ArgumentValue> scalars(arguments.size());
  return elementwise(
      arguments,
      [&](const std::vector<Operand> &operands, int64_t row, int64_t column) {
        for (size_t at = 0; at < arguments.size(); ++at) {
          double element = operands[at].get(row, column);
          scalars[at] = isOfIntegers(arguments[at]) ? ArgumentValue(int64_t(element))
                        : isTile(arguments[at])     ? ArgumentValue(element)
                                                    : scalarOf(arguments[at]);
        }
        return realOf(functions.call(function, scalars));
      },
      function.result == Type::scalar(i32Element));
}

KernelInterpreter::Value KernelInterpreter::apply(const CallExpr &call) {
  const std::vector<BoundFunction> &parts = applied.at(call.callee);
  size_t leading = call.arguments.size() - 2;
  TilePtr s = leading ? std::get<TilePtr>(evaluate(*call.arguments[0])) : nullptr;
  PositionArgument ofQueries = PositionArgument::of(*call.arguments[leading]),
                   ofKeys = PositionArgument::of(*call.arguments[leading + 1]);
  auto placeOf = [&](const SubscriptExpr &window) {
    return windowOf(*kernel.declaration().findParameter(window.view), &window);
  };
  Window queries = placeOf(*ofQueries.window), keys = placeOf(*ofKeys.window);
  auto shiftOf = [&](const BinaryExpr *shift) {
    int64_t by = shift ? integer(*shift->rhs) : 0;
    return shift && shift->op == BinaryOp::Subtract ? -by : by;
  };
  int64_t queryShift = shiftOf(ofQueries.shift), keyShift = shiftOf(ofKeys.shift);
  int64_t group = extentOf(data.extents, "G"), kvHeads = data.extents.at("Hkv");
  int64_t allQueries = extent("Nq"), allKeys = extent("Nk");
  auto result = std::make_shared<Tile>(Tile{queries.rows, keys.rows, {}});
  for (int64_t row = 0; row < queries.rows; ++row)
    for (int64_t column = 0; column < keys.rows; ++column) {
      int64_t packed = queries.row + row, key = keys.row + column;
      bool isTiled = kernel.spec().headMap == HeadMap::Tiled;
      LogitPlace place{.b = batch,
                       .h = isTiled ? packed % group * kvHeads + head
                                    : head * group + packed % group,
                       .i = data.firstQuery + packed / group + queryShift,
                       .j = key + keyShift};
      if (!s) {
        bool inside = packed >= 0 && packed < allQueries && key >= 0 && key < allKeys;
        result->at.push_back(inside && functions.visible(parts, place) ? 1 : 0);
        continue;
      }
      double logit = s->at[size_t(row * s->columns + column)];
      result->at.push_back(round(call.isDerivative ? functions.slope(logit, parts, place)
                                                   : functions.score(logit, parts, place)));
    }
  return result;
}

} // namespace ringc::cli
