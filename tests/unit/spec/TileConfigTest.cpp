#include "compiler/spec/SpecJson.h"
#include "runtime/Error.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace ringc;

TEST_CASE("the model chooses what the spec leaves open") {
  Target target = {.vectorBytes = 64, .vectorRegisters = 32};
  CHECK(chooseTileConfig({}, target).tile == std::map<std::string, int64_t>{{"q", 64}, {"kv", 64}});
  CHECK(chooseTileConfig({.tile = {{"q", 16}}}, target).tile ==
        std::map<std::string, int64_t>{{"q", 16}, {"kv", 64}});
  CHECK(chooseTileConfig({.kernel = "row_softmax"}, target).tile.empty());
  CHECK(chooseTileConfig({.kernel = "matmul", .tile = {{"m", 8}}}, target).tile ==
        std::map<std::string, int64_t>{{"m", 8}});
}

TEST_CASE("the register block fits the registers") {
  for (int64_t registers : {8, 16, 32, 64}) {
    TileConfig config = chooseTileConfig({}, {.vectorRegisters = registers});
    CHECK(config.microRows * config.microVectors + config.microVectors + 1 <= registers);
    CHECK(config.microRows * config.microVectors * 3 >= registers);
  }
}

TEST_CASE("JSON keeps a config") {
  TileConfig config = {.tile = {{"q", 32}}, .microRows = 6, .microVectors = 3};
  CHECK(tileConfigFromJson(toJson(config)) == config);
  CHECK_THROWS_WITH_AS(tileConfigFromJson({{"micro_rows", 0}}),
                       "micro_rows: got 0, allowed: an integer from 1 to 64", InputError);
}

TEST_CASE("a dimension is a constant of the kernel") { CHECK(tileConstant("kv") == "BKV"); }
