#include "tools/ringc/Interpreter.h"

#include "compiler/Compiler.h"
#include "compiler/frontend/Diagnostic.h"
#include "runtime/Error.h"
#include "runtime/Float16.h"
#include "runtime/attention/Options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace ringc::cli {

using namespace frontend;

namespace {

using Value = ArgumentValue;

/// i32 of a float: towards zero, beyond its range the nearest end, of NaN the least.
Value saturated(double value) {
  constexpr double least = std::numeric_limits<int32_t>::min(),
                   most = std::numeric_limits<int32_t>::max();
  return int64_t(std::fmin(std::fmax(value, least), most));
}

double real(const Value &value) {
  if (auto *integer = std::get_if<int64_t>(&value))
    return double(*integer);
  return std::get<double>(value);
}
int64_t integer(const Value &value) { return std::get<int64_t>(value); }
bool truth(const Value &value) { return std::get<bool>(value); }

/// The value of an i32 computation, which wraps.
Value wrapped(int64_t value) { return int64_t(int32_t(uint32_t(uint64_t(value)))); }

int64_t floorDivide(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Value binaryIntegers(BinaryOp op, int64_t a, int64_t b) {
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
  case BinaryOp::Or:
  case BinaryOp::And:
    break;
  }
  throw std::logic_error("an operator that integers do not have");
}

Value binaryReals(BinaryOp op, double a, double b) {
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
  case BinaryOp::Add:
    return a + b;
  case BinaryOp::Subtract:
    return a - b;
  case BinaryOp::Multiply:
    return a * b;
  case BinaryOp::Divide:
    return a / b;
  case BinaryOp::Remainder:
  case BinaryOp::Or:
  case BinaryOp::And:
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

/// An argument in the type that the parameter has.
Value typed(const ArgumentValue &value, const Type &type) {
  bool isReal = type.isScalar() && type.element.isFloat();
  return isReal ? Value(double(float(real(value)))) : value;
}

Value load(const Tensor &tensor, std::span<const int64_t> index) {
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

std::vector<SourceFile> filesOf(const std::vector<SourceText> &texts) {
  std::vector<SourceFile> files;
  for (const SourceText &text : texts)
    files.push_back({text.name, text.text});
  return files;
}

} // namespace

Interpreter::Interpreter(const AttentionOptions &options, const AttentionInputs &global)
    : program(Program::parse(filesOf(userSources(options)), filesOf(makeSources({}).texts()))),
      inputs(global) {
  if (!program.isGood())
    throw InputError(render(program.diagnostics()));
  masks = bind(options.masks);
  scores = bind(options.scores);
}

std::vector<Interpreter::Function>
Interpreter::bind(const std::vector<UserFunction> &functions) const {
  std::vector<Function> bound;
  for (const UserFunction &named : functions) {
    Function function;
    function.declaration = program.findFunction(named.file, named.name);
    if (!function.declaration)
      throw InputError(named.file, "no function " + named.name, "a function of the file");
    function.derivative = program.findDerivative(*function.declaration);
    for (const Parameter &parameter : function.declaration->parameters)
      for (const std::string &name : {named.file + ":" + named.name + "." + parameter.name,
                                      named.name + "." + parameter.name, parameter.name})
        if (auto given = inputs.arguments.find(name); given != inputs.arguments.end())
          function.arguments.emplace(parameter.name, given->second);
    bound.push_back(std::move(function));
  }
  return bound;
}

void Interpreter::addTo(reference::Problem &problem) const {
  if (!masks.empty())
    problem.mask.predicate = [this](int b, int h, int64_t i, int64_t j) {
      return std::ranges::all_of(masks, [&](const Function &mask) {
        return truth(call(mask, *mask.declaration, {b, h, i, j}, nullptr));
      });
    };
  if (scores.empty())
    return;
  problem.score = [this](double s, int b, int h, int64_t i, int64_t j) {
    return score(s, {b, h, i, j}, scores);
  };
  if (std::ranges::any_of(scores, [](const Function &each) { return each.derivative; }))
    problem.scoreDerivative = [this](double s, int b, int h, int64_t i, int64_t j) {
      return slope(s, {b, h, i, j});
    };
}

double Interpreter::score(double s, const Place &place,
                          const std::vector<Function> &functions) const {
  for (const Function &function : functions)
    s = real(call(function, *function.declaration, place, &s));
  return s;
}

/// The chain rule, with central differences where the source gives no derivative.
double Interpreter::slope(double s, const Place &place) const {
  double product = 1;
  for (const Function &function : scores) {
    if (function.derivative) {
      product *= real(call(function, *function.derivative, place, &s));
    } else {
      double step = 1e-5 * std::max(1.0, std::abs(s));
      product *=
          (score(s + step, place, {function}) - score(s - step, place, {function})) / (2 * step);
    }
    s = score(s, place, {function});
  }
  return product;
}

Interpreter::Value Interpreter::call(const Function &function, const FunctionDecl &declaration,
                                     const Place &place, const double *s) const {
  Frame frame{declaration, {}, {}};
  std::vector<Value> positions = {place.b, place.h, place.i, place.j};
  if (s) {
    positions.insert(positions.begin(), *s);
    frame.ofLogit.insert(declaration.parameters[0].name);
  }
  for (size_t at = 0; at < declaration.parameters.size(); ++at) {
    const Parameter &parameter = declaration.parameters[at];
    frame.names[parameter.name] =
        at < positions.size() ? positions[at]
                              : typed(function.arguments.at(parameter.name), parameter.type);
  }
  bool ofLogit = false;
  return body(frame, ofLogit);
}

Interpreter::Value Interpreter::body(Frame &frame, bool &ofLogit) const {
  for (const Statement &statement : frame.declaration.body) {
    if (auto *let = std::get_if<LetStatement>(&statement.node)) {
      bool own = false;
      frame.names[let->name] = evaluate(frame, *let->value, own);
      if (own)
        frame.ofLogit.insert(let->name);
    } else {
      return evaluate(frame, *std::get<ReturnStatement>(statement.node).value, ofLogit);
    }
  }
  throw std::logic_error("a function without return");
}

Interpreter::Value Interpreter::evaluate(Frame &frame, const Expr &expr, bool &ofLogit) const {
  bool own = false;
  Value value = exactly(frame, expr, own);
  ofLogit |= own;
  auto *number = std::get_if<double>(&value);
  return number && !own ? Value(double(float(*number))) : value;
}

Interpreter::Value Interpreter::exactly(Frame &frame, const Expr &expr, bool &ofLogit) const {
  bool isReal = expr.type.isScalar() && expr.type.element.isFloat();
  if (auto *literal = std::get_if<IntLiteral>(&expr.node))
    return isReal ? Value(double(literal->value)) : Value(literal->value);
  if (auto *literal = std::get_if<FloatLiteral>(&expr.node))
    return literal->value;
  if (auto *literal = std::get_if<BoolLiteral>(&expr.node))
    return literal->value;
  if (auto *name = std::get_if<NameExpr>(&expr.node)) {
    if (name->kind == NameExpr::Kind::Log2e)
      return std::numbers::log2e;
    if (name->kind == NameExpr::Kind::Ln2)
      return std::numbers::ln2;
    ofLogit |= frame.ofLogit.contains(name->name);
    return frame.names.at(name->name);
  }
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node)) {
    Value operand = evaluate(frame, *unary->operand, ofLogit);
    if (unary->op == UnaryOp::Not)
      return !truth(operand);
    return isReal ? Value(-real(operand)) : wrapped(-integer(operand));
  }
  if (auto *binary = std::get_if<BinaryExpr>(&expr.node)) {
    Value a = evaluate(frame, *binary->lhs, ofLogit), b = evaluate(frame, *binary->rhs, ofLogit);
    if (auto *left = std::get_if<bool>(&a))
      return binaryBools(binary->op, *left, truth(b));
    if (std::holds_alternative<int64_t>(a) && std::holds_alternative<int64_t>(b))
      return binaryIntegers(binary->op, integer(a), integer(b));
    return binaryReals(binary->op, real(a), real(b));
  }
  if (auto *conditional = std::get_if<ConditionalExpr>(&expr.node))
    return evaluate(frame,
                    truth(evaluate(frame, *conditional->condition, ofLogit))
                        ? *conditional->whenTrue
                        : *conditional->whenFalse,
                    ofLogit);
  if (auto *call = std::get_if<CallExpr>(&expr.node))
    return evaluateCall(frame, *call, expr.type, ofLogit);
  return element(frame, std::get<SubscriptExpr>(expr.node), ofLogit);
}

Interpreter::Value Interpreter::evaluateCall(Frame &frame, const CallExpr &call, const Type &type,
                                             bool &ofLogit) const {
  std::vector<Value> arguments;
  std::vector<bool> areOfLogit;
  for (const ExprPtr &argument : call.arguments) {
    bool own = false;
    arguments.push_back(evaluate(frame, *argument, own));
    areOfLogit.push_back(own);
  }
  if (call.target == CallExpr::Target::Function) {
    Frame inner{*call.function, {}, {}};
    for (size_t at = 0; at < arguments.size(); ++at) {
      const std::string &name = call.function->parameters[at].name;
      inner.names[name] = arguments[at];
      if (areOfLogit[at])
        inner.ofLogit.insert(name);
    }
    return body(inner, ofLogit);
  }
  ofLogit |= std::ranges::count(areOfLogit, true) > 0;
  bool isReal = type.element.isFloat();
  switch (call.builtin) {
  case Builtin::Min:
    return isReal ? Value(std::fmin(real(arguments[0]), real(arguments[1])))
                  : Value(std::min(integer(arguments[0]), integer(arguments[1])));
  case Builtin::Max:
    return isReal ? Value(std::fmax(real(arguments[0]), real(arguments[1])))
                  : Value(std::max(integer(arguments[0]), integer(arguments[1])));
  case Builtin::Abs:
    return isReal ? Value(std::abs(real(arguments[0]))) : wrapped(std::abs(integer(arguments[0])));
  case Builtin::Tanh:
    return std::tanh(real(arguments[0]));
  case Builtin::Exp2:
    return std::exp2(real(arguments[0]));
  case Builtin::Log2:
    return std::log2(real(arguments[0]));
  case Builtin::Sqrt:
    return std::sqrt(real(arguments[0]));
  case Builtin::Fma:
    return std::fma(real(arguments[0]), real(arguments[1]), real(arguments[2]));
  case Builtin::Where:
    return truth(arguments[0]) ? arguments[1] : arguments[2];
  case Builtin::ToF32:
    return real(arguments[0]);
  case Builtin::ToI32:
    return saturated(real(arguments[0]));
  default: // the checker keeps what works on tiles alone out of functions
    throw std::logic_error("a builtin of kernels in a function");
  }
}

Interpreter::Value Interpreter::element(Frame &frame, const SubscriptExpr &subscript,
                                        bool &ofLogit) const {
  const Parameter &parameter =
      *std::ranges::find(frame.declaration.parameters, subscript.view, &Parameter::name);
  const Tensor &tensor = std::get<Tensor>(frame.names.at(subscript.view));
  int64_t shift = inputs.k.dim(1) - inputs.q.dim(1);
  std::vector<int64_t> index;
  for (size_t axis = 0; axis < subscript.axes.size(); ++axis) {
    int64_t at = integer(evaluate(frame, *subscript.axes[axis].offset, ofLogit));
    if (parameter.type.shape[axis].name == "Nq")
      at -= shift;
    // An extent of 1 broadcasts; what lies outside reads the nearest element.
    index.push_back(std::max<int64_t>(0, std::min(at, tensor.dim(int(axis)) - 1)));
  }
  return load(tensor, index);
}

} // namespace ringc::cli
