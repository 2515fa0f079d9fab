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
    view.implicit = described.isOfProgram ? (ofQueries ? 3 : 2) : 0;
    view.group = ofQueries ? extentOf(data.extents, "G") : 1;
    view.strides.assign(size_t(tensor.rank()), 1);
    for (int axis = tensor.rank() - 1; axis > 0; --axis)
      view.strides[size_t(axis) - 1] = view.strides[size_t(axis)] * tensor.dim(axis);
    for (int axis = 0; axis < tensor.rank(); ++axis)
      view.extents.push_back(tensor.dim(axis));
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

KernelInterpreter::Window KernelInterpreter::windowOf(const Parameter &parameter,
                                                      const SubscriptExpr *subscript) {
  Window window;
  size_t next = 0;
  for (size_t axis = 0; axis < parameter.type.shape.size(); ++axis) {
    const Extent &extent = parameter.type.shape[axis];
    window.index.push_back(0);
    if (kernel.declaration().isOwnAxis(extent)) {
      window.index.back() = extent.name == "B" ? batch : head;
      continue;
    }
    const AxisRange &range = subscript->axes[next++];
    bool whole = range.kind == AxisRange::Kind::Whole;
    Value first = whole ? Value(int64_t(0)) : evaluate(*range.offset);
    auto *named = std::get_if<TilePtr>(&first);
    if (range.kind == AxisRange::Kind::Index && !named) {
      window.index.back() = std::get<int64_t>(first);
      continue;
    }
    if (named)
      window.named = *named;
    int64_t begin = named ? 0 : std::get<int64_t>(first);
    int64_t count = named ? (*named)->rows : kernel.size(whole ? extent : range.size);
    if (window.rowAxis < 0) {
      window.rowAxis = int(axis);
      window.row = begin;
      window.rows = count;
    } else {
      window.columnAxis = int(axis);
      window.column = begin;
      window.columns = count;
    }
  }
  return window;
}

double *KernelInterpreter::elementOf(View &view, const Window &window, int64_t row,
                                     int64_t column) const {
  int64_t place = 0;
  if (view.described.isOfProgram)
    place += batch * view.strides[0] + head * view.strides[1];
  for (size_t axis = 0; axis < window.index.size(); ++axis) {
    size_t own = view.implicit + axis;
    int64_t at = window.index[axis];
    if (int(axis) == window.rowAxis)
      at = window.row + (window.named ? int64_t(window.named->at[size_t(row)]) : row);
    else if (int(axis) == window.columnAxis)
      at = window.column + column;
    bool packed = view.implicit == 3 && view.described.axes[own] == "Nq";
    if (at < 0 || at >= view.extents[own] * (packed ? view.group : 1))
      return nullptr;
    place += (packed ? at / view.group : at) * view.strides[own];
    if (packed)
      place += at % view.group * view.strides[2];
  }
  return &view.at[size_t(place)];
}

KernelInterpreter::Value KernelInterpreter::load(const SubscriptExpr &subscript, const Type &type) {
  const Parameter &parameter = *kernel.declaration().findParameter(subscript.view);
  if (parameter.type.kind == Type::Kind::Positions)
    return positions(subscript, parameter);
  Window window = windowOf(parameter, &subscript);
  View &view = views.at(subscript.view);
  bool integers = parameter.type.element == i32Element;
  double fill = 0;
  if (subscript.fill)
    fill = Operand(evaluate(*subscript.fill)).scalar;
  if (subscript.fill && parameter.type.element.isFloat())
    fill = rounded(fill, parameter.type.element);
  if (type.isScalar())
    return element(parameter, window, fill);
  auto tile = std::make_shared<Tile>(Tile{window.rows, window.columns, {}, integers});
  tile->at.reserve(size_t(window.rows * window.columns));
  for (int64_t row = 0; row < window.rows; ++row)
    for (int64_t column = 0; column < window.columns; ++column) {
      const double *found = elementOf(view, window, row, column);
      tile->at.push_back(found ? *found : fill);
    }
  return tile;
}

/// A column of i32; rows of queries are packed.
KernelInterpreter::Value KernelInterpreter::positions(const SubscriptExpr &subscript,
                                                      const Parameter &of) {
  Window window = windowOf(of, &subscript);
  bool ofQueries = of.type.shape.front().name == "Nq";
  int64_t group = ofQueries ? extentOf(data.extents, "G") : 1;
  auto tile = std::make_shared<Tile>(Tile{window.rows, 1, {}, true});
  for (int64_t row = window.row; row < window.row + window.rows; ++row)
    tile->at.push_back(double((ofQueries ? data.firstQuery : 0) + row / group));
  return tile;
}

KernelInterpreter::Value KernelInterpreter::element(const Parameter &parameter, const Window &place,
                                                    double fill) {
  const double *found = elementOf(views.at(parameter.name), place, 0, 0);
  double value = found ? *found : fill;
  if (parameter.type.element.kind == Element::Kind::I32)
    return int64_t(value);
  if (parameter.type.element.kind == Element::Kind::Bool)
    return value != 0;
  return value;
}

void KernelInterpreter::store(const StoreStatement &statement) {
  auto &target = std::get<SubscriptExpr>(statement.target->node);
  Value value = evaluate(*statement.value);
  const Tile &tile = *std::get<TilePtr>(value);
  Window window = windowOf(*kernel.declaration().findParameter(target.view), &target);
  View &view = views.at(target.view);
  view.stored = true;
  for (int64_t row = 0; row < window.rows; ++row)
    for (int64_t column = 0; column < window.columns; ++column) {
      double *to = elementOf(view, window, row, column);
      double own = tile.at[size_t(row * tile.columns + column)];
      if (to)
        *to = statement.adds ? round(*to + own) : own;
    }
}

KernelInterpreter::Value KernelInterpreter::name(const NameExpr &expr) {
  switch (expr.kind) {
  case NameExpr::Kind::Local:
    return names.at(expr.name);
  case NameExpr::Kind::Parameter: {
    const Parameter &parameter = *kernel.declaration().findParameter(expr.name);
    if (parameter.type.kind == Type::Kind::View) // all of whose axes are the program's own
      return element(parameter, windowOf(parameter, nullptr), 0);
    const ArgumentValue &value = data.scalars.at(expr.name);
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
  return load(std::get<SubscriptExpr>(expr.node), expr.type);
}

} // namespace ringc::cli
