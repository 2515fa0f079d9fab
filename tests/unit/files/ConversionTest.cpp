// Elements that become another type on load: because they were asked for, or of what masks are.

#include "ringc/files/Npy.h"
#include "ringc/files/TensorFile.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace ringc;

namespace {

template <typename Element>
HostTensor readAs(const std::string &descr, const std::vector<Element> &values,
                  const ReadOptions &options) {
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" +
                     std::to_string(values.size()) + ",)}\n";
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += {char(text.size()), '\0'};
  bytes += text;
  bytes.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(Element));
  MemoryBytes source("x.npy", std::as_bytes(std::span(bytes)));
  return readNpy(source, options);
}

template <typename Element>
std::string refusal(const std::string &descr, const std::vector<Element> &values,
                    const ReadOptions &options) {
  return messageOf([&] { readAs(descr, values, options); });
}

constexpr double infinity = std::numeric_limits<double>::infinity();

/// The number of a 16-bit type nearest to `value`, ties to even, by looking at all of them.
template <typename FromBits> double nearest(double value, double overflow, FromBits &&fromBits) {
  if (std::abs(value) >= overflow)
    return std::copysign(infinity, value);
  double best = 0;
  uint32_t bestBits = 0;
  for (uint32_t bits = 0; bits < 0x8000; ++bits) {
    double candidate = std::copysign(double(fromBits(uint16_t(bits))), value);
    if (!std::isfinite(candidate))
      continue;
    double distance = std::abs(candidate - value), least = std::abs(best - value);
    if (bits == 0 || distance < least || (distance == least && bestBits % 2 == 1)) {
      best = candidate;
      bestBits = bits;
    }
  }
  return best;
}

} // namespace

TEST_CASE("float64 is rounded once: ties of the type itself, not of f32's neighbours") {
  // Between 1 and the next bf16 lies 1 + 2^-8; a little more or less must show.
  std::vector<double> values = {1 + 0x1p-8,
                                1 + 0x1p-8 + 0x1p-40,
                                1 + 0x1p-8 - 0x1p-40,
                                1 + 0x1p-11 + 0x1p-45,
                                1 + 0x1p-11 - 0x1p-45,
                                -(1 + 0x3p-11 - 0x1p-50),
                                0x1p-25 + 0x1p-70,
                                0x1p-134 + 0x1p-180,
                                0x1p-134,
                                1e-300,
                                -1e-320,
                                65519.999999,
                                65520,
                                3.3961e38,
                                1e300,
                                infinity,
                                0.0};
  std::mt19937_64 random(1);
  for (int index = 0; index < 200; ++index)
    values.push_back(
        std::bit_cast<double>((random() & ~(0x7ffull << 52)) | (0x3e0ull + random() % 64) << 52));
  HostTensor f32 = readAs("<f8", values, {.as = {DType::F32}}),
             f16 = readAs("<f8", values, {.as = {DType::F16}}),
             bf16 = readAs("<f8", values, {.as = {DType::BF16}});
  for (size_t index = 0; index < values.size(); ++index) {
    double value = values[index];
    CAPTURE(value);
    CHECK(f32.dataAs<float>()[index] == float(value));
    CHECK(double(floatFromF16(f16.dataAs<uint16_t>()[index])) ==
          nearest(value, 65520, floatFromF16));
    CHECK(double(floatFromBF16(bf16.dataAs<uint16_t>()[index])) ==
          nearest(value, 0x1.ffp127, floatFromBF16));
  }
  CHECK(std::isnan(
      readAs("<f8", std::vector{std::nan("")}, {.as = {DType::F32}}).dataAs<float>()[0]));
}

TEST_CASE("other floats become the float that is asked for, and nothing else") {
  std::vector<float> values = {1.5f, -0x1p-20f};
  CHECK(describe(readAs("<f4", values, {.as = {DType::F16}})) == "f16[2]");
  CHECK(describe(readAs("<f4", values, {.as = {DType::I32}})) == "f32[2]");
  CHECK(describe(readAs("<f4", values, {.as = {DType::Bool}})) == "f32[2]");
  CHECK(describe(readAs("<i4", std::vector{1, 2}, {.as = {DType::F32}})) == "i32[2]");
  CHECK(describe(readAs("<i8", std::vector<int64_t>{1}, {.as = {DType::F32, DType::I32}})) ==
        "i32[1]");
  HostTensor many = readAs("<f4", std::vector<float>(200'000, 0.25f), {.as = {DType::BF16}});
  CHECK(floatFromBF16(many.dataAs<uint16_t>()[199'999]) == 0.25f);
}

TEST_CASE("integers of any width become i32 where they fit, and are named where they do not") {
  ReadOptions i32{.as = {DType::I32}};
  CHECK(valuesOf(readAs("<i8", std::vector<int64_t>{0, -5, 2147483647}, i32)) ==
        std::vector<double>{0, -5, 2147483647});
  CHECK(valuesOf(readAs("<u4", std::vector<uint32_t>{7}, i32)) == std::vector<double>{7});
  CHECK(valuesOf(readAs("<u8", std::vector<uint64_t>{7}, i32)) == std::vector<double>{7});
  CHECK(valuesOf(readAs("<i2", std::vector<int16_t>{-7}, i32)) == std::vector<double>{-7});
  CHECK(valuesOf(readAs("|i1", std::vector<int8_t>{-7}, i32)) == std::vector<double>{-7});
  CHECK(refusal("<i8", std::vector<int64_t>{0, 2147483648}, i32) ==
        "x.npy: element 1: got 2147483648, allowed: integers from -2^31 to 2^31 - 1");
  CHECK(contains(refusal("<u4", std::vector<uint32_t>{4294967295}, i32), "got 4294967295"));
  CHECK(contains(refusal("<u8", std::vector<uint64_t>{~uint64_t(0)}, i32),
                 "got 18446744073709551615"));
  std::vector<int64_t> late(100'000);
  late[99'999] = -2147483649;
  CHECK(contains(refusal("<i8", late, i32), "element 99999: got -2147483649"));
}

TEST_CASE("integers that are 0 and 1 become bool") {
  ReadOptions truth{.as = {DType::Bool}};
  CHECK(describe(readAs("|u1", std::vector<uint8_t>{1, 0}, truth)) == "bool[2]");
  CHECK(valuesOf(readAs("<i8", std::vector<int64_t>{1, 0}, truth)) == std::vector<double>{1, 0});
  CHECK(valuesOf(readAs("<i4", std::vector{1, 0}, truth)) == std::vector<double>{1, 0});
  CHECK(refusal("|u1", std::vector<uint8_t>{1, 255}, truth) ==
        "x.npy: element 1: got 255, allowed: 0, 1");
  CHECK(contains(refusal("<i8", std::vector<int64_t>{256}, truth), "element 0: got 256"));
  CHECK(contains(refusal("|u1", std::vector<uint8_t>{1}, {}), "x.npy: type: got uint8, allowed: "));
}

TEST_CASE("numbers with their first byte first") {
  std::vector<uint64_t> eight = {__builtin_bswap64(std::bit_cast<uint64_t>(-2.5))};
  CHECK(valuesOf(readAs(">f8", eight, {.as = {DType::F32}})) == std::vector<double>{-2.5});
  CHECK(valuesOf(readAs(">i4", std::vector<uint32_t>{0x01000000}, {})) == std::vector<double>{1});
  CHECK(valuesOf(readAs(">i8", std::vector<uint64_t>{uint64_t(1) << 56}, {.as = {DType::I32}})) ==
        std::vector<double>{1});
  CHECK(contains(refusal(">V2", std::vector<uint16_t>{0}, {}), "type: got '>V2'"));
}

TEST_CASE("two bytes without a name are bfloat16, which is said unless it was asked for") {
  std::vector<uint16_t> values = {bf16FromFloat(-1.5f)};
  std::vector<std::string> notes;
  ReadOptions options{.note = [&](const std::string &note) { notes.push_back(note); }};
  for (std::string descr : {"<V2", "|V2", "V2"})
    CHECK(valuesOf(readAs(descr, values, options)) == std::vector<double>{-1.5});
  REQUIRE(notes.size() == 3);
  CHECK(notes[0] == "x.npy: its type V2 has no name; read as bfloat16");
  options.as = {DType::BF16};
  CHECK(describe(readAs("<V2", values, options)) == "bf16[1]");
  CHECK(describe(readAs("bfloat16", values, options)) == "bf16[1]");
  CHECK(notes.size() == 3);
  CHECK(contains(refusal("|V1", std::vector<uint8_t>{1}, options), "type: got '|V1'"));
  CHECK(contains(refusal("|V4", std::vector<uint32_t>{1}, options), "type: got '|V4'"));
}

TEST_CASE("Fortran order and another type at once") {
  HostTensor turned = readTensor(fixture("stored.npz") + ":turned", {.as = {DType::F16}});
  CHECK(describe(turned) == "f16[2, 3, 4]");
  CHECK(valuesOf(turned) == values24([](int i) { return i + 0.5; }));
}
