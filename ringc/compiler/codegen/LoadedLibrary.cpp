#include "ringc/compiler/codegen/LoadedLibrary.h"

#include <elf.h>
#include <link.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>

namespace ringc {

namespace {

struct Search {
  uintptr_t address;
  std::string found;
};

/// The note of GNU's linker among those of a segment.
std::string buildIdIn(const char *notes, size_t size) {
  constexpr char digits[] = "0123456789abcdef";
  auto padded = [](size_t bytes) { return (bytes + 3) & ~size_t(3); };
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes + at, sizeof header);
    size_t name = at + sizeof header, text = name + padded(header.n_namesz);
    if (text + header.n_descsz > size)
      return {};
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        std::memcmp(notes + name, "GNU", 4) == 0) {
      std::string id;
      for (size_t byte = 0; byte < header.n_descsz; ++byte) {
        auto value = static_cast<unsigned char>(notes[text + byte]);
        id += {digits[value >> 4], digits[value & 15]};
      }
      return id;
    }
    at = text + padded(header.n_descsz);
  }
  return {};
}

std::string fileFacts(const char *path) {
  struct stat status = {};
  stat(path, &status);
  return std::string(path) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec);
}

int look(dl_phdr_info *library, size_t, void *given) {
  auto &search = *static_cast<Search *>(given);
  bool holds = false;
  std::string id;
  for (int each = 0; each < library->dlpi_phnum; ++each) {
    const ElfW(Phdr) &segment = library->dlpi_phdr[each];
    uintptr_t begin = library->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD)
      holds |= search.address >= begin && search.address - begin < segment.p_memsz;
    else if (segment.p_type == PT_NOTE && id.empty())
      id = buildIdIn(reinterpret_cast<const char *>(begin), segment.p_memsz);
  }
  if (!holds)
    return 0;
  bool isProgram = !library->dlpi_name || !*library->dlpi_name;
  if (!isProgram)
    search.found = id.empty() ? fileFacts(library->dlpi_name) : id;
  return 1;
}

} // namespace

std::string buildIdOf(const void *address) {
  Search search{.address = reinterpret_cast<uintptr_t>(address), .found = {}};
  dl_iterate_phdr(look, &search);
  return search.found;
}

} // namespace ringc
