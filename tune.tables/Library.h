#pragma once

#include <span>
#include <string_view>

namespace ringc {

/// A table of tuned tile sizes of this folder, as it stood when the build was made.
struct EmbeddedTable {
  std::string_view name; ///< "h200.json"
  std::string_view text;
};

/// In the order of their names.
std::span<const EmbeddedTable> shippedTables();

} // namespace ringc
