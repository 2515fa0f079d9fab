#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/codegen/HostBackend.h"
#include "ringc/compiler/codegen/HostFeatures.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

#include <algorithm>

#include <unistd.h>

using namespace ringc;

static int64_t cacheBytes(int name, int64_t otherwise) {
  long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

void ringc::initialiseHostBackend() {
  static const bool initialised = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)initialised;
}

/// Multiply-adds of bf16 pairs, in hundredths of f32's in the same time: a Zen 4 or 5 takes as many
/// vdpbf16ps as vfmadd231ps a cycle, a Sapphire, Emerald or Granite Rapids a quarter.
static int64_t pairSpeedOf(llvm::StringRef chip) {
  return chip.starts_with("znver") || chip == "cooperlake" ? 200 : 50;
}

Target ringc::hostTarget(std::string_view hidden) {
  Target target;
  target.triple = llvm::sys::getDefaultTargetTriple();
  target.chip = llvm::sys::getHostCPUName().str();
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  hideFeatures(features, hidden);
  if (features.lookup("amx-tile") && !askForTileRegisters())
    hideFeatures(features, "-amx");
  std::vector<std::string> names;
  for (const auto &feature : features)
    names.push_back((feature.second ? "+" : "-") + feature.first().str());
  std::sort(names.begin(), names.end());
  for (const std::string &name : names)
    target.features += (target.features.empty() ? "" : ",") + name;
  bool avx512 = features.lookup("avx512f") && features.lookup("avx512vl") &&
                features.lookup("avx512bw") && features.lookup("avx512dq");
  bool avx2 = features.lookup("avx2") && features.lookup("fma");
  target.vectorBytes = avx512 ? 64 : avx2 ? 32 : 16;
  target.vectorRegisters = avx512 ? 32 : 16;
  target.hasBf16Dot = avx512 && features.lookup("avx512bf16");
  target.pairSpeed = pairSpeedOf(target.chip);
  // Their sums pass through vectors of as many bytes as a tile's rows have.
  bool tiles = target.hasBf16Dot && features.lookup("amx-tile");
  target.hasBf16Tiles = tiles && features.lookup("amx-bf16");
  target.hasF16Tiles = tiles && features.lookup("amx-fp16");
  target.l1Bytes = cacheBytes(_SC_LEVEL1_DCACHE_SIZE, target.l1Bytes);
  target.l2Bytes = cacheBytes(_SC_LEVEL2_CACHE_SIZE, target.l2Bytes);
  return target;
}
