#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ringc {

/// The name at the least edit distance from `wrong`, or "" where none is near enough to be what was
/// meant.
std::string_view closestName(std::string_view wrong, std::span<const std::string_view> names);

/// "; did you mean NAME?" or "".
std::string didYouMean(std::string_view wrong, std::span<const std::string_view> names);

} // namespace ringc
