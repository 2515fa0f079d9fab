#include "tools/ringc/ScalarValue.h"

#include "ringc/Float16.h"
#include "ringc/compiler/predicate/Philox.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <variant>

namespace ringc::cli {

using frontend::BinaryOp;
using frontend::Builtin;

namespace {

using Value = ArgumentValue;

/// i32 of a float: towards zero, beyond its range the nearest end, of NaN the least.
Value saturated(double value) {
  constexpr double least = std::numeric_limits<int32_t>::min(),
                   most = std::numeric_limits<int32_t>::max();
  return int64_t(std::fmin(std::fmax(value, least), most));
}

/// The value of an i32 computation, which wraps.
Value wrapped(int64_t value) { return int64_t(int32_t(uint32_t(uint64_t(value)))); }

int64_t floorDivide(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/// Nothing for what is no comparison.
template <typename Number> std::optional<bool> compared(BinaryOp op, Number a, Number b) {
  switch (op) {
  case BinaryOp::Equal:
    return a == b;
  case BinaryOp::NotEqual:
    return a != b;
  case BinaryOp::Less:
    return a < b;
  case BinaryOp::LessEqual:
    return a <= b;
  case BinaryOp::Greater:
    return a > b;
  case BinaryOp::GreaterEqual:
    return a >= b;
  default:
    return std::nullopt;
  }
}

Value binaryIntegers(BinaryOp op, int64_t a, int64_t b) {
  if (std::optional<bool> truth = compared(op, a, b))
    return *truth;
  switch (op) {
  case BinaryOp::Add:
    return wrapped(a + b);
  case BinaryOp::Subtract:
    return wrapped(a - b);
  case BinaryOp::Multiply:
    return wrapped(a * b);
  case BinaryOp::Divide:
    return wrapped(floorDivide(a, b));
  case BinaryOp::Remainder:
    return b == 0 ? wrapped(0) : wrapped(a - floorDivide(a, b) * b);
  default:
    break;
  }
  throw std::logic_error("an operator that integers do not have");
}

Value binaryReals(BinaryOp op, double a, double b) {
  if (std::optional<bool> truth = compared(op, a, b))
    return *truth;
  switch (op) {
  case BinaryOp::Add:
    return a + b;
  case BinaryOp::Subtract:
    return a - b;
  case BinaryOp::Multiply:
    return a * b;
  case BinaryOp::Divide:
    return a / b;
  default:
    break;
  }
  throw std::logic_error("an operator that floats do not have");
}

Value binaryBools(BinaryOp op, bool a, bool b) {
  switch (op) {
  case BinaryOp::Or:
    return a || b;
  case BinaryOp::And:
    return a && b;
  case BinaryOp::Equal:
    return a == b;
  default:
    return a != b;
  }
}

} // namespace

double realOf(const Value &value) {
  if (auto *integer = std::get_if<int64_t>(&value))
    return double(*integer);
  return std::get<double>(value);
}
int64_t integerOf(const Value &value) { return std::get<int64_t>(value); }
bool truthOf(const Value &value) { return std::get<bool>(value); }

ArgumentValue binary(BinaryOp op, const Value &a, const Value &b) {
  if (auto *left = std::get_if<bool>(&a))
    return binaryBools(op, *left, truthOf(b));
  if (std::holds_alternative<int64_t>(a) && std::holds_alternative<int64_t>(b))
    return binaryIntegers(op, integerOf(a), integerOf(b));
  return binaryReals(op, realOf(a), realOf(b));
}

ArgumentValue negated(const Value &value) {
  if (auto *integer = std::get_if<int64_t>(&value))
    return wrapped(-*integer);
  return -realOf(value);
}

ArgumentValue builtin(Builtin which, std::span<const Value> arguments, bool isReal) {
  switch (which) {
  case Builtin::Min:
    return isReal ? Value(std::fmin(realOf(arguments[0]), realOf(arguments[1])))
                  : Value(std::min(integerOf(arguments[0]), integerOf(arguments[1])));
  case Builtin::Max:
    return isReal ? Value(std::fmax(realOf(arguments[0]), realOf(arguments[1])))
                  : Value(std::max(integerOf(arguments[0]), integerOf(arguments[1])));
  case Builtin::Abs:
    return isReal ? Value(std::abs(realOf(arguments[0])))
                  : wrapped(std::abs(integerOf(arguments[0])));
  case Builtin::Tanh:
    return std::tanh(realOf(arguments[0]));
  case Builtin::Exp:
    return std::exp(realOf(arguments[0]));
  case Builtin::Exp2:
    return std::exp2(realOf(arguments[0]));
  case Builtin::Log:
    return std::log(realOf(arguments[0]));
  case Builtin::Sin:
    return std::sin(realOf(arguments[0]));
  case Builtin::Cos:
    return std::cos(realOf(arguments[0]));
  case Builtin::Erf:
    return std::erf(realOf(arguments[0]));
  case Builtin::Random:
    return double(predicate::uniformAt(integerOf(arguments[0]), integerOf(arguments[1]),
                                       integerOf(arguments[2]), integerOf(arguments[3]),
                                       integerOf(arguments[4])));
  case Builtin::Log2:
    return std::log2(realOf(arguments[0]));
  case Builtin::Sqrt:
    return std::sqrt(realOf(arguments[0]));
  case Builtin::Fma:
    return std::fma(realOf(arguments[0]), realOf(arguments[1]), realOf(arguments[2]));
  case Builtin::Where:
    return truthOf(arguments[0]) ? arguments[1] : arguments[2];
  case Builtin::ToF32:
    return realOf(arguments[0]);
  case Builtin::ToI32:
    return saturated(realOf(arguments[0]));
  default: // the checker keeps what works on tiles alone from scalars
    throw std::logic_error("a builtin of tiles on scalars");
  }
}

ArgumentValue load(const Tensor &tensor, std::span<const int64_t> index) {
  const std::byte *at = tensor.at(index);
  switch (tensor.dtype()) {
  case DType::F32:
    return double(*reinterpret_cast<const float *>(at));
  case DType::F16:
    return double(floatFromF16(*reinterpret_cast<const uint16_t *>(at)));
  case DType::BF16:
    return double(floatFromBF16(*reinterpret_cast<const uint16_t *>(at)));
  case DType::I32:
    return int64_t(*reinterpret_cast<const int32_t *>(at));
  case DType::I64:
    return *reinterpret_cast<const int64_t *>(at);
  case DType::Bool:
    return *reinterpret_cast<const uint8_t *>(at) != 0;
  }
  throw std::logic_error("not a DType");
}

} // namespace ringc::cli
