#include "runtime/files/Safetensors.h"

#include "runtime/Error.h"
#include "runtime/files/Quote.h"
#include "runtime/files/RawData.h"
#include "runtime/files/SafetensorsHeader.h"

#include <algorithm>
#include <cstring>

namespace ringc {

namespace {

constexpr int64_t lengthBytes = 8;
constexpr uint64_t maxHeaderBytes = 100'000'000; // the format's own limit

struct Directory {
  std::vector<SafetensorsEntry> entries;
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
    return {parseSafetensorsHeader(text, int64_t(available - length)),
            lengthBytes + int64_t(length)};
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

} // namespace

HostTensor readSafetensors(const std::string &path, const std::string &name) {
  InputFile file(path);
  auto [entries, dataOffset] = readDirectory(file);
  auto entry = std::ranges::find(entries, name, &SafetensorsEntry::name);
  if (entry == entries.end())
    throw InputError(path, "tensor name " + quote(name), namesOf(entries));
  std::optional<DType> dtype = dtypeOfSafetensors(entry->type);
  if (!dtype)
    throw InputError(path + ":" + name, "type " + quote(entry->type),
                     "F32, F16, BF16, I32, I64, BOOL");
  if (entry->shape.size() > size_t(Tensor::maxRank))
    throw InputError(path + ":" + name, std::to_string(entry->shape.size()) + " axes",
                     "at most " + std::to_string(Tensor::maxRank));
  HostTensor tensor = allocateFor(file, *dtype, entry->shape);
  readData(file, dataOffset + entry->begin, tensor);
  return tensor;
}

void writeSafetensors(OutputFile &file, std::span<const NamedTensor> tensors) {
  // Wide elements first, so that all are aligned.
  std::vector<NamedTensor> ordered(tensors.begin(), tensors.end());
  std::ranges::sort(ordered, {}, [](const NamedTensor &entry) {
    return std::pair(-int64_t(sizeOf(entry.tensor.dtype())), std::string_view(entry.name));
  });
  std::string header = safetensorsHeaderText(ordered);
  uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const NamedTensor &entry : ordered)
    writeData(file, entry.tensor);
}

} // namespace ringc
