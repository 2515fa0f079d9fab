#include "ringc/files/Npy.h"

#include "ringc/files/NpyHeader.h"
#include "ringc/files/RawData.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringc {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t maxHeaderBytes = 1 << 20; // numpy itself refuses more than 10000

struct Preamble {
  NpyHeader header;
  int64_t dataBytes = 0;
};

Preamble readPreamble(ByteSource &source) {
  constexpr int64_t shortest = 10; // magic, version, two bytes of length
  std::array<unsigned char, 12> start{};
  auto bytes = std::as_writable_bytes(std::span(start));
  source.read(bytes.first(size_t(std::min(source.size(), shortest))));
  if (source.size() < shortest || std::memcmp(start.data(), magic.data(), magic.size()) != 0)
    source.fail("not a .npy file: it does not start with \\x93NUMPY");
  int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0)
    source.fail("got .npy format " + std::to_string(version) + "." + std::to_string(start[7]) +
                ", allowed: 1.0, 2.0, 3.0");

  int64_t begin = version == 1 ? shortest : shortest + 2;
  source.read(bytes.subspan(shortest, size_t(std::min(begin, source.size()) - shortest)));
  int64_t length = start[8] | start[9] << 8;
  if (version > 1)
    length |= int64_t(start[10]) << 16 | int64_t(start[11]) << 24;
  if (length > source.size() - begin)
    source.fail("the header claims " + std::to_string(length) + " bytes, the file holds " +
                std::to_string(std::max<int64_t>(source.size() - begin, 0)) + " after its start");
  if (length > maxHeaderBytes)
    source.fail("the header claims " + std::to_string(length) + " bytes, at most " +
                std::to_string(maxHeaderBytes) + " are allowed");

  std::string text(size_t(length), '\0');
  source.read(std::as_writable_bytes(std::span(text)));
  try {
    return {parseNpyHeader(text), source.size() - begin - length};
  } catch (const InputError &error) {
    source.fail(error.what());
  }
}

} // namespace

HostTensor readNpy(ByteSource &source, const ReadOptions &options) {
  auto [header, dataBytes] = readPreamble(source);
  std::optional<int64_t> bytes = byteCountOf(header.type, header.shape);
  if (!bytes)
    source.fail("the header claims a shape of more than 2^63 bytes");
  if (*bytes != dataBytes)
    source.fail("the header claims " + std::to_string(*bytes) + " bytes of data, the file holds " +
                std::to_string(dataBytes));
  StoredElements stored{.type = header.type,
                        .bigEndian = header.bigEndian,
                        .firstAxisInnermost = header.fortranOrder};
  HostTensor tensor = readElements(source, stored, header.shape, options);
  source.finish();
  if (header.isNameless && options.note && options.as != std::vector{DType::BF16})
    options.note(source.name() + ": its type V2 has no name; read as bfloat16");
  return tensor;
}

HostTensor readNpy(const std::string &path, const ReadOptions &options) {
  InputFile file(path);
  FileBytes source(file);
  return readNpy(source, options);
}

void writeNpy(OutputFile &file, const Tensor &tensor) {
  if (tensor.dtype() == DType::BF16) {
    HostTensor single(DType::F32, tensor.shape());
    convert(tensor, single);
    return writeNpy(file, single);
  }
  std::string text = npyHeaderText(tensor.dtype(), tensor.shape());
  constexpr size_t alignment = 64, start = 10;
  size_t padded = (start + text.size() + 1 + alignment - 1) / alignment * alignment - start;
  text.resize(padded - 1, ' ');
  text += '\n';
  std::string preamble(magic);
  preamble += {'\x01', '\x00', char(padded & 0xff), char(padded >> 8)};
  file.write(preamble + text);
  writeData(file, tensor);
}

} // namespace ringc
