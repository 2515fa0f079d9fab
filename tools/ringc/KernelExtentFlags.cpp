#include "tools/ringc/KernelExtentFlags.h"

#include "ringc/driver/CudaDevice.h"
#include "ringc/kernel/Binding.h"
#include "ringc/support/ClosestName.h"
#include "ringc/support/Error.h"
#include "tools/ringc/Numbers.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <unistd.h>

namespace ringc::cli {

namespace {

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

/// Kernels count rows in a signed i32, the packed ones of a group too.
constexpr int64_t mostRows = (int64_t{1} << 31) - (int64_t{1} << 16) - 1;

void requireExtent(const std::string &name, int64_t extent, int64_t most) {
  if (extent < 1 || extent > most)
    throw InputError("extent " + name, std::to_string(extent), "1 to " + std::to_string(most));
}

} // namespace

KernelExtents parseExtents(const std::string &text) {
  KernelExtents extents;
  std::istringstream parts(text);
  bool good = !text.empty() && text.back() != ',';
  for (std::string part; good && std::getline(parts, part, ',');) {
    size_t equal = part.find('=');
    std::optional<int64_t> extent;
    if (equal != part.npos && equal > 0)
      extent = parseNumber<int64_t>(std::string_view(part).substr(equal + 1));
    good = extent && extents.emplace(part.substr(0, equal), *extent).second;
  }
  if (!good)
    throw InputError("extent", text, "lengths by name, each once: M=4096,N=4096");
  return extents;
}

void completeHeads(KernelExtents &extents, int64_t groupSize) {
  requireExtent("B", extents.try_emplace("B", 1).first->second, mostRows);
  bool hasHeads = extents.contains("H"), hasKvHeads = extents.contains("Hkv");
  constexpr int64_t usual = 8, most = 1 << 20;
  if (hasHeads)
    requireExtent("H", extents.at("H"), most);
  if (hasKvHeads)
    requireExtent("Hkv", extents.at("Hkv"), most);
  if (hasHeads && extents.at("H") % groupSize)
    throw InputError("extent H", std::to_string(extents.at("H")),
                     "a multiple of the spec's group_size, " + std::to_string(groupSize));
  if (!hasKvHeads)
    extents["Hkv"] = hasHeads ? extents.at("H") / groupSize : (usual + groupSize - 1) / groupSize;
  int64_t heads = extents.at("Hkv") * groupSize;
  if (hasHeads && extents.at("H") != heads)
    throw InputError("extent Hkv", std::to_string(extents.at("Hkv")),
                     std::to_string(extents.at("H") / groupSize) +
                         ", heads over the spec's group_size");
  extents["H"] = heads;
}

void requireExtentsOf(const BoundKernel &kernel, const KernelExtents &given) {
  std::vector<std::string> known = kernel.extents();
  if (kernel.perHead())
    known.insert(known.begin(), {"B", "H", "Hkv"});
  for (const auto &[extent, length] : given) {
    if (std::ranges::find(known, extent) == known.end()) {
      std::vector<std::string_view> views(known.begin(), known.end());
      throw InputError("extent " + extent, std::to_string(length),
                       "those of kernel " + kernel.declaration().name + ": " + joined(known) +
                           didYouMean(extent, views));
    }
    requireExtent(extent, length, mostRows);
  }
}

KernelExtents extentsOf(const BoundKernel &kernel, const KernelExtents &given) {
  requireExtentsOf(kernel, given);
  std::string name = kernel.declaration().name;
  for (const std::string &extent : kernel.extents())
    if (!given.contains(extent))
      throw InputError(
          "extent " + extent, "nothing",
          "a length for each of kernel " + name + "'s: --extent " + [&] {
            std::string text;
            for (const std::string &each : kernel.extents())
              text += (text.empty() ? "" : ",") + each + "=" +
                      (given.contains(each) ? std::to_string(given.at(each)) : std::string("4096"));
            return text;
          }());
  KernelExtents all = given;
  if (kernel.perHead()) {
    completeHeads(all, kernel.spec().groupSize);
    if (all.contains("Nq"))
      requireExtent("Nq", all.at("Nq"), mostRows / kernel.spec().groupSize);
  }
  return all;
}

std::map<std::string, ArgumentValue>
scalarsOf(const BoundKernel &kernel, const std::map<std::string, ArgumentValue> &arguments) {
  std::map<std::string, ArgumentValue> scalars;
  std::vector<std::string> names;
  for (const KernelScalar &scalar : kernel.scalars())
    names.push_back(scalar.name);
  for (const auto &[name, value] : arguments) {
    std::vector<const KernelScalar *> meant;
    for (const KernelScalar &scalar : kernel.scalars())
      if (scalar.name == name || scalar.name.substr(scalar.name.rfind('.') + 1) == name)
        meant.push_back(&scalar);
    for (const KernelView &view : kernel.views())
      if (view.name == name)
        throw InputError("argument " + name, "a value",
                         "nothing: views are filled with random numbers");
    if (meant.size() != 1)
      throw InputError("argument " + name, meant.empty() ? "an unknown name" : "a name of several",
                       joined(names));
    bool isInteger = std::holds_alternative<int64_t>(value);
    bool fits = meant[0]->dtype == DType::Bool ? std::holds_alternative<bool>(value)
                : meant[0]->dtype == DType::F32
                    ? isInteger || std::holds_alternative<double>(value)
                    : isInteger && std::in_range<int32_t>(std::get<int64_t>(value));
    if (!fits)
      throw InputError("argument " + name, "a value of another type",
                       std::string(nameOf(meant[0]->dtype)));
    if (!scalars.emplace(meant[0]->name, value).second)
      throw InputError("argument " + name, "two values", "one for " + meant[0]->name);
  }
  for (const KernelScalar &scalar : kernel.scalars())
    if (scalar.dtype != DType::F32 && !scalars.contains(scalar.name))
      throw InputError("argument " + scalar.name, "nothing",
                       "a value: --arg " + scalar.name +
                           (scalar.dtype == DType::Bool ? "=true" : "=1"));
  return scalars;
}

KernelWork workOf(const BoundKernel &kernel, KernelExtents given) {
  requireExtentsOf(kernel, given);
  if (auto heads = given.find("H"); heads != given.end())
    given.try_emplace("Hkv", std::max<int64_t>(1, heads->second / kernel.spec().groupSize));
  return ringc::workOf(kernel.declaration().name, std::move(given));
}

int64_t availableMemory() {
  int64_t bytes = int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGESIZE));
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:")
      bytes = kibibytes * 1024;
  }
  std::ifstream limit("/sys/fs/cgroup/memory.max");
  if (int64_t most = 0; limit >> most)
    bytes = std::min(bytes, most);
  return bytes;
}

void requireMemory(const std::string &what, const std::string &value, int64_t bytes,
                   int64_t available, const std::string &where) {
  if (bytes > available)
    throw InputError(what,
                     value + ", tensors of " +
                         (bytes == std::numeric_limits<int64_t>::max()
                              ? std::string("more bytes than can be counted")
                              : describeBytes(bytes)),
                     "at most " + describeBytes(available) + ", the memory of " + where);
}

} // namespace ringc::cli
