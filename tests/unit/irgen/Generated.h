#pragma once

#include "compiler/irgen/Generate.h"
#include "kernels.tiles/Library.h"

#include "mlir/IR/Verifier.h"

#include <string>

namespace ringc {

inline std::vector<frontend::SourceFile> librarySources() {
  std::vector<frontend::SourceFile> sources;
  for (const EmbeddedSource &source : kernelLibrary())
    sources.push_back({std::string(source.name), std::string(source.text)});
  return sources;
}

/// The library and, where there is text, a user's file "user.tile".
inline frontend::Program programOf(const std::string &user) {
  std::vector<frontend::SourceFile> files;
  if (!user.empty())
    files.push_back({"user.tile", user});
  return frontend::Program::parse(files, librarySources());
}

/// The tile module of a spec as text; says so where the verifier refuses it.
inline std::string generated(const Spec &spec, const std::string &user = "",
                             const TileConfig &config = {}, bool locations = false) {
  frontend::Program program = programOf(user);
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
    flags.enableDebugInfo();
  module->print(stream, flags);
  if (failed(mlir::verify(*module)))
    text = "does not verify:\n" + text;
  return text;
}

} // namespace ringc
