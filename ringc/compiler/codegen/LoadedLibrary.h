#pragma once

#include <string>

namespace ringc {

/// The build id that the linker wrote into the shared library which holds the code or data at
/// `address`, in hexadecimal; without one its path, size and time of change. Empty where the
/// program itself holds it.
std::string buildIdOf(const void *address);

} // namespace ringc
