#include "ringc/TileFile.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace ringc {

std::string readTileFile(const std::string &path) {
  constexpr std::streamoff largest = 1 << 20;
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status))
    throw InputError(path + ": is a folder, not a .tile file");
  // Opening a pipe that nobody writes to would wait for ever.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw InputError(path + ": is not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw InputError(path + ": cannot be read");
  file.seekg(0, std::ios::end);
  if (!file || file.tellg() < 0 || file.tellg() > largest)
    throw InputError(path + ": is no text of at most 1 MiB");
  std::string text(size_t(file.tellg()), '\0');
  file.seekg(0);
  if (!file.read(text.data(), std::streamsize(text.size())))
    throw InputError(path + ": cannot be read");
  return text;
}

std::vector<SourceText> sourceTexts(const Spec &spec, std::vector<SourceText> known) {
  validate(spec);
  std::vector<std::string> files = sourceFiles(spec);
  std::string all;
  for (const std::string &file : files)
    all += (all.empty() ? "" : ", ") + file;
  for (const SourceText &text : known)
    if (std::ranges::find(files, text.name) == files.end())
      throw InputError("text", text.name,
                       "those that the spec names: " + (all.empty() ? std::string("none") : all));
  for (const std::string &file : files)
    if (std::ranges::find(known, file, &SourceText::name) == known.end())
      known.push_back({file, readTileFile(file)});
  return known;
}

} // namespace ringc
