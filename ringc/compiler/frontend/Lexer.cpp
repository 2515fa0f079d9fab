#include "ringc/compiler/frontend/Lexer.h"

#include "ringc/compiler/frontend/Utf8.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

namespace ringc::frontend {

namespace {

constexpr size_t longestSource = 1 << 18;

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }

std::optional<TokenKind> reservedWord(std::string_view text) {
  constexpr std::pair<std::string_view, TokenKind> words[] = {
      {"let", TokenKind::Let}, {"var", TokenKind::Var},   {"return", TokenKind::Return},
      {"for", TokenKind::For}, {"true", TokenKind::True}, {"false", TokenKind::False},
      {"inf", TokenKind::Inf}, {"and", TokenKind::And},   {"or", TokenKind::Or},
      {"not", TokenKind::Not},
  };
  for (auto [word, kind] : words)
    if (text == word)
      return kind;
  return std::nullopt;
}

// Two-character tokens come before their prefixes.
constexpr std::pair<std::string_view, TokenKind> punctuation[] = {
    {"->", TokenKind::Arrow},       {"..", TokenKind::DotDot},    {"+=", TokenKind::PlusEqual},
    {"-=", TokenKind::MinusEqual},  {"*=", TokenKind::StarEqual}, {"==", TokenKind::EqualEqual},
    {"!=", TokenKind::NotEqual},    {"<=", TokenKind::LessEqual}, {">=", TokenKind::GreaterEqual},
    {"(", TokenKind::LeftParen},    {")", TokenKind::RightParen}, {"[", TokenKind::LeftBracket},
    {"]", TokenKind::RightBracket}, {"{", TokenKind::LeftBrace},  {"}", TokenKind::RightBrace},
    {",", TokenKind::Comma},        {":", TokenKind::Colon},      {"?", TokenKind::Question},
    {"^", TokenKind::Caret},        {"=", TokenKind::Equal},      {"<", TokenKind::Less},
    {">", TokenKind::Greater},      {"+", TokenKind::Plus},       {"-", TokenKind::Minus},
    {"*", TokenKind::Star},         {"/", TokenKind::Slash},      {"%", TokenKind::Percent},
};

class Lexer {
public:
  Lexer(const SourceFile &source, DiagnosticSink &diagnostics)
      : text(source.text), sink(diagnostics) {}

  std::vector<Token> run() {
    if (text.size() > longestSource) {
      sink.report({}, Message::SourceTooLong,
                  {std::to_string(text.size()), std::to_string(longestSource)});
      return {Token{}};
    }
    skipByteOrderMark();
    do
      next();
    while (tokens.back().kind != TokenKind::End);
    return std::move(tokens);
  }

private:
  char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
  Location here() const { return {line, static_cast<int>(at - lineBegin) + 1}; }

  /// Editors on Windows begin a file of UTF-8 with one.
  void skipByteOrderMark() {
    if (!text.starts_with(byteOrderMark))
      return;
    at = byteOrderMark.size();
    lineBegin = at;
  }

  void skipBlanks() {
    while (at < text.size()) {
      char c = text[at];
      if (c == '\n') {
        ++at;
        ++line;
        lineBegin = at;
        startsLine = true;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at;
      } else if (c == '/' && peek(1) == '/') {
        while (at < text.size() && text[at] != '\n')
          at += checkedLength();
      } else {
        return;
      }
    }
  }

  /// Bytes of the character at `at`; reports one that is no text.
  size_t checkedLength() {
    int length = utf8Length(text, at);
    if (text[at] == '\0')
      sink.report(here(), Message::NulByte);
    else if (length == 0)
      sink.report(here(), Message::InvalidUtf8);
    return length > 0 ? static_cast<size_t>(length) : 1;
  }

  void push(TokenKind kind, size_t length, int64_t integer = 0, double number = 0) {
    tokens.push_back({kind, text.substr(at, length), here(), startsLine, integer, number});
    startsLine = false;
    at += length;
  }

  void next() {
    skipBlanks();
    if (at >= text.size())
      return push(TokenKind::End, 0);
    if (isNameStart(peek()))
      return name();
    if (isDigit(peek()))
      return number();
    for (auto [spelling, kind] : punctuation)
      if (text.substr(at, spelling.size()) == spelling)
        return push(kind, spelling.size());
    unexpected();
  }

  void name() {
    size_t length = 1;
    while (isNamePart(peek(length)))
      ++length;
    push(reservedWord(text.substr(at, length)).value_or(TokenKind::Identifier), length);
  }

  void number() {
    size_t length = 0;
    auto digits = [&] {
      size_t before = length;
      while (isDigit(peek(length)))
        ++length;
      return length > before;
    };
    digits();
    bool isFloat = false, malformed = false;
    if (peek(length) == '.' && peek(length + 1) != '.') { // 0..n is a range
      isFloat = true;
      ++length;
      digits();
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
      isFloat = true;
      ++length;
      if (peek(length) == '+' || peek(length) == '-')
        ++length;
      malformed = !digits();
    }
    while (isNamePart(peek(length))) {
      malformed = true;
      ++length;
    }
    std::string_view spelling = text.substr(at, length);
    if (malformed) {
      constexpr size_t longest = 40;
      sink.report(here(), Message::MalformedNumber, {std::string(spelling.substr(0, longest))});
      return push(TokenKind::Invalid, length);
    }
    isFloat ? floating(spelling) : integer(spelling);
  }

  void integer(std::string_view spelling) {
    // One beyond the largest i32 is kept for the parser: it may follow a minus.
    constexpr int64_t largest = int64_t{1} << 31;
    int64_t value = 0;
    auto [end, error] = std::from_chars(spelling.begin(), spelling.end(), value);
    if (error != std::errc() || value > largest) {
      constexpr size_t longest = 40;
      sink.report(here(), Message::IntegerTooLarge, {std::string(spelling.substr(0, longest))});
      return push(TokenKind::Invalid, spelling.size());
    }
    push(TokenKind::Integer, spelling.size(), value);
  }

  void floating(std::string_view spelling) {
    double value = 0;
    auto [end, error] = std::from_chars(spelling.begin(), spelling.end(), value);
    // from_chars calls both directions out of range; only a negative exponent is too small to
    // matter.
    bool tiny = error == std::errc::result_out_of_range &&
                (spelling.find("e-") != spelling.npos || spelling.find("E-") != spelling.npos);
    if (tiny)
      value = 0;
    bool overflows = !tiny && (error != std::errc() || std::isinf(static_cast<float>(value)));
    if (overflows) {
      constexpr size_t longest = 40;
      sink.report(here(), Message::FloatTooLarge, {std::string(spelling.substr(0, longest))});
      return push(TokenKind::Invalid, spelling.size());
    }
    push(TokenKind::Float, spelling.size(), 0, value);
  }

  /// By its number where it is drawn as nothing: spaces, joiners and marks of Unicode.
  static std::string shown(std::string_view character) {
    if (character.size() == 1)
      return std::string(character);
    uint32_t code = static_cast<unsigned char>(character[0]) & (0xffu >> (character.size() + 1));
    for (char next : character.substr(1))
      code = code << 6 | (static_cast<unsigned char>(next) & 0x3f);
    bool isDrawn =
        code > 0xad && (code < 0x2000 || code > 0x206f) && code != 0x3000 && code != 0xfeff;
    if (isDrawn)
      return std::string(character);
    char number[16];
    std::snprintf(number, sizeof number, "U+%04X", code);
    return number;
  }

  void unexpected() {
    size_t length = static_cast<size_t>(std::max(utf8Length(text, at), 1));
    unsigned char byte = static_cast<unsigned char>(text[at]);
    if (byte == 0 || utf8Length(text, at) == 0)
      checkedLength();
    else if (byte < 0x20 || byte == 0x7f)
      sink.report(here(), Message::UnexpectedCharacter,
                  {"\\x" + std::string(1, "0123456789abcdef"[byte >> 4]) +
                   std::string(1, "0123456789abcdef"[byte & 15])});
    else
      sink.report(here(), Message::UnexpectedCharacter, {shown(text.substr(at, length))});
    push(TokenKind::Invalid, length);
  }

  std::string_view text;
  DiagnosticSink &sink;
  std::vector<Token> tokens;
  size_t at = 0;
  size_t lineBegin = 0;
  int line = 1;
  bool startsLine = true;
};

} // namespace

std::vector<Token> lex(const SourceFile &source, DiagnosticSink &sink) {
  return Lexer(source, sink).run();
}

} // namespace ringc::frontend
