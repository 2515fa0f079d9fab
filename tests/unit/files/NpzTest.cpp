#include "ringc/files/Npz.h"
#include "ringc/files/TensorFile.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

using namespace ringc;

namespace {

std::string number(uint64_t value, size_t bytes) {
  return std::string(reinterpret_cast<const char *>(&value), bytes);
}

/// An archive of one member; sizes as they are claimed.
struct Archive {
  std::string name = "a.npy", data;
  uint16_t method = 0, flags = 0;
  uint32_t crc = 0;
  uint64_t claimed = 0, compressed = 0;
  bool wide = false; ///< the directory has its sizes in the extension alone

  std::string bytes() const {
    std::string local = "PK\x03\x04" + number(20, 2) + number(flags, 2) + number(method, 2) +
                        number(0, 4) + number(crc, 4) + number(compressed, 4) + number(claimed, 4) +
                        number(name.size(), 2) + number(0, 2) + name + data;
    std::string extra =
        wide ? number(1, 2) + number(16, 2) + number(claimed, 8) + number(compressed, 8) : "";
    std::string entry =
        "PK\x01\x02" + number(20, 2) + number(20, 2) + number(flags, 2) + number(method, 2) +
        number(0, 4) + number(crc, 4) + number(wide ? 0xffffffff : compressed, 4) +
        number(wide ? 0xffffffff : claimed, 4) + number(name.size(), 2) + number(extra.size(), 2) +
        number(0, 2) + number(0, 8) + number(0, 4) + name + extra;
    return local + entry + "PK\x05\x06" + number(0, 4) + number(1, 2) + number(1, 2) +
           number(entry.size(), 4) + number(local.size(), 4) + number(0, 2);
  }
};

std::string messageFor(const Archive &archive) {
  TemporaryFolder folder;
  std::string path = folder / "bad.npz";
  writeBytes(path, archive.bytes());
  std::string message = messageOf([&] { readNpz(path, "a"); });
  CHECK((message.empty() || message.starts_with(path)));
  return message;
}

} // namespace

TEST_CASE("what numpy.savez and numpy.savez_compressed write is read") {
  for (std::string file : {fixture("stored.npz"), fixture("deflated.npz")}) {
    HostTensor f4 = readTensor(file + ":f4");
    CHECK(describe(f4) == "f32[2, 3, 4]");
    CHECK(valuesOf(f4) == values24([](int i) { return i + 0.5; }));
    HostTensor turned = readTensor(file + ":turned", {.as = {DType::F32}});
    CHECK(valuesOf(turned) == values24([](int i) { return i + 0.5; }));
    CHECK(contains(messageOf([&] { readTensor(file + ":turned"); }),
                   file + ":turned: type: got float64"));
    CHECK(contains(messageOf([&] { readTensor(file + ":f5"); }),
                   file + ": got array name 'f5', allowed: 'f4', 'turned'"));
  }
  HostTensor many = readTensor(fixture("deflated.npz") + ":many");
  REQUIRE(describe(many) == "i64[100000]");
  for (int64_t index : {0, 1, 70'001, 99'999})
    CHECK(many.dataAs<int64_t>()[index] == index % 7);
}

TEST_CASE("archives that lie are refused before anything is allocated") {
  CHECK(contains(messageFor({}), "not a .npy file"));
  CHECK(contains(messageFor({.data = "x", .claimed = 1, .compressed = 2}),
                 "claims 1 bytes of 2, which cannot be"));
  CHECK(contains(messageFor({.claimed = 1 << 20, .compressed = 1 << 20}),
                 "claims 1048576 bytes, the file holds"));
  // A hundred bytes cannot be deflated petabytes.
  CHECK(contains(messageFor({.data = std::string(100, 'x'),
                             .method = 8,
                             .claimed = uint64_t(1) << 50,
                             .compressed = 100,
                             .wide = true}),
                 "claims 1125899906842624 bytes of 100, which cannot be"));
  CHECK(contains(
      messageFor(
          {.data = std::string(100, '\xff'), .method = 8, .claimed = 1000, .compressed = 100}),
      "its data is not deflated"));
  CHECK(contains(messageFor({.method = 12}), "compression method 12, allowed: 0 (stored), 8"));
  CHECK(contains(messageFor({.flags = 1}), "is encrypted"));
  CHECK(contains(messageFor({.name = "b.npy"}), "got array name 'a', allowed: 'b'"));
  CHECK(contains(messageFor({.claimed = uint64_t(1) << 63, .wide = true}), "lacks the sizes"));
}

TEST_CASE("data that changed on its way is noticed") {
  TemporaryFolder folder;
  for (std::string name : {"stored.npz", "deflated.npz"}) {
    std::string bytes = bytesOf(fixture(name)), path = folder / name;
    size_t inside = bytes.find("f4.npy") + 100; // in the data of the first member
    bytes[inside] = char(bytes[inside] ^ 1);
    writeBytes(path, bytes);
    CHECK(messageOf([&] { readTensor(path + ":f4"); }).starts_with(path + ":f4: "));
  }
}

TEST_CASE("files that are short, or no archive at all, are refused") {
  TemporaryFolder folder;
  std::string path = folder / "short.npz", good = bytesOf(fixture("stored.npz"));
  for (size_t length = 0; length < good.size(); ++length) {
    writeBytes(path, good.substr(0, length));
    CHECK(messageOf([&] { readTensor(path + ":f4"); }).starts_with(path));
  }
  writeBytes(path, bytesOf(fixture("f8.npy")));
  CHECK(contains(messageOf([&] { readTensor(path + ":a"); }), "not an archive as numpy.savez"));
  CHECK(contains(messageOf([&] { readTensor(folder / "none.npz:a"); }), "No such file"));
}

TEST_CASE("an archive with bytes changed at random is read or refused, and nothing else") {
  TemporaryFolder folder;
  std::mt19937 random(5);
  for (std::string name : {"stored.npz", "deflated.npz"}) {
    std::string good = bytesOf(fixture(name)), path = folder / "x.npz";
    int refused = 0, rounds = 2000;
    for (int round = 0; round < rounds; ++round) {
      std::string bytes = good;
      for (unsigned edits = 1 + random() % 3; edits > 0; --edits)
        bytes[random() % bytes.size()] = char(random());
      writeBytes(path, bytes);
      std::string message = messageOf([&] { readTensor(path + ":f4"); });
      REQUIRE((message.empty() || message.starts_with(path)));
      refused += !message.empty();
    }
    CHECK(refused > rounds / 10);
    CHECK(refused < rounds);
  }
}
