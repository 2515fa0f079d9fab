#pragma once

#include <string_view>

namespace ringc::frontend {

/// Bytes of the well-formed UTF-8 sequence that begins at text[at] (Unicode 15, table 3-7), or 0
/// where it is malformed.
int utf8Length(std::string_view text, size_t at);

} // namespace ringc::frontend
