#include "ringc/compiler/frontend/Lexer.h"
#include "ringc/compiler/frontend/Utf8.h"

#include <doctest/doctest.h>

using namespace ringc::frontend;

namespace {

std::vector<TokenKind> kinds(const std::string &text) {
  SourceFile source{"test.tile", text};
  DiagnosticSink sink(source);
  std::vector<TokenKind> result;
  for (const Token &token : lex(source, sink))
    result.push_back(token.kind);
  CHECK(sink.empty());
  return result;
}

} // namespace

TEST_CASE("a range of integers is not a float") {
  using enum TokenKind;
  CHECK(kinds("0..n") == std::vector{Integer, DotDot, Identifier, End});
  CHECK(kinds("0 .. 4") == std::vector{Integer, DotDot, Integer, End});
  CHECK(kinds("2.") == std::vector{Float, End});
  CHECK(kinds("2.5e-3 1E4 007") == std::vector{Float, Float, Integer, End});
}

TEST_CASE("operators of two characters, reserved words, comments, line ends") {
  using enum TokenKind;
  CHECK(kinds("a<=b==c -> -=") == std::vector{Identifier, LessEqual, Identifier, EqualEqual,
                                              Identifier, Arrow, MinusEqual, End});
  CHECK(kinds("let lets // ünïcode\r\nor\tnot") == std::vector{Let, Identifier, Or, Not, End});
  CHECK(kinds("") == std::vector{End});
  CHECK(kinds("// no line end") == std::vector{End});
}

TEST_CASE("lines and columns count from 1, in bytes") {
  SourceFile source{"test.tile", "a b\r\n  // x\n\tc"};
  DiagnosticSink sink(source);
  std::vector<Token> tokens = lex(source, sink);
  CHECK(tokens[0].location == Location{1, 1});
  CHECK(tokens[1].location == Location{1, 3});
  CHECK(tokens[2].location == Location{3, 2});
  CHECK(tokens[0].startsLine);
  CHECK(!tokens[1].startsLine);
  CHECK(tokens[2].startsLine);
}

TEST_CASE("a byte order mark before the text is no part of it, and has no column") {
  SourceFile source{"test.tile", "\xef\xbb\xbf"
                                 "a #\nb"};
  DiagnosticSink sink(source);
  std::vector<Token> tokens = lex(source, sink);
  CHECK(tokens[0].location == Location{1, 1});
  CHECK(tokens[2].location == Location{2, 1});
  std::vector<Diagnostic> errors = sink.take();
  REQUIRE(errors.size() == 1);
  CHECK(render(errors[0]) == "test.tile:1:3: error: unexpected character '#'\na #\n  ^\n");
}

TEST_CASE("characters that are drawn as nothing are named by their number") {
  for (auto [text, number] : {std::pair("a\xef\xbb\xbf", "U+FEFF"),
                              {"a\xc2\xa0", "U+00A0"},
                              {"a\xe2\x80\x8b", "U+200B"},
                              {"a\xe3\x80\x80", "U+3000"}}) {
    SourceFile source{"test.tile", text};
    DiagnosticSink sink(source);
    lex(source, sink);
    std::vector<Diagnostic> errors = sink.take();
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].message == "unexpected character '" + std::string(number) + "'");
  }
}

TEST_CASE("only well-formed UTF-8 has a length") {
  CHECK(utf8Length("a", 0) == 1);
  CHECK(utf8Length("\xc3\xa9", 0) == 2);
  CHECK(utf8Length("\xe2\x82\xac", 0) == 3);
  CHECK(utf8Length("\xf0\x9f\x98\x80", 0) == 4);
  for (const char *wrong : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82"})
    CHECK(utf8Length(wrong, 0) == 0);
}
