#include "runtime/files/Npy.h"

#include "runtime/Error.h"
#include "runtime/files/NpyHeader.h"
#include "runtime/files/RawData.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringc {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t maxHeaderBytes = 1 << 20; // numpy itself refuses more than 10000

struct Preamble {
  NpyHeader header;
  int64_t dataOffset = 0;
};

Preamble readPreamble(const InputFile &file) {
  constexpr int64_t shortest = 10; // magic, version, two bytes of length
  std::array<unsigned char, 12> start{};
  file.read(0, std::as_writable_bytes(std::span(start))
                   .first(size_t(std::min<int64_t>(file.size(), int64_t(start.size())))));
  if (file.size() < shortest || std::memcmp(start.data(), magic.data(), magic.size()) != 0)
    file.fail("not a .npy file: it does not start with \\x93NUMPY");
  int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0)
    file.fail("got .npy format " + std::to_string(version) + "." + std::to_string(start[7]) +
              ", allowed: 1.0, 2.0, 3.0");

  int64_t begin = version == 1 ? 10 : 12;
  int64_t length = start[8] | start[9] << 8;
  if (version > 1)
    length |= int64_t(start[10]) << 16 | int64_t(start[11]) << 24;
  if (length > file.size() - begin)
    file.fail("the header claims " + std::to_string(length) + " bytes, the file holds " +
              std::to_string(std::max<int64_t>(file.size() - begin, 0)) + " after its start");
  if (length > maxHeaderBytes)
    file.fail("the header claims " + std::to_string(length) + " bytes, at most " +
              std::to_string(maxHeaderBytes) + " are allowed");

  std::string text(size_t(length), '\0');
  file.read(begin, std::as_writable_bytes(std::span(text)));
  try {
    return {parseNpyHeader(text), begin + length};
  } catch (const InputError &error) {
    file.fail(error.what());
  }
}

/// A view of `data`, which holds the elements with the first axis innermost.
Tensor fortranView(const HostTensor &data, std::span<const int64_t> shape) {
  std::array<int64_t, Tensor::maxRank> strides{};
  int64_t step = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return Tensor(data.data(), data.dtype(), shape, std::span(strides).first(shape.size()));
}

} // namespace

HostTensor readNpy(const std::string &path) {
  InputFile file(path);
  auto [header, offset] = readPreamble(file);
  std::optional<int64_t> bytes = byteCountOf(header.dtype, header.shape);
  if (!bytes)
    file.fail("the header claims a shape of more than 2^63 bytes");
  if (*bytes != file.size() - offset)
    file.fail("the header claims " + std::to_string(*bytes) + " bytes of data, the file holds " +
              std::to_string(file.size() - offset));

  HostTensor tensor = allocateFor(file, header.dtype, header.shape);
  readData(file, offset, tensor);
  if (!header.fortranOrder || header.shape.size() < 2)
    return tensor;
  HostTensor rowMajor = allocateFor(file, header.dtype, header.shape);
  copy(fortranView(tensor, header.shape), rowMajor);
  return rowMajor;
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
