// What a cache key knows of LLVM, and what a host is refused for.

#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/codegen/LoadedLibrary.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

using namespace ringc;

namespace {

int ofThisProgram = 0;

} // namespace

TEST_CASE("a library is told by its build id, this program by nothing") {
  int (*random)() = std::rand; // which no sanitizer puts in itself
  std::string c = buildIdOf(reinterpret_cast<const void *>(random));
  double (*cosine)(double) = std::cos;
  std::string mathematics = buildIdOf(reinterpret_cast<const void *>(cosine));
  CHECK(buildIdOf(&ofThisProgram).empty());
  CHECK(buildIdOf(nullptr).empty());
  CHECK(mathematics.size() >= 16);
  CHECK(mathematics == buildIdOf(reinterpret_cast<const void *>(cosine)));
  CHECK(c.size() >= 16);
  CHECK(c != mathematics);
}

TEST_CASE("the key has the LLVM that is loaded") {
  Spec spec;
  KernelRequest request = makeRequest(spec, makeSources({}), hostTarget());
  CHECK(request.llvmVersion == llvmBuild());
  CHECK(llvmBuild().starts_with(llvmVersion()));
  CHECK(llvmVersion().find_first_not_of("0123456789.") == std::string::npos);
#if RINGC_SHARED_LLVM
  CHECK(llvmBuild().size() == llvmVersion().size() + 9);
#else
  CHECK(llvmBuild() == llvmVersion());
#endif
}

TEST_CASE("a host of another architecture is refused; a GPU's kernels are not") {
  Spec spec;
  Target arm = hostTarget();
  arm.triple = "aarch64-unknown-linux-gnu";
  CHECK_THROWS_WITH_AS(compile(makeRequest(spec, makeSources({}), arm)),
                       doctest::Contains("whose processor is aarch64-unknown-linux-gnu"),
                       InputError);
  spec.target = "sm_90";
  CHECK(compile(makeRequest(spec, makeSources({}), gpuTarget("sm_90"))).kernel);
}
