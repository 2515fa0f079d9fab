#pragma once

#include <span>
#include <string_view>

namespace ringc {

/// A source file of the library, as it stood when the build was made.
struct EmbeddedSource {
  std::string_view name; ///< "attention_forward.tile"
  std::string_view text;
};

/// All .tile sources of this folder: masks and scores first, then the kernels that use them.
std::span<const EmbeddedSource> kernelLibrary();

} // namespace ringc
