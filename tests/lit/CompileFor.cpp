// Host code for a processor that need not be this one, to be disassembled.
// usage: compile-for CHIP SPEC.json OUT.o        CHIP as in `chips`

#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/spec/Spec.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

using namespace ringc;

static const Target chips[] = {
    {.chip = "haswell", .vectorBytes = 32},
    {.chip = "skylake-avx512", .vectorBytes = 64, .vectorRegisters = 32},
    {.chip = "cooperlake", .vectorBytes = 64, .vectorRegisters = 32, .hasBf16Dot = true},
};

int main(int count, char **words) {
  if (count != 4) {
    std::cerr << "usage: compile-for CHIP SPEC.json OUT.o\n";
    return 2;
  }
  for (Target target : chips) {
    if (target.chip != words[1])
      continue;
    target.triple = "x86_64-pc-linux-gnu";
    std::ifstream file(words[2]);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    Spec spec = parseSpec(text, words[2]);
    CompileOutput made = compile(makeRequest(spec, makeSources({}), target));
    std::cerr << made.diagnostics;
    if (!made.kernel)
      return 1;
    std::ofstream(words[3], std::ios::binary) << made.kernel->code;
    return 0;
  }
  std::cerr << "no such chip: " << words[1] << '\n';
  return 2;
}
