#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace ringc {

/// The user's input is wrong. The message names the argument, its value, and what is allowed.
class InputError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;

  /// "ring size: got 3, allowed: a divisor of the world, 8"
  InputError(std::string_view argument, std::string_view value, std::string_view allowed)
      : std::runtime_error(std::string(argument) + ": got " + std::string(value) +
                           ", allowed: " + std::string(allowed)) {}
};

} // namespace ringc
