#pragma once

#include "ringc/files/File.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ringc {

/// A member of a ZIP archive, as the directory at the archive's end says.
struct ZipMember {
  std::string name;
  int64_t compressedBytes = 0, bytes = 0;
  int64_t headerOffset = 0; ///< of the local header, before the data
  uint32_t crc = 0;
  uint16_t method = 0; ///< 0 stored, 8 deflate
  bool isEncrypted = false;
};

/// The members in the directory's order, with the extensions for large files (zip64). Throws
/// InputError naming the file where it is no such archive or what it says cannot be.
/// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
std::vector<ZipMember> readZipDirectory(const InputFile &file);

} // namespace ringc
