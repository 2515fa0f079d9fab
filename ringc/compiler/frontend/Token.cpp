#include "ringc/compiler/frontend/Token.h"

namespace ringc::frontend {

namespace {

const char *spelling(TokenKind kind) {
  switch (kind) {
  case TokenKind::End:
    return "the end of the file";
  case TokenKind::Invalid:
    return "this";
  case TokenKind::Identifier:
    return "a name";
  case TokenKind::Integer:
    return "an integer";
  case TokenKind::Float:
    return "a number";
  case TokenKind::Let:
    return "'let'";
  case TokenKind::Var:
    return "'var'";
  case TokenKind::Return:
    return "'return'";
  case TokenKind::For:
    return "'for'";
  case TokenKind::True:
    return "'true'";
  case TokenKind::False:
    return "'false'";
  case TokenKind::Inf:
    return "'inf'";
  case TokenKind::And:
    return "'and'";
  case TokenKind::Or:
    return "'or'";
  case TokenKind::Not:
    return "'not'";
  case TokenKind::LeftParen:
    return "'('";
  case TokenKind::RightParen:
    return "')'";
  case TokenKind::LeftBracket:
    return "'['";
  case TokenKind::RightBracket:
    return "']'";
  case TokenKind::LeftBrace:
    return "'{'";
  case TokenKind::RightBrace:
    return "'}'";
  case TokenKind::Comma:
    return "','";
  case TokenKind::Colon:
    return "':'";
  case TokenKind::Question:
    return "'?'";
  case TokenKind::Caret:
    return "'^'";
  case TokenKind::Arrow:
    return "'->'";
  case TokenKind::DotDot:
    return "'..'";
  case TokenKind::Equal:
    return "'='";
  case TokenKind::PlusEqual:
    return "'+='";
  case TokenKind::MinusEqual:
    return "'-='";
  case TokenKind::StarEqual:
    return "'*='";
  case TokenKind::EqualEqual:
    return "'=='";
  case TokenKind::NotEqual:
    return "'!='";
  case TokenKind::Less:
    return "'<'";
  case TokenKind::LessEqual:
    return "'<='";
  case TokenKind::Greater:
    return "'>'";
  case TokenKind::GreaterEqual:
    return "'>='";
  case TokenKind::Plus:
    return "'+'";
  case TokenKind::Minus:
    return "'-'";
  case TokenKind::Star:
    return "'*'";
  case TokenKind::Slash:
    return "'/'";
  case TokenKind::Percent:
    return "'%'";
  }
  return "";
}

} // namespace

std::string describe(TokenKind kind) { return spelling(kind); }

std::string describe(const Token &token) {
  constexpr size_t longest = 40;
  std::string text(token.text.substr(0, longest));
  if (token.text.size() > longest)
    text += "...";
  switch (token.kind) {
  case TokenKind::Identifier:
    return "'" + text + "'";
  case TokenKind::Integer:
  case TokenKind::Float:
    return "the number " + text;
  default: // every other kind is spelled as itself
    return spelling(token.kind);
  }
}

} // namespace ringc::frontend
