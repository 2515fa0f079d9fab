#include "ringc/files/ZipSource.h"

#include "ringc/files/LittleEndian.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>

namespace ringc {

namespace {

constexpr uint16_t stored = 0, deflated = 8;
constexpr size_t mostAtOnce = 1 << 30; // zlib counts in 32 bits

} // namespace

struct ZipSource::Inflater {
  Inflater() {
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) // without a header of zlib's own
      throw std::bad_alloc();
  }
  Inflater(Inflater &&) = delete;
  ~Inflater() { inflateEnd(&stream); }

  z_stream stream = {};
  std::array<std::byte, 1 << 16> buffer;
  bool isOver = false;
};

ZipSource::ZipSource(const InputFile &of, ZipMember ofMember, std::string called)
    : file(of), member(std::move(ofMember)), label(std::move(called)) {
  // Deflate makes at most 258 bytes of 2 bits: what claims more would be allocated for nothing.
  constexpr int64_t mostOfOne = 1032, slack = 64;
  if (member.isEncrypted)
    fail("is encrypted");
  if (member.method != stored && member.method != deflated)
    fail("has compression method " + std::to_string(member.method) +
         ", allowed: 0 (stored), 8 (deflate)");
  locate();
  bool fits = member.method == stored ? member.bytes == member.compressedBytes
                                      : member.bytes / mostOfOne <= member.compressedBytes + slack;
  if (!fits)
    fail("the archive claims " + std::to_string(member.bytes) + " bytes of " +
         std::to_string(member.compressedBytes) + ", which cannot be");
  if (member.method == deflated)
    inflater = std::make_unique<Inflater>();
}

ZipSource::~ZipSource() = default;

/// Behind the local header, whose extra field may be another than the directory's.
void ZipSource::locate() {
  constexpr uint32_t signature = 0x04034b50;
  constexpr int64_t headerBytes = 30;
  int64_t available = file.size() - headerBytes - member.headerOffset;
  std::string header(size_t(headerBytes), '\0');
  if (available >= 0)
    file.read(member.headerOffset, std::as_writable_bytes(std::span(header)));
  LittleEndian local(header);
  if (available < 0 || local.u32(0) != signature)
    fail("its data is not where the archive's directory says");
  int64_t names = local.u16(26) + local.u16(28);
  offset = member.headerOffset + headerBytes + names;
  left = member.compressedBytes;
  if (left > available - names)
    fail("the archive claims " + std::to_string(left) + " bytes, the file holds " +
         std::to_string(std::max<int64_t>(0, available - names)) + " from its start");
}

void ZipSource::read(std::span<std::byte> into) {
  while (!into.empty()) {
    std::span<std::byte> part = into.first(std::min(into.size(), mostAtOnce));
    if (inflater) {
      inflate(part);
    } else {
      if (int64_t(part.size()) > left)
        fail("ends too early");
      file.read(offset, part);
      offset += int64_t(part.size());
      left -= int64_t(part.size());
    }
    crc = uint32_t(crc32_z(crc, reinterpret_cast<const Bytef *>(part.data()), part.size()));
    into = into.subspan(part.size());
  }
}

void ZipSource::inflate(std::span<std::byte> into) {
  z_stream &stream = inflater->stream;
  stream.next_out = reinterpret_cast<Bytef *>(into.data());
  stream.avail_out = uInt(into.size());
  while (stream.avail_out > 0) {
    if (stream.avail_in == 0 && left > 0) {
      auto next = std::span(inflater->buffer);
      std::span<std::byte> bytes = next.first(size_t(std::min(left, int64_t(next.size()))));
      file.read(offset, bytes);
      offset += int64_t(bytes.size());
      left -= int64_t(bytes.size());
      stream.next_in = reinterpret_cast<Bytef *>(bytes.data());
      stream.avail_in = uInt(bytes.size());
    }
    int code = inflater->isOver ? Z_BUF_ERROR : ::inflate(&stream, Z_NO_FLUSH);
    inflater->isOver |= code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
      throw std::bad_alloc();
    if (code != Z_OK && !(code == Z_STREAM_END && stream.avail_out == 0))
      fail(code == Z_STREAM_END || code == Z_BUF_ERROR ? "its data ends too early"
                                                       : "its data is not deflated");
  }
}

void ZipSource::finish() {
  if (crc != member.crc)
    fail("its data is not that of its checksum");
}

} // namespace ringc
