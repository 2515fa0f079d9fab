#pragma once

#include "llvm/ADT/StringMap.h"

#include <string_view>

namespace ringc {

/// Takes what `hidden` names from a processor's features, and all that cannot be there without it:
/// "-amx,-avx512f", names of LLVM's or, up to a hyphen, the beginning of several. What the
/// processor lacks anyway may be named. Throws InputError for a name of nothing, a feature that is
/// to be added, and what all x86-64 processors have.
void hideFeatures(llvm::StringMap<bool> &features, std::string_view hidden);

/// Asks the kernel for the registers of AMX, once for the process and its threads to come; false
/// where there are none, or a hypervisor or a policy refuses them.
bool askForTileRegisters();

} // namespace ringc
