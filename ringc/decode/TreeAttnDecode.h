#pragma once

#include "ringc/decode/Decode.h"

#include <cstdint>

namespace ringc {

/// Which keys a rank brings.
enum class TreeKeys : uint8_t {
  Whole, ///< all; rank r of R takes the ceil(n_k / R) from r * ceil(n_k / R) on, the last ones
         ///< fewer
  Shard, ///< its own, as many as it has, or none
};

struct TreeInputs {
  Tensor q; ///< [b, h, n_q, d], the same on all ranks
  Tensor k; ///< [b, h_kv, n_k, d]
  Tensor v; ///< [b, h_kv, n_k, d_v]
  TreeKeys keys = TreeKeys::Whole;
};

/// `tree_attn_decode(q, k, v, shard_kv_seq)` of ring-attention-pytorch (arXiv 2408.04093): every
/// rank gets the attention of the queries to the keys of all ranks, out [b, h, n_q, d_v] and lse
/// f32 [b, h, n_q]; there without lse, for h_kv = h, and by three all-reduces. What masks and
/// scores `decode` has sees the positions of whole keys; shards have none, and take neither. Throws
/// as HostDecode::run and DeviceDecode::run of ranks.
void treeAttnDecode(HostDecode &decode, const TreeInputs &inputs, Transport &transport,
                    const Tensor &out, const Tensor &lse);
void treeAttnDecode(DeviceDecode &decode, const CudaStream &stream, const TreeInputs &inputs,
                    RemoteTransport &transport, const Tensor &out, const Tensor &lse);

/// The same as a call of one of `ranks`, for DeviceDecodeRing. Throws InputError.
RankDecode treeAttnDecodeOf(const TreeInputs &inputs, int rank, int ranks, const Tensor &out,
                            const Tensor &lse);

} // namespace ringc
