#pragma once

#include "ringc/files/File.h"

#include <cstdint>
#include <span>
#include <string>

namespace ringc {

/// Bytes that are read once, from the first to the last: of a file, of memory, or of an archive's
/// member. Every failure is an InputError that starts with the name.
class ByteSource {
public:
  virtual ~ByteSource() = default;

  virtual const std::string &name() const = 0;
  virtual int64_t size() const = 0;
  /// The next bytes, as many as `into` holds.
  virtual void read(std::span<std::byte> into) = 0;
  /// After the last byte: what can only be checked now.
  virtual void finish() {}

  /// InputError "<name>: <what>".
  [[noreturn]] void fail(const std::string &what) const;
};

/// A file from an offset to its end.
class FileBytes final : public ByteSource {
public:
  explicit FileBytes(const InputFile &of) : FileBytes(of, 0, of.path()) {}
  FileBytes(const InputFile &of, int64_t from, std::string called)
      : file(of), begin(from), offset(from), label(std::move(called)) {}

  const std::string &name() const override { return label; }
  int64_t size() const override { return file.size() - begin; }
  void read(std::span<std::byte> into) override;

private:
  const InputFile &file;
  int64_t begin, offset;
  std::string label;
};

/// Memory that outlives it.
class MemoryBytes final : public ByteSource {
public:
  MemoryBytes(std::string called, std::span<const std::byte> bytes)
      : label(std::move(called)), all(bytes), rest(bytes) {}

  const std::string &name() const override { return label; }
  int64_t size() const override { return int64_t(all.size()); }
  void read(std::span<std::byte> into) override;

private:
  std::string label;
  std::span<const std::byte> all, rest;
};

} // namespace ringc
