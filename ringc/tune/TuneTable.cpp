#include "ringc/tune/TuneTable.h"

#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/JsonText.h"
#include "ringc/compiler/spec/Sha256.h"
#include "ringc/files/File.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

namespace ringc {

using nlohmann::json;

namespace {

constexpr int64_t formatVersion = 1;
constexpr int64_t mostBytes = int64_t{64} << 20;

std::string hexOf(std::string_view bytes, size_t digits) {
  return toHex(sha256(bytes)).substr(0, digits);
}

/// Whether the text has the name behind the keyword: "kernel matmul". Of a comment's words too,
/// which makes the key of another's kernel more exact than it needs to be.
bool declares(std::string_view text, std::string_view keyword, std::string_view name) {
  auto ofName = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    size_t behind = at + name.size(), before = at;
    while (before > 0 && std::isspace(static_cast<unsigned char>(text[before - 1])))
      --before;
    if (before < at && text.substr(0, before).ends_with(keyword) &&
        (behind == text.size() || !ofName(text[behind])))
      return true;
  }
  return false;
}

/// The name; of a user's declaration the digest of its file's text, too.
std::string declarationKey(const char *keyword, const std::string &name, const Spec &spec,
                           const SourceSet &sources) {
  FunctionName function = splitFunctionName(name);
  const std::string &file = function.file.empty() ? spec.source : function.file;
  auto text = std::ranges::find(sources.texts(), file, &SourceText::name);
  if (file.empty() || text == sources.texts().end() ||
      (function.file.empty() && !declares(text->text, keyword, name)))
    return name;
  return function.name + "#" + hexOf(text->text, 16);
}

std::vector<std::string> functionKeys(const char *keyword, const std::vector<std::string> &names,
                                      const Spec &spec, const SourceSet &sources) {
  std::vector<std::string> keys;
  for (const std::string &name : names)
    keys.push_back(declarationKey(keyword, name, spec, sources));
  return keys;
}

std::map<std::string, int64_t> powersOfTwo(const std::map<std::string, int64_t> &extents) {
  std::map<std::string, int64_t> rounded;
  for (const auto &[name, extent] : extents)
    rounded[name] = int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(1, extent))));
  return rounded;
}

std::optional<std::string> textOf(const std::string &path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (std::filesystem::is_directory(path, error) || !(text << file.rdbuf()))
    if (std::filesystem::is_directory(path, error) || std::filesystem::file_size(path, error) > 0)
      throw InputError(path + ": no table of tile sizes that can be read");
  if (int64_t(text.str().size()) > mostBytes)
    throw InputError(path + ": " + std::to_string(text.str().size()) +
                     " bytes, allowed: " + std::to_string(mostBytes));
  return text.str();
}

/// Held while a table is changed. The lock is a file of its own, for the table's is replaced.
class TableLock {
public:
  explicit TableLock(const std::string &table)
      : path(table + ".lock"), descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor < 0)
      throw InputError(path + ": cannot be made: " + std::strerror(errno));
    while (flock(descriptor, LOCK_EX) != 0)
      if (errno != EINTR) {
        int error = errno;
        close(descriptor);
        throw InputError(path + ": cannot be locked: " + std::strerror(error));
      }
  }
  ~TableLock() { close(descriptor); }
  TableLock(const TableLock &) = delete;

private:
  std::string path;
  int descriptor;
};

/// Where a layout is not known, all are the same.
bool sameButSizes(TuneKey a, const TuneKey &b) {
  a.length = b.length;
  a.extents = b.extents;
  if (b.queryLayout == LayoutKind::Any && b.keyLayout == LayoutKind::Any)
    a.queryLayout = a.keyLayout = LayoutKind::Any;
  return a == b;
}

double doublings(int64_t from, int64_t to) {
  return std::abs(std::log2(double(std::max<int64_t>(1, from))) -
                  std::log2(double(std::max<int64_t>(1, to))));
}

/// Between two works that differ in sizes alone.
double distanceOf(const TuneKey &a, const TuneKey &b) {
  constexpr double otherLayout = 0.5;
  double sum = doublings(a.length, b.length) + (a.queryLayout != b.queryLayout ? otherLayout : 0);
  for (const auto &[name, extent] : a.extents) {
    auto other = b.extents.find(name);
    sum += doublings(extent, other == b.extents.end() ? 1 : other->second);
  }
  for (const auto &[name, extent] : b.extents)
    if (!a.extents.contains(name))
      sum += doublings(extent, 1);
  return sum;
}

} // namespace

TuneKey tuneKeyOf(const Spec &spec, const SourceSet &sources, const Target &target,
                  const KernelWork &work) {
  bool host = !target.isGpu();
  return {.chip = target.chip,
          .features = host ? hexOf(target.features, 16) : "",
          .l1Bytes = host ? target.l1Bytes : 0,
          .l2Bytes = host ? target.l2Bytes : 0,
          .kernel = declarationKey("kernel", spec.kernel, spec, sources),
          .dtype = spec.dtype,
          .f32Products = spec.f32Products,
          .headDim = spec.headDim,
          .valueHeadDim = spec.valueDim(),
          .groupSize = spec.groupSize,
          .mask = functionKeys("mask", spec.mask, spec, sources),
          .score = functionKeys("score", spec.score, spec, sources),
          .queryLayout = spec.queryLayout,
          .keyLayout = spec.keyLayout,
          .length = work.length > 0 ? int64_t(std::bit_ceil(uint64_t(work.length))) : 0,
          .ranks = work.ranks,
          .constants = spec.constants,
          .types = spec.types,
          .extents = powersOfTwo(work.extents)};
}

TuneKey ringKeyOf(TuneKey forward, std::optional<Pass> pass, bool processes) {
  forward.kernel = !pass ? "ring" : *pass == Pass::Forward ? "ring_forward" : "ring_backward";
  if (processes)
    forward.kernel += "_of_processes";
  forward.queryLayout = forward.keyLayout = LayoutKind::Any;
  return forward;
}

RingChoice ringChoiceOf(const TuneEntry &entry) {
  RingChoice choice{parseLayout(entry.layout), std::nullopt};
  if (!entry.schedule.empty())
    choice.schedule = parseSchedule(entry.schedule);
  return choice;
}

std::string nameOf(const TuneKey &key) { return hexOf(fields_json::write(key).dump(), 12); }

std::optional<std::string> tuneTablePath(const Env &env) {
  if (env.tuneTable)
    return *env.tuneTable == "none" ? std::nullopt : env.tuneTable;
  if (env.xdgDataHome && env.xdgDataHome->starts_with('/'))
    return *env.xdgDataHome + "/ringc/tune.json";
  if (env.home)
    return *env.home + "/.local/share/ringc/tune.json";
  return "";
}

TuneTable TuneTable::parse(const std::string &text, const std::string &path, const Warn &warn,
                           bool strict) {
  TuneTable table;
  auto refuse = [&](const std::string &what) {
    if (strict)
      throw InputError(what);
    warn(what);
  };
  json whole;
  try {
    whole = parseJsonText(text);
  } catch (const std::exception &error) {
    refuse(path + ": no table of tile sizes: " + error.what());
    return table;
  }
  if (!whole.is_object() || !whole.contains("version") || !whole.contains("entries") ||
      !whole["entries"].is_array()) {
    refuse(path + ": no table of tile sizes: it has no version and entries");
    return table;
  }
  if (whole["version"] != formatVersion) {
    refuse(path + ": a table of version " + whole["version"].dump() +
           ", allowed: " + std::to_string(formatVersion));
    return table;
  }
  for (size_t at = 0; at < whole["entries"].size(); ++at)
    try {
      TuneEntry entry;
      fields_json::readFields(whole["entries"][at], "entries[" + std::to_string(at) + "]", entry);
      table.put(std::move(entry));
    } catch (const InputError &error) {
      warn(path + ": " + error.what() + "; the entry is left out");
    }
  return table;
}

TuneTable TuneTable::read(const std::string &path, const Warn &warn) {
  try {
    std::optional<std::string> text = textOf(path);
    return text ? parse(*text, path, warn, /*strict=*/false) : TuneTable();
  } catch (const InputError &error) {
    warn(error.what());
    return {};
  }
}

TuneTable TuneTable::of(const std::string &text, const std::string &name, const Warn &warn) {
  return parse(text, name, warn, /*strict=*/false);
}

const TuneEntry *TuneTable::find(const TuneKey &key) const {
  const TuneEntry *best = nullptr;
  double bestDistance = 0;
  for (const TuneEntry &entry : all) {
    if (!sameButSizes(entry.key, key))
      continue;
    double distance = distanceOf(entry.key, key);
    if (!best || distance < bestDistance) {
      best = &entry;
      bestDistance = distance;
    }
  }
  return best;
}

void TuneTable::put(TuneEntry entry) {
  auto known = std::ranges::find(all, entry.key, &TuneEntry::key);
  if (known == all.end())
    all.push_back(std::move(entry));
  else
    *known = std::move(entry);
}

int64_t TuneTable::forget(std::string_view prefix) {
  return int64_t(std::erase_if(
      all, [&](const TuneEntry &entry) { return nameOf(entry.key).starts_with(prefix); }));
}

std::string TuneTable::text() const {
  json whole{{"version", formatVersion}, {"entries", json::array()}};
  for (const TuneEntry &entry : all)
    whole["entries"].push_back(fields_json::write(entry));
  return whole.dump(1) + "\n";
}

void TuneTable::update(const std::string &path, const std::function<void(TuneTable &)> &change) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty())
    std::filesystem::create_directories(folder, error);
  if (error)
    throw InputError(folder.string() + ": cannot be made: " + error.message());
  TableLock lock(path);
  std::optional<std::string> before = textOf(path);
  TuneTable table =
      before ? parse(*before, path, [](const std::string &) {}, /*strict=*/true) : TuneTable();
  change(table);
  OutputFile file(path);
  file.write(table.text());
  file.close();
  file.publish();
}

} // namespace ringc
