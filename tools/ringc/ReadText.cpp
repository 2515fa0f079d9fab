#include "tools/ringc/ReadText.h"

#include "ringc/files/File.h"

#include <span>

namespace ringc::cli {

std::string readText(const std::string &path) {
  constexpr int64_t largest = 16 << 20;
  InputFile file(path);
  if (file.size() > largest)
    file.fail("is larger than 16 MiB");
  std::string text(size_t(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

} // namespace ringc::cli
