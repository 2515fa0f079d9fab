#include "ringc/files/TensorFile.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <random>

using namespace ringc;

namespace {

/// One to four edits, mostly in the header: a byte set, a bit flipped, bytes removed, inserted,
/// repeated; numbers grow by digits.
std::string mutated(std::string bytes, size_t headerBytes, std::mt19937 &generator) {
  auto below = [&](size_t bound) { return size_t(generator() % std::max<size_t>(bound, 1)); };
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    size_t at = below(below(8) ? std::min(headerBytes, bytes.size()) : bytes.size());
    if (at >= bytes.size())
      continue;
    switch (below(6)) {
    case 0:
      bytes[at] = char(generator());
      break;
    case 1:
      bytes[at] = char(bytes[at] ^ (1 << below(8)));
      break;
    case 2:
      bytes.erase(at, 1 + below(16));
      break;
    case 3:
      bytes.insert(at, 1 + below(8), "0123456789-,:[](){}'\" \xff"[below(23)]);
      break;
    case 4:
      bytes.insert(at, bytes.substr(below(bytes.size()), below(40)));
      break;
    case 5:
      if (size_t digit = bytes.find_first_of("0123456789", at); digit != bytes.npos)
        bytes[digit] = char('0' + below(10));
      break;
    }
  }
  return bytes;
}

void checkMutations(const std::string &name, const std::string &suffix, size_t headerBytes,
                    int count) {
  TemporaryFolder folder;
  std::string path = folder / ("x" + std::filesystem::path(name).extension().string());
  std::string good = bytesOf(fixture(name));
  REQUIRE(good.size() > headerBytes);
  std::mt19937 generator(7);
  int refused = 0;
  for (int round = 0; round < count; ++round) {
    writeBytes(path, mutated(good, headerBytes, generator));
    try {
      HostTensor tensor = readTensor(path + suffix);
      REQUIRE(tensor.byteCount() <= int64_t(good.size()) + 1000);
    } catch (const InputError &error) {
      REQUIRE(std::string(error.what()).starts_with(path));
      ++refused;
    }
  }
  CHECK(refused > count / 4);
  CHECK(refused < count); // not everything is noticed, so the edits are not too coarse
}

} // namespace

TEST_CASE("a mutated .npy is read or refused, and nothing else") {
  for (std::string name : {"c_f4.npy", "fortran_i4.npy", "b1.npy", "version2.npy"})
    checkMutations(name, "", 128, 1500);
}

TEST_CASE("a mutated .safetensors is read or refused, and nothing else") {
  for (std::string tensor : {"f32", "bool", "empty"})
    checkMutations("types.safetensors", ":" + tensor, 760, 1500);
}
