#include "tools/ringc/KernelInterpreter.h"

#include "ringc/compiler/frontend/Walk.h"
#include "tools/ringc/ScalarValue.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ringc::cli {

using namespace frontend;

KernelInterpreter::KernelInterpreter(const BoundKernel &ofSource, const KernelData &given,
                                     Precision precision)
    : kernel(ofSource), data(given), functions(given.firstQuery, precision),
      exact(precision == Precision::Double) {
  for (const KernelView &described : kernel.views()) {
    View &view = views[described.name];
    const Tensor &tensor = data.views.at(described.name);
    view.described = described;
    bool ofQueries = described.isOfProgram && described.axes[2] == "G";
    view.rowAxis = described.isOfProgram ? (ofQueries ? 3 : 2) : 0;
    view.group = ofQueries ? extentOf(data.extents, "G") : 1;
    view.strides.assign(size_t(tensor.rank()), 1);
    for (int axis = tensor.rank() - 1; axis > 0; --axis)
      view.strides[size_t(axis) - 1] = view.strides[size_t(axis)] * tensor.dim(axis);
    view.rows = tensor.dim(int(view.rowAxis)) * view.group;
    if (tensor.rank() > int(view.rowAxis) + 1)
      view.columns = tensor.dim(int(view.rowAxis) + 1);
    if (described.name.find('.') == std::string::npos) // the kernel's own
      view.at = valuesOf(tensor);
  }
  auto bind = [&](const std::string &callee) {
    std::vector<BoundFunction> &list = applied[callee];
    for (const FunctionDecl *function : kernel.functions(callee)) {
      BoundFunction &bound = list.emplace_back();
      bound.declaration = function;
      bound.derivative = kernel.derivative(*function);
      for (size_t at = function->positionParameters(); at < function->parameters.size(); ++at) {
        const std::string &parameter = function->parameters[at].name;
        std::string argument = function->name + "." + parameter;
        auto scalar = data.scalars.find(argument);
        bound.arguments.emplace(parameter, scalar == data.scalars.end()
                                               ? ArgumentValue(data.views.at(argument))
                                               : scalar->second);
      }
    }
  };
  walk(kernel.declaration().body, [&](const Expr &expr) {
    auto *call = std::get_if<CallExpr>(&expr.node);
    if (!call || call->target == CallExpr::Target::Builtin ||
        (call->target == CallExpr::Target::Function &&
         call->function->kind == FunctionDecl::Kind::Function))
      return;
    if (!applied.contains(call->callee))
      bind(call->callee);
  });
}

int64_t KernelInterpreter::extent(const std::string &name) const {
  int64_t number = extentOf(data.extents, name);
  return name == "Nq" ? number * extentOf(data.extents, "G") : number;
}

int64_t KernelInterpreter::programsAlong(size_t axis) const {
  const std::vector<GridAxisDecl> &grid = kernel.declaration().grid;
  if (axis >= grid.size())
    return 1;
  const Extent &along = grid[axis].extent;
  int64_t length = along.isNumber() ? along.number : 0;
  if (!along.isNumber())
    length =
        kernel.declaration().findConstant(along.name) ? kernel.size(along) : extent(along.name);
  int64_t step = kernel.size(grid[axis].step);
  return (length + step - 1) / step;
}

std::map<std::string, std::vector<double>> KernelInterpreter::run() {
  bool perHead = kernel.perHead();
  int64_t batches = perHead ? data.extents.at("B") : 1,
          heads = perHead ? data.extents.at("Hkv") : 1;
  const std::vector<GridAxisDecl> &grid = kernel.declaration().grid;
  for (batch = 0; batch < batches; ++batch)
    for (head = 0; head < heads; ++head)
      for (int64_t p1 = 0; p1 < programsAlong(1); ++p1)
        for (int64_t p0 = 0; p0 < programsAlong(0); ++p0) {
          names.clear();
          names[grid[0].variable] = p0 * kernel.size(grid[0].step);
          if (grid.size() > 1)
            names[grid[1].variable] = p1 * kernel.size(grid[1].step);
          run(kernel.declaration().body);
        }
  std::map<std::string, std::vector<double>> stored;
  for (auto &[name, view] : views)
    if (view.stored)
      stored.emplace(name, std::move(view.at));
  return stored;
}

void KernelInterpreter::run(const Block &block) {
  for (const Statement &statement : block) {
    if (auto *let = std::get_if<LetStatement>(&statement.node))
      names[let->name] = evaluate(*let->value);
    else if (auto *var = std::get_if<VarStatement>(&statement.node))
      names[var->name] = evaluate(*var->value);
    else if (auto *assign = std::get_if<AssignStatement>(&statement.node)) {
      Value value = evaluate(*assign->value);
      names[assign->name] =
          assign->op ? operation(*assign->op, names.at(assign->name), value) : value;
    } else if (auto *resume = std::get_if<ResumeStatement>(&statement.node)) {
      // One launch is the first and the last.
      for (size_t at = 0; at < resume->names.size(); ++at)
        names[resume->names[at]] = evaluate(*resume->initial[at]);
    } else if (auto *finish = std::get_if<FinishStatement>(&statement.node))
      run(finish->body);
    else if (auto *to = std::get_if<StoreStatement>(&statement.node))
      store(*to);
    else
      run(std::get<ForStatement>(statement.node));
  }
}

void KernelInterpreter::run(const ForStatement &loop) {
  int64_t lower = integer(*loop.lower), upper = integer(*loop.upper), step = kernel.size(loop.step);
  for (int64_t at = lower; at < upper; at += step) {
    names[loop.variable] = at;
    if (loop.predicate) {
      names[loop.seen] = evaluate(*loop.predicate);
      if (!anyVisible(names.at(loop.seen)))
        continue;
    }
    run(loop.body);
  }
}

bool KernelInterpreter::anyVisible(const Value &seen) const {
  return std::ranges::count(std::get<TilePtr>(seen)->at, 0.0) <
         std::ptrdiff_t(std::get<TilePtr>(seen)->at.size());
}

int64_t KernelInterpreter::integer(const Expr &expr) { return std::get<int64_t>(evaluate(expr)); }

KernelInterpreter::Window KernelInterpreter::windowOf(const SubscriptExpr &subscript) {
  const Parameter &parameter = *kernel.declaration().findParameter(subscript.view);
  Window window;
  for (size_t axis = 0; axis < subscript.axes.size(); ++axis) {
    const AxisRange &range = subscript.axes[axis];
    bool whole = range.kind == AxisRange::Kind::Whole;
    int64_t first = whole ? 0 : integer(*range.offset);
    int64_t count = kernel.size(whole ? parameter.type.shape[axis] : range.size);
    (axis == 0 ? window.row : window.column) = first;
    (axis == 0 ? window.rows : window.columns) = count;
  }
  return window;
}

double *KernelInterpreter::elementOf(View &view, int64_t row, int64_t column) const {
  if (row < 0 || row >= view.rows || column < 0 || column >= view.columns)
    return nullptr;
  int64_t at = row / view.group * view.strides[view.rowAxis];
  if (view.described.isOfProgram)
    at += batch * view.strides[0] + head * view.strides[1];
  if (view.group > 1)
    at += row % view.group * view.strides[2];
  if (view.strides.size() > view.rowAxis + 1)
    at += column * view.strides[view.rowAxis + 1];
  return &view.at[size_t(at)];
}

KernelInterpreter::Value KernelInterpreter::load(const SubscriptExpr &subscript) {
  const Parameter &parameter = *kernel.declaration().findParameter(subscript.view);
  if (parameter.type.kind == Type::Kind::Positions)
    return positions(subscript, parameter);
  Window window = windowOf(subscript);
  View &view = views.at(subscript.view);
  bool integers = parameter.type.element == i32Element;
  double fill = 0;
  if (subscript.fill)
    fill = integers ? Operand(evaluate(*subscript.fill)).scalar
                    : rounded(Operand(evaluate(*subscript.fill)).scalar, parameter.type.element);
  auto tile = std::make_shared<Tile>(Tile{window.rows, window.columns, {}, integers});
  tile->at.reserve(size_t(window.rows * window.columns));
  for (int64_t row = 0; row < window.rows; ++row)
    for (int64_t column = 0; column < window.columns; ++column) {
      const double *element = elementOf(view, window.row + row, window.column + column);
      tile->at.push_back(element ? *element : fill);
    }
  return tile;
}

/// A column of i32; rows of queries are packed.
KernelInterpreter::Value KernelInterpreter::positions(const SubscriptExpr &subscript,
                                                      const Parameter &of) {
  Window window = windowOf(subscript);
  bool ofQueries = of.type.shape.front().name == "Nq";
  int64_t group = ofQueries ? extentOf(data.extents, "G") : 1;
  auto tile = std::make_shared<Tile>(Tile{window.rows, 1, {}, true});
  for (int64_t row = window.row; row < window.row + window.rows; ++row)
    tile->at.push_back(double((ofQueries ? data.firstQuery : 0) + row / group));
  return tile;
}

void KernelInterpreter::store(const StoreStatement &statement) {
  auto &target = std::get<SubscriptExpr>(statement.target->node);
  Value value = evaluate(*statement.value);
  const Tile &tile = *std::get<TilePtr>(value);
  Window window = windowOf(target);
  View &view = views.at(target.view);
  view.stored = true;
  for (int64_t row = 0; row < window.rows; ++row)
    for (int64_t column = 0; column < window.columns; ++column) {
      double *element = elementOf(view, window.row + row, window.column + column);
      double own = tile.at[size_t(row * tile.columns + column)];
      if (element)
        *element = statement.adds ? round(*element + own) : own;
    }
}

KernelInterpreter::Value KernelInterpreter::name(const NameExpr &expr) const {
  switch (expr.kind) {
  case NameExpr::Kind::Local:
    return names.at(expr.name);
  case NameExpr::Kind::Parameter: {
    const ArgumentValue &value = data.scalars.at(expr.name);
    const Parameter &parameter = *kernel.declaration().findParameter(expr.name);
    if (parameter.type.element.isFloat())
      return double(float(realOf(value)));
    if (auto *truth = std::get_if<bool>(&value))
      return *truth;
    return integerOf(value);
  }
  case NameExpr::Kind::Constant:
    return kernel.size(Extent{.name = expr.name});
  case NameExpr::Kind::Extent:
    return extent(expr.name);
  case NameExpr::Kind::Log2e:
    return double(float(std::numbers::log2e));
  case NameExpr::Kind::Ln2:
    return double(float(std::numbers::ln2));
  case NameExpr::Kind::Unresolved:
    break;
  }
  throw std::logic_error("a name that the checker did not resolve");
}

KernelInterpreter::Value KernelInterpreter::evaluate(const Expr &expr) {
  bool isReal = expr.type.isScalar() && expr.type.element.isFloat();
  if (auto *literal = std::get_if<IntLiteral>(&expr.node))
    return isReal ? Value(double(float(literal->value))) : Value(literal->value);
  if (auto *literal = std::get_if<FloatLiteral>(&expr.node))
    return double(float(literal->value));
  if (auto *literal = std::get_if<BoolLiteral>(&expr.node))
    return literal->value;
  if (auto *named = std::get_if<NameExpr>(&expr.node))
    return name(*named);
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node))
    return operation(unary->op, evaluate(*unary->operand));
  if (auto *binary = std::get_if<BinaryExpr>(&expr.node)) {
    Value a = evaluate(*binary->lhs);
    return operation(binary->op, a, evaluate(*binary->rhs));
  }
  if (auto *conditional = std::get_if<ConditionalExpr>(&expr.node))
    return evaluate(std::get<bool>(evaluate(*conditional->condition)) ? *conditional->whenTrue
                                                                      : *conditional->whenFalse);
  if (auto *call = std::get_if<CallExpr>(&expr.node))
    return evaluateCall(*call, expr.type);
  return load(std::get<SubscriptExpr>(expr.node));
}

} // namespace ringc::cli
