#include "ringc/compiler/frontend/Lexer.h"
#include "ringc/compiler/frontend/ParserState.h"

namespace ringc::frontend {

ParseResult parse(SourceFile text) {
  auto source = std::make_shared<const SourceFile>(std::move(text));
  DiagnosticSink sink(*source);
  ParseResult result;
  result.module.source = source;
  ParserState(source, lex(*source, sink), sink).parseModule(result.module);
  result.diagnostics = sink.take();
  return result;
}

const Token &ParserState::peek(size_t ahead) const {
  return tokens[std::min(position + ahead, tokens.size() - 1)];
}

const Token &ParserState::take() {
  const Token &token = peek();
  if (position + 1 < tokens.size())
    ++position;
  return token;
}

bool ParserState::atWord(std::string_view word, size_t ahead) const {
  return at(TokenKind::Identifier, ahead) && peek(ahead).text == word;
}

bool ParserState::accept(TokenKind kind) {
  if (!at(kind))
    return false;
  take();
  return true;
}

bool ParserState::acceptWord(std::string_view word) {
  if (!atWord(word))
    return false;
  take();
  return true;
}

bool ParserState::expect(TokenKind kind) { return accept(kind) || fail(describe(kind)); }

bool ParserState::expectWord(std::string_view word) {
  return acceptWord(word) || fail("'" + std::string(word) + "'");
}

bool ParserState::fail(const std::string &expected) {
  if (!at(TokenKind::Invalid)) // the lexer has reported it
    sink.report(peek().location, Message::Expected, {expected, describe(peek())});
  return false;
}

bool ParserState::expectName(std::string &name, Location &location) {
  const Token &token = peek();
  if (token.kind >= TokenKind::Let && token.kind <= TokenKind::Not) {
    sink.report(token.location, Message::ReservedWord, {std::string(token.text)});
    return false;
  }
  if (token.kind != TokenKind::Identifier)
    return fail("a name");
  name = token.text;
  location = token.location;
  take();
  return true;
}

bool ParserState::tooDeep(int levels) {
  if (levels <= deepestNesting)
    return false;
  sink.report(peek().location, Message::TooDeep, {std::to_string(deepestNesting)});
  return true;
}

void ParserState::parseModule(Module &module) {
  while (!at(TokenKind::End) && !sink.full()) {
    bool good = true;
    if (!atDeclaration()) {
      if (!at(TokenKind::Invalid))
        sink.report(peek().location, Message::ExpectedDeclaration, {describe(peek())});
      take();
      good = false;
    } else if (acceptWord("kernel")) {
      good = parseKernel(module);
    } else if (acceptWord("mask")) {
      good = parseFunction(FunctionDecl::Kind::Mask, module);
    } else if (acceptWord("score")) {
      good = parseFunction(FunctionDecl::Kind::Score, module);
    } else if (acceptWord("derivative")) {
      good = parseFunction(FunctionDecl::Kind::Derivative, module);
    } else if (acceptWord("function")) {
      good = parseFunction(FunctionDecl::Kind::Function, module);
    }
    if (!good)
      skipToDeclaration();
  }
}

bool ParserState::atDeclaration() const {
  return atWord("kernel") || atWord("mask") || atWord("score") || atWord("derivative") ||
         atWord("function");
}

void ParserState::skipToDeclaration() {
  // A declaration's word may be a name inside a body; at the head of a line and before a name it is
  // not.
  while (!at(TokenKind::End) &&
         !(atDeclaration() && peek().startsLine && at(TokenKind::Identifier, 1)))
    take();
}

bool ParserState::parseFunction(FunctionDecl::Kind kind, Module &module) {
  auto function = std::make_unique<FunctionDecl>();
  function->kind = kind;
  function->source = source;
  if (!expectName(function->name, function->location) || !parseParameters(function->parameters))
    return false;
  function->result = Type::scalar(kind == FunctionDecl::Kind::Mask ? boolElement : f32Element);
  if (kind == FunctionDecl::Kind::Function) {
    if (!accept(TokenKind::Arrow)) {
      sink.report(peek().location, Message::MissingReturnType, {function->name});
      return false;
    }
    if (!parseParameterType(function->result))
      return false;
    if (!function->result.isScalar())
      return fail("a scalar type");
  }
  size_t errorsBefore = sink.count();
  if (!expect(TokenKind::LeftBrace) || !parseBlock(function->body, function.get()))
    return false;
  if (function->body.empty() ||
      !std::holds_alternative<ReturnStatement>(function->body.back().node)) {
    // After an error in the body the return may be what was skipped.
    if (sink.count() == errorsBefore)
      sink.report(function->location, Message::MissingReturn, {keyword(kind), function->name});
    return true;
  }
  module.functions.push_back(std::move(function));
  return true;
}

bool ParserState::parseKernel(Module &module) {
  auto kernel = std::make_unique<KernelDecl>();
  kernel->source = source;
  if (!expectName(kernel->name, kernel->location))
    return false;
  if (at(TokenKind::Less) && !parseConstants(kernel->constants))
    return false;
  if (!parseParameters(kernel->parameters) || !parseGrid(kernel->grid) ||
      !expect(TokenKind::LeftBrace) || !parseBlock(kernel->body, nullptr))
    return false;
  module.kernels.push_back(std::move(kernel));
  return true;
}

bool ParserState::parseParameters(std::vector<Parameter> &parameters) {
  if (!expect(TokenKind::LeftParen))
    return false;
  if (accept(TokenKind::RightParen))
    return true;
  do {
    Parameter parameter;
    if (!expectName(parameter.name, parameter.location) || !expect(TokenKind::Colon))
      return false;
    parameter.typeLocation = peek().location;
    if (!parseParameterType(parameter.type))
      return false;
    parameters.push_back(std::move(parameter));
  } while (accept(TokenKind::Comma));
  return accept(TokenKind::RightParen) || fail("',' or ')'");
}

bool ParserState::parseParameterType(Type &type) {
  const Token token = peek();
  if (!at(TokenKind::Identifier))
    return fail("a type");
  std::vector<Location> locations;
  if (token.text == "index" || token.text == "i32")
    type = Type::scalar(i32Element);
  else if (token.text == "f32")
    type = Type::scalar(f32Element);
  else if (token.text == "bool")
    type = Type::scalar(boolElement);
  else if (token.text == "carry")
    type = {Type::Kind::Carry, {}, {}};
  else if (token.text == "sums")
    type = {Type::Kind::View, f32Element, {}, /*sums=*/true};
  else if (token.text == "view" || token.text == "positions")
    type.kind = token.text == "view" ? Type::Kind::View : Type::Kind::Positions;
  else {
    sink.report(token.location, Message::UnknownType, {std::string(token.text)});
    return false;
  }
  take();
  Location location;
  if (type.kind == Type::Kind::View && !type.sums &&
      (!expect(TokenKind::Less) || !parseElement(type.element, location) ||
       !expect(TokenKind::Greater)))
    return false;
  if (type.kind == Type::Kind::View || type.kind == Type::Kind::Positions)
    return parseExtents(type.shape, locations);
  return true;
}

bool ParserState::parseElement(Element &element, Location &location) {
  location = peek().location;
  if (!at(TokenKind::Identifier))
    return fail("an element type");
  std::string_view text = take().text;
  if (text == "f32")
    element = f32Element;
  else if (text == "f16")
    element = {Element::Kind::F16};
  else if (text == "bf16")
    element = {Element::Kind::BF16};
  else if (text == "i32")
    element = i32Element;
  else if (text == "bool")
    element = boolElement;
  else
    element = {Element::Kind::Constant, std::string(text)};
  return true;
}

bool ParserState::parseExtent(Extent &extent, Location &location) {
  location = peek().location;
  if (at(TokenKind::Integer)) {
    int64_t number = peek().integer;
    if (number < 1) {
      sink.report(location, Message::ExtentNotPositive);
      return false;
    }
    if (number > INT32_MAX) {
      sink.report(location, Message::IntegerTooLarge, {std::string(peek().text)});
      return false;
    }
    take();
    extent = {number, {}};
    return true;
  }
  if (!at(TokenKind::Identifier))
    return fail("an extent (an integer or a name)");
  extent = {0, std::string(take().text)};
  return true;
}

bool ParserState::parseExtents(std::vector<Extent> &extents, std::vector<Location> &locations) {
  if (!expect(TokenKind::LeftBracket))
    return false;
  do {
    if (!parseExtent(extents.emplace_back(), locations.emplace_back()))
      return false;
  } while (accept(TokenKind::Comma));
  return accept(TokenKind::RightBracket) || fail("',' or ']'");
}

bool ParserState::parseConstants(std::vector<ConstantDecl> &constants) {
  take(); // '<'
  do {
    ConstantDecl constant;
    if (!expectName(constant.name, constant.location) || !parseConstantKind(constant))
      return false;
    constants.push_back(std::move(constant));
  } while (accept(TokenKind::Comma));
  return accept(TokenKind::Greater) || fail("',' or '>'");
}

bool ParserState::parseConstantKind(ConstantDecl &constant) {
  if (accept(TokenKind::Colon)) {
    if (acceptWord("type"))
      constant.kind = ConstantDecl::Kind::Type;
    else if (acceptWord("predicate"))
      constant.kind = ConstantDecl::Kind::Predicate;
    else if (acceptWord("function"))
      constant.kind = ConstantDecl::Kind::Function;
    else
      return fail("type, predicate or function");
  }
  if (!accept(TokenKind::Equal))
    return true;
  if (constant.kind != ConstantDecl::Kind::Integer)
    return expectName(constant.defaultName, constant.defaultLocation);
  if (!at(TokenKind::Integer))
    return fail("an integer");
  Extent value;
  if (!parseExtent(value, constant.defaultLocation))
    return false;
  constant.defaultInteger = value.number;
  return true;
}

bool ParserState::parseGrid(std::vector<GridAxisDecl> &grid) {
  if (!expectWord("over"))
    return false;
  do {
    GridAxisDecl axis;
    if (!expectName(axis.variable, axis.location))
      return false;
    if (grid.size() == 2) {
      sink.report(axis.location, Message::TooManyGridAxes);
      return false;
    }
    if (!expectWord("in") || !parseExtent(axis.extent, axis.extentLocation) ||
        !expectWord("step") || !parseExtent(axis.step, axis.stepLocation))
      return false;
    grid.push_back(std::move(axis));
  } while (accept(TokenKind::Comma));
  return true;
}

} // namespace ringc::frontend
