// Any bytes are either a program, whose printed form is the same program, or an error with a place.

#include "kernels.tiles/Library.h"
#include "ringc/compiler/frontend/Check.h"
#include "ringc/compiler/frontend/Parser.h"
#include "ringc/compiler/frontend/Printer.h"
#include "tests/fuzz/Require.h"

using namespace ringc;
using namespace ringc::frontend;
using ringc::fuzz::require;

namespace {

/// The masks and scores of the library, checked once.
std::vector<const Module *> library() {
  static const std::vector<ParseResult> parsed = [] {
    std::vector<ParseResult> modules;
    for (const EmbeddedSource &source : kernelLibrary().first(2)) {
      modules.push_back(parse({std::string(source.name), std::string(source.text)}));
      check(modules.back().module);
    }
    return modules;
  }();
  return {&parsed[0].module, &parsed[1].module};
}

void requirePlaces(const std::vector<Diagnostic> &diagnostics) {
  require(diagnostics.size() <= DiagnosticSink::limit + 1, "too many diagnostics");
  for (const Diagnostic &diagnostic : diagnostics) {
    require(diagnostic.location.line > 0 && diagnostic.location.column > 0, "no place");
    require(!render(diagnostic).empty(), "no text");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ParseResult first = parse({"fuzz.tile", std::string(reinterpret_cast<const char *>(data), size)});
  requirePlaces(first.diagnostics);
  if (!first.diagnostics.empty())
    return 0;
  std::string printed = print(first.module);
  ParseResult second = parse({"fuzz.tile", printed});
  require(second.diagnostics.empty(), "the printed program does not parse");
  require(print(second.module) == printed, "the printed program is another one");

  std::vector<const Module *> modules = library();
  std::vector<Diagnostic> errors = check(first.module, modules);
  requirePlaces(errors);
  require(check(second.module, modules).size() == errors.size(),
          "the printed program has other errors");
  return 0;
}
