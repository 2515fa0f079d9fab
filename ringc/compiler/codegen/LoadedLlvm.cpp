#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/codegen/LoadedLibrary.h"
#include "ringc/compiler/spec/Sha256.h"

#include "mlir/Transforms/Passes.h"
#include "llvm-c/Core.h"

#include <memory>

using namespace ringc;

std::string ringc::llvmVersion() {
  unsigned major = 0, minor = 0, patch = 0;
  LLVMGetVersion(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

const std::string &ringc::llvmBuild() {
  static const std::string build = [] {
    std::string libraries;
    void (*ofLlvm)(unsigned *, unsigned *, unsigned *) = LLVMGetVersion;
    std::unique_ptr<mlir::Pass> (*ofMlir)() = mlir::createCSEPass;
    libraries += buildIdOf(reinterpret_cast<const void *>(ofLlvm)) + ",";
    libraries += buildIdOf(reinterpret_cast<const void *>(ofMlir));
    constexpr size_t digits = 8; // of a key that is hashed anew
    return libraries == "," ? llvmVersion()
                            : llvmVersion() + "+" + toHex(sha256(libraries)).substr(0, digits);
  }();
  return build;
}
