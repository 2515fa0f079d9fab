#include "runtime/files/TensorFile.h"

#include "runtime/Error.h"
#include "runtime/files/Npy.h"
#include "runtime/files/Quote.h"
#include "runtime/files/Safetensors.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

namespace ringc {

namespace {

enum class Format { Npy, Safetensors };

struct Location {
  Format format;
  std::string path;
  std::string name; ///< empty for .npy
};

Location locate(const std::string &text) {
  constexpr std::string_view npy = ".npy", safetensors = ".safetensors";
  if (size_t at = text.find(std::string(safetensors) + ":"); at != text.npos) {
    size_t colon = at + safetensors.size();
    if (colon + 1 < text.size())
      return {Format::Safetensors, text.substr(0, colon), text.substr(colon + 1)};
  } else if (text.ends_with(npy)) {
    return {Format::Npy, text, ""};
  }
  throw InputError("tensor file", quote(text), "FILE.npy, FILE.safetensors:NAME");
}

/// One file and all that goes into it.
struct FilePlan {
  Format format;
  std::string path;
  std::filesystem::path identity; ///< equal for two spellings of one path
  std::vector<size_t> outputs;
  std::vector<std::string> names;
};

std::filesystem::path identityOf(const std::string &path) {
  std::error_code error;
  std::filesystem::path identity = std::filesystem::weakly_canonical(path, error);
  return error ? std::filesystem::path(path) : identity;
}

std::vector<FilePlan> planFiles(std::span<const std::string> targets) {
  std::vector<FilePlan> plans;
  for (size_t index = 0; index < targets.size(); ++index) {
    Location location = locate(targets[index]);
    std::filesystem::path identity = identityOf(location.path);
    auto plan = std::ranges::find(plans, identity, &FilePlan::identity);
    if (plan == plans.end()) {
      checkWritable(location.path);
      plans.push_back({location.format, location.path, identity, {index}, {location.name}});
      continue;
    }
    if (plan->format != location.format ||
        std::ranges::find(plan->names, location.name) != plan->names.end())
      throw InputError(targets[index] + ": is the target of two tensors");
    plan->outputs.push_back(index);
    plan->names.push_back(location.name);
  }
  return plans;
}

} // namespace

HostTensor readTensor(const std::string &source) {
  Location location = locate(source);
  switch (location.format) {
  case Format::Npy:
    return readNpy(location.path);
  case Format::Safetensors:
    break;
  }
  return readSafetensors(location.path, location.name);
}

void checkTargets(std::span<const std::string> targets) { planFiles(targets); }

void writeTensors(std::span<const TensorOutput> outputs) {
  std::vector<std::string> targets;
  for (const TensorOutput &output : outputs)
    targets.push_back(output.target);

  std::vector<OutputFile> files;
  for (const FilePlan &plan : planFiles(targets)) {
    OutputFile &file = files.emplace_back(plan.path);
    switch (plan.format) {
    case Format::Npy:
      writeNpy(file, outputs[plan.outputs.front()].tensor);
      break;
    case Format::Safetensors: {
      std::vector<NamedTensor> tensors;
      for (size_t index = 0; index < plan.outputs.size(); ++index)
        tensors.push_back({plan.names[index], outputs[plan.outputs[index]].tensor});
      writeSafetensors(file, tensors);
      break;
    }
    }
    file.close();
  }
  for (OutputFile &file : files)
    file.publish();
}

} // namespace ringc
