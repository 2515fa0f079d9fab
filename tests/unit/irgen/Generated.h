#pragma once

#include "ringc/compiler/irgen/Generate.h"
#include "tests/unit/irgen/LibrarySources.h"

#include "mlir/IR/Verifier.h"

namespace ringc {

/// The tile module of a spec, with the user's text as its source; says so where the verifier
/// refuses it.
inline std::string generated(Spec spec, const std::string &user = "", const TileConfig &config = {},
                             bool locations = false) {
  frontend::Program program = programOf(user);
  spec.source = user.empty() ? "" : "user.tile";
  if (!program.isGood())
    return frontend::render(program.diagnostics());
  const frontend::KernelDecl &kernel = findKernel(program, spec);
  Bindings bindings = bind(kernel, program, spec, config);
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module = generate(kernel, program, bindings, &context);
  std::string text;
  llvm::raw_string_ostream stream(text);
  mlir::OpPrintingFlags flags;
  if (locations)
    flags.enableDebugInfo(/*enable=*/true, /*prettyForm=*/true);
  module->print(stream, flags);
  if (failed(mlir::verify(*module)))
    text = "does not verify:\n" + text;
  return text;
}

} // namespace ringc
