#include "ringc/Float16.h"

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

using namespace ringc;

namespace {

bool isNan16(uint16_t bits, int mantissaBits) {
  uint16_t mantissa = uint16_t((1u << mantissaBits) - 1);
  return ((bits & 0x7fffu) & ~mantissa) == (0x7fffu & ~mantissa) && (bits & mantissa);
}

/// The halfway point above a finite value goes to the even neighbour, its neighbours to the
/// nearest.
template <typename Narrow, typename Widen>
void checkRounding(Narrow narrow, Widen widen, uint16_t largestFinite) {
  for (uint32_t bits = 0; bits < largestFinite; ++bits) {
    float low = widen(uint16_t(bits)), high = widen(uint16_t(bits + 1));
    float middle = low + (high - low) / 2; // exact: f32 has bits to spare
    uint16_t even = uint16_t(bits % 2 ? bits + 1 : bits);
    REQUIRE(narrow(middle) == even);
    REQUIRE(narrow(std::nextafter(middle, 0.0f)) == bits);
    REQUIRE(narrow(std::nextafter(middle, high)) == bits + 1);
    REQUIRE(narrow(-middle) == uint16_t(even | 0x8000u));
  }
}

} // namespace

TEST_CASE("every 16-bit float survives f32 and back") {
  for (uint32_t bits = 0; bits < 0x10000u; ++bits) {
    if (isNan16(uint16_t(bits), 10))
      CHECK(std::isnan(floatFromF16(uint16_t(bits))));
    else
      REQUIRE(f16FromFloat(floatFromF16(uint16_t(bits))) == bits);
    if (isNan16(uint16_t(bits), 7))
      CHECK(std::isnan(floatFromBF16(uint16_t(bits))));
    else
      REQUIRE(bf16FromFloat(floatFromBF16(uint16_t(bits))) == bits);
  }
}

TEST_CASE("narrowing rounds to nearest even, subnormals included") {
  checkRounding(f16FromFloat, floatFromF16, 0x7bff);
  // bf16's subnormal middles are f32 subnormals, still exact.
  checkRounding(bf16FromFloat, floatFromBF16, 0x7f7f);
}

TEST_CASE("known f16 values") {
  CHECK(floatFromF16(0x3c00) == 1.0f);
  CHECK(floatFromF16(0x0001) == 0x1p-24f);
  CHECK(floatFromF16(0x7bff) == 65504.0f);
  CHECK(f16FromFloat(65519.99f) == 0x7bff);
  CHECK(f16FromFloat(65520.0f) == 0x7c00);
  CHECK(f16FromFloat(1e30f) == 0x7c00);
  CHECK(f16FromFloat(-1e30f) == 0xfc00);
  CHECK(f16FromFloat(0x1p-25f) == 0);
  CHECK(f16FromFloat(std::nextafter(0x1p-25f, 1.0f)) == 1);
}

TEST_CASE("infinities stay, NaN stays NaN, overflow is infinite") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  CHECK(f16FromFloat(inf) == 0x7c00);
  CHECK(bf16FromFloat(-inf) == 0xff80);
  CHECK(bf16FromFloat(std::numeric_limits<float>::max()) == 0x7f80);
  for (uint32_t mantissa : {1u, 0x1fffu, 0x7fffffu}) {
    float nan = std::bit_cast<float>(0x7f800000u | mantissa);
    CHECK(std::isnan(floatFromF16(f16FromFloat(nan))));
    CHECK(std::isnan(floatFromBF16(bf16FromFloat(nan))));
  }
}
