#include "ringc/files/Safetensors.h"

#include "ringc/files/Quote.h"
#include "ringc/files/RawData.h"
#include "ringc/files/SafetensorsHeader.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

namespace ringc {

namespace {

constexpr int64_t lengthBytes = 8;
constexpr uint64_t maxHeaderBytes = 100'000'000; // the format's own limit

struct Directory {
  std::vector<SafetensorsEntry> entries;
  SafetensorsMetadata metadata;
  int64_t dataOffset = 0;
};

Directory readDirectory(const InputFile &file) {
  if (file.size() < lengthBytes)
    file.fail("not a .safetensors file: it has " + std::to_string(file.size()) + " bytes");
  uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  auto available = uint64_t(file.size() - lengthBytes);
  if (length > available)
    file.fail("the header claims " + std::to_string(length) + " bytes, the file holds " +
              std::to_string(available) + " after its start");
  if (length > maxHeaderBytes)
    file.fail("the header claims " + std::to_string(length) + " bytes, at most " +
              std::to_string(maxHeaderBytes) + " are allowed");

  std::string text(size_t(length), '\0');
  file.read(lengthBytes, std::as_writable_bytes(std::span(text)));
  try {
    Directory directory{.dataOffset = lengthBytes + int64_t(length)};
    directory.entries =
        parseSafetensorsHeader(text, int64_t(available - length), &directory.metadata);
    return directory;
  } catch (const InputError &error) {
    file.fail(error.what());
  }
}

std::string namesOf(const std::vector<SafetensorsEntry> &entries) {
  constexpr size_t maxShown = 12;
  std::string names;
  for (size_t index = 0; index < std::min(entries.size(), maxShown); ++index)
    names += (index ? ", " : "") + quote(entries[index].name);
  if (entries.size() > maxShown)
    names += " and " + std::to_string(entries.size() - maxShown) + " more";
  return names.empty() ? "nothing, the file has no tensors" : names;
}

/// Of the file that is written: a tensor of memory, or bytes of another file.
struct Part {
  SafetensorsEntry entry; ///< without its place
  Tensor tensor;
  int64_t bytes = 0, keptOffset = -1;

  /// Wide elements first, so that all are aligned; what has no whole bytes comes last.
  std::pair<int64_t, std::string_view> order() const {
    std::optional<StoredType> type = storedTypeOfSafetensors(entry.type);
    return {type ? -int64_t(sizeOf(*type)) : entry.type == "C64" ? -8 : 0, entry.name};
  }
};

void copyBytes(const InputFile &from, int64_t offset, int64_t count, OutputFile &to) {
  constexpr int64_t block = 1 << 20;
  std::vector<std::byte> buffer(size_t(std::min(block, count)));
  for (int64_t done = 0; done < count; done += block) {
    auto bytes = std::span(buffer).first(size_t(std::min(block, count - done)));
    from.read(offset + done, bytes);
    to.write(bytes);
  }
}

/// Those of the file, but what has one of the names.
std::vector<Part> partsBesides(const Directory &directory, std::span<const NamedTensor> tensors) {
  std::unordered_set<std::string_view> replaced;
  for (const NamedTensor &tensor : tensors)
    replaced.insert(tensor.name);
  std::vector<Part> parts;
  for (const SafetensorsEntry &entry : directory.entries)
    if (!replaced.contains(entry.name))
      parts.push_back({.entry = entry,
                       .tensor = {},
                       .bytes = entry.end - entry.begin,
                       .keptOffset = directory.dataOffset + entry.begin});
  return parts;
}

} // namespace

HostTensor readSafetensors(const std::string &path, const std::string &name,
                           const ReadOptions &options) {
  InputFile file(path);
  Directory directory = readDirectory(file);
  auto entry = std::ranges::find(directory.entries, name, &SafetensorsEntry::name);
  if (entry == directory.entries.end())
    throw InputError(path, "tensor name " + quote(name), namesOf(directory.entries));
  std::string label = path + ":" + name;
  std::optional<StoredType> type = storedTypeOfSafetensors(entry->type);
  if (!type)
    throw InputError(label, "type " + quote(entry->type),
                     "F64, F32, F16, BF16, I8 to I64, U8 to U64, BOOL");
  if (entry->shape.size() > size_t(Tensor::maxRank))
    throw InputError(label, std::to_string(entry->shape.size()) + " axes",
                     "at most " + std::to_string(Tensor::maxRank));
  FileBytes source(file, directory.dataOffset + entry->begin, label);
  return readElements(source, {.type = *type}, entry->shape, options);
}

std::vector<StoredShape> safetensorsShapes(const std::string &path) {
  InputFile file(path);
  std::vector<StoredShape> list;
  for (SafetensorsEntry &entry : readDirectory(file).entries)
    list.push_back({std::move(entry.name), std::move(entry.shape)});
  return list;
}

void writeSafetensors(OutputFile &file, std::span<const NamedTensor> tensors,
                      const std::optional<std::string> &keep) {
  std::optional<InputFile> kept;
  std::vector<Part> parts;
  SafetensorsMetadata metadata;
  if (keep) {
    Directory directory = readDirectory(kept.emplace(*keep));
    metadata = std::move(directory.metadata);
    parts = partsBesides(directory, tensors);
  }
  for (const auto &[name, tensor] : tensors)
    parts.push_back({.entry = {.name = name,
                               .type = std::string(safetensorsTypeOf(storedTypeOf(tensor.dtype()))),
                               .shape = std::vector(tensor.shape().begin(), tensor.shape().end())},
                     .tensor = tensor,
                     .bytes = tensor.byteCount()});
  std::ranges::sort(parts, {}, &Part::order);
  std::vector<SafetensorsEntry> entries;
  int64_t end = 0;
  for (Part &part : parts) {
    part.entry.begin = end;
    part.entry.end = end += part.bytes;
    entries.push_back(part.entry);
  }
  std::string header = safetensorsHeaderText(entries, metadata);
  uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const Part &part : parts) {
    if (part.keptOffset >= 0)
      copyBytes(*kept, part.keptOffset, part.bytes, file);
    else
      writeData(file, part.tensor);
  }
}

void checkSafetensors(const std::string &path) { (void)readDirectory(InputFile(path)); }

} // namespace ringc
