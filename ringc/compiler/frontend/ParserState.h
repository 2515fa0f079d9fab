#pragma once

#include "ringc/compiler/frontend/Parser.h"
#include "ringc/compiler/frontend/Token.h"

namespace ringc::frontend {

/// Recursive descent over the tokens of one file. A function that fails has reported why and
/// returns null, nullopt or false; its caller passes that on to the nearest statement or
/// declaration, which skips to the next one.
class ParserState {
public:
  ParserState(std::shared_ptr<const SourceFile> file, std::vector<Token> fileTokens,
              DiagnosticSink &diagnostics)
      : source(std::move(file)), tokens(std::move(fileTokens)), sink(diagnostics) {}

  void parseModule(Module &module);

private:
  // tokens
  const Token &peek(size_t ahead = 0) const;
  const Token &take();
  bool at(TokenKind kind, size_t ahead = 0) const { return peek(ahead).kind == kind; }
  bool atWord(std::string_view word, size_t ahead = 0) const;
  bool accept(TokenKind kind);
  bool acceptWord(std::string_view word);
  bool expect(TokenKind kind);
  bool expectWord(std::string_view word);
  bool fail(const std::string &expected);
  bool expectName(std::string &name, Location &location);

  // declarations
  bool atDeclaration() const;
  void skipToDeclaration();
  bool parseFunction(FunctionDecl::Kind kind, Module &module);
  bool parseKernel(Module &module);
  bool parseParameters(std::vector<Parameter> &parameters);
  bool parseParameterType(Type &type);
  bool parseConstants(std::vector<ConstantDecl> &constants);
  bool parseConstantKind(ConstantDecl &constant);
  bool parseGrid(std::vector<GridAxisDecl> &grid);
  bool parseExtent(Extent &extent, Location &location);
  bool parseExtents(std::vector<Extent> &extents, std::vector<Location> &locations);
  bool parseElement(Element &element, Location &location);

  // statements
  bool parseBlock(Block &block, const FunctionDecl *function);
  bool atStatement() const;
  void skipToStatement();
  bool parseStatement(Block &block, const FunctionDecl *function);
  bool parseLet(Block &block);
  bool parseVar(Block &block);
  bool parseResume(Block &block, Location location);
  bool parseReturn(Block &block);
  bool parseFor(Block &block);
  bool parseForHeader(ForStatement &loop);
  bool parseFinish(Block &block);
  bool parseFinishHeader(FinishStatement &finish);
  bool parseBody(Block &body, bool headerIsGood);
  bool parseAssignment(Block &block);

  // expressions
  ExprPtr parseExpr();
  bool parseExprInto(ExprPtr &place);
  ExprPtr parseBinary(int weakest);
  ExprPtr parseUnary();
  ExprPtr parsePostfix();
  ExprPtr parsePrimary();
  ExprPtr parseName();
  ExprPtr parseCall(CallExpr call, Location location);
  ExprPtr parseSubscript(std::string view, Location location);
  bool parseAxis(AxisRange &axis);
  bool parseArguments(std::vector<ExprPtr> &arguments);
  bool atElementArgument() const;
  template <class Node> ExprPtr make(Location location, Node node);

  /// Counts a level of nesting while it lives.
  struct Nested {
    explicit Nested(ParserState &owner) : parser(owner) { ++parser.depth; }
    ~Nested() { --parser.depth; }
    ParserState &parser;
  };
  bool tooDeep(int levels);

  std::shared_ptr<const SourceFile> source;
  std::vector<Token> tokens;
  DiagnosticSink &sink;
  size_t position = 0;
  int depth = 0;
};

} // namespace ringc::frontend
