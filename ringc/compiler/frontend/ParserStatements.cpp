#include "ringc/compiler/frontend/ParserState.h"

namespace ringc::frontend {

bool ParserState::atStatement() const {
  return at(TokenKind::Let) || at(TokenKind::Var) || at(TokenKind::Return) || at(TokenKind::For) ||
         at(TokenKind::Identifier);
}

void ParserState::skipToStatement() {
  int braces = 0;
  while (!at(TokenKind::End)) {
    if (braces == 0 && (at(TokenKind::RightBrace) || (peek().startsLine && atStatement())))
      return;
    braces += at(TokenKind::LeftBrace) - at(TokenKind::RightBrace);
    take();
  }
}

/// Statements up to and with the closing brace. `function` is null in a kernel.
bool ParserState::parseBlock(Block &block, const FunctionDecl *function) {
  Nested nested(*this);
  if (tooDeep(depth))
    return false;
  while (!accept(TokenKind::RightBrace)) {
    if (at(TokenKind::End))
      return fail("'}'");
    if (sink.full())
      return false;
    size_t before = position;
    if (!parseStatement(block, function)) {
      if (position == before)
        take();
      skipToStatement();
    }
  }
  return true;
}

bool ParserState::parseStatement(Block &block, const FunctionDecl *function) {
  const Token token = peek();
  bool returned = !block.empty() && std::holds_alternative<ReturnStatement>(block.back().node);
  if (returned && function && atStatement()) {
    sink.report(token.location, Message::ReturnMustBeLast);
    return false;
  }
  if (accept(TokenKind::Let))
    return parseLet(block);
  if (at(TokenKind::Return)) {
    if (!function) {
      sink.report(token.location, Message::ReturnInKernel);
      return false;
    }
    take();
    return parseReturn(block);
  }
  if (!atStatement())
    return fail("a statement");
  if (function) {
    sink.report(token.location, Message::StatementInFunction, {keyword(function->kind)});
    return false;
  }
  if (accept(TokenKind::Var))
    return parseVar(block);
  if (accept(TokenKind::For))
    return parseFor(block);
  if (atWord("finish") && at(TokenKind::Identifier, 1))
    return parseFinish(block);
  return parseAssignment(block);
}

bool ParserState::parseLet(Block &block) {
  LetStatement let;
  Location location;
  if (!expectName(let.name, location) || !expect(TokenKind::Equal) || !parseExprInto(let.value))
    return false;
  block.push_back({location, std::move(let)});
  return true;
}

bool ParserState::parseReturn(Block &block) {
  ReturnStatement result;
  Location location = peek().location;
  if (!parseExprInto(result.value))
    return false;
  block.push_back({location, std::move(result)});
  return true;
}

bool ParserState::parseVar(Block &block) {
  if (at(TokenKind::LeftParen))
    return parseResume(block, peek().location);
  VarStatement var;
  Location location;
  if (!expectName(var.name, location) || !expect(TokenKind::Equal) || !parseExprInto(var.value))
    return false;
  block.push_back({location, std::move(var)});
  return true;
}

bool ParserState::parseResume(Block &block, Location location) {
  ResumeStatement resume;
  take(); // '('
  do {
    if (!expectName(resume.names.emplace_back(), resume.nameLocations.emplace_back()))
      return false;
  } while (accept(TokenKind::Comma));
  if (!expect(TokenKind::RightParen) || !expect(TokenKind::Equal) || !expectWord("resume") ||
      !expectName(resume.carry, resume.carryLocation) || !expectWord("else") ||
      !parseArguments(resume.initial))
    return false;
  block.push_back({location, std::move(resume)});
  return true;
}

/// The block of a loop or a finish. After an error in the header the block is still read, so that
/// its end is not taken for the end of the block around it.
bool ParserState::parseBody(Block &body, bool headerIsGood) {
  if (!headerIsGood)
    while (!at(TokenKind::LeftBrace) && !at(TokenKind::RightBrace) && !at(TokenKind::End) &&
           !peek().startsLine)
      take();
  if (!headerIsGood && !at(TokenKind::LeftBrace))
    return false;
  return expect(TokenKind::LeftBrace) && parseBlock(body, nullptr);
}

bool ParserState::parseFor(Block &block) {
  ForStatement loop;
  Location location = peek().location;
  bool good = parseForHeader(loop);
  if (!parseBody(loop.body, good))
    return false;
  if (good)
    block.push_back({location, std::move(loop)});
  return true;
}

bool ParserState::parseForHeader(ForStatement &loop) {
  if (!expectName(loop.variable, loop.variableLocation) || !expectWord("in") ||
      !parseExprInto(loop.lower) || !expect(TokenKind::DotDot) || !parseExprInto(loop.upper) ||
      !expectWord("step") || !parseExtent(loop.step, loop.stepLocation))
    return false;
  if (!acceptWord("if"))
    return true;
  return expectName(loop.seen, loop.seenLocation) && expect(TokenKind::Equal) &&
         parseExprInto(loop.predicate);
}

bool ParserState::parseFinish(Block &block) {
  FinishStatement finish;
  Location location = take().location;
  bool good = parseFinishHeader(finish);
  if (!parseBody(finish.body, good))
    return false;
  if (good)
    block.push_back({location, std::move(finish)});
  return true;
}

bool ParserState::parseFinishHeader(FinishStatement &finish) {
  return expectName(finish.carry, finish.carryLocation) && parseArguments(finish.values);
}

bool ParserState::parseAssignment(Block &block) {
  std::string name;
  Location location;
  if (!expectName(name, location))
    return false;
  ExprPtr target;
  if (at(TokenKind::LeftBracket)) {
    target = parseSubscript(name, location);
    if (!target)
      return false;
  }
  std::optional<BinaryOp> op;
  if (accept(TokenKind::PlusEqual))
    op = BinaryOp::Add;
  else if (!target && accept(TokenKind::MinusEqual))
    op = BinaryOp::Subtract;
  else if (!target && accept(TokenKind::StarEqual))
    op = BinaryOp::Multiply;
  else if (!accept(TokenKind::Equal))
    return fail(target ? "'=' or '+='" : "'=', '+=', '-=', '*=' or '['");
  ExprPtr value = parseExpr();
  if (!value)
    return false;
  if (target)
    block.push_back(
        {location, StoreStatement{std::move(target), op.has_value(), std::move(value)}});
  else
    block.push_back({location, AssignStatement{std::move(name), op, std::move(value)}});
  return true;
}

} // namespace ringc::frontend
