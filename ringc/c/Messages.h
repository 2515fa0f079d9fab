#pragma once

#include "ringc/c/ringc_c.h"
#include "ringc/comm/Carried.h"

#include <memory>

namespace ringc::c {

/// The functions of a struct as a carrier. Throws InputError where one is missing.
std::unique_ptr<Carrier> carrierOf(const ringc_messages *messages);

} // namespace ringc::c
