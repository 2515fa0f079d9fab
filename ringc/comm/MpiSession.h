#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ringc {

/// A call of MPI failed: which one, and MPI's own words.
class MpiError : public std::runtime_error {
public:
  MpiError(std::string_view call, std::string_view what);
  MpiError(std::string_view call, int code);
};

/// "MPI_ERR_TRUNCATE: message truncated"
std::string mpiErrorText(int code);

/// MPI in this process: started here, unless the program has done so itself; then it is left as it
/// is, and left running in the end.
///
/// MPI is asked for MPI_THREAD_SERIALIZED: a transport calls MPI on the thread that uses it and on
/// no other. A program that starts MPI itself and uses its transports on the main thread alone may
/// ask for MPI_THREAD_FUNNELED; one that calls MPI on other threads meanwhile needs
/// MPI_THREAD_MULTIPLE.
class MpiSession {
public:
  /// Throws MpiError when MPI cannot be started, or is over already.
  MpiSession();

  /// Ends MPI if it was started here. MPI cannot end in good order once a rank is dead, so after a
  /// failure of one of its transports this is left to the end of the process.
  ~MpiSession();
  MpiSession(const MpiSession &) = delete;
  MpiSession &operator=(const MpiSession &) = delete;

  /// Whether a transport failed: then nobody should wait for MPI any more.
  bool broken() const { return *brokenFlag; }

private:
  friend class MpiTransport;
  std::shared_ptr<bool> brokenFlag = std::make_shared<bool>(false);
  bool startedHere = false;
};

} // namespace ringc
