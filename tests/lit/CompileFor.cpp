// Host code for a processor that need not be this one, to be disassembled.
// usage: compile-for CHIP SPEC.json OUT.o [DUMP]
// CHIP as in `chips`; DUMP is a folder for the output of every stage.

#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/spec/Spec.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

using namespace ringc;

static const Target chips[] = {
    {.chip = "haswell", .vectorBytes = 32},
    {.chip = "skylake-avx512", .vectorBytes = 64, .vectorRegisters = 32},
    {.chip = "cooperlake", .vectorBytes = 64, .vectorRegisters = 32, .hasBf16Dot = true},
    {.chip = "sapphirerapids",
     .vectorBytes = 64,
     .vectorRegisters = 32,
     .hasBf16Dot = true,
     .pairSpeed = 50,
     .hasBf16Tiles = true},
    {.chip = "graniterapids",
     .vectorBytes = 64,
     .vectorRegisters = 32,
     .hasBf16Dot = true,
     .pairSpeed = 50,
     .hasBf16Tiles = true,
     .hasF16Tiles = true},
};

static std::string textOf(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int main(int count, char **words) {
  if (count != 4 && count != 5) {
    std::cerr << "usage: compile-for CHIP SPEC.json OUT.o [DUMP]\n";
    return 2;
  }
  for (Target target : chips) {
    if (target.chip != words[1])
      continue;
    target.triple = "x86_64-pc-linux-gnu";
    Spec spec = parseSpec(textOf(words[2]), words[2]);
    std::vector<SourceText> sources;
    for (const std::string &path : sourceFiles(spec))
      sources.push_back({path, textOf(path)});
    CompileOutput made = compile(makeRequest(spec, makeSources(std::move(sources)), target),
                                 {.dump = count == 5 ? words[4] : ""});
    std::cerr << made.diagnostics;
    if (!made.kernel)
      return 1;
    std::ofstream(words[3], std::ios::binary) << made.kernel->code;
    return 0;
  }
  std::cerr << "no such chip: " << words[1] << '\n';
  return 2;
}
