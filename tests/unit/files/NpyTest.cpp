#include "ringc/files/Npy.h"
#include "ringc/files/TensorFile.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>

using namespace ringc;

namespace {

/// A version 1.0 file with this dictionary.
std::string npy(const std::string &dictionary, size_t dataBytes) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += char(dictionary.size() & 0xff);
  bytes += char(dictionary.size() >> 8);
  return bytes + dictionary + std::string(dataBytes, '\0');
}

std::string messageFor(const TemporaryFolder &folder, const std::string &bytes) {
  std::string path = folder / "bad.npy";
  writeBytes(path, bytes);
  std::string message = messageOf([&] { readNpy(path); });
  CHECK((message.empty() || message.starts_with(path + ": ")));
  return message;
}

} // namespace

TEST_CASE("what numpy writes is read: types and both orders") {
  auto check = [](const std::string &name, const std::string &description, auto function) {
    HostTensor tensor = readNpy(fixture(name));
    CHECK(describe(tensor) == description);
    CHECK(valuesOf(tensor) == values24(function));
  };
  check("c_f4.npy", "f32[2, 3, 4]", [](int i) { return i + 0.5; });
  check("fortran_f4.npy", "f32[2, 3, 4]", [](int i) { return i + 0.5; });
  check("version2.npy", "f32[2, 3, 4]", [](int i) { return i + 0.5; });
  check("version3.npy", "f32[2, 3, 4]", [](int i) { return i + 0.5; });
  check("f2.npy", "f16[2, 3, 4]", [](int i) { return i - 0.25; });
  check("fortran_i4.npy", "i32[2, 3, 4]", [](int i) { return i - 7; });
  check("i8.npy", "i64[2, 3, 4]", [](int i) { return -8589934592.0 * i; });
  check("b1.npy", "bool[2, 3, 4]", [](int i) { return i % 3 == 0; });
  check("big_endian.npy", "f32[2, 3, 4]", [](int i) { return i; });
  check("bf16.npy", "bf16[2, 3, 4]", [](int i) { return i * -1.5; });
}

TEST_CASE("what numpy writes is read: other ranks, and no elements") {
  HostTensor scalar = readNpy(fixture("scalar.npy"));
  CHECK(describe(scalar) == "f32[]");
  CHECK(valuesOf(scalar) == std::vector<double>{3.25});
  HostTensor line = readNpy(fixture("one_axis.npy"));
  CHECK(describe(line) == "i32[3]");
  CHECK(valuesOf(line) == std::vector<double>{1, 2, 3});
  CHECK(describe(readNpy(fixture("empty.npy"))) == "f32[2, 0, 4]");
}

TEST_CASE("types that are not ours are refused by name") {
  auto message = [](const std::string &name) { return messageOf([&] { readNpy(fixture(name)); }); };
  CHECK(contains(message("f8.npy"), "type: got float64, allowed: float32, float16, bfloat16"));
  CHECK(contains(message("f8.npy"), "float64 where --dtype asks for one of the floats"));
  CHECK(contains(message("structured.npy"), "a structured type"));
  CHECK(contains(message("object.npy"), "'|O'"));
  CHECK(message("f8.npy").starts_with(fixture("f8.npy") + ": "));
}

TEST_CASE("what is written is what numpy writes, byte for byte") {
  TemporaryFolder folder;
  for (std::string name :
       {"c_f4.npy", "f2.npy", "i8.npy", "b1.npy", "scalar.npy", "one_axis.npy", "empty.npy"}) {
    HostTensor tensor = readNpy(fixture(name));
    std::array<TensorOutput, 1> output = {{{folder / name, tensor}}};
    writeTensors(output);
    CHECK(bytesOf(folder / name) == bytesOf(fixture(name)));
  }
}

TEST_CASE("any strides are written in C order, and bf16 as f32") {
  TemporaryFolder folder;
  std::array<float, 6> memory = {1, 2, 3, 4, 5, 6};
  Tensor transposed = Tensor(memory.data(), DType::F32, {3, 2}).permute({1, 0});
  std::array<uint16_t, 2> halves = {bf16FromFloat(-1.5f), bf16FromFloat(1e30f)};
  std::array<TensorOutput, 2> outputs = {
      {{folder / "t.npy", transposed},
       {folder / "h.npy", Tensor(halves.data(), DType::BF16, {2})}}};
  writeTensors(outputs);
  HostTensor t = readNpy(folder / "t.npy");
  CHECK(describe(t) == "f32[2, 3]");
  CHECK(valuesOf(t) == std::vector<double>{1, 3, 5, 2, 4, 6});
  HostTensor h = readNpy(folder / "h.npy");
  CHECK(describe(h) == "f32[2]");
  CHECK(h.dataAs<float>()[0] == -1.5f);
  CHECK(h.dataAs<float>()[1] == floatFromBF16(halves[1]));
}

TEST_CASE("a dictionary need not be laid out as numpy does") {
  TemporaryFolder folder;
  for (std::string dictionary :
       {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{\"shape\":(2L,3L),\"descr\":\"=i4\",\"fortran_order\":False}",
        " { 'fortran_order' : True , 'descr' : 'i4' , 'shape' : ( 2 , 3 , ) } \t\n "}) {
    std::string path = folder / "odd.npy";
    writeBytes(path, npy(dictionary, 24));
    CHECK(describe(readNpy(path)) == "i32[2, 3]");
  }
}

TEST_CASE("any byte of a bool that is not 0 is true") {
  TemporaryFolder folder;
  writeBytes(folder / "b.npy",
             npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", 0) + '\0' + "\x01\xff");
  CHECK(valuesOf(readNpy(folder / "b.npy")) == std::vector<double>{0, 1, 1});
}

TEST_CASE("headers that lie are refused before anything is allocated") {
  TemporaryFolder folder;
  auto shaped = [&](const std::string &shape, size_t dataBytes) {
    return messageFor(
        folder, npy("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}", dataBytes));
  };
  CHECK(shaped("(2, 3)", 24) == "");
  CHECK(contains(shaped("(2, 3)", 23), "claims 24 bytes of data, the file holds 23"));
  CHECK(contains(shaped("(2, 3)", 28), "claims 24 bytes of data, the file holds 28"));
  CHECK(contains(shaped("(1000000000, 1000000000)", 24), "claims 4000000000000000000 bytes"));
  CHECK(contains(shaped("(4294967296, 4294967296)", 24), "more than 2^63 bytes"));
  CHECK(contains(shaped("(4611686018427387904, 2, 2)", 0), "more than 2^63 bytes"));
  CHECK(contains(shaped("(0, 4611686018427387904, 2)", 0), "more than 2^63 bytes"));
  CHECK(contains(shaped("(9223372036854775808,)", 0), "an extent beyond 2^63"));
  CHECK(contains(shaped("(-2, -3)", 24), "a negative extent, -2"));
  CHECK(contains(shaped("(1,1,1,1,1,1,1,1,1)", 4), "more than 8 axes"));
  CHECK(contains(shaped("(6)", 24), "in a shape of one axis"));
  CHECK(contains(shaped("6", 24), "has no '('"));
  CHECK(contains(shaped("(2, x)", 24), "no integer at byte"));
  CHECK(contains(shaped("(2.0, 3)", 24), "has no ','"));
  CHECK(contains(shaped("(2, 3", 24), "has no ')' at byte"));
}

TEST_CASE("dictionaries that are not numpy's are refused") {
  TemporaryFolder folder;
  auto message = [&](const std::string &dictionary) {
    return messageFor(folder, npy(dictionary, 4));
  };
  CHECK(contains(message(""), "has no '{'"));
  CHECK(contains(message("{}"), "lacks the key 'descr'"));
  CHECK(contains(message("{'descr': '<f4', 'shape': (1,)}"), "lacks the key 'fortran_order'"));
  CHECK(contains(message("{'descr': '<f4', 'fortran_order': False}"), "lacks the key 'shape'"));
  CHECK(contains(message("{'descr': '<f4', 'descr': '<f4'}"), "has the key 'descr' twice"));
  CHECK(contains(message("{'colour': 3}"), "an unknown key 'colour'"));
  CHECK(contains(message("{'descr\x07': '<f4'}"), "'descr\\x07'"));
  CHECK(contains(message("{'descr': <f4}"), "has no string at byte"));
  CHECK(contains(message("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}"), "neither True"));
  CHECK(contains(message("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x"),
                 "goes on after the dictionary"));
  CHECK(contains(message("{'descr': '', 'fortran_order': False, 'shape': (1,)}"), "got ''"));
}

TEST_CASE("files that are short, or no .npy at all, are refused") {
  TemporaryFolder folder;
  std::string good = bytesOf(fixture("c_f4.npy"));
  for (size_t length = 0; length < good.size(); ++length)
    CHECK(messageFor(folder, good.substr(0, length)) != "");
  CHECK(contains(messageFor(folder, "PK\x03\x04 and so on"), "does not start with \\x93NUMPY"));
  std::string future = good;
  future[6] = 4;
  CHECK(contains(messageFor(folder, future), "got .npy format 4.0, allowed: 1.0, 2.0, 3.0"));
  std::string huge = bytesOf(fixture("version2.npy"));
  huge.replace(8, 4, "\xff\xff\xff\xff");
  CHECK(contains(messageFor(folder, huge), "claims 4294967295 bytes, the file holds"));
  std::string large("\x93NUMPY\x02\x00\x00\x00\x20\x00", 12);
  CHECK(contains(messageFor(folder, large + std::string(1 << 21, ' ')),
                 "claims 2097152 bytes, at most 1048576"));
  CHECK(contains(messageOf([&] { readNpy(folder.path()); }), "a folder, not a regular file"));
  CHECK(contains(messageOf([&] { readNpy(folder / "none.npy"); }), "No such file"));
}
