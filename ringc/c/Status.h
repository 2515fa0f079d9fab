#pragma once

#include "ringc/c/ringc_c.h"
#include "ringc/support/Error.h"

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ringc::c {

/// The object's group was closed.
class ClosedError : public std::runtime_error {
public:
  ClosedError() : std::runtime_error("the group was closed") {}
};

/// Another call is using the handle.
class BusyError : public std::runtime_error {
public:
  explicit BusyError(std::string_view handle)
      : std::runtime_error(std::string(handle) + ": another thread is using it") {}
};

/// Of the exception that is being handled; keeps its text for ringc_last_error.
ringc_status statusOfException() noexcept;

/// What a function of the interface does: `body`, whose exceptions become a status and a text.
template <class Body> ringc_status call(Body &&body) noexcept {
  try {
    std::forward<Body>(body)();
    return RINGC_OK;
  } catch (...) {
    return statusOfException();
  }
}

/// Throws InputError for NULL.
template <class Pointer> Pointer *required(std::string_view argument, Pointer *pointer) {
  if (!pointer)
    throw InputError(argument, "NULL", "an address");
  return pointer;
}

/// Text for the user, whom it belongs to (ringc_free).
char *givenText(std::string_view text);

/// NULL is "".
std::string_view textOf(const char *text);

/// NULL and "" are {}.
std::string_view optionsText(const char *json);

} // namespace ringc::c
