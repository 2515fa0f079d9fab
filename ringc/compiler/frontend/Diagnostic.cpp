#include "ringc/compiler/frontend/Diagnostic.h"

#include "ringc/compiler/frontend/Utf8.h"
#include "ringc/support/ClosestName.h"

#include <algorithm>
#include <array>

namespace ringc::frontend {

namespace {

constexpr std::array messageTexts = {
#define RINGC_MESSAGE_TEXT(name, text) text,
    RINGC_MESSAGES(RINGC_MESSAGE_TEXT)
#undef RINGC_MESSAGE_TEXT
};

std::string format(Message message, std::initializer_list<std::string> arguments) {
  std::string_view text = messageTexts[static_cast<size_t>(message)];
  std::string result;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      result += text[at];
      continue;
    }
    size_t index = static_cast<size_t>(text[++at] - '0');
    if (index < arguments.size())
      result += *(arguments.begin() + index);
  }
  return result;
}

std::string_view lineText(std::string_view text, int line) {
  if (text.starts_with(byteOrderMark)) // columns are counted behind it
    text.remove_prefix(byteOrderMark.size());
  size_t begin = 0;
  for (int current = 1; current < line; ++current) {
    begin = text.find('\n', begin);
    if (begin == std::string_view::npos)
      return {};
    ++begin;
  }
  return text.substr(begin, text.find('\n', begin) - begin);
}

/// The part of the line around `column` that a terminal can show, and the column of the caret in
/// it.
std::pair<std::string, int> printable(std::string_view line, int column) {
  constexpr size_t widest = 160;
  size_t place = std::min(static_cast<size_t>(std::max(column, 1) - 1), line.size());
  size_t begin = place > widest / 2 && line.size() > widest ? place - widest / 2 : 0;
  size_t end = std::min(line.size(), begin + widest);
  std::string result;
  int caret = 1;
  for (size_t at = begin; at < end;) {
    if (at <= place)
      caret = static_cast<int>(result.size()) + 1;
    int length = utf8Length(line, at);
    unsigned char byte = static_cast<unsigned char>(line[at]);
    if (length > 1 && at + static_cast<size_t>(length) <= end)
      result.append(line.substr(at, static_cast<size_t>(length)));
    else if (byte == '\t' || (byte >= 0x20 && byte < 0x7f))
      result += line[at];
    else if (byte != '\r' || at + 1 != line.size())
      result += '?';
    at += length > 1 ? static_cast<size_t>(length) : 1;
  }
  if (place >= end)
    caret = static_cast<int>(result.size()) + 1;
  return {result, caret};
}

} // namespace

std::string render(const Diagnostic &diagnostic) {
  std::string result = diagnostic.file + ":" + std::to_string(diagnostic.location.line) + ":" +
                       std::to_string(diagnostic.location.column) +
                       ": error: " + diagnostic.message + "\n" + diagnostic.sourceLine + "\n";
  for (int at = 1; at < diagnostic.caret; ++at) {
    unsigned char byte = static_cast<unsigned char>(diagnostic.sourceLine[at - 1]);
    if (byte == '\t')
      result += '\t';
    else if ((byte & 0xc0) != 0x80) // one blank for each character, not for each byte
      result += ' ';
  }
  return result + "^\n";
}

std::string render(std::span<const Diagnostic> diagnostics) {
  std::string result;
  for (const Diagnostic &diagnostic : diagnostics)
    result += render(diagnostic);
  return result;
}

std::string didYouMean(std::string_view name, std::span<const std::string> candidates) {
  if (name.size() < 2)
    return {}; // any other letter would be as close
  std::vector<std::string_view> views(candidates.begin(), candidates.end());
  std::string_view closest = closestName(name, views);
  return closest.empty() ? "" : "; did you mean '" + std::string(closest) + "'?";
}

void DiagnosticSink::add(Location location, Message message,
                         std::initializer_list<std::string> arguments) {
  auto [line, caret] = printable(lineText(source.text, location.line), location.column);
  diagnostics.push_back({.file = source.name,
                         .location = location,
                         .id = message,
                         .message = format(message, arguments),
                         .sourceLine = line,
                         .caret = caret});
}

void DiagnosticSink::report(Location location, Message message,
                            std::initializer_list<std::string> arguments) {
  if (diagnostics.size() > limit)
    return;
  if (diagnostics.size() == limit)
    add(location, Message::TooManyErrors, {});
  else
    add(location, message, arguments);
}

} // namespace ringc::frontend
