#pragma once

#include <optional>
#include <span>
#include <string>

namespace ringc {

/// A library opened while the program runs, for the rest of the process's life: drivers keep
/// threads and exit handlers of their own.
class SharedLibrary {
public:
  /// The first of `names` that opens. A name without a slash is looked for as the dynamic loader
  /// does. Nothing where none opens; then `problem` says of each why.
  static std::optional<SharedLibrary> open(std::span<const std::string> names,
                                           std::string &problem);

  /// Null where the library has no such symbol.
  void *find(const char *symbol) const;

  /// The file that it came from.
  const std::string &path() const { return file; }

private:
  SharedLibrary(void *opened, const std::string &name);

  void *handle;
  std::string file;
};

} // namespace ringc
