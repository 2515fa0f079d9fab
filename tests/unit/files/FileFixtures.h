#pragma once

#include "ringc/Float16.h"
#include "ringc/Tensor.h"
#include "ringc/support/Error.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace ringc {

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringc-test-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw std::runtime_error("mkdtemp failed: " + name);
    folder = name;
  }
  TemporaryFolder(TemporaryFolder &&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  std::string operator/(const std::string &name) const { return (folder / name).string(); }
  std::string path() const { return folder.string(); }

  size_t fileCount() const {
    return size_t(std::distance(std::filesystem::directory_iterator(folder), {}));
  }

private:
  std::filesystem::path folder;
};

inline std::string fixture(const std::string &name) { return RINGC_FIXTURES "/" + name; }

inline std::string bytesOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void writeBytes(const std::string &path, const std::string &bytes) {
  std::filesystem::remove(path); // ext4 flushes a file that is truncated and written again
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Of a row-major tensor.
inline std::vector<double> valuesOf(const Tensor &tensor) {
  std::vector<double> values;
  for (int64_t index = 0; index < tensor.elementCount(); ++index)
    switch (tensor.dtype()) {
    case DType::F32:
      values.push_back(double(tensor.dataAs<float>()[index]));
      break;
    case DType::F16:
      values.push_back(double(floatFromF16(tensor.dataAs<uint16_t>()[index])));
      break;
    case DType::BF16:
      values.push_back(double(floatFromBF16(tensor.dataAs<uint16_t>()[index])));
      break;
    case DType::I32:
      values.push_back(double(tensor.dataAs<int32_t>()[index]));
      break;
    case DType::I64:
      values.push_back(double(tensor.dataAs<int64_t>()[index]));
      break;
    case DType::Bool:
      values.push_back(double(tensor.dataAs<uint8_t>()[index]));
      break;
    }
  return values;
}

/// function(0), function(1), ... function(23): what the fixtures hold.
template <typename Function> std::vector<double> values24(Function &&function) {
  std::vector<double> values;
  for (int index = 0; index < 24; ++index)
    values.push_back(double(function(index)));
  return values;
}

/// What InputError says; empty if there is none.
template <typename Function> std::string messageOf(Function &&function) {
  try {
    function();
  } catch (const InputError &error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != text.npos;
}

} // namespace ringc
