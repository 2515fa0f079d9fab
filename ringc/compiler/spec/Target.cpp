#include "ringc/compiler/spec/Target.h"

#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/SpecJson.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace ringc {

namespace {

constexpr std::array<std::string_view, 2> hosts = {"cpu", "native"};

/// Shared memory that a block may opt in to, from the table of technical specifications in the CUDA
/// programming guide; and the least PTX that LLVM 22 and ptxas take for the chip, though not below
/// 8.0 (CUDA 12.0), so that old drivers load it.
struct Gpu {
  std::string_view name;
  int64_t sm;
  int64_t sharedKiB;
  std::string_view features;
};
constexpr std::array<Gpu, 6> gpus = {{{"sm_80", 80, 163, "+ptx80"},
                                      {"sm_86", 86, 99, "+ptx80"},
                                      {"sm_89", 89, 99, "+ptx80"},
                                      {"sm_90", 90, 227, "+ptx81"},
                                      {"sm_100", 100, 227, "+ptx86"},
                                      {"sm_120", 120, 99, "+ptx87"}}};

std::string namesOfGpus() {
  std::string all;
  for (const Gpu &gpu : gpus)
    all.append(all.empty() ? "" : ", ").append(gpu.name);
  return all;
}

const Gpu *findGpu(std::string_view name) {
  auto found = std::find_if(gpus.begin(), gpus.end(), [&](auto &gpu) { return gpu.name == name; });
  return found == gpus.end() ? nullptr : &*found;
}

} // namespace

nlohmann::json toJson(const Target &target) { return fields_json::write(target); }

Target targetFromJson(const nlohmann::json &json) {
  Target target;
  fields_json::readFields(json, "target", target);
  return target;
}

Target gpuTarget(std::string_view name) {
  const Gpu *gpu = findGpu(name);
  if (!gpu)
    throw InputError("target", "\"" + std::string(name) + "\"", namesOfGpus());
  Target target;
  target.name = target.chip = name;
  target.triple = "nvptx64-nvidia-cuda";
  target.features = gpu->features;
  target.sm = gpu->sm;
  target.sharedBytes = gpu->sharedKiB * 1024;
  return target;
}

Target gpuTargetFor(int64_t sm) {
  auto newer = std::find_if(gpus.begin(), gpus.end(), [&](auto &gpu) { return gpu.sm > sm; });
  if (newer == gpus.begin())
    throw InputError("compute capability", std::to_string(sm / 10) + "." + std::to_string(sm % 10),
                     "8.0 and later");
  return gpuTarget(std::prev(newer)->name);
}

void requireHost(std::string_view triple) {
  std::string_view architecture = triple.substr(0, triple.find('-'));
  if (architecture != "x86_64" && architecture != "amd64")
    throw InputError("target", "\"cpu\"",
                     namesOfGpus() + " on this host, whose processor is " + std::string(triple) +
                         "; code for a processor is made on x86_64 alone");
}

std::string availableTargets() {
  std::string all;
  for (std::string_view host : hosts)
    all.append(all.empty() ? "" : ", ").append(host);
  return all + ", " + namesOfGpus();
}

void requireTarget(std::string_view name) {
  if (std::find(hosts.begin(), hosts.end(), name) == hosts.end() && !findGpu(name))
    throw InputError("target", "\"" + std::string(name) + "\"",
                     availableTargets() + " (this build has no other)");
}

} // namespace ringc
