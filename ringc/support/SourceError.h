#pragma once

#include "ringc/support/Error.h"

namespace ringc {

/// A .tile source is wrong: rendered diagnostics, with file, line and column.
class SourceError : public InputError {
public:
  using InputError::InputError;
};

} // namespace ringc
