#include "ringc/compiler/spec/KernelFile.h"

#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/JsonText.h"
#include "ringc/compiler/spec/Sha256.h"
#include "ringc/compiler/spec/Spec.h"

#include <bit>
#include <cstring>

namespace ringc {

template <> struct EnumNames<KernelArgument::Kind> {
  using Kind = KernelArgument::Kind;
  static constexpr std::array<std::pair<Kind, std::string_view>, 5> table = {
      {{Kind::View, "view"},
       {Kind::Positions, "positions"},
       {Kind::Carry, "carry"},
       {Kind::Scalar, "scalar"},
       {Kind::Extent, "extent"}}};
};
template <> struct EnumNames<CompiledKernel::Format> {
  using Format = CompiledKernel::Format;
  static constexpr std::array<std::pair<Format, std::string_view>, 2> table = {
      {{Format::HostObject, "host_object"}, {Format::Ptx, "ptx"}}};
};

template <FieldsOf<ArgumentAxis> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[name, anyEntry] = self;
  visit(Field{"name"}, name);
  visit(Field{"any_entry"}, anyEntry);
}
template <FieldsOf<KernelArgument> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[name, kind, type, axes, written, sums, slot] = self;
  visit(Field{"name"}, name);
  visit(Field{"kind"}, kind);
  visit(Field{"type"}, type);
  visit(Field{"axes"}, axes);
  visit(Field{"written"}, written);
  visit(Field{"sums"}, sums);
  visit(Field{"slot", "", 0}, slot);
}
template <FieldsOf<GridAxis> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[extent, step] = self;
  visit(Field{"extent"}, extent);
  visit(Field{"step", "", 1}, step);
}
/// The code is not among them: it follows the header as it is.
template <FieldsOf<CompiledKernel> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[name, format, code, entry, arguments, slotCount, grid, perHead, groupSize, scratchBytes,
         threads, sharedBytes, carryBytes, serialAxis0, mask, provenance] = self;
  visit(Field{"name"}, name);
  visit(Field{"format"}, format);
  visit(Field{"entry"}, entry);
  visit(Field{"arguments"}, arguments);
  visit(Field{"slot_count", "", 0}, slotCount);
  visit(Field{"grid"}, grid);
  visit(Field{"per_head"}, perHead);
  visit(Field{"group_size", "", 1}, groupSize);
  visit(Field{"scratch_bytes", "", 0}, scratchBytes);
  visit(Field{"threads", "", 0}, threads);
  visit(Field{"shared_bytes", "", 0}, sharedBytes);
  visit(Field{"carry_bytes", "", 0}, carryBytes);
  visit(Field{"serial_axis0"}, serialAxis0);
  visit(Field{"mask"}, mask);
  visit(Field{"provenance"}, provenance);
}

namespace {

constexpr std::string_view magic = "RINGCKRN";
constexpr uint64_t version = 4;
constexpr size_t digestOffset = 32, headerOffset = 64;

static_assert(std::endian::native == std::endian::little);

void putU64(std::string &bytes, uint64_t value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

uint64_t getU64(std::string_view bytes, size_t offset) {
  uint64_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view asText(const Sha256Digest &digest) {
  return {reinterpret_cast<const char *>(digest.data()), digest.size()};
}

[[noreturn]] void reject(const std::string &problem) {
  throw InputError("kernel file: " + problem);
}

} // namespace

nlohmann::json toJson(const CompiledKernel &kernel) { return fields_json::write(kernel); }

CompiledKernel compiledKernelFromJson(const nlohmann::json &json) {
  CompiledKernel kernel;
  fields_json::readFields(json, "kernel", kernel);
  return kernel;
}

std::string encodeKernel(const CompiledKernel &kernel, std::string_view key) {
  nlohmann::json header = toJson(kernel);
  header["key"] = key;
  std::string text = header.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);

  std::string prefix(magic);
  putU64(prefix, version);
  putU64(prefix, text.size());
  putU64(prefix, kernel.code.size());
  std::string body = prefix + text + kernel.code;
  body.insert(digestOffset, asText(sha256(body)));
  return body;
}

CompiledKernel decodeKernel(std::string_view bytes, std::string_view key) {
  if (bytes.size() < headerOffset)
    reject("cut short at " + std::to_string(bytes.size()) + " bytes");
  if (bytes.substr(0, magic.size()) != magic)
    reject("it does not begin with " + std::string(magic));
  if (getU64(bytes, 8) != version)
    reject("version " + std::to_string(getU64(bytes, 8)) + ", allowed: " + std::to_string(version));
  uint64_t headerBytes = getU64(bytes, 16), codeBytes = getU64(bytes, 24);
  uint64_t present = bytes.size() - headerOffset;
  if (headerBytes > present || codeBytes != present - headerBytes)
    reject("it has " + std::to_string(present) + " bytes of " + std::to_string(headerBytes) +
           " + " + std::to_string(codeBytes));
  std::string summed(bytes.substr(0, digestOffset));
  summed += bytes.substr(headerOffset);
  if (bytes.substr(digestOffset, headerOffset - digestOffset) != asText(sha256(summed)))
    reject("the checksum is wrong");

  nlohmann::json header;
  try {
    header = parseJsonText(bytes.substr(headerOffset, headerBytes));
  } catch (const nlohmann::json::exception &) {
    reject("its header is not JSON");
  }
  if (!header.is_object() || header.value("key", nlohmann::json()) != key)
    reject("it was made for another key");
  header.erase("key");
  CompiledKernel kernel;
  fields_json::readFields(header, "kernel file", kernel);
  kernel.code = bytes.substr(headerOffset + headerBytes);
  return kernel;
}

} // namespace ringc
