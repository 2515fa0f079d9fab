#pragma once

#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"

#include <span>
#include <string>
#include <vector>

namespace ringc::cli {

/// A spec as commands take it: SPEC.json, or a FILE.tile with one kernel, or with masks and scores
/// for the library's forward; then each assignment of --set. Not validated. Throws InputError.
Spec specOfFile(const std::string &path, std::span<const std::string> assignments);

/// The .tile files that the spec names.
std::vector<SourceText> textsOf(const Spec &spec);

} // namespace ringc::cli
