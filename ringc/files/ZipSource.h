#pragma once

#include "ringc/files/ByteSource.h"
#include "ringc/files/ZipDirectory.h"

#include <cstdint>
#include <memory>
#include <string>

namespace ringc {

/// The bytes of a member, stored or deflated, decompressed as they are read: never more of them in
/// memory than are asked for. `finish` compares the checksum.
class ZipSource final : public ByteSource {
public:
  /// `of` outlives it. Throws InputError where the member's sizes cannot be, before anything is
  /// allocated for them, and for other compressions.
  ZipSource(const InputFile &of, ZipMember member, std::string label);
  ~ZipSource() override;

  const std::string &name() const override { return label; }
  int64_t size() const override { return member.bytes; }
  void read(std::span<std::byte> into) override;
  void finish() override;

private:
  struct Inflater;

  void locate();
  void inflate(std::span<std::byte> into);

  const InputFile &file;
  ZipMember member;
  std::string label;
  int64_t offset = 0, left = 0; ///< of the compressed data
  uint32_t crc = 0;
  std::unique_ptr<Inflater> inflater; ///< null where the data is stored
};

} // namespace ringc
