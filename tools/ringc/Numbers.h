#pragma once

#include <CLI/CLI.hpp>

#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace ringc::cli {

/// All of `text` as a number in decimal digits, perhaps after a minus: not 0x10, +5, " 5" or, for
/// an integer, 1e3. 010 is ten.
template <typename Number> std::optional<Number> parseNumber(std::string_view text) {
  Number value{};
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size())
    return std::nullopt;
  return value;
}

/// Takes the place of CLI11's own reading of numbers, to which 010 is eight.
template <typename Number> CLI::Validator decimal() {
  auto read = [](std::string &text) -> std::string {
    if (std::optional<Number> number = parseNumber<Number>(text)) {
      if constexpr (std::is_integral_v<Number>)
        text = std::to_string(*number);
      return {};
    }
    std::string allowed = "a decimal number";
    if constexpr (std::is_integral_v<Number>)
      allowed = "an integer in decimal digits, from " +
                std::to_string(std::numeric_limits<Number>::min()) + " to " +
                std::to_string(std::numeric_limits<Number>::max());
    return "got " + (text.empty() ? "an empty value" : text) + ", allowed: " + allowed;
  };
  return CLI::Validator(read, "");
}

/// An option whose value is a number, or an optional one.
template <typename Number>
CLI::Option *addNumber(CLI::App &command, const std::string &name, Number &into,
                       const std::string &description) {
  return command.add_option(name, into, description)->transform(decimal<Number>());
}
template <typename Number>
CLI::Option *addNumber(CLI::App &command, const std::string &name, std::optional<Number> &into,
                       const std::string &description) {
  return command.add_option(name, into, description)->transform(decimal<Number>());
}

} // namespace ringc::cli
