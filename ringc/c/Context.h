#pragma once

#include "ringc/attention/Context.h"
#include "ringc/attention/device/DeviceCode.h"
#include "ringc/driver/CudaStream.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace ringc::c {

/// What objects share: the host's threads and kernels, or a device and its. Any number of threads
/// may use it.
class Context {
public:
  Context(AttentionContext ofHost, std::optional<std::string> table)
      : host(std::move(ofHost)), tune(std::move(table)) {}
  Context(DeviceContext ofDevice, std::optional<std::string> table)
      : onDevice(std::move(ofDevice)), tune(std::move(table)) {}

  bool isDevice() const { return onDevice.has_value(); }
  /// Throws InputError, which says what `function` needs, where the context is of the other kind.
  const AttentionContext &ofHost(std::string_view function) const;
  const DeviceContext &ofDevice(std::string_view function) const;
  /// Which table, where options do not say.
  const std::optional<std::string> &table() const { return tune; }

  /// The user's stream, for as long as the context lives; null is the default stream. Throws
  /// InputError for one on the host.
  const CudaStream *stream(void *theirs);

private:
  std::optional<AttentionContext> host;
  std::optional<DeviceContext> onDevice;
  std::optional<std::string> tune;
  std::mutex mutex;
  std::map<void *, CudaStream> streams;
};

} // namespace ringc::c

struct ringc_context {
  std::shared_ptr<ringc::c::Context> self;
};
