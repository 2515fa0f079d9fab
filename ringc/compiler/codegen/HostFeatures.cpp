#include "ringc/compiler/codegen/HostFeatures.h"

#include "ringc/support/Error.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <string>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

using namespace ringc;

static constexpr const char variable[] = "RINGC_CPU_FEATURES";

void ringc::hideFeatures(llvm::StringMap<bool> &features, std::string_view hidden) {
  llvm::SmallVector<llvm::StringRef> parts;
  llvm::StringRef(hidden).split(parts, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (llvm::StringRef part : parts) {
    llvm::StringRef name = part.trim();
    if (!name.consume_front("-"))
      throw InputError(variable, "\"" + part.str() + "\"",
                       "features to hide, -NAME,-NAME: one that a processor lacks cannot be given");
    std::vector<std::string> named;
    for (const auto &feature : features) {
      llvm::StringRef each = feature.first();
      if (each == name || each.starts_with((name + "-").str()))
        named.push_back(each.str());
    }
    if (named.empty())
      throw InputError(variable, "\"" + part.str() + "\"",
                       "LLVM's names of features, such as -avx512f, -avx512bf16, -amx");
    for (const std::string &each : named) {
      features[each] = false;
      llvm::X86::updateImpliedFeatures(each, /*Enabled=*/false, features);
    }
    if (!features.lookup("sse2"))
      throw InputError(variable, "\"" + part.str() + "\"",
                       "features that not every x86-64 processor has");
  }
}

bool ringc::askForTileRegisters() {
#if defined(__x86_64__) && defined(SYS_arch_prctl)
  constexpr long requestPermission = 0x1023,
                 tileData = 18; // Linux, arch/x86/include/uapi/asm/prctl.h
  static const bool granted = syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  return granted;
#else
  return false;
#endif
}
