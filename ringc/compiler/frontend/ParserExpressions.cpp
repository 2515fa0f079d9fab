#include "ringc/compiler/frontend/ParserState.h"

#include <algorithm>
#include <limits>

namespace ringc::frontend {

namespace {

struct Operator {
  TokenKind token;
  BinaryOp op;
  int strength;
};

constexpr int strengthOfNot = 3;
constexpr int strengthOfComparison = 4;

constexpr Operator operators[] = {
    {TokenKind::Or, BinaryOp::Or, 1},
    {TokenKind::And, BinaryOp::And, 2},
    {TokenKind::EqualEqual, BinaryOp::Equal, strengthOfComparison},
    {TokenKind::NotEqual, BinaryOp::NotEqual, strengthOfComparison},
    {TokenKind::Less, BinaryOp::Less, strengthOfComparison},
    {TokenKind::LessEqual, BinaryOp::LessEqual, strengthOfComparison},
    {TokenKind::Greater, BinaryOp::Greater, strengthOfComparison},
    {TokenKind::GreaterEqual, BinaryOp::GreaterEqual, strengthOfComparison},
    {TokenKind::Plus, BinaryOp::Add, 5},
    {TokenKind::Minus, BinaryOp::Subtract, 5},
    {TokenKind::Star, BinaryOp::Multiply, 6},
    {TokenKind::Slash, BinaryOp::Divide, 6},
    {TokenKind::Percent, BinaryOp::Remainder, 6},
};

const Operator *operatorOf(TokenKind token) {
  for (const Operator &op : operators)
    if (op.token == token)
      return &op;
  return nullptr;
}

int depthOf(const ExprPtr &expr) { return expr ? expr->depth : 0; }

int childDepth(const IntLiteral &) { return 0; }
int childDepth(const FloatLiteral &) { return 0; }
int childDepth(const BoolLiteral &) { return 0; }
int childDepth(const NameExpr &) { return 0; }
int childDepth(const UnaryExpr &expr) { return depthOf(expr.operand); }
int childDepth(const BinaryExpr &expr) { return std::max(depthOf(expr.lhs), depthOf(expr.rhs)); }
int childDepth(const ConditionalExpr &expr) {
  return std::max({depthOf(expr.condition), depthOf(expr.whenTrue), depthOf(expr.whenFalse)});
}
int childDepth(const CallExpr &expr) {
  int deepest = 0;
  for (const ExprPtr &argument : expr.arguments)
    deepest = std::max(deepest, depthOf(argument));
  return deepest;
}
int childDepth(const SubscriptExpr &expr) {
  int deepest = depthOf(expr.fill);
  for (const AxisRange &axis : expr.axes)
    deepest = std::max(deepest, depthOf(axis.offset));
  return deepest;
}

} // namespace

/// Chains such as a + b + c + ... are read by a loop but make a deep tree, so depth is counted on
/// the tree too.
template <class Node> ExprPtr ParserState::make(Location location, Node node) {
  int levels = 1 + childDepth(node);
  if (tooDeep(levels))
    return nullptr;
  auto expr = std::make_unique<Expr>();
  expr->location = location;
  expr->node = std::move(node);
  expr->depth = levels;
  return expr;
}

ExprPtr ParserState::parseExpr() {
  Nested nested(*this);
  if (tooDeep(depth))
    return nullptr;
  ExprPtr condition = parseBinary(0);
  if (!condition || !at(TokenKind::Question))
    return condition;
  Location location = take().location;
  ExprPtr whenTrue = parseExpr();
  if (!whenTrue || !expect(TokenKind::Colon))
    return nullptr;
  ExprPtr whenFalse = parseExpr();
  if (!whenFalse)
    return nullptr;
  return make(location,
              ConditionalExpr{std::move(condition), std::move(whenTrue), std::move(whenFalse)});
}

bool ParserState::parseExprInto(ExprPtr &place) {
  place = parseExpr();
  return place != nullptr;
}

/// Operators stronger than `weakest`, which associate to the left; comparisons do not associate.
ExprPtr ParserState::parseBinary(int weakest) {
  ExprPtr lhs;
  if (at(TokenKind::Not) && weakest < strengthOfNot) {
    Nested nested(*this);
    if (tooDeep(depth))
      return nullptr;
    Location location = take().location;
    ExprPtr operand = parseBinary(strengthOfNot - 1);
    lhs = operand ? make(location, UnaryExpr{UnaryOp::Not, std::move(operand)}) : nullptr;
  } else {
    lhs = parseUnary();
  }
  bool compared = false;
  while (lhs) {
    const Operator *op = operatorOf(peek().kind);
    if (!op || op->strength <= weakest)
      break;
    Location location = peek().location;
    if (op->strength == strengthOfComparison && compared) {
      sink.report(location, Message::ChainedComparison);
      return nullptr;
    }
    compared = op->strength == strengthOfComparison;
    take();
    ExprPtr rhs = parseBinary(op->strength);
    if (!rhs)
      return nullptr;
    lhs = make(location, BinaryExpr{op->op, std::move(lhs), std::move(rhs)});
  }
  return lhs;
}

ExprPtr ParserState::parseUnary() {
  if (!at(TokenKind::Minus))
    return parsePostfix();
  Nested nested(*this);
  if (tooDeep(depth))
    return nullptr;
  Location location = take().location;
  // The smallest i32 is the one integer that only its minus makes representable.
  if (at(TokenKind::Integer) && peek().integer == int64_t{1} << 31) {
    take();
    return make(location, IntLiteral{std::numeric_limits<int32_t>::min()});
  }
  ExprPtr operand = parseUnary();
  if (!operand)
    return nullptr;
  return make(location, UnaryExpr{UnaryOp::Negate, std::move(operand)});
}

ExprPtr ParserState::parsePostfix() {
  ExprPtr expr = parsePrimary();
  while (expr) {
    Location location = peek().location;
    if (at(TokenKind::Caret)) {
      take();
      if (!acceptWord("T")) {
        sink.report(location, Message::ExpectedTransposeT);
        return nullptr;
      }
      expr = make(location, UnaryExpr{UnaryOp::Transpose, std::move(expr)});
    } else if (at(TokenKind::LeftBracket) && !peek().startsLine) {
      sink.report(location, Message::SubscriptOfExpression);
      return nullptr;
    } else if (at(TokenKind::LeftParen) && !peek().startsLine) {
      sink.report(location, Message::CallOfExpression);
      return nullptr;
    } else {
      break;
    }
  }
  return expr;
}

ExprPtr ParserState::parsePrimary() {
  const Token token = peek();
  switch (token.kind) {
  case TokenKind::Integer:
    if (token.integer > INT32_MAX) {
      sink.report(token.location, Message::IntegerTooLarge, {std::string(token.text)});
      return nullptr;
    }
    take();
    return make(token.location, IntLiteral{token.integer});
  case TokenKind::Float:
    take();
    return make(token.location, FloatLiteral{token.number});
  case TokenKind::Inf:
    take();
    return make(token.location, FloatLiteral{std::numeric_limits<double>::infinity()});
  case TokenKind::True:
  case TokenKind::False:
    take();
    return make(token.location, BoolLiteral{token.kind == TokenKind::True});
  case TokenKind::Identifier:
    return parseName();
  case TokenKind::LeftParen: {
    take();
    ExprPtr inner = parseExpr();
    if (!inner || !expect(TokenKind::RightParen))
      return nullptr;
    return inner;
  }
  default: // nothing else begins an expression
    fail("an expression");
    return nullptr;
  }
}

/// f<T>(...) or f<T>[...]: as a comparison this would be a chain, which does not exist.
bool ParserState::atElementArgument() const {
  return at(TokenKind::Less) && at(TokenKind::Identifier, 1) && at(TokenKind::Greater, 2) &&
         (at(TokenKind::LeftParen, 3) || at(TokenKind::LeftBracket, 3));
}

ExprPtr ParserState::parseName() {
  const Token token = take();
  std::string name(token.text);
  if (name == "derivative" && at(TokenKind::LeftParen) && at(TokenKind::Identifier, 1) &&
      at(TokenKind::RightParen, 2) && at(TokenKind::LeftParen, 3)) {
    take();
    CallExpr call{.callee = std::string(take().text), .isDerivative = true};
    take();
    return parseCall(std::move(call), token.location);
  }
  if (at(TokenKind::LeftParen))
    return parseCall({.callee = std::move(name)}, token.location);
  if (at(TokenKind::LeftBracket))
    return parseSubscript(std::move(name), token.location);
  if (!atElementArgument())
    return make(token.location, NameExpr{std::move(name)});
  CallExpr call{.callee = std::move(name)};
  take(); // '<'
  if (!parseElement(call.element.emplace(), call.elementLocation))
    return nullptr;
  take(); // '>'
  if (at(TokenKind::LeftBracket) && !parseExtents(call.shape, call.shapeLocations))
    return nullptr;
  if (at(TokenKind::LeftParen) && !peek().startsLine)
    return parseCall(std::move(call), token.location);
  return make(token.location, std::move(call));
}

ExprPtr ParserState::parseCall(CallExpr call, Location location) {
  if (!parseArguments(call.arguments))
    return nullptr;
  return make(location, std::move(call));
}

bool ParserState::parseArguments(std::vector<ExprPtr> &arguments) {
  if (!expect(TokenKind::LeftParen))
    return false;
  if (accept(TokenKind::RightParen))
    return true;
  do {
    ExprPtr argument = parseExpr();
    if (!argument)
      return false;
    arguments.push_back(std::move(argument));
  } while (accept(TokenKind::Comma));
  return accept(TokenKind::RightParen) || fail("',' or ')'");
}

ExprPtr ParserState::parseSubscript(std::string view, Location location) {
  SubscriptExpr subscript{.view = std::move(view), .axes = {}, .fill = nullptr};
  take(); // '['
  do {
    if (!parseAxis(subscript.axes.emplace_back()))
      return nullptr;
  } while (accept(TokenKind::Comma));
  if (acceptWord("else") && !parseExprInto(subscript.fill))
    return nullptr;
  if (!accept(TokenKind::RightBracket)) {
    fail("',' or ']'");
    return nullptr;
  }
  return make(location, std::move(subscript));
}

bool ParserState::parseAxis(AxisRange &axis) {
  axis.location = peek().location;
  if (accept(TokenKind::Colon))
    return true;
  if (!parseExprInto(axis.offset))
    return false;
  axis.kind = AxisRange::Kind::Index;
  if (!accept(TokenKind::Colon))
    return true;
  axis.kind = AxisRange::Kind::Window;
  return parseExtent(axis.size, axis.sizeLocation);
}

} // namespace ringc::frontend
