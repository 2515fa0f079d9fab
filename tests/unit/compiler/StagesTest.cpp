#include "ringc/compiler/Compiler.h"
#include "ringc/support/Error.h"
#include "tests/unit/jit/TemporaryFolder.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace ringc;
using namespace ringc::testing;

namespace {

const std::vector<std::string> stages = {"spec",   "ast",  "tile", "specialised", "split",
                                         "vector", "llvm", "ir",   "code"};

const std::vector<std::string> gpuStages = {"spec",  "ast",    "tile",   "specialised",
                                            "split", "placed", "staged", "nvvm",
                                            "llvm",  "ir",     "code"};

KernelRequest requestOf(const Spec &spec, std::vector<SourceText> user = {}) {
  return makeRequest(spec, makeSources(std::move(user)), hostTarget());
}

const Spec smallForward = {.kernel = "attention_forward",
                           .headDim = 8,
                           .mask = {"causal"},
                           .score = {"alibi"},
                           .tile = {{"q", 16}, {"kv", 16}}};

std::string thrownBy(const KernelRequest &request, const CompileOptions &options) {
  try {
    compile(request, options);
  } catch (const InputError &error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

bool contains(const std::string &text, const std::string &part) {
  INFO(text);
  CHECK(text.find(part) != text.npos);
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("the stages have names") {
  CHECK(stageNames(hostTarget()) == stages);
  CHECK(stageNames(gpuTarget("sm_80")) == gpuStages);
}

TEST_CASE("every stage can be asked for, and gives the same bytes every time") {
  KernelRequest request = requestOf(smallForward);
  for (const std::string &stage : stages) {
    CAPTURE(stage);
    CompileOutput first = compile(request, {.stopAfter = stage});
    CHECK(first.diagnostics == "");
    CHECK(first.text != "");
    CHECK(first.kernel.has_value() == (stage == "code"));
    CHECK(compile(request, {.stopAfter = stage}).text == first.text);
  }
  CompileOutput whole = compile(request);
  REQUIRE(whole.kernel);
  CHECK(whole.kernel->code == compile(request, {.stopAfter = "code"}).text);
  CHECK(whole.kernel->code.substr(1, 3) == "ELF");
}

TEST_CASE("a dump holds every stage, and a compile goes on from any of them to the same bytes") {
  KernelRequest request = requestOf(smallForward);
  TemporaryFolder folder;
  CompileOutput whole = compile(request, {.dump = (folder.path() / "dump").string()});
  REQUIRE(whole.kernel);
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder.path() / "dump"))
    files.push_back(entry.path().filename());
  std::sort(files.begin(), files.end());
  CHECK(files == std::vector<std::string>{"00.spec.json", "01.ast.tile", "02.tile.mlir",
                                          "03.specialised.mlir", "04.split.mlir", "05.vector.mlir",
                                          "06.llvm.mlir", "07.ir.ll", "08.code.o"});
  for (size_t i = 0; i < stages.size(); ++i)
    CHECK(readFile(folder.path() / "dump" / files[i]) ==
          compile(request, {.stopAfter = stages[i]}).text);
  for (size_t i = 2; i < 8; ++i) {
    CAPTURE(files[i]);
    CompileOutput again =
        compile(request, {.startFrom = (folder.path() / "dump" / files[i]).string()});
    CHECK(again.diagnostics == "");
    REQUIRE(again.kernel);
    CHECK(again.kernel->code == whole.kernel->code);
    CHECK(again.kernel->arguments == whole.kernel->arguments);
    CHECK(again.kernel->scratchBytes == whole.kernel->scratchBytes);
    CHECK(again.kernel->carryBytes == whole.kernel->carryBytes);
    CHECK(again.kernel->mask == whole.kernel->mask);
    CHECK(again.kernel->provenance == whole.kernel->provenance);
  }
}

TEST_CASE("a compile for a GPU goes on from any stage to the same PTX") {
  Spec spec = smallForward;
  spec.headDim = 64;
  spec.dtype = ElementType::BF16;
  spec.target = "sm_80";
  KernelRequest request = makeRequest(spec, makeSources({}), gpuTarget("sm_80"));
  TemporaryFolder folder;
  CompileOutput whole = compile(request, {.dump = (folder.path() / "dump").string()});
  REQUIRE(whole.kernel);
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder.path() / "dump"))
    files.push_back(entry.path().filename());
  std::sort(files.begin(), files.end());
  CHECK(files == std::vector<std::string>{"00.spec.json", "01.ast.tile", "02.tile.mlir",
                                          "03.specialised.mlir", "04.split.mlir", "05.placed.mlir",
                                          "06.staged.mlir", "07.nvvm.mlir", "08.llvm.mlir",
                                          "09.ir.ll", "10.code.ptx"});
  for (size_t i = 2; i < 10; ++i) {
    CAPTURE(files[i]);
    CompileOutput again =
        compile(request, {.startFrom = (folder.path() / "dump" / files[i]).string()});
    CHECK(again.diagnostics == "");
    REQUIRE(again.kernel);
    CHECK(again.kernel->code == whole.kernel->code);
    CHECK(again.kernel->arguments == whole.kernel->arguments);
    CHECK(again.kernel->threads == whole.kernel->threads);
    CHECK(again.kernel->sharedBytes == whole.kernel->sharedBytes);
    CHECK(again.kernel->carryBytes == whole.kernel->carryBytes);
    CHECK(again.kernel->mask == whole.kernel->mask);
  }
  // A file that is called further than it is.
  auto from = [&](const std::string &name) {
    writeFile(folder.path() / name, readFile(folder.path() / "dump" / "04.split.mlir"));
    return compile(request, {.startFrom = (folder.path() / name).string()}).diagnostics;
  };
  contains(from("early.placed.mlir"), "error: has no kernel whose tiles have places");
  contains(from("early.staged.mlir"), "error: has no kernel whose copies have been staged");
}

TEST_CASE("an edited stage changes what comes after it") {
  KernelRequest request = requestOf({.kernel = "matmul"});
  TemporaryFolder folder;
  std::string tile = compile(request, {.stopAfter = "tile"}).text;
  writeFile(folder.path() / "tile.mlir", replaced(tile, "[[\"M\", 64]", "[[\"M\", 32]"));
  CompileOutput output = compile(request, {.startFrom = (folder.path() / "tile.mlir").string()});
  CHECK(output.diagnostics == "");
  REQUIRE(output.kernel);
  CHECK(output.kernel->grid[0] == GridAxis{"M", 32});
}

TEST_CASE("a source that is wrong is reported at its place, and nothing is made") {
  KernelRequest request = requestOf(
      {.kernel = "copy", .source = "mine.tile"},
      {{"mine.tile", "kernel copy(x: view<f32>[M], y: view<f32>[M]) over r in M step 8 {\n"
                     "  y[r : 8] = z[r : 8]\n"
                     "}\n"}});
  CompileOutput output = compile(request);
  CHECK(!output.kernel);
  contains(output.diagnostics, "mine.tile:2:14: error: ");
  contains(output.diagnostics, "  y[r : 8] = z[r : 8]\n             ^");
}

TEST_CASE("an edited stage that is wrong is reported at its place") {
  KernelRequest request = requestOf({.kernel = "matmul"});
  TemporaryFolder folder;
  auto from = [&](const std::string &name, const std::string &text) {
    writeFile(folder.path() / name, text);
    CompileOutput output = compile(request, {.startFrom = (folder.path() / name).string()});
    CHECK(!output.kernel);
    return output.diagnostics;
  };
  std::string tile = compile(request, {.stopAfter = "tile"}).text;
  contains(from("02.tile.mlir", replaced(tile, "tile.dot", "tile.dart")), "02.tile.mlir:");
  contains(from("02.tile.mlir", replaced(tile, "tile.dot", "tile.dart")), "error: ");
  contains(from("02.tile.mlir", "module {\n  nonsense\n}\n"), "02.tile.mlir:2:3: error: ");
  contains(from("02.tile.mlir", "module {}\n"), "error: no function has the attribute tile.kernel");
  contains(from("06.llvm.mlir", "module {}\n"),
           "error: the module has no attribute tile.interface");
  std::string ir = compile(request, {.stopAfter = "ir"}).text;
  contains(from("07.ir.ll", replaced(ir, "define void", "define wold")), "07.ir.ll:");
  contains(from("07.ir.ll", ir.substr(ir.find('\n') + 1)),
           "07.ir.ll:1: error: the first line must be the interface");
  contains(from("07.ir.ll", ""), "error: ");
  contains(from("07.ir.ll", "; tile.interface = {\n" + ir.substr(ir.find('\n') + 1)), "error: ");
  std::string llvm = compile(request, {.stopAfter = "llvm"}).text;
  contains(from("06.llvm.mlir", replaced(llvm, "tile.interface = \"{", "tile.interface = \"[")),
           "error: ");
}

TEST_CASE("names and files of stages that do not exist") {
  KernelRequest request = requestOf({.kernel = "matmul"});
  TemporaryFolder folder;
  CHECK(thrownBy(request, {.stopAfter = "ptx"}) ==
        "--stop-after: got ptx, allowed: spec, ast, tile, specialised, split, vector, llvm, ir, "
        "code");
  contains(thrownBy(request, {.startFrom = "kernel.mlir"}), "--start-from: got kernel.mlir");
  contains(thrownBy(request, {.startFrom = "00.spec.json"}), "--start-from: got 00.spec.json");
  contains(thrownBy(request, {.startFrom = "mytile.mlir"}), "--start-from: got mytile.mlir");
  contains(thrownBy(request, {.startFrom = "absent/02.tile.mlir"}), "a file that can be read");
  writeFile(folder.path() / "04.split.mlir", "module {}\n");
  contains(thrownBy(request,
                    {.stopAfter = "tile", .startFrom = (folder.path() / "04.split.mlir").string()}),
           "--stop-after: got tile");
  writeFile(folder.path() / "file", "");
  contains(thrownBy(request, {.dump = (folder.path() / "file" / "dump").string()}), "--dump: got ");
}

TEST_CASE("a target is called by its name") {
  CHECK(targetCalled("cpu") == hostTarget());
  CHECK(targetCalled("native") == hostTarget());
  CHECK(targetCalled("sm_89") == gpuTarget("sm_89"));
  CHECK_THROWS_AS(targetCalled("sm_75"), InputError);
}

TEST_CASE("features of the host are hidden, with what needs them, and never added") {
  Target host = hostTarget(), narrow = hostTarget("-avx512f"), plain = hostTarget("-avx2,-amx");
  CHECK(hostTarget("") == host);
  CHECK(narrow.vectorBytes <= 32);
  CHECK(narrow.features.find("+avx512") == std::string::npos);
  CHECK_FALSE(narrow.hasBf16Dot);
  CHECK_FALSE(narrow.hasBf16Tiles);
  CHECK(plain.vectorBytes == 16);
  CHECK(plain.features.find("+avx2") == std::string::npos);
  CHECK(plain.features.find("+amx") == std::string::npos);
  CHECK(plain.chip == host.chip);
  Target widened = hostTarget("-avx512bf16,-amx");
  CHECK_FALSE(widened.hasBf16Dot);
  CHECK(widened.vectorBytes == host.vectorBytes);
  CHECK(cacheKey(makeRequest({}, SourceSet(), widened)) ==
        cacheKey(makeRequest({}, SourceSet(), hostTarget("-amx,-avx512bf16"))));
  if (host.hasBf16Dot)
    CHECK(cacheKey(makeRequest({}, SourceSet(), widened)) !=
          cacheKey(makeRequest({}, SourceSet(), host)));
  auto refused = [](const char *hidden) {
    try {
      hostTarget(hidden);
    } catch (const InputError &error) {
      return std::string(error.what());
    }
    return std::string();
  };
  contains(refused("+amx-tile"),
           "RINGC_CPU_FEATURES: got \"+amx-tile\", allowed: features to hide");
  contains(refused("amx-tile"), "got \"amx-tile\"");
  contains(refused("-avx512bf61"), "got \"-avx512bf61\", allowed: LLVM's names");
  contains(refused("-sse2"), "not every x86-64 processor");
}

TEST_CASE("specs that cannot be") {
  auto refused = [](const Spec &spec) { return thrownBy(requestOf(spec), {}); };
  contains(refused({.kernel = "attention_froward"}), "attention_forward");
  contains(refused({.kernel = "matmul", .target = "sm_90a"}), "sm_90a");
  contains(refused({.kernel = "matmul", .target = "sm_90a"}), "cpu, native");
  contains(refused({.mask = {"casual"}}), "causal");
  contains(refused({.kernel = "matmul", .target = "sm_80"}),
           "target: got \"sm_80\", allowed: cpu, native (what this is compiled for)");
  auto refusedFor = [](const char *chip, const Spec &spec) {
    return thrownBy(makeRequest(spec, makeSources({}), gpuTarget(chip)), {});
  };
  contains(refusedFor("sm_80", {.kernel = "matmul"}), "target: got \"cpu\", allowed: sm_80 (");
  contains(refusedFor("sm_80", {.kernel = "matmul", .target = "sm_90"}), "allowed: sm_80 (");
}

TEST_CASE("nothing is hard-wired: without the library's sources no kernel compiles") {
  for (const char *kernel :
       {"attention_forward", "attention_delta", "attention_backward_dkdv", "attention_backward_dq",
        "attention_backward", "attention_backward_round", "attention_merge", "matmul",
        "row_softmax"}) {
    CAPTURE(kernel);
    KernelRequest request = makeRequest({.kernel = kernel}, SourceSet(), hostTarget());
    contains(thrownBy(request, {}), kernel);
  }
}

TEST_CASE("a source set may hold any kernels, under any names") {
  SourceSet sources(std::vector<SourceText>{
      {"only.tile", "kernel matmul<T: type, BM = 8>(c: view<f32>[M, 8]) over i in M "
                    "step BM { c[i : BM, :] = zeros<f32>[BM, 8] }"}});
  CompileOutput output = compile(makeRequest({.kernel = "matmul"}, sources, hostTarget()));
  CHECK(output.diagnostics == "");
  REQUIRE(output.kernel);
  CHECK(output.kernel->arguments.size() == 2);
}
