#include "kernels.tiles/Library.h"
#include "ringc/compiler/frontend/Printer.h"
#include "ringc/compiler/frontend/Program.h"

#include <doctest/doctest.h>

#include <random>

using namespace ringc;
using namespace ringc::frontend;

namespace {

void compileQuietly(const std::string &text) {
  SourceFile user{"user.tile", text};
  static const std::vector<SourceFile> library = [] {
    std::vector<SourceFile> sources;
    for (const EmbeddedSource &source : kernelLibrary().first(2)) // masks and scores
      sources.push_back({std::string(source.name), std::string(source.text)});
    return sources;
  }();
  Program program = Program::parse({&user, 1}, library);
  CHECK(program.diagnostics().size() <= DiagnosticSink::limit + 1);
  for (const Diagnostic &diagnostic : program.diagnostics())
    CHECK(!diagnostic.message.empty());
}

std::string repeated(const std::string &part, int times) {
  std::string result;
  for (int at = 0; at < times; ++at)
    result += part;
  return result;
}

} // namespace

TEST_CASE("deep nesting of any kind is an error, not a crash") {
  constexpr int deep = 50000;
  std::string head = "function f(x: f32) -> f32 { return ";
  for (const char *open : {"(", "-", "not ", "x[", "f(", "x ? ", "x + (", "true ? x : "})
    compileQuietly(head + repeated(open, deep) + "x");
  for (const char *link : {" + x", " ? x : x", "^T", "(x)", "[x]", " and x", " < x"})
    compileQuietly(head + "x" + repeated(link, deep) + " }");
  std::string kernel = "kernel k(x: view<f32>[M]) over r in M step 4 {";
  compileQuietly(kernel + repeated("for a in 0 .. 4 step 1 {\n", 5000));
  compileQuietly(kernel + repeated("finish a() {\n", 5000) + repeated("}", 5000));
  compileQuietly(repeated("kernel k(x: view<f32>[M]) over r in M step 4 {\n", 4000));
}

TEST_CASE("a long list of anything is read in time") {
  std::string lets;
  for (int at = 0; at < 10000; ++at)
    lets += "let x" + std::to_string(at) + " = 1.0\n";
  compileQuietly("function f() -> f32 {\n" + lets + "return x9999 }");
  std::string functions;
  for (int at = 0; at < 5000; ++at)
    functions += "function f" + std::to_string(at) + "() -> f32 { return 1 }\n";
  compileQuietly(functions);
  compileQuietly("function f(x: f32) -> f32 { return min(" + repeated("x, ", 50000) + "x) }");
  compileQuietly(std::string(200000, 'a'));
  compileQuietly("let " + std::string(200000, '9'));
}

TEST_CASE("random edits of the library never crash") {
  std::mt19937 random(1);
  std::string all;
  for (const EmbeddedSource &source : kernelLibrary())
    all += std::string(source.text) + "\n";
  const std::string pieces[] = {"{",   "}",   "(",  ")",  "[",    "]",    "<",   ">",     ":",
                                ",",   "..",  "=",  "+=", "let ", "for ", "if ", "else ", "finish ",
                                "1e9", "inf", "^T", "\0", "\xff", "-",    "\n"};
  for (int round = 0; round < 1500; ++round) {
    size_t begin = random() % all.size();
    std::string text = all.substr(begin, 200 + random() % 2000);
    for (unsigned edit = 0; edit < 1 + random() % 6; ++edit) {
      size_t at = random() % text.size();
      switch (random() % 4) {
      case 0:
        text.erase(at, 1 + random() % 20);
        break;
      case 1:
        text.insert(at, pieces[random() % std::size(pieces)]);
        break;
      case 2:
        text[at] = static_cast<char>(random());
        break;
      case 3:
        text.insert(at, all.substr(random() % all.size(), random() % 100));
        break;
      }
      if (text.empty())
        text = " ";
    }
    compileQuietly(text);
  }
}
