#pragma once

#include "ringc/comm/Transport.h"
#include "ringc/driver/CudaStream.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace ringc {

/// A transport between memory of devices, in the order of streams: the caller does not wait.
///
/// A message leaves after all that the followed stream was given before its `post`; it moves on a
/// stream of the transport's own, beside what the followed stream is given next.
/// `Transfer::wait` makes the followed stream wait for it, not the caller. So a pass is a fork and
/// a join of streams, and can be captured in a graph.
class StreamTransport : public Transport {
public:
  virtual const std::shared_ptr<const CudaDevice> &device() const = 0;

  /// The stream, of the transport's device, that later exchanges follow. It must live until they
  /// are over.
  virtual void follow(const CudaStream &stream) = 0;
};

/// What is wrong with a rank whose announcement is another one.
inline constexpr std::string_view announcedOtherwise =
    "the ranks do not agree: it was in another call meanwhile, with other options, shapes or "
    "numbers, or another pass";

/// A stream transport between processes, or threads: what a peer does wrong shows later, in
/// `check`, `wait` and the next `post`.
class RemoteTransport : public StreamTransport {
public:
  /// What each of `ranks`, this one among them, gives to the same call: pieces of one size, in the
  /// order of `ranks`. Connects them, too, so that later exchanges between them start at once.
  /// Waits for all of them; throws PeerError when one fails or the deadline passes.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const int> ranks,
                                                     std::span<const std::byte> own) = 0;

  /// Tells `ranks`, this one among them, what this rank takes its next exchanges for: a record of
  /// one size on all of them, which lies on the device too. Waits for nobody; where another rank
  /// says something else, `check` and `wait` throw once that has come. The transfer is waited for
  /// behind the exchanges; it and what lies on the device live until then.
  virtual std::unique_ptr<Transfer>
  announce(std::span<const int> ranks, std::span<const std::byte> own, const void *onDevice) = 0;

  /// Throws PeerError where an exchange has failed since the transport was made.
  virtual void check() const = 0;

  /// Returns when all that `stream` was given has run. Throws PeerError when a peer fails or the
  /// deadline passes; then, or soon after, nothing of this transport runs on the device any more.
  virtual void wait(const CudaStream &stream) = 0;
};

} // namespace ringc
