#include "ringc/c/Status.h"

#include "ringc/comm/NcclLibrary.h"
#include "ringc/comm/Transport.h"
#include "ringc/driver/CudaDriver.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/SourceError.h"
#ifdef RINGC_C_WITH_MPI
#include "ringc/comm/MpiSession.h"
#endif

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

namespace ringc::c {

namespace {

/// Of one thread. A text that there is no memory for is replaced by one that needs none.
struct LastError {
  std::string text;
  const char *fixed = nullptr;

  void set(const char *what) noexcept {
    fixed = nullptr;
    try {
      text = what;
    } catch (...) {
      fixed = "out of memory";
    }
  }
};

thread_local LastError lastError;

ringc_status failed(ringc_status status, const char *what) noexcept {
  lastError.set(what);
  return status;
}

} // namespace

ringc_status statusOfException() noexcept {
  try {
    throw;
  } catch (const SourceError &error) {
    return failed(RINGC_ERROR_COMPILE, error.what());
  } catch (const InputError &error) {
    return failed(RINGC_ERROR_INPUT, error.what());
  } catch (const DisagreementError &error) {
    return failed(RINGC_ERROR_DISAGREEMENT, error.what());
  } catch (const PeerError &error) {
    return failed(RINGC_ERROR_PEER, error.what());
  } catch (const CudaError &error) {
    return failed(error.result() == CudaResult::OutOfMemory ? RINGC_ERROR_MEMORY : RINGC_ERROR_CUDA,
                  error.what());
  } catch (const NcclError &error) {
    return failed(RINGC_ERROR_NCCL, error.what());
#ifdef RINGC_C_WITH_MPI
  } catch (const MpiError &error) {
    return failed(RINGC_ERROR_PEER, error.what());
#endif
  } catch (const ClosedError &error) {
    return failed(RINGC_ERROR_CLOSED, error.what());
  } catch (const BusyError &error) {
    return failed(RINGC_ERROR_BUSY, error.what());
  } catch (const std::bad_alloc &) {
    return failed(RINGC_ERROR_MEMORY, "out of memory");
  } catch (const std::exception &error) {
    return failed(RINGC_ERROR_INTERNAL, error.what());
  } catch (...) {
    return failed(RINGC_ERROR_INTERNAL, "unknown error");
  }
}

char *givenText(std::string_view text) {
  auto *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (!copy)
    throw std::bad_alloc();
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = 0;
  return copy;
}

std::string_view textOf(const char *text) { return text ? text : std::string_view(); }

std::string_view optionsText(const char *json) { return json && *json ? json : "{}"; }

} // namespace ringc::c

const char *ringc_last_error(void) {
  const ringc::c::LastError &error = ringc::c::lastError;
  return error.fixed ? error.fixed : error.text.c_str();
}

const char *ringc_version(void) { return RINGC_VERSION; }

int ringc_abi_version(void) { return RINGC_ABI_VERSION; }

void ringc_free(void *text) { std::free(text); }
