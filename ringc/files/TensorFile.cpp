#include "ringc/files/TensorFile.h"

#include "ringc/files/Npy.h"
#include "ringc/files/Npz.h"
#include "ringc/files/Quote.h"
#include "ringc/files/Safetensors.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace ringc {

namespace {

enum class Format { Npy, Npz, Safetensors };

struct Location {
  Format format;
  std::string path;
  std::string name; ///< empty for .npy
};

std::optional<Location> find(const std::string &text) {
  for (auto [suffix, format] :
       {std::pair(".safetensors", Format::Safetensors), std::pair(".npz", Format::Npz)})
    if (size_t at = text.find(std::string(suffix) + ":"); at != text.npos) {
      size_t colon = at + std::strlen(suffix);
      if (colon + 1 < text.size())
        return Location{format, text.substr(0, colon), text.substr(colon + 1)};
      return std::nullopt;
    }
  return text.ends_with(".npy") ? std::optional(Location{Format::Npy, text, ""}) : std::nullopt;
}

Location locateSource(const std::string &text) {
  if (std::optional<Location> location = find(text))
    return *location;
  throw InputError("tensor file", quote(text), "FILE.npy, FILE.npz:NAME, FILE.safetensors:NAME");
}

Location locateTarget(const std::string &text) {
  std::optional<Location> location = find(text);
  if (location && location->format != Format::Npz)
    return *location;
  throw InputError("tensor file", quote(text), "FILE.npy, FILE.safetensors:NAME");
}

/// One file and all that goes into it.
struct FilePlan {
  Format format;
  std::string path;
  FilePlace place;
  bool isThere; ///< and holds something
  std::vector<size_t> outputs;
  std::vector<std::string> names;
};

std::vector<FilePlan> planFiles(std::span<const std::string> targets) {
  std::vector<FilePlan> plans;
  for (size_t index = 0; index < targets.size(); ++index) {
    Location location = locateTarget(targets[index]);
    checkWritable(location.path);
    FilePlace place = placeOf(location.path).value_or(FilePlace());
    auto plan = std::ranges::find(plans, place, &FilePlan::place);
    if (plan == plans.end()) {
      std::error_code none;
      auto bytes = std::filesystem::file_size(location.path, none);
      bool isThere = !none && bytes > 0; // mktemp makes empty ones
      plans.push_back({location.format, location.path, place, isThere, {index}, {location.name}});
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

/// The file that is written anew with all that it has besides.
std::optional<std::string> keptFile(const FilePlan &plan) {
  return plan.isThere ? std::optional(plan.path) : std::nullopt;
}

} // namespace

HostTensor readTensor(const std::string &source, const ReadOptions &options) {
  Location location = locateSource(source);
  switch (location.format) {
  case Format::Npy:
    return readNpy(location.path, options);
  case Format::Npz:
    return readNpz(location.path, location.name, options);
  case Format::Safetensors:
    break;
  }
  return readSafetensors(location.path, location.name, options);
}

void checkTargets(std::span<const std::string> targets, std::span<const std::string> sources) {
  std::vector<FilePlan> plans = planFiles(targets);
  for (const FilePlan &plan : plans)
    if (plan.format == Format::Safetensors && plan.isThere)
      checkSafetensors(plan.path);
  for (const std::string &source : sources) {
    Location read = find(source).value_or(Location{Format::Npy, source, ""});
    std::optional<FilePlace> place = placeOf(read.path);
    for (const FilePlan &plan : plans) {
      auto name = std::ranges::find(plan.names, read.name);
      if (place != plan.place || (plan.format == read.format && name == plan.names.end()))
        continue;
      size_t which = name == plan.names.end() ? 0 : size_t(name - plan.names.begin());
      throw InputError(targets[plan.outputs[which]] + ": is also an input, " + source +
                       ", which it would replace");
    }
  }
}

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
      writeSafetensors(file, tensors, keptFile(plan));
      break;
    }
    case Format::Npz: // locateTarget refuses it
      break;
    }
    file.close();
  }
  for (OutputFile &file : files)
    file.publish();
}

} // namespace ringc
