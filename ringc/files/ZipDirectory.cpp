#include "ringc/files/ZipDirectory.h"

#include "ringc/files/LittleEndian.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace ringc {

namespace {

constexpr uint32_t memberSignature = 0x02014b50, endSignature = 0x06054b50;
constexpr uint32_t end64Signature = 0x06064b50, locator64Signature = 0x07064b50;
constexpr int64_t endBytes = 22, end64Bytes = 56, locator64Bytes = 20, memberBytes = 46;
constexpr uint16_t zip64Extra = 1;
constexpr uint32_t inZip64 = 0xffffffff; ///< a size or offset that the extension has

std::string readText(const InputFile &file, int64_t offset, int64_t count) {
  std::string text(size_t(count), '\0');
  file.read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

struct Place {
  int64_t offset = 0, bytes = 0;
};

/// Where the directory is: the archive's last record says, behind which only its comment lies.
Place placeOfDirectory(const InputFile &file) {
  constexpr int64_t longestComment = 0xffff;
  int64_t tailBytes = std::min(file.size(), endBytes + longestComment);
  int64_t tailOffset = file.size() - tailBytes;
  std::string tail = readText(file, tailOffset, tailBytes);
  for (int64_t at = tailBytes - endBytes; at >= 0; --at) {
    LittleEndian end(std::string_view(tail).substr(size_t(at)));
    if (end.u32(0) != endSignature || at + endBytes + end.u16(20) != tailBytes)
      continue;
    Place place{.offset = end.u32(16), .bytes = end.u32(12)};
    int64_t locator = tailOffset + at - locator64Bytes;
    if (locator < 0)
      return place;
    std::string located = readText(file, locator, locator64Bytes);
    if (LittleEndian(located).u32(0) != locator64Signature)
      return place;
    uint64_t end64 = LittleEndian(located).u64(8);
    if (end64 > uint64_t(std::max<int64_t>(0, locator - end64Bytes)))
      file.fail("the archive's directory is not where its end says");
    std::string record = readText(file, int64_t(end64), end64Bytes);
    LittleEndian large(record);
    if (large.u32(0) != end64Signature || large.u64(40) > uint64_t(file.size()) ||
        large.u64(48) > uint64_t(file.size()))
      file.fail("the archive's directory is not where its end says");
    return {.offset = int64_t(large.u64(48)), .bytes = int64_t(large.u64(40))};
  }
  file.fail("not an archive as numpy.savez writes it: it has no directory of a ZIP file");
}

/// Takes what did not fit in 32 bits from the extra fields; false where it is not there.
bool extend(ZipMember &member, std::string_view extra) {
  uint64_t values[] = {uint64_t(member.bytes), uint64_t(member.compressedBytes),
                       uint64_t(member.headerOffset)};
  std::string_view wide;
  while (extra.size() >= 4) {
    LittleEndian field(extra);
    size_t length = field.u16(2);
    if (length > extra.size() - 4)
      return false;
    if (field.u16(0) == zip64Extra)
      wide = extra.substr(4, length);
    extra.remove_prefix(4 + length);
  }
  for (uint64_t &value : values)
    if (value == inZip64) {
      if (wide.size() < 8)
        return false;
      value = LittleEndian(wide).u64(0);
      wide.remove_prefix(8);
      if (value > uint64_t(INT64_MAX))
        return false;
    }
  member.bytes = int64_t(values[0]);
  member.compressedBytes = int64_t(values[1]);
  member.headerOffset = int64_t(values[2]);
  return true;
}

} // namespace

std::vector<ZipMember> readZipDirectory(const InputFile &file) {
  constexpr int64_t largest = 64 << 20;
  Place place = placeOfDirectory(file);
  if (place.offset > file.size() || place.bytes > file.size() - place.offset)
    file.fail("the archive's directory claims " + std::to_string(place.bytes) + " bytes at byte " +
              std::to_string(place.offset) + ", the file holds " + std::to_string(file.size()));
  if (place.bytes > largest)
    file.fail("the archive's directory claims " + std::to_string(place.bytes) + " bytes, at most " +
              std::to_string(largest) + " are allowed");
  std::string text = readText(file, place.offset, place.bytes);
  std::vector<ZipMember> members;
  for (std::string_view rest = text; !rest.empty();) {
    LittleEndian record(rest);
    bool isMember = int64_t(rest.size()) >= memberBytes && record.u32(0) == memberSignature;
    size_t nameBytes = isMember ? record.u16(28) : 0, extraBytes = isMember ? record.u16(30) : 0;
    size_t all = size_t(memberBytes) + nameBytes + extraBytes + (isMember ? record.u16(32) : 0);
    if (!isMember || all > rest.size())
      file.fail("the archive's directory breaks off after " + std::to_string(members.size()) +
                " members");
    ZipMember member{.name = std::string(rest.substr(size_t(memberBytes), nameBytes)),
                     .compressedBytes = record.u32(20),
                     .bytes = record.u32(24),
                     .headerOffset = record.u32(42),
                     .crc = record.u32(16),
                     .method = record.u16(10),
                     .isEncrypted = (record.u16(8) & 1) != 0};
    if (!extend(member, rest.substr(size_t(memberBytes) + nameBytes, extraBytes)))
      file.fail("the archive's directory lacks the sizes of its member number " +
                std::to_string(members.size() + 1));
    members.push_back(std::move(member));
    rest.remove_prefix(all);
  }
  return members;
}

} // namespace ringc
