#pragma once

#include <string_view>

namespace ringc::frontend {

/// What a file of UTF-8 may begin with; no part of its text.
inline constexpr std::string_view byteOrderMark = "\xef\xbb\xbf";

/// Bytes of the well-formed UTF-8 sequence that begins at text[at] (Unicode 15, table 3-7), or 0
/// where it is malformed.
int utf8Length(std::string_view text, size_t at);

} // namespace ringc::frontend
