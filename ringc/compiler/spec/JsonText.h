#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string_view>

namespace ringc {

/// JSON text as a tree; a byte order mark before it is skipped. Throws InputError for text that
/// nests deeper than 32 levels, before it is held in memory as a tree, and
/// nlohmann::json::parse_error.
nlohmann::json parseJsonText(std::string_view text);

/// The same of text that messages call `name`. Throws InputError alone: `name:line:column: ...`
/// where it is no JSON.
nlohmann::json parseJsonText(std::string_view text, std::string_view name);

} // namespace ringc
