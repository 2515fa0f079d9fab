// The table of tuned tile sizes: what is found in it, and what a broken one costs.

#include "TemporaryFolder.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/support/Error.h"
#include "ringc/tune/TunedConfigs.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace ringc;
using ringc::testing::TemporaryFolder;

namespace {

const Target host{.name = "cpu", .chip = "znver4", .features = "+avx2", .vectorRegisters = 32};

TuneEntry entryOf(const Spec &spec, int64_t length, int64_t q, const Target &target = host) {
  TuneEntry entry{.key = tuneKeyOf(spec, SourceSet(), target, {.length = length, .ranks = 1})};
  entry.config = chooseTileConfig(spec, target);
  entry.config.tile["q"] = q;
  entry.nanoseconds = 900;
  entry.defaultNanoseconds = 1000;
  entry.date = "2026-01-01";
  entry.version = "1";
  return entry;
}

TuneEntry ringEntry(TuneKey key, const char *layout, const char *schedule) {
  TuneEntry entry;
  entry.key = std::move(key);
  entry.layout = layout;
  entry.schedule = schedule;
  return entry;
}

void write(const std::string &path, const std::string &text) { std::ofstream(path) << text; }

/// What `find` gives for a length, and what was said.
struct Found {
  std::optional<TileConfig> config;
  std::vector<std::string> warnings;
};
Found find(const std::string &path, const Spec &spec, int64_t length, const Target &target = host) {
  Found found;
  TunedConfigs configs(path, [&](const std::string &text) { found.warnings.push_back(text); });
  found.config = configs.find(spec, SourceSet(), target, {.length = length}).config;
  return found;
}

} // namespace

TEST_CASE("an entry is found by its key, for the nearest length where there is not its own") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "deep" / "tune.json").string();
  Spec spec{.headDim = 80, .mask = {"causal"}};
  TuneTable::update(path, [&](TuneTable &table) {
    table.put(entryOf(spec, 1000, 16));
    table.put(entryOf(spec, 16384, 96));
    table.put(entryOf(spec, 1024, 32)); // the same class of lengths
  });
  CHECK(find(path, spec, 1024).config->tile.at("q") == 32);
  CHECK(find(path, spec, 700).config->tile.at("q") == 32);
  CHECK(find(path, spec, 1 << 20).config->tile.at("q") == 96);
  CHECK(find(path, spec, 8192).config->tile.at("q") == 96);
  CHECK(find(path, spec, 0).config->tile.at("q") == 32);
  Spec other = spec;
  other.mask = {};
  CHECK(!find(path, other, 1024).config);
  other = spec;
  other.dtype = ElementType::BF16;
  CHECK(!find(path, other, 1024).config);
  Target newer = host;
  newer.features += ",+avx512f";
  CHECK(!find(path, spec, 1024, newer).config);
  other = spec;
  other.tile = {{"q", 64}}; // by hand
  CHECK(!find(path, other, 1024).config);
  CHECK(find(path, spec, 1024).warnings.empty());
}

TEST_CASE("a user's function is known by its text") {
  SourceSet one(std::vector<SourceText>{{"my.tile", "mask near(...)"}}),
      two(std::vector<SourceText>{{"my.tile", "mask near(... )"}});
  Spec spec{.mask = {"my.tile:near"}};
  CHECK(tuneKeyOf(spec, one, host, {}) == tuneKeyOf(spec, one, host, {}));
  CHECK(!(tuneKeyOf(spec, one, host, {}) == tuneKeyOf(spec, two, host, {})));
  CHECK(tuneKeyOf(spec, one, host, {}).mask.front().starts_with("near#"));
}

TEST_CASE("a broken table costs a warning that names it") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  Spec spec;
  for (auto [text, what] :
       {std::pair("", "no table of tile sizes: "),
        {"[1, 2", "no table of tile sizes: "},
        {"{}", "it has no version and entries"},
        {R"({"version": 2, "entries": []})", "a table of version 2, allowed: 1"},
        {R"({"version": 1, "entries": [{"kye": 1}]})", "entries[0]: unknown field \"kye\""},
        {R"({"version": 1, "entries": [{"config": {"warps": 99999999999999999999}}]})",
         "entries[0].config.warps: got "}}) {
    write(path, text);
    Found found = find(path, spec, 1024);
    CHECK(!found.config);
    REQUIRE(found.warnings.size() == 1);
    CAPTURE(found.warnings[0]);
    CHECK(found.warnings[0].starts_with(path + ": "));
    CHECK(found.warnings[0].find(what) != std::string::npos);
  }
  CHECK(find(folder.path().string(), spec, 1024).warnings.size() == 1);
  CHECK(find((folder.path() / "none.json").string(), spec, 1024).warnings.empty());
}

TEST_CASE("what does not fit the kernel is refused by name") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  Spec spec{.headDim = 256};
  Target gpu = gpuTarget("sm_86");
  TuneEntry large = entryOf(spec, 1024, 128, gpu);
  large.config.tile["kv"] = 128;
  TuneTable::update(path, [&](TuneTable &table) { table.put(large); });
  Found found = find(path, spec, 1024, gpu);
  CHECK(!found.config);
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0].find("attention_forward cannot have ") != std::string::npos);
  CHECK(found.warnings[0].find("bytes of shared memory, of 101376") != std::string::npos);
  TuneEntry strange = entryOf(spec, 1024, 16);
  strange.config.tile["z"] = 3;
  TuneTable::update(path, [&](TuneTable &table) { table.put(strange); });
  CHECK(find(path, spec, 1024).warnings.at(0).find("has no dimension z") != std::string::npos);
}

TEST_CASE("a table that cannot be read is not replaced") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  write(path, "{ precious");
  CHECK_THROWS_AS(TuneTable::update(path, [](TuneTable &) {}), InputError);
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  CHECK(text == "{ precious");
}

TEST_CASE("many processes change one table, and nothing is lost") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  constexpr int processes = 6, each = 12;
  for (int process = 0; process < processes; ++process)
    if (fork() == 0) {
      for (int number = 0; number < each; ++number)
        TuneTable::update(path, [&](TuneTable &table) {
          table.put(entryOf({.headDim = 1 + process * each + number}, 1024, 16));
        });
      _exit(0);
    }
  for (int process = 0; process < processes; ++process) {
    int status = 0;
    wait(&status);
    CHECK(status == 0);
  }
  TuneTable all = TuneTable::read(path, [](const std::string &text) { FAIL(text); });
  CHECK(all.entries().size() == size_t(processes * each));
  TuneTable::update(path, [&](TuneTable &table) {
    CHECK(table.forget(nameOf(table.entries().front().key)) == 1);
    CHECK(table.forget("") == processes * each - 1);
  });
  CHECK(TuneTable::read(path, {}).entries().empty());
}

TEST_CASE("the space of a kernel's sizes: the model's choice first, and nothing that cannot run") {
  for (const char *kernel : {"attention_forward", "attention_backward_dkdv",
                             "attention_backward_dq", "attention_backward"})
    for (const char *chip : {"", "sm_80", "sm_86", "sm_90"})
      for (int64_t d : {16, 64, 128, 256})
        for (ElementType type : {ElementType::F32, ElementType::BF16}) {
          CAPTURE(kernel);
          CAPTURE(chip);
          CAPTURE(d);
          Target target = *chip ? gpuTarget(chip) : host;
          Spec spec{.kernel = kernel, .headDim = d, .dtype = type};
          TileSpace space(spec, target);
          std::vector<TileConfig> all = space.candidates();
          REQUIRE(!all.empty());
          CHECK(all.front() == chooseTileConfig(spec, target));
          for (const TileConfig &config : all) {
            CHECK(space.objection(config) == "");
            Spec byHand = spec;
            byHand.tile = space.byHand(config);
            CHECK(chooseTileConfig(byHand, target) == config);
          }
        }
  CHECK(TileSpace({.kernel = "attention_merge"}, host).candidates().size() == 1);
}

TEST_CASE("it is told once where sizes come from") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  Spec spec{.headDim = 80, .mask = {"causal"}};
  TuneTable::update(path, [&](TuneTable &table) { table.put(entryOf(spec, 1000, 16)); });
  std::vector<std::string> told;
  TunedConfigs configs(
      path, [](const std::string &) {}, {}, [&](const std::string &line) { told.push_back(line); });
  TuneEntry entry = entryOf(spec, 1000, 16);
  for (int again = 0; again < 2; ++again)
    CHECK(configs.find(spec, SourceSet(), host, {.length = 1000}).origin ==
          path + ", entry " + nameOf(entry.key));
  Spec byHand = spec, others = spec;
  byHand.tile = {{"attention_forward.q", 32}};
  others.tile = {{"attention_backward.q", 32}};
  CHECK(configs.find(byHand, SourceSet(), host, {.length = 1000}).origin == "by hand");
  CHECK(configs.find(others, SourceSet(), host, {.length = 1000}).config->tile.at("q") == 16);
  CHECK(configs.find(spec, SourceSet(), host, {.length = 1000, .table = ""}).origin == "the model");
  CHECK(configs.find({.headDim = 7}, SourceSet(), host, {}).origin == "the model");
  REQUIRE(told.size() == 5);
  CHECK(told[0].starts_with("attention_forward: "));
  CHECK(told[0].ends_with(", of " + path + ", entry " + nameOf(entry.key)));
}

TEST_CASE("a ring of processes gets its schedule from a table, for the layout that it has it for") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  Spec spec{.headDim = 64, .queryLayout = LayoutKind::Zigzag, .keyLayout = LayoutKind::Zigzag};
  KernelWork work{.length = 4096, .ranks = 4};
  TuneKey forward = tuneKeyOf(spec, SourceSet(), host, work);
  TuneTable::update(path, [&](TuneTable &table) {
    table.put(ringEntry(ringKeyOf(forward, std::nullopt, true), "zigzag", "all-gather"));
    table.put(ringEntry(ringKeyOf(forward, Pass::Forward, true), "zigzag", "ring"));
    table.put(ringEntry(ringKeyOf(forward, Pass::Backward, false), "zigzag", "ring"));
  });
  std::vector<std::string> warnings;
  auto warn = [&](const std::string &line) { warnings.push_back(line); };
  TunedConfigs configs(path, warn);
  auto find = [&](Pass pass, SequenceLayout layout) {
    return configs.schedule(pass, spec, SourceSet(), host, work, layout);
  };
  for (int again = 0; again < 2; ++again) {
    CHECK(find(Pass::Forward, SequenceLayout::zigzag()) == Schedule::Ring);
    CHECK(find(Pass::Backward, SequenceLayout::zigzag()) == Schedule::AllGather); // of both
    CHECK(!find(Pass::Forward, SequenceLayout::striped()));
  }
  CHECK(warnings.empty());
  TuneTable::update(path, [&](TuneTable &table) {
    table.put(ringEntry(ringKeyOf(forward, Pass::Forward, true), "diagonal", ""));
  });
  TunedConfigs others(path, warn);
  CHECK(others.schedule(Pass::Forward, spec, SourceSet(), host, work, SequenceLayout::zigzag()) ==
        Schedule::AllGather);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("layout: got diagonal") != std::string::npos);
}

TEST_CASE("the space of a kernel that the model does not know: its source's dimensions") {
  SourceTiles tiles{.sizes = {{"m", 64}, {"n", 48}}};
  for (const Target &target : {host, gpuTarget("sm_90")}) {
    Spec spec{.kernel = "own"};
    TileSpace space(spec, target, tiles);
    std::vector<TileConfig> all = space.candidates();
    CHECK(all.front().tile == tiles.sizes);
    CHECK(space.dimensions().size() == 4);
    CHECK(space.dimensions()[0].values == std::vector<int64_t>{16, 32, 64, 128, 256});
    CHECK(space.dimensions()[1].values == std::vector<int64_t>{16, 32, 48, 64, 128, 256});
    for (const TileConfig &config : all) {
      CHECK(space.objection(config) == "");
      spec.tile = space.byHand(config);
      CHECK(chooseTileConfig(spec, target) == config);
      spec.tile.clear();
    }
    TileConfig strange = all.front();
    strange.tile["z"] = 16;
    CHECK(space.objection(strange) == "own has no dimension z");
    strange = all.front();
    strange.tile["m"] = 4096;
    CHECK(space.objection(strange) == "m is 4096");
    // Without products a register block is nobody's.
    tiles.hasProducts = false;
    CHECK(TileSpace(spec, target, tiles).dimensions().size() == (target.isGpu() ? 3 : 2));
    tiles.hasProducts = true;
  }
}

TEST_CASE("of a kernel that is no attention the nearest extents are found") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  SourceSet sources(std::vector<SourceText>{{"my.tile", "kernel own<BM = 64>(...)"}});
  Spec spec{.kernel = "own", .source = "my.tile"};
  TuneKey key = tuneKeyOf(spec, sources, host, {});
  CHECK(key.kernel.starts_with("own#"));
  auto entry = [&](int64_t m, int64_t n, int64_t tile) {
    TuneEntry made{.key = tuneKeyOf(spec, sources, host, {.extents = {{"M", m}, {"N", n}}})};
    made.config = chooseTileConfig(spec, host);
    made.config.tile = {{"m", tile}};
    return made;
  };
  CHECK(entry(1000, 65, 1).key.extents == std::map<std::string, int64_t>{{"M", 1024}, {"N", 128}});
  TuneTable::update(path, [&](TuneTable &table) {
    table.put(entry(1024, 128, 16));
    table.put(entry(1024, 4096, 32));
    table.put(entry(8192, 8192, 128));
  });
  int asked = 0;
  std::vector<std::string> warnings;
  TunedConfigs configs(
      path, [&](const std::string &text) { warnings.push_back(text); },
      [&](const Spec &, const SourceSet &) {
        ++asked;
        return SourceTiles{.sizes = {{"m", 64}}};
      });
  auto found = [&](const std::map<std::string, int64_t> &extents) {
    return configs.find(spec, sources, host, {.extents = extents}).config->tile.at("m");
  };
  CHECK(found({{"M", 1024}, {"N", 128}}) == 16);
  CHECK(found({{"M", 700}, {"N", 3000}}) == 32);
  CHECK(found({{"M", 100000}, {"N", 9000}}) == 128);
  CHECK(found({}) == 16); // what is not known counts as 1
  CHECK(asked == 1);
  CHECK(warnings.empty());
  Spec other = spec;
  other.constants = {{"C", 3}};
  CHECK(!configs.find(other, sources, host, {}).config);
  SourceSet changed(std::vector<SourceText>{{"my.tile", "kernel own<BM = 32>(...)"}});
  CHECK(!configs.find(spec, changed, host, {}).config);
  // Beside a kernel of the library the file of its masks does not matter.
  CHECK(tuneKeyOf({.kernel = "matmul", .source = "my.tile"}, sources, host, {}).kernel == "matmul");
  // Entries from before there were extents are read.
  std::ofstream(path) << R"({"version": 1, "entries": [{"key": {"kernel": "old", "length": 64}}]})";
  CHECK(TuneTable::read(path, [](const std::string &text) { FAIL(text); }).entries().size() == 1);
}

TEST_CASE("a spec whose layout is any takes what was found for another") {
  TemporaryFolder folder;
  std::string path = (folder.path() / "tune.json").string();
  Spec ofRing{.queryLayout = LayoutKind::Contiguous, .keyLayout = LayoutKind::Contiguous};
  TuneTable::update(path, [&](TuneTable &table) { table.put(entryOf(ofRing, 1024, 16)); });
  CHECK(find(path, Spec(), 1024).config->tile.at("q") == 16);
  Spec other{.queryLayout = LayoutKind::Zigzag, .keyLayout = LayoutKind::Zigzag};
  CHECK(!find(path, other, 1024).config);
}

TEST_CASE(
    "without the user's own a shipped table is taken, and nothing where there shall be none") {
  Spec spec{.kernel = "attention_backward_dkdv",
            .headDim = 192,
            .dtype = ElementType::BF16,
            .queryLayout = LayoutKind::Contiguous,
            .keyLayout = LayoutKind::Contiguous,
            .mask = {"causal"}};
  Target hopper = gpuTarget("sm_90");
  std::vector<std::string> warnings;
  auto warn = [&](const std::string &line) { warnings.push_back(line); };
  KernelWork work{.length = 5000};
  for (const std::string &users : {std::string(), std::string("/nowhere/tune.json")}) {
    TunedConfig found = TunedConfigs(users, warn).find(spec, SourceSet(), hopper, work);
    CHECK(found.origin.starts_with("shipped h200.json, entry "));
    REQUIRE(found.config);
    CHECK(TileSpace(spec, hopper).objection(*found.config) == "");
  }
  CHECK(TunedConfigs(std::nullopt, warn).find(spec, SourceSet(), hopper, work).origin ==
        "the model");
  work.table = "";
  CHECK(TunedConfigs("", warn).find(spec, SourceSet(), hopper, work).origin == "the model");
  CHECK(warnings.empty()); // all shipped entries can be read
}
