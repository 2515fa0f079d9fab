#include "ringc/compiler/spec/JsonText.h"

#include "ringc/support/Error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>

namespace ringc {

namespace {

using nlohmann::json;

/// Looks at brackets alone.
class DepthCheck final : public nlohmann::json_sax<json> {
public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool key(string_t &) override { return true; }
  bool start_object(size_t) override { return enter(); }
  bool start_array(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  /// The parse proper will find it again.
  bool parse_error(size_t, const std::string &, const nlohmann::detail::exception &) override {
    return false;
  }

private:
  bool enter() {
    constexpr int deepest = 32; // more than twice what any of our files has
    if (++depth > deepest)
      throw InputError("this is JSON that nests deeper than " + std::to_string(deepest) +
                       " levels");
    return true;
  }
  bool leave() {
    --depth;
    return true;
  }

  int depth = 0;
};

} // namespace

json parseJsonText(std::string_view text) {
  DepthCheck check;
  json::sax_parse(text, &check);
  return json::parse(text);
}

json parseJsonText(std::string_view text, std::string_view name) {
  try {
    return parseJsonText(text);
  } catch (const InputError &error) {
    throw InputError(std::string(name) + ": " + error.what());
  } catch (const json::parse_error &error) {
    size_t at = std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0);
    std::string_view before = text.substr(0, at);
    auto line = 1 + std::count(before.begin(), before.end(), '\n');
    size_t column = at - (before.rfind('\n') + 1) + 1; // npos + 1 is 0
    throw InputError(std::string(name) + ":" + std::to_string(line) + ":" + std::to_string(column) +
                     ": error: this is not JSON");
  }
}

} // namespace ringc
