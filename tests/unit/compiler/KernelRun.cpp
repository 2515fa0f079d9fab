#include "tests/unit/compiler/KernelRun.h"

#include "tests/unit/compiler/TileFaults.h"

#include <doctest/doctest.h>

#include <bit>
#include <charconv>
#include <set>

namespace ringc::testing {

using Kind = KernelArgument::Kind;

CompiledKernel compiled(const Spec &spec, const std::string &text, const Target &target,
                        std::optional<TileConfig> config) {
  std::vector<SourceText> user;
  Spec asked = spec;
  if (!text.empty()) {
    user.push_back({"user.tile", text});
    asked.source = "user.tile";
  }
  SourceSet sources = makeSources(std::move(user));
  CompileOutput output = compile(makeRequest(asked, sources, target, std::move(config)));
  REQUIRE_MESSAGE(output.kernel, output.diagnostics);
  return std::move(*output.kernel);
}

KernelRun::KernelRun(const Spec &spec, const std::string &text, const Target &target,
                     std::optional<TileConfig> config)
    : compiled(testing::compiled(spec, text, target, std::move(config))) {
  module.emplace(compiled);
  if (compiled.perHead)
    extents = {{"B", 1}, {"H", compiled.groupSize}, {"Hkv", 1}};
  slots.resize(static_cast<size_t>(compiled.slotCount), 0xdeadbeefdeadbeef);
}

uint64_t *KernelRun::slotsOf(const std::string &name, Kind kind) {
  for (const KernelArgument &argument : compiled.arguments)
    if (argument.name == name && argument.kind == kind) {
      bound.insert(argument.slot);
      return slots.data() + argument.slot;
    }
  FAIL("no argument " << name);
  return nullptr;
}

KernelRun &KernelRun::bind(const std::string &name, const Matrix &matrix) {
  uint64_t *slot = slotsOf(name, Kind::View);
  for (const KernelArgument &argument : compiled.arguments)
    if (argument.name == name && argument.kind == Kind::View) {
      REQUIRE(argument.type == matrix.type());
      slot[0] = std::bit_cast<uint64_t>(matrix.data());
      int64_t groups = argument.axes.size() > 2 ? compiled.groupSize : 1;
      int64_t shape[] = {matrix.rows(), matrix.columns() / groups};
      int64_t steps[] = {matrix.stride(), 1};
      size_t own = 0;
      for (const ArgumentAxis &axis : argument.axes) {
        bool implicit =
            argument.axes.size() > 2 && own == 0 && axis.name != "Nq" && axis.name != "Nk";
        *++slot = static_cast<uint64_t>(axis.name == "G" ? shape[1] : implicit ? 0 : steps[own]);
        if (!implicit)
          extents.try_emplace(axis.name, shape[own++]);
      }
    }
  return *this;
}

KernelRun &KernelRun::bind(const std::string &name, float value) {
  *slotsOf(name, Kind::Scalar) = std::bit_cast<uint32_t>(value);
  return *this;
}

KernelRun &KernelRun::bind(const std::string &name, int32_t value) {
  *slotsOf(name, Kind::Scalar) = static_cast<uint64_t>(int64_t(value));
  return *this;
}

KernelRun &KernelRun::bind(const std::string &name, const Positions &positions) {
  uint64_t *slot = slotsOf(name, Kind::Positions);
  slot[0] = static_cast<uint64_t>(positions.first);
  slot[1] = static_cast<uint64_t>(positions.block);
  slot[2] = static_cast<uint64_t>(positions.jump);
  return *this;
}

KernelRun &KernelRun::bindCarry(const std::string &name, bool begins, bool ends) {
  uint64_t *slot = slotsOf(name, Kind::Carry);
  int64_t count = programs(0) * (compiled.grid.size() > 1 ? programs(1) : 1);
  auto [it, made] = carries.try_emplace(name);
  if (made)
    it->second = GuardedMemory(static_cast<size_t>(compiled.carryBytes * count));
  slot[0] = std::bit_cast<uint64_t>(it->second.data());
  slot[1] = (begins ? 1 : 0) | (ends ? 2 : 0);
  return *this;
}

KernelRun &KernelRun::extent(const std::string &name, int64_t value) {
  extents[name] = value;
  return *this;
}

int64_t KernelRun::programs(size_t axis) const {
  const GridAxis &along = compiled.grid.at(axis);
  int64_t extent = 0;
  const std::string &name = along.extent;
  if (auto it = extents.find(name); it != extents.end())
    extent = it->second;
  else
    REQUIRE(std::from_chars(name.data(), name.data() + name.size(), extent).ec == std::errc());
  if (name == "Nq")
    extent *= compiled.groupSize;
  return (extent + along.step - 1) / along.step;
}

void KernelRun::run() {
  for (const KernelArgument &argument : compiled.arguments) {
    if (argument.kind == Kind::Extent) {
      auto it = extents.find(argument.name);
      REQUIRE_MESSAGE(it != extents.end(), "no extent ", argument.name);
      slots[static_cast<size_t>(argument.slot)] = static_cast<uint64_t>(it->second);
    } else {
      REQUIRE_MESSAGE(bound.count(argument.slot), "no argument ", argument.name);
    }
  }
  REQUIRE(compiled.scratchBytes % 64 == 0);
  GuardedMemory scratch(static_cast<size_t>(compiled.scratchBytes));
  int64_t second = compiled.grid.size() > 1 ? programs(1) : 1;
  TileFaults faults;
  for (int64_t p1 = 0; p1 < second; ++p1)
    for (int64_t p0 = 0; p0 < programs(0); ++p0) {
      scratch.poison();
      module->entry()(slots.data(), p0, p1, 0, 0, scratch.data());
    }
}

std::vector<Target> hostVariants() {
  Target host = hostTarget();
  std::vector<Target> all = {host};
  auto add = [&](int64_t bytes, int64_t registers, bool bf16Dot) {
    if (bytes > host.vectorBytes || registers > host.vectorRegisters ||
        (bf16Dot && !host.hasBf16Dot)) {
      static std::set<std::string> said; // what lit's cpu/instruction-sets.test disassembles
      std::string what =
          describe({.vectorBytes = bytes, .vectorRegisters = registers, .hasBf16Dot = bf16Dot});
      if (said.insert(what).second)
        MESSAGE("skipped: runs with vectors of " << what << ": this host has " << describe(host));
      return;
    }
    Target target = host;
    target.vectorBytes = bytes;
    target.vectorRegisters = registers;
    target.hasBf16Dot = bf16Dot;
    if (target != host)
      all.push_back(target);
  };
  add(64, 32, false);
  add(32, 32, true);
  add(32, 16, false);
  if (host.vectorBytes == 64) { // a processor that has no AVX-512 at all
    Target narrow = host;
    narrow.chip = "haswell";
    narrow.features = "";
    narrow.vectorBytes = 32;
    narrow.vectorRegisters = 16;
    narrow.hasBf16Dot = false;
    all.push_back(narrow);
  }
  if (host.vectorBytes == 64 && host.hasBf16Dot) { // AMX, or TileFaults
    Target tiles = host;
    bool hasF16 = !host.hasBf16Tiles || host.hasF16Tiles;
    tiles.features += hasF16 ? ",+amx-tile,+amx-bf16,+amx-fp16" : ",+amx-tile,+amx-bf16";
    tiles.hasBf16Tiles = true;
    tiles.hasF16Tiles = hasF16;
    if (tiles != host)
      all.push_back(tiles);
  }
  add(16, 16, true);
  add(16, 16, false);
  return all;
}

std::string describe(const Target &target) {
  return std::string(target.chip == "haswell" ? "haswell: " : "") +
         std::to_string(target.vectorBytes) + " bytes x " + std::to_string(target.vectorRegisters) +
         (target.hasBf16Dot ? ", bf16" : "") + (target.hasBf16Tiles ? ", tiles" : "");
}

} // namespace ringc::testing
