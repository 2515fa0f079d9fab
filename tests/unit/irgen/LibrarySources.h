#pragma once

#include "kernels.tiles/Library.h"
#include "ringc/compiler/frontend/Program.h"

namespace ringc {

/// The library and, where there is text, a user's file "user.tile".
inline frontend::Program programOf(const std::string &user) {
  std::vector<frontend::SourceFile> library, files;
  for (const EmbeddedSource &source : kernelLibrary())
    library.push_back({std::string(source.name), std::string(source.text)});
  if (!user.empty())
    files.push_back({"user.tile", user});
  return frontend::Program::parse(files, library);
}

} // namespace ringc
