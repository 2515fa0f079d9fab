#pragma once

#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"

#include <string>
#include <vector>

namespace ringc {

/// The text of a .tile file of at most 1 MiB. Throws InputError starting with the path.
std::string readTileFile(const std::string &path);

/// The texts of the files that a spec names: those of `known`, the others read. Throws InputError
/// for a spec that is not valid, a file that cannot be read, and one of `known` that the spec does
/// not name.
std::vector<SourceText> sourceTexts(const Spec &spec, std::vector<SourceText> known);

} // namespace ringc
