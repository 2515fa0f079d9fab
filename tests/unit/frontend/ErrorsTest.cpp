#include "kernels.tiles/Library.h"
#include "ringc/compiler/frontend/Parser.h"
#include "ringc/compiler/frontend/Program.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

// Each file of errors/ is a chapter on what the language refuses. Below the offending line stands
//     //        ^ error: message
// with the caret under the place. RINGC_REWRITE_ERRORS=1 writes those lines anew, for a look at the
// difference.

using namespace ringc;
using namespace ringc::frontend;

namespace {

std::vector<SourceFile> librarySources() {
  std::vector<SourceFile> sources;
  for (const EmbeddedSource &source : kernelLibrary())
    sources.push_back({std::string(source.name), std::string(source.text)});
  return sources;
}

std::vector<Diagnostic> errorsOf(const std::string &name, const std::string &text) {
  SourceFile user{name, text};
  Program program = Program::parse({&user, 1}, librarySources());
  return program.diagnostics();
}

bool isAnnotation(const std::string &line) {
  return line.find("^ error: ") != line.npos && line.find("//") == line.find_first_not_of(' ');
}

std::string annotation(const Diagnostic &diagnostic) {
  std::string line = "//";
  line.resize(static_cast<size_t>(diagnostic.location.column - 1), ' ');
  return line + "^ error: " + diagnostic.message;
}

/// The text without its annotations, which become empty lines.
std::string withoutAnnotations(const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines)
    text += (isAnnotation(line) ? "" : line) + "\n";
  return text;
}

std::set<Message> &seenMessages() {
  static std::set<Message> seen;
  return seen;
}

void note(const std::vector<Diagnostic> &diagnostics) {
  for (const Diagnostic &diagnostic : diagnostics)
    seenMessages().insert(diagnostic.id);
}

} // namespace

TEST_CASE("the chapters of errors: each place and message is as written") {
  bool rewrite = std::getenv("RINGC_REWRITE_ERRORS") != nullptr;
  int files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(RINGC_ERRORS_DIR)) {
    ++files;
    std::string name = entry.path().filename().string();
    std::ifstream file(entry.path());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);)
      lines.push_back(line);

    std::vector<Diagnostic> diagnostics = errorsOf(name, withoutAnnotations(lines));
    note(diagnostics);
    std::multimap<int, std::string> byLine;
    for (const Diagnostic &diagnostic : diagnostics) {
      CHECK_MESSAGE(diagnostic.location.column >= 3, name << ": move the line to the right");
      byLine.emplace(diagnostic.location.line, annotation(diagnostic));
    }
    std::string wanted, found;
    int number = 0;
    for (const std::string &line : lines) {
      ++number;
      wanted += line + "\n";
      if (isAnnotation(line))
        continue;
      found += line + "\n";
      auto [begin, end] = byLine.equal_range(number);
      for (auto at = begin; at != end; ++at)
        found += at->second + "\n";
    }
    if (rewrite)
      std::ofstream(entry.path()) << found;
    else
      CHECK_MESSAGE(found == wanted, name << " is now\n" << found);
  }
  CHECK(files >= 8);
}

TEST_CASE("errors that no readable file can hold") {
  auto only = [](const std::string &text) {
    std::vector<Diagnostic> diagnostics = errorsOf("bytes.tile", text);
    note(diagnostics);
    return diagnostics.empty() ? "" : diagnostics.front().message;
  };
  CHECK(only(std::string("mask\0", 5)) == "a NUL byte is not text");
  CHECK(only("// a comment with \xff") == "this is not valid UTF-8");
  CHECK(only("\xc0\x80") == "this is not valid UTF-8");
  CHECK(only("\x01") == "unexpected character '\\x01'");
  CHECK(only(std::string((1 << 18) + 1, ' ')) ==
        "the file has 262145 bytes; at most 262144 are allowed");
  CHECK(only("function f() -> f32 { return " + std::string(300, '(') + "1" + std::string(300, ')') +
             " }") == "this is nested deeper than 200 levels");

  std::vector<Diagnostic> many = errorsOf("many.tile", [] {
    std::string text = "function f() -> f32 {\n";
    for (int line = 0; line < 50; ++line)
      text += "let x" + std::to_string(line) + " = missing\n";
    return text + "return 1\n}\n";
  }());
  note(many);
  REQUIRE(many.size() == DiagnosticSink::limit + 1);
  CHECK(many.back().message == "too many errors; stopped here");

  std::string deep = "function g0(x: f32) -> f32 { return x }\n", wide = deep;
  for (int at = 1; at <= 150; ++at) {
    std::string name = "g" + std::to_string(at), callee = "g" + std::to_string(at - 1);
    deep += "function " + name + "(x: f32) -> f32 { return " + callee + "(x) }\n";
    wide += "function " + name + "(x: f32) -> f32 { return " + callee + "(" + callee + "(x)) }\n";
  }
  CHECK(only(deep) == "'g100' calls through more than 100 functions");
  CHECK(only(wide) == "'g11' grows beyond 5000 operations when its calls are written out");
}

TEST_CASE("every message has an example") { // runs after the two above
  const char *const names[] = {
#define RINGC_MESSAGE_NAME(name, text) #name,
      RINGC_MESSAGES(RINGC_MESSAGE_NAME)
#undef RINGC_MESSAGE_NAME
  };
  int number = 0;
  for (const char *name : names)
    CHECK_MESSAGE(seenMessages().contains(static_cast<Message>(number++)),
                  "no example under tests/unit/frontend/errors of " << std::string(name));
}

TEST_CASE("a diagnostic shows the place, the line and a caret") {
  std::vector<Diagnostic> diagnostics =
      errorsOf("user.tile", "mask m(b: index, h: index, i: index, j: index, frst: i32) {\n"
                            "\treturn first <= i\r\n}\n");
  REQUIRE(diagnostics.size() == 1);
  CHECK(render(diagnostics.front()) ==
        "user.tile:2:9: error: unknown name 'first'; did you mean 'frst'?\n"
        "\treturn first <= i\n"
        "\t       ^\n");
}

TEST_CASE("one run finds errors in several statements and declarations") {
  std::vector<Diagnostic> diagnostics =
      errorsOf("user.tile", "mask m(b: index h: index) { return true }\n"
                            "score s(s: f32, b: index, h: index, i: index, j: index) {\n"
                            "  let t = s +\n"
                            "  let u = )\n"
                            "  return t\n"
                            "}\n"
                            "kernel k( { }\n");
  REQUIRE(diagnostics.size() == 4);
  CHECK(diagnostics[0].location == Location{1, 17});
  CHECK(diagnostics[1].location == Location{4, 3});
  CHECK(diagnostics[2].location == Location{4, 11});
  CHECK(diagnostics[3].location == Location{7, 11});
}
