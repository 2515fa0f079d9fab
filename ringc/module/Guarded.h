#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/ring/Agreement.h"

#include <exception>

namespace ringc {

/// A pass of a module: where it fails, this rank tells the others why it will not take part, unless
/// all know.
template <typename Pass> auto guarded(ModuleRanks &ranks, const Pass &pass) {
  try {
    return pass();
  } catch (const DisagreementError &) {
    throw;
  } catch (const std::exception &error) {
    ranks.abort(error.what());
    throw;
  }
}

} // namespace ringc
