#pragma once

#include <string>

namespace ringc::cli {

/// A text file of at most 16 MiB. Throws InputError starting with the path.
std::string readText(const std::string &path);

} // namespace ringc::cli
