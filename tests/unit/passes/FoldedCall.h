#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <variant>
#include <vector>

namespace ringc {

/// An i32, an f32 or an i1.
using Scalar = std::variant<int64_t, double, bool>;

/// A module of tile IR on which passes have run.
class ScalarModule {
public:
  /// `text` with the passes of `pipeline` (as ringc-opt names them) run on it; the test fails where
  /// they do.
  ScalarModule(const std::string &text, const std::string &pipeline);
  ~ScalarModule();

  /// Calls a function of scalars by folding one operation after another: what MLIR itself says that
  /// they compute.
  Scalar call(const std::string &function, const std::vector<Scalar> &arguments) const;

  mlir::ModuleOp module() const { return *owned; }

private:
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> owned;
};

} // namespace ringc
