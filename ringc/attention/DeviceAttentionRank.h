#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/device/DeviceCode.h"
#include "ringc/comm/StreamTransport.h"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace ringc {

/// One rank's share of an exact ring attention, as Attention, on a device: tensors lie in its
/// memory, and a call puts all its work in the order of the user's stream, and returns.
///
///     DeviceAttentionRank attention(options, transport, deviceContext(0));
///     attention.prepare(Pass::Forward, shape, inputs);
///     attention.forward(stream, shape, inputs, {out, lse});   // may be captured in a graph
///     attention.wait(stream);                                 // or the stream's own synchronize
///
/// `data` of tensors are addresses on the device, of any strides with a unit last one; those of
/// key masks, bias and arguments have the types that the functions declare. `cuSeqlens` alone lies
/// on the host: plans are made from it. K and V that have gaps are gathered before they are sent.
///
/// After `prepare`, calls with the same pass, shape, strides, cuSeqlens and numbers among the
/// arguments neither allocate nor wait for the device or for peers; the first call of others
/// prepares. The tensors, and the workspace, must live until the stream has run; passes of one
/// object that share its own workspace belong on one stream. A graph keeps the addresses that it
/// was captured with: of a workspace of the object's own, until a later pass needs a larger one,
/// and of what was prepared, which stays for 64 later ones.
///
/// One thread at a time calls an object and its transport; those of other ranks may be called
/// beside it, and share contexts. No use after fork(), as of CUDA itself.
///
/// All ranks of a ring make the same calls. What they prepare is compared before anything is sent,
/// and an error of all of them names what differs. Calls of what is prepared announce it to each
/// other in the order of the streams, those of a graph too: where ranks run different ones, results
/// are a mixture, and `wait`, or the next call, throws on each of them.
///
/// Throws InputError for options and inputs that cannot be; CudaError where the device fails;
/// PeerError when a rank failed: the call after it happened does, and `wait`.
class DeviceAttentionRank {
public:
  /// `transport` must outlive it, and be of the context's device.
  DeviceAttentionRank(AttentionOptions options, RemoteTransport &transport, DeviceContext context);
  ~DeviceAttentionRank();
  DeviceAttentionRank(DeviceAttentionRank &&) noexcept;
  DeviceAttentionRank &operator=(DeviceAttentionRank &&) noexcept;

  /// Compiles, plans, compares with the ring's ranks what must be the same (as Attention's ranks
  /// do; what lies on a device by its type and shape alone), and allocates, where the workspace
  /// will be the object's own. Waits for the ranks of the ring, which call it too.
  void prepare(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs);

  /// What a pass needs besides its tensors: hop buffers, running state, sums in f32. Prepares all
  /// but the memory.
  int64_t workspaceBytes(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs);

  /// `workspace`: memory of the device, aligned to 256 bytes, not filled, of workspaceBytes() or
  /// more; empty: the object's own.
  void forward(const CudaStream &stream, const AttentionShape &shape, const AttentionInputs &inputs,
               const ForwardResults &results, std::span<std::byte> workspace = {});

  /// The gradients for `dout`, as out; `results` are those that `forward` gave for the same inputs.
  void backward(const CudaStream &stream, const AttentionShape &shape,
                const AttentionInputs &inputs, const ForwardResults &results, const Tensor &dout,
                const GradientResults &gradients, std::span<std::byte> workspace = {});

  /// Returns when all that `stream` was given has run; throws what went wrong meanwhile.
  void wait(const CudaStream &stream);

  /// As Attention's. Of q, k and v the shapes suffice.
  std::vector<Plan> plans(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs);

private:
  class Rank;
  std::unique_ptr<Rank> self;
};

} // namespace ringc
