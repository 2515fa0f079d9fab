#pragma once

#include "ringc/comm/Transport.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

namespace ringc::c {

/// A rank of a communicator, which `session` must outlive.
struct MpiRank {
  std::shared_ptr<Transport> transport;
  std::shared_ptr<void> session;
};

/// Of a communicator given by its Fortran handle. Throws InputError where this build has no MPI,
/// and MpiError.
MpiRank mpiRank(int64_t communicator, std::optional<std::chrono::milliseconds> deadline);

} // namespace ringc::c
