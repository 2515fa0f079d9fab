#include "ringc/compiler/frontend/Checker.h"
#include "ringc/compiler/frontend/Walk.h"

#include <algorithm>

namespace ringc::frontend {

namespace {

/// "a parameter", "a constant", ... of a name that is not a var.
const char *describe(Symbol::Kind kind) {
  switch (kind) {
  case Symbol::Kind::Constant:
    return "a constant";
  case Symbol::Kind::Parameter:
    return "a parameter";
  case Symbol::Kind::Extent:
    return "an extent";
  case Symbol::Kind::Let:
  case Symbol::Kind::Var:
    return "a variable";
  case Symbol::Kind::Loop:
  case Symbol::Kind::Grid:
    return "the variable of a loop or of the grid";
  case Symbol::Kind::Seen:
    return "what the mask of a loop shows";
  }
  return "";
}

} // namespace

void Checker::checkBlock(Block &block) {
  for (Statement &statement : block)
    std::visit([&](auto &node) { check(statement.location, node); }, statement.node);
}

void Checker::check(Location location, LetStatement &let) {
  Type type = checkExpr(*let.value);
  declare(let.name, {.kind = Symbol::Kind::Let, .type = type, .location = location});
}

void Checker::check(Location location, VarStatement &var) {
  Type type = checkExpr(*var.value);
  declare(var.name, {.kind = Symbol::Kind::Var, .type = type, .location = location});
}

void Checker::check(Location, ReturnStatement &result) {
  Type type = checkValue(*result.value, function->result);
  if (!type.isInvalid() && type != function->result)
    sink.report(result.value->location, Message::ReturnType,
                {function->name, print(function->result), print(type)});
}

bool Checker::isCarry(const std::string &name, Location location) {
  const Symbol *symbol = find(name);
  if (symbol && symbol->type.kind == Type::Kind::Carry)
    return true;
  sink.report(location, Message::UnknownCarry, {name});
  return false;
}

void Checker::check(Location location, ResumeStatement &resume) {
  std::vector<Type> types;
  for (ExprPtr &value : resume.initial) {
    Type type = checkExpr(*value);
    if (!type.isInvalid() && !type.isTile(Element::Kind::F32)) {
      sink.report(value->location, Message::ResumeType, {print(type)});
      type = {};
    }
    types.push_back(type);
  }
  if (level > 0)
    sink.report(location, Message::ResumePlace);
  if (types.size() != resume.names.size())
    sink.report(location, Message::ResumeCount,
                {counted(resume.names.size(), "name"), counted(types.size(), "initial value")});
  types.resize(resume.names.size());
  if (isCarry(resume.carry, resume.carryLocation)) {
    auto [earlier, fresh] = running.emplace(resume.carry, Running{location, types, {}});
    if (!fresh)
      sink.report(location, Message::ResumeTwice,
                  {resume.carry, std::to_string(earlier->second.location.line)});
  }
  for (size_t at = 0; at < resume.names.size(); ++at)
    declare(resume.names[at],
            {.kind = Symbol::Kind::Var, .type = types[at], .location = resume.nameLocations[at]});
}

void Checker::check(Location location, AssignStatement &assign) {
  const Symbol *found = find(assign.name);
  if (!found) {
    checkExpr(*assign.value);
    return reportUnknownName(assign.name, location);
  }
  Symbol symbol = *found;
  Type type = checkValue(*assign.value, symbol.type);
  if (symbol.kind == Symbol::Kind::Let) {
    sink.report(location, Message::AssignToLet, {assign.name});
    return;
  }
  if (symbol.kind != Symbol::Kind::Var) {
    sink.report(location, Message::AssignToParameter, {assign.name, describe(symbol.kind)});
    return;
  }
  if (type.isInvalid() || symbol.type.isInvalid())
    return;
  if (assign.op)
    type = arithmetic(location, *assign.op, symbol.type, type);
  if (!type.isInvalid() && type != symbol.type)
    sink.report(location, Message::AssignChangesType,
                {assign.name, print(symbol.type), print(type)});
  bool masked = std::ranges::any_of(maskedLoops, [&](int loop) { return symbol.level < loop; });
  if (masked && symbol.type.isScalar())
    sink.report(location, Message::ScalarInMaskedLoop, {assign.name});
}

void Checker::check(Location, StoreStatement &store) {
  auto &target = std::get<SubscriptExpr>(store.target->node);
  Type value = checkExpr(*store.value);
  const Parameter *view = findParameter(target.view);
  if (!view || view->type.kind != Type::Kind::View) {
    if (view || find(target.view))
      sink.report(store.target->location, Message::NotAView, {target.view});
    else
      reportUnknownName(target.view, store.target->location);
    return;
  }
  firstStores.try_emplace(target.view, store.target->location);
  store.target->type = window(target, *store.target, *view, /*stores=*/true);
  const Type &type = store.target->type;
  if (store.adds && view->type.element.kind != Element::Kind::F32)
    sink.report(store.target->location, Message::AddingStoreElement,
                {target.view, print(view->type.element)});
  if (!type.isInvalid() && !value.isInvalid() && type != value)
    sink.report(store.value->location, Message::StoreType, {print(type), print(value)});
}

void Checker::check(Location, ForStatement &loop) {
  for (Expr *bound : {loop.lower.get(), loop.upper.get()}) {
    Type type = checkExpr(*bound);
    if (!type.isInvalid() && !type.isScalar(Element::Kind::I32))
      sink.report(bound->location, Message::LoopBound, {print(type)});
  }
  checkStep(loop.step, loop.stepLocation);
  auto *upper = std::get_if<NameExpr>(&loop.upper->node);
  openScope();
  declare(loop.variable,
          {.kind = Symbol::Kind::Loop,
           .type = Type::scalar(i32Element),
           .location = loop.variableLocation,
           .step = loop.step,
           .extent = upper && upper->kind == NameExpr::Kind::Extent ? upper->name : ""});
  if (loop.predicate) {
    checkLoopPredicate(loop);
    maskedLoops.push_back(level);
  }
  checkBlock(loop.body);
  if (loop.predicate)
    maskedLoops.pop_back();
  closeScope();
}

void Checker::checkLoopPredicate(ForStatement &loop) {
  Type type = checkExpr(*loop.predicate);
  auto *call = std::get_if<CallExpr>(&loop.predicate->node);
  bool isMask = call && !call->isDerivative && call->arguments.size() == 2 &&
                (type.isInvalid() || type.isTile(Element::Kind::Bool));
  if (isMask && !type.isInvalid()) {
    int uses = 0;
    for (const ExprPtr &argument : call->arguments) {
      auto [window, shift] = PositionArgument::of(*argument);
      if (shift)
        walk(*shift->rhs, [&](const Expr &part) {
          auto *name = std::get_if<NameExpr>(&part.node);
          if (name && name->name == loop.variable)
            sink.report(part.location, Message::PositionShift, {loop.variable});
        });
      auto *offset = window ? std::get_if<NameExpr>(&window->axes.front().offset->node) : nullptr;
      uses += offset && offset->name == loop.variable;
    }
    if (uses != 1)
      sink.report(loop.predicate->location, Message::LoopPredicateVariable, {loop.variable});
  } else if (!isMask) {
    sink.report(loop.predicate->location, Message::LoopPredicate);
    type = {};
  }
  declare(loop.seen, {.kind = Symbol::Kind::Seen, .type = type, .location = loop.seenLocation});
}

void Checker::check(Location location, FinishStatement &finish) {
  std::vector<Type> types;
  for (ExprPtr &value : finish.values)
    types.push_back(checkExpr(*value));
  if (level > 0)
    sink.report(location, Message::FinishPlace);
  auto state = running.find(finish.carry);
  if (!isCarry(finish.carry, finish.carryLocation)) {
  } else if (state == running.end()) {
    sink.report(finish.carryLocation, Message::FinishWithoutResume, {finish.carry});
  } else if (state->second.finished) {
    sink.report(finish.carryLocation, Message::FinishTwice,
                {finish.carry, std::to_string(state->second.finished->line)});
  } else {
    const std::vector<Type> &kept = state->second.types;
    state->second.finished = location;
    if (types.size() != kept.size())
      sink.report(finish.carryLocation, Message::FinishCount,
                  {finish.carry, counted(kept.size(), "tile"), std::to_string(types.size())});
    for (size_t at = 0; at < std::min(types.size(), kept.size()); ++at)
      if (!types[at].isInvalid() && !kept[at].isInvalid() && types[at] != kept[at])
        sink.report(finish.values[at]->location, Message::FinishType,
                    {std::to_string(at + 1), finish.carry, print(kept[at]), print(types[at])});
  }
  openScope();
  if (checkFinishBody(finish.body))
    checkBlock(finish.body);
  closeScope();
}

bool Checker::checkFinishBody(const Block &body) {
  bool good = true;
  for (const Statement &statement : body)
    if (!std::holds_alternative<LetStatement>(statement.node) &&
        !std::holds_alternative<StoreStatement>(statement.node)) {
      sink.report(statement.location, Message::FinishBody);
      good = false;
    }
  return good;
}

} // namespace ringc::frontend
