#include "WellFormed.h"

#include <cctype>
#include <set>
#include <vector>

namespace ringc::testing {

namespace {

bool isName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == ':';
}

/// Every & begins a reference that XML knows.
bool hasGoodReferences(std::string_view text) {
  for (size_t at = text.find('&'); at != std::string_view::npos; at = text.find('&', at + 1)) {
    bool known = false;
    for (std::string_view name : {"&amp;", "&lt;", "&gt;", "&quot;", "&#10;"})
      known |= text.substr(at).starts_with(name);
    if (!known)
      return false;
  }
  return true;
}

class Reader {
public:
  explicit Reader(std::string_view all) : text(all) {}

  std::string run() {
    if (text.starts_with("<?xml "))
      at = text.find("?>") + 2;
    std::vector<std::string> open;
    bool closed = false;
    while (at < text.size()) {
      size_t tag = text.find('<', at);
      std::string_view between = text.substr(at, tag == std::string_view::npos ? tag : tag - at);
      if (!hasGoodReferences(between) || between.find('>') != std::string_view::npos)
        return "text: " + std::string(between);
      if (open.empty() && between.find_first_not_of(" \n") != std::string_view::npos)
        return "text outside: " + std::string(between);
      if (tag == std::string_view::npos)
        break;
      at = tag + 1;
      if (closed)
        return "a second root";
      if (text[at] == '/') {
        ++at;
        std::string ended = name();
        if (open.empty() || open.back() != ended)
          return "</" + ended + ">";
        open.pop_back();
        closed = open.empty();
        if (text[at++] != '>')
          return "the end of </" + ended;
        continue;
      }
      std::string begun = name();
      if (std::string problem = attributes(); !problem.empty())
        return begun + ": " + problem;
      if (text.substr(at).starts_with("/>")) {
        at += 2;
        closed = open.empty();
      } else if (text[at] == '>') {
        ++at;
        open.push_back(begun);
      } else {
        return "the end of <" + begun;
      }
    }
    return open.empty() && closed ? "" : "it does not end";
  }

private:
  std::string name() {
    size_t begin = at;
    while (at < text.size() && isName(text[at]))
      ++at;
    return std::string(text.substr(begin, at - begin));
  }

  std::string attributes() {
    std::set<std::string> seen;
    while (at < text.size() && text[at] == ' ') {
      ++at;
      std::string key = name();
      if (key.empty() || !seen.insert(key).second)
        return "attribute " + key;
      if (!text.substr(at).starts_with("=\""))
        return "no value of " + key;
      size_t end = text.find('"', at += 2);
      std::string_view value = text.substr(at, end - at);
      if (end == std::string_view::npos || value.find('<') != std::string_view::npos ||
          !hasGoodReferences(value))
        return "value of " + key;
      at = end + 1;
    }
    return "";
  }

  std::string_view text;
  size_t at = 0;
};

} // namespace

std::string notWellFormed(std::string_view text) { return Reader(text).run(); }

} // namespace ringc::testing
