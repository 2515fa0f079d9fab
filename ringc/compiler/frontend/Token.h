#pragma once

#include "ringc/compiler/frontend/Source.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace ringc::frontend {

enum class TokenKind {
  End,
  Invalid, ///< already reported
  Identifier,
  Integer,
  Float,
  // reserved words
  Let,
  Var,
  Return,
  For,
  True,
  False,
  Inf,
  And,
  Or,
  Not,
  // punctuation
  LeftParen,
  RightParen,
  LeftBracket,
  RightBracket,
  LeftBrace,
  RightBrace,
  Comma,
  Colon,
  Question,
  Caret,
  Arrow,
  DotDot,
  Equal,
  PlusEqual,
  MinusEqual,
  StarEqual,
  EqualEqual,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  Plus,
  Minus,
  Star,
  Slash,
  Percent,
};

struct Token {
  TokenKind kind = TokenKind::End;
  std::string_view text; ///< into the source
  Location location;
  bool startsLine = false; ///< nothing but blanks before it on its line
  int64_t integer = 0;
  double number = 0; ///< Float only
};

/// How a diagnostic names the token: "'+'", "the number 12", "the end of the file".
std::string describe(const Token &token);

/// The same for a kind that is expected: "'('", "a name", "an integer".
std::string describe(TokenKind kind);

} // namespace ringc::frontend
