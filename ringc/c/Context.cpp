#include "ringc/c/Context.h"

#include "ringc/c/ContextOptions.h"
#include "ringc/c/Status.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"

#include <charconv>
#include <utility>

namespace ringc::c {

const AttentionContext &Context::ofHost(std::string_view function) const {
  if (!host)
    throw InputError("context of " + std::string(function), "of a device", "of the CPU");
  return *host;
}

const DeviceContext &Context::ofDevice(std::string_view function) const {
  if (!onDevice)
    throw InputError("context of " + std::string(function), "of the CPU", "of a device");
  return *onDevice;
}

const CudaStream *Context::stream(void *theirs) {
  if (!isDevice()) {
    if (theirs)
      throw InputError("stream", "an address", "NULL with a context of the CPU");
    return nullptr;
  }
  std::lock_guard lock(mutex);
  auto known = streams.find(theirs);
  if (known == streams.end())
    known = streams
                .emplace(theirs,
                         CudaStream(onDevice->device, reinterpret_cast<CudaStreamHandle>(theirs)))
                .first;
  return &known->second;
}

namespace {

/// The ordinal of "cuda" or "cuda:N"; nothing for "cpu".
std::optional<int> ordinalOf(std::string_view device) {
  if (device == "cpu")
    return std::nullopt;
  if (device == "cuda")
    return 0;
  constexpr std::string_view prefix = "cuda:";
  if (device.starts_with(prefix)) {
    int ordinal = -1;
    const char *end = device.data() + device.size();
    auto [stop, error] = std::from_chars(device.data() + prefix.size(), end, ordinal);
    if (error == std::errc() && stop == end && ordinal >= 0)
      return ordinal;
  }
  throw InputError("device", "\"" + std::string(device) + "\"", "cpu, cuda, cuda:N");
}

std::shared_ptr<Context> contextOf(const ContextOptions &options) {
  std::optional<int> ordinal = ordinalOf(options.device);
  if (ordinal)
    return std::make_shared<Context>(deviceContext(*ordinal), options.tune);
  return std::make_shared<Context>(hostContext(options.threads), options.tune);
}

} // namespace

} // namespace ringc::c

using namespace ringc::c;

ringc_status ringc_context_create(const char *options_json, ringc_context **context) {
  return call([&] {
    required("context", context);
    ContextOptions options = parseContextOptions(optionsText(options_json));
    *context = new ringc_context{contextOf(options)};
  });
}

void ringc_context_destroy(ringc_context *context) { delete context; }
