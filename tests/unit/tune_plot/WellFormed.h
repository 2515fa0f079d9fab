#pragma once

#include <string>
#include <string_view>

namespace ringc::testing {

/// What keeps `text` from being one well-formed element of XML, of the part of it that the plots
/// use; empty: nothing.
std::string notWellFormed(std::string_view text);

} // namespace ringc::testing
