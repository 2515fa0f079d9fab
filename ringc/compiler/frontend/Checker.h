#pragma once

#include "ringc/compiler/frontend/Builtins.h"
#include "ringc/compiler/frontend/Check.h"

#include <map>
#include <unordered_map>

namespace ringc::frontend {

/// What a name stands for inside one declaration. No name hides another.
struct Symbol {
  enum class Kind { Constant, Parameter, Extent, Let, Var, Loop, Grid, Seen };
  Kind kind;
  Type type;
  Location location;
  int level = 0; ///< blocks around it
  const ConstantDecl *constant = nullptr;
  Extent step = {};        ///< Loop, Grid: how far it advances
  std::string extent = {}; ///< Loop, Grid: the extent that it runs over, where known
};

/// Checks one module. One declaration at a time: `function` or `kernel` says which.
class Checker {
public:
  Checker(Module &checked, std::span<const Module *const> libraryModules,
          DiagnosticSink &diagnostics)
      : module(checked), library(libraryModules), sink(diagnostics) {}

  void run();

private:
  // declarations (Check.cpp)
  void checkNames();
  void declareGlobal(const std::string &name, Location location);
  void checkCallGraph();
  void visitCalls(FunctionDecl &decl, int depth);
  void checkFunction(FunctionDecl &decl);
  void checkFunctionParameters(FunctionDecl &decl);
  void checkDerivative(const FunctionDecl &decl);
  const FunctionDecl *findFunction(std::string_view name) const;
  std::vector<std::string> functionNames(std::optional<FunctionDecl::Kind> kind) const;

  // kernels (CheckKernel.cpp)
  void checkKernel(KernelDecl &decl);
  void checkConstant(const ConstantDecl &constant);
  void checkParameter(const Parameter &parameter);
  void checkExtents(const Parameter &parameter);
  void checkGrid(const KernelDecl &decl);
  bool isStatic(const Extent &extent) const;
  bool checkStep(const Extent &step, Location location);
  void checkResumeAndFinish(const Block &body);

  // statements (CheckStatement.cpp)
  void checkBlock(Block &block);
  void check(Location location, LetStatement &let);
  void check(Location location, VarStatement &var);
  void check(Location location, ResumeStatement &resume);
  void check(Location location, AssignStatement &assign);
  void check(Location location, StoreStatement &store);
  void check(Location location, ForStatement &loop);
  void check(Location location, FinishStatement &finish);
  void check(Location location, ReturnStatement &result);
  void checkLoopPredicate(ForStatement &loop);
  bool checkFinishBody(const Block &body);
  bool isCarry(const std::string &name, Location location);

  // names
  bool declare(const std::string &name, Symbol symbol);
  void openScope() { ++level; }
  void closeScope();
  const Symbol *find(const std::string &name) const;
  void reportUnknownName(const std::string &name, Location location);

  // expressions (CheckExpression.cpp)
  Type checkExpr(Expr &expr);
  Type checkValue(Expr &expr, const Type &wanted); ///< an integer literal may become a float
  Type type(Expr &expr, IntLiteral &literal);
  Type type(Expr &expr, FloatLiteral &literal);
  Type type(Expr &expr, BoolLiteral &literal);
  Type type(Expr &expr, NameExpr &name);
  Type type(Expr &expr, UnaryExpr &unary);
  Type type(Expr &expr, BinaryExpr &binary);
  Type type(Expr &expr, ConditionalExpr &conditional);
  Type type(Expr &expr, CallExpr &call);
  Type type(Expr &expr, SubscriptExpr &subscript);
  Type arithmetic(Location location, BinaryOp op, const Type &lhs, const Type &rhs);
  Type scalarArithmetic(Location location, BinaryOp op, const Type &lhs, const Type &rhs);
  Type tileArithmetic(Location location, BinaryOp op, const Type &lhs, const Type &rhs);
  bool broadcast(Location location, std::vector<Extent> &shape, const Type &with);
  Type element(const SubscriptExpr &subscript, Expr &expr, const Parameter &view);
  Type positions(SubscriptExpr &subscript, Expr &expr, const Parameter &of);
  Type window(SubscriptExpr &subscript, Expr &expr, const Parameter &view, bool stores);
  Type elementOfKernel(Location location, const Parameter &view);
  bool checkWindowFill(SubscriptExpr &subscript, const Parameter &view, bool stores);
  bool checkWindowAxis(AxisRange &axis, const Extent &extent, bool isFirst, Extent &size);
  bool checkWindowVariable(const AxisRange &axis, const Extent &extent);
  bool checkElement(const Element &element, Location location);
  bool checkStatic(const Extent &extent, Location location);
  const Parameter *findParameter(const std::string &name) const;

  // calls (CheckCall.cpp)
  Type builtinCall(Expr &expr, CallExpr &call, const BuiltinInfo &builtin);
  Type reduction(const CallExpr &call, const Type &operand, int axis);
  Type elementwise(Expr &expr, const CallExpr &call, const std::vector<Type> &types);
  Type random(Expr &expr, const CallExpr &call, const std::vector<Type> &types);
  Type choice(Expr &expr, CallExpr &call, const std::vector<Type> &types);
  Type shortcut(Expr &expr, CallExpr &call, const std::vector<Type> &types);
  Type conversion(CallExpr &call, const Type &operand, const Element &from, const Element &to);
  Type product(const CallExpr &call, const std::vector<Type> &types);
  Type constructed(CallExpr &call, const std::vector<Type> &types);
  Type functionCall(Expr &expr, CallExpr &call);
  Type scoredCall(Expr &expr, CallExpr &call, bool isMask);
  bool checkPositionArgument(CallExpr &call, size_t argument, const char *extent, Extent &size);
  bool checkPositionWindow(AxisRange &axis, const Parameter &positions, Extent &size);
  bool checkViewArgument(CallExpr &call, size_t argument, const Parameter &wanted);
  bool checkCount(const CallExpr &call, Location location, size_t wanted);
  Type argumentError(const CallExpr &call, size_t argument, const std::string &wanted);

  Module &module;
  std::span<const Module *const> library;
  DiagnosticSink &sink;

  FunctionDecl *function = nullptr;
  KernelDecl *kernel = nullptr;
  std::unordered_map<std::string, Symbol> symbols;
  std::unordered_map<std::string, Location> ended;        ///< of blocks that have been left
  std::vector<std::vector<std::string>> scopes;           ///< names by level
  std::vector<int> maskedLoops;                           ///< their levels, outermost first
  std::unordered_map<std::string, Location> elementReads; ///< of the kernel's views
  std::unordered_map<std::string, Location> firstStores;  ///< to each view
  int level = 0;

  struct Running {
    Location location;
    std::vector<Type> types;
    std::optional<Location> finished;
  };
  std::map<std::string, Running> running; ///< carries of this kernel that are resumed

  std::unordered_map<std::string, Location> globals;
  std::unordered_map<const FunctionDecl *, int> callDepth; ///< 0 while being visited
  std::unordered_map<const FunctionDecl *, std::vector<const CallExpr *>> calls;
};

/// An integer literal, or its negation: it may stand for a float.
bool isIntLiteral(const Expr &expr);
/// "1 argument", "3 arguments".
std::string counted(size_t count, const char *what);

} // namespace ringc::frontend
