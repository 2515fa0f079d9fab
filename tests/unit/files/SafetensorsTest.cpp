#include "ringc/files/Safetensors.h"
#include "ringc/files/TensorFile.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>

using namespace ringc;

namespace {

std::string safetensors(const std::string &header, size_t dataBytes) {
  uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(dataBytes, '\0');
}

std::string messageFor(const TemporaryFolder &folder, const std::string &bytes) {
  std::string path = folder / "bad.safetensors";
  writeBytes(path, bytes);
  std::string message = messageOf([&] { readSafetensors(path, "a"); });
  CHECK((message.empty() || message.starts_with(path)));
  return message;
}

} // namespace

TEST_CASE("what safetensors writes is read") {
  std::string path = fixture("types.safetensors");
  auto check = [&](const std::string &name, const std::string &description, auto function) {
    HostTensor tensor = readSafetensors(path, name);
    CHECK(describe(tensor) == description);
    CHECK(valuesOf(tensor) == values24(function));
  };
  check("f32", "f32[2, 3, 4]", [](int i) { return i + 0.5; });
  check("f16", "f16[2, 3, 4]", [](int i) { return i - 0.25; });
  check("bf16", "bf16[2, 3, 4]", [](int i) { return i * -1.5; });
  check("i32", "i32[2, 3, 4]", [](int i) { return i - 7; });
  check("i64", "i64[2, 3, 4]", [](int i) { return -8589934592.0 * i; });
  check("bool", "bool[2, 3, 4]", [](int i) { return i % 3 == 0; });
  check("\xc3\xbcmlaut:colon", "i32[2, 3, 4]", [](int i) { return i; });
  CHECK(valuesOf(readSafetensors(path, "scalar")) == std::vector<double>{3.25});
  CHECK(describe(readSafetensors(path, "empty")) == "f32[2, 0, 4]");

  CHECK(contains(messageOf([&] { readSafetensors(path, "f64"); }),
                 path + ":f64: type: got float64, allowed: float32, float16, bfloat16"));
  CHECK(contains(messageOf([&] { readSafetensors(path, "u8"); }), "type: got uint8"));
  CHECK(contains(messageOf([&] { readSafetensors(path, "F32"); }),
                 path + ": got tensor name 'F32', allowed: 'i64', 'f64', "));
}

TEST_CASE("several tensors go into one file and come back") {
  TemporaryFolder folder;
  std::array<float, 6> memory = {1, 2, 3, 4, 5, 6};
  std::array<uint16_t, 3> halves = {bf16FromFloat(-1.5f), bf16FromFloat(2), bf16FromFloat(0.25f)};
  std::array<uint8_t, 3> flags = {1, 0, 1};
  Tensor f32(memory.data(), DType::F32, {3, 2});
  std::string file = folder / "many.safetensors";
  std::array<TensorOutput, 4> outputs = {
      {{file + ":flags", Tensor(flags.data(), DType::Bool, {3})},
       {file + ":bf16", Tensor(halves.data(), DType::BF16, {1, 3})},
       {folder.path() + "/./many.safetensors:t", f32.permute({1, 0})},
       {file + ":none", Tensor(nullptr, DType::I64, {0})}}};
  writeTensors(outputs);
  CHECK(folder.fileCount() == 1);
  CHECK(valuesOf(readTensor(file + ":flags")) == std::vector<double>{1, 0, 1});
  HostTensor bf16 = readTensor(file + ":bf16");
  CHECK(describe(bf16) == "bf16[1, 3]");
  CHECK(valuesOf(bf16) == std::vector<double>{-1.5, 2, 0.25});
  CHECK(valuesOf(readTensor(file + ":t")) == std::vector<double>{1, 3, 5, 2, 4, 6});
  CHECK(describe(readTensor(file + ":none")) == "i64[0]");

  std::string bytes = bytesOf(file);
  CHECK(bytes.size() % 2 == 1); // three flags end it: wide elements come first
  CHECK(bytes.find("\"none\"") < bytes.find("\"t\""));
  std::array<TensorOutput, 4> reversed = {{outputs[3], outputs[2], outputs[1], outputs[0]}};
  writeTensors(reversed);
  CHECK(bytesOf(file) == bytes);
}

TEST_CASE("headers that lie are refused") {
  TemporaryFolder folder;
  auto message = [&](const std::string &header, size_t dataBytes) {
    return messageFor(folder, safetensors(header, dataBytes));
  };
  auto a = [](const std::string &type, const std::string &shape, const std::string &offsets) {
    return R"({"a":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  CHECK(message(a("F32", "[2,3]", "[0,24]"), 24) == "");
  CHECK(message(a("F32", "[2,3]", "[0,24]") + "   ", 24) == "");
  CHECK(contains(message(a("F32", "[2,3]", "[0,24]"), 23),
                 "claims bytes 0 to 24, the file holds 23"));
  CHECK(contains(message(a("F32", "[2,3]", "[0,24]"), 25),
                 "describes 24 bytes of data, the file holds 25"));
  CHECK(contains(message(a("F32", "[2,3]", "[4,28]"), 28), "bytes 0 to 4 belong to no tensor"));
  CHECK(contains(message(a("F32", "[2,3]", "[24,0]"), 24), "claims bytes 24 to 0"));
  CHECK(contains(message(a("F32", "[2,4]", "[0,24]"), 24), "its shape needs 32"));
  CHECK(contains(message(a("F64", "[2,4]", "[0,24]"), 24), "its shape needs 64"));
  CHECK(contains(message(a("F32", "[4294967296,4294967296,0]", "[0,0]"), 0), "more than 2^63"));
  CHECK(contains(message(a("F32", "[0,7]", "[0,4]"), 4), "its shape needs 0"));
  CHECK(contains(message(a("F32", "[-1]", "[0,4]"), 4), "has no shape"));
  CHECK(contains(message(a("F32", "[1.0]", "[0,4]"), 4), "has no shape"));
  CHECK(contains(message(a("F32", "[18446744073709551615]", "[0,4]"), 4), "has no shape"));
  CHECK(contains(message(a("F32", "[18446744073709551616]", "[0,4]"), 4), "has no shape"));
  CHECK(contains(message(a("F32", "3", "[0,4]"), 4), "has no shape"));
  CHECK(contains(message(a("F32", "[1]", "[0]"), 4), "has no data_offsets"));
  CHECK(contains(message(a("F32", "[1]", "[0,4,8]"), 4), "has no data_offsets"));
  CHECK(contains(message(a("F32", "[1]", R"(["0","4"])"), 4), "has no data_offsets"));
  CHECK(contains(message(a("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "got 9 axes"));
  CHECK(contains(message(a("F4", "[3]", "[0,2]"), 2), "got type 'F4'"));
  CHECK(contains(message(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), "has no dtype"));
  CHECK(contains(message(R"({"a":7})", 4), "has no dtype"));
  CHECK(contains(message("{}", 0), "allowed: nothing, the file has no tensors"));
}

TEST_CASE("tensors may neither overlap nor share a name") {
  TemporaryFolder folder;
  auto entry = [](const std::string &name, int begin, int end) {
    return "\"" + name + R"(":{"dtype":"I32","shape":[2],"data_offsets":[)" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  auto message = [&](const std::string &first, const std::string &second, size_t dataBytes) {
    return messageFor(folder, safetensors("{" + first + "," + second + "}", dataBytes));
  };
  CHECK(message(entry("a", 8, 16), entry("b", 0, 8), 16) == "");
  CHECK(contains(message(entry("a", 0, 8), entry("b", 4, 12), 12), "tensor 'b' overlaps another"));
  CHECK(contains(message(entry("a", 0, 8), entry("b", 0, 8), 8), "overlaps another"));
  CHECK(contains(message(entry("a", 0, 8), entry("b", 12, 20), 20), "8 to 12 belong to no tensor"));
  CHECK(contains(message(entry("a", 0, 8), entry("a", 8, 16), 16), "names 'a' twice"));
  CHECK(contains(message(entry("a", 0, 8), R"("b":{"dtype":"I32","dtype":"F32"})", 8),
                 "names 'dtype' twice"));
  CHECK(message(entry("a", 0, 8), R"("__metadata__":{"shape":"x","dtype":"y"})", 8) == "");
}

TEST_CASE("files that are short, or no .safetensors at all, are refused") {
  TemporaryFolder folder;
  std::string good = bytesOf(fixture("types.safetensors"));
  std::string path = folder / "short.safetensors";
  for (size_t length = 0; length < good.size(); ++length) {
    writeBytes(path, good.substr(0, length));
    CHECK(messageOf([&] { readSafetensors(path, "f32"); }).starts_with(path + ": "));
  }
  CHECK(contains(messageFor(folder, "short"), "not a .safetensors file: it has 5 bytes"));
  CHECK(contains(messageFor(folder, std::string(8, '\xff') + "{}"),
                 "claims 18446744073709551615 bytes, the file holds 2"));
  CHECK(contains(messageFor(folder, safetensors("", 0)), "does not start with '{'"));
  CHECK(contains(messageFor(folder, safetensors(" {}", 0)), "does not start with '{'"));
  CHECK(contains(messageFor(folder, safetensors("{\"a\":", 0)), "not JSON, at its byte 6"));
  CHECK(contains(messageFor(folder, safetensors("{\"\xff\":1}", 0)), "not JSON"));
  CHECK(contains(messageFor(folder, safetensors("{} {}", 0)), "not JSON"));
  std::string deep(1'000'000, '[');
  CHECK(contains(messageFor(folder, safetensors("{\"a\":" + deep, 0)), "'a' has no dtype"));
  CHECK(contains(messageFor(folder, safetensors("{\"a\":{\"b\":" + deep, 0)),
                 "tensor 'a' nests deeper than 8 levels"));
  CHECK(contains(messageFor(folder, safetensors("{\"a\":{\"shape\":" + deep, 0)),
                 "tensor 'a' has no shape"));
  CHECK(contains(messageFor(folder, safetensors("{\"__metadata__\":" + deep, 0)),
                 "'__metadata__' is no object of strings"));
}

TEST_CASE("a hundred thousand tensors are read in a moment, and fields have bounds") {
  TemporaryFolder folder;
  std::string header = "{";
  for (int number = 0; number < 100'000; ++number)
    header += "\"t" + std::to_string(number) +
              "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},";
  header += R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  CHECK(messageFor(folder, safetensors(header, 4)) == "");
  std::string axes = "[0";
  for (int axis = 0; axis < 64; ++axis)
    axes += ",1";
  CHECK(contains(messageFor(folder, safetensors(R"({"a":{"shape":)" + axes + "]}}", 0)),
                 "has a list of more than 64 integers"));
  std::string fields = "{\"a\":{";
  for (int field = 0; field < 17; ++field)
    fields += (field ? ",\"f" : "\"f") + std::to_string(field) + "\":0";
  CHECK(contains(messageFor(folder, safetensors(fields + "}}", 0)), "more than 16 fields"));
}

TEST_CASE("names that the format does not allow are not written") {
  TemporaryFolder folder;
  float value = 1;
  Tensor tensor(&value, DType::F32, {1});
  for (std::string name : {"__metadata__", "\xff"}) {
    std::array<TensorOutput, 1> output = {{{folder / "x.safetensors:" + name, tensor}}};
    CHECK_THROWS_AS(writeTensors(output), InputError);
  }
  CHECK(folder.fileCount() == 0);
}
