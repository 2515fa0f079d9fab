#pragma once

#include <string>

namespace ringc::frontend {

/// A place in a source file. Both count from 1; the column counts bytes.
struct Location {
  int line = 1;
  int column = 1;
  bool operator==(const Location &) const = default;
};

/// A source file: the name that diagnostics and locations show, and its text.
struct SourceFile {
  std::string name;
  std::string text;
};

} // namespace ringc::frontend
