#include "ringc/files/Npz.h"

#include "ringc/files/Npy.h"
#include "ringc/files/Quote.h"
#include "ringc/files/ZipSource.h"
#include "ringc/support/Error.h"

#include <algorithm>

namespace ringc {

namespace {

constexpr std::string_view suffix = ".npy";

std::string namesOf(const std::vector<ZipMember> &members) {
  constexpr size_t maxShown = 12;
  std::string names;
  for (size_t index = 0; index < std::min(members.size(), maxShown); ++index) {
    std::string_view name = members[index].name;
    names += (index ? ", " : "") +
             quote(name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name);
  }
  if (members.size() > maxShown)
    names += " and " + std::to_string(members.size() - maxShown) + " more";
  return names.empty() ? "nothing, the archive is empty" : names;
}

} // namespace

HostTensor readNpz(const std::string &path, const std::string &name, const ReadOptions &options) {
  InputFile file(path);
  std::vector<ZipMember> members = readZipDirectory(file);
  std::string wanted = name + std::string(suffix);
  auto member = std::ranges::find(members, wanted, &ZipMember::name);
  if (member == members.end())
    throw InputError(path, "array name " + quote(name), namesOf(members));
  if (std::find_if(std::next(member), members.end(),
                   [&](const ZipMember &other) { return other.name == wanted; }) != members.end())
    file.fail("the archive has " + quote(wanted) + " twice");
  ZipSource source(file, *member, path + ":" + name);
  return readNpy(source, options);
}

} // namespace ringc
