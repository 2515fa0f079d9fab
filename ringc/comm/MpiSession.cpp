#include "ringc/comm/MpiSession.h"

#include <mpi.h>

namespace ringc {

MpiError::MpiError(std::string_view call, std::string_view what)
    : std::runtime_error(std::string(call) + ": " + std::string(what)) {}

MpiError::MpiError(std::string_view call, int code) : MpiError(call, mpiErrorText(code)) {}

std::string mpiErrorText(int code) {
  char text[MPI_MAX_ERROR_STRING + 1] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
    return "error " + std::to_string(code);
  return std::string(text, size_t(length));
}

MpiSession::MpiSession() {
  int is = 0;
  MPI_Finalized(&is);
  if (is)
    throw MpiError("MPI_Init_thread", "this process has ended MPI already");
  MPI_Initialized(&is);
  if (is)
    return;
  int provided = MPI_THREAD_SINGLE;
  if (int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
      code != MPI_SUCCESS)
    throw MpiError("MPI_Init_thread", code);
  startedHere = true;
}

MpiSession::~MpiSession() {
  int over = 0;
  MPI_Finalized(&over);
  if (startedHere && !broken() && !over)
    MPI_Finalize();
}

} // namespace ringc
