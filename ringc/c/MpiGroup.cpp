#include "ringc/c/MpiGroup.h"

#include "ringc/support/Error.h"

#ifdef RINGC_C_WITH_MPI
#include "ringc/comm/Mpi.h"

#include <limits>
#include <string>
#endif

namespace ringc::c {

#ifdef RINGC_C_WITH_MPI

/// MPI does not start twice in a process, so it ends with it.
static std::shared_ptr<MpiSession> sessionOfProcess() {
  static auto session = std::make_shared<MpiSession>();
  return session;
}

MpiRank mpiRank(int64_t communicator, std::optional<std::chrono::milliseconds> deadline) {
  using Limits = std::numeric_limits<MPI_Fint>;
  if (communicator < Limits::min() || communicator > Limits::max())
    throw InputError("communicator", std::to_string(communicator), "what MPI_Comm_c2f gives");
  std::shared_ptr<MpiSession> session = sessionOfProcess();
  MPI_Comm made = MPI_Comm_f2c(MPI_Fint(communicator));
  if (made == MPI_COMM_NULL)
    throw InputError("communicator", "MPI_COMM_NULL", "what MPI_Comm_c2f gives");
  MpiOptions options;
  options.deadline = deadline.value_or(options.deadline);
  return {std::make_shared<MpiTransport>(*session, made, options), session};
}

#else

MpiRank mpiRank(int64_t, std::optional<std::chrono::milliseconds>) {
  throw InputError("ringc_group_mpi: this ringc was built without MPI");
}

#endif

} // namespace ringc::c
