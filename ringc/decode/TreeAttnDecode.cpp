#include "ringc/decode/TreeAttnDecode.h"

#include "ringc/comm/StreamTransport.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"

#include <algorithm>

namespace ringc {

namespace {

Tensor headsLast(const char *name, const Tensor &tensor) {
  if (tensor.rank() != 4)
    throw InputError(name, describe(tensor), "four axes: batch, heads, rows, head dim");
  return tensor.permute({0, 2, 1, 3});
}

} // namespace

RankDecode treeAttnDecodeOf(const TreeInputs &inputs, int rank, int ranks, const Tensor &out,
                            const Tensor &lse) {
  RankDecode made{.inputs = {.q = headsLast("q", inputs.q),
                             .k = headsLast("k", inputs.k),
                             .v = headsLast("v", inputs.v)},
                  .keys = {},
                  .out = headsLast("out", out),
                  .lse = lse};
  auto &[q, k, v, table, lengths, arguments] = made.inputs;
  int64_t rows = k.dim(1);
  if (v.dim(1) != rows)
    throw InputError("v", describe(inputs.v), std::to_string(rows) + " rows, as k");
  if (inputs.keys == TreeKeys::Shard)
    return made;
  int64_t share = (rows + ranks - 1) / ranks, begin = std::min(rank * share, rows),
          count = std::min(share, rows - begin);
  k = k.slice(1, begin, count);
  v = v.slice(1, begin, count);
  made.keys.positions.first = begin;
  made.keys.length = rows;
  return made;
}

void treeAttnDecode(HostDecode &decode, const TreeInputs &inputs, Transport &transport,
                    const Tensor &out, const Tensor &lse) {
  RankDecode call = guarded(transport, [&] {
    return treeAttnDecodeOf(inputs, transport.rank(), transport.world(), out, lse);
  });
  decode.run(call.inputs, call.keys, transport, call.out, call.lse);
}

void treeAttnDecode(DeviceDecode &decode, const CudaStream &stream, const TreeInputs &inputs,
                    RemoteTransport &transport, const Tensor &out, const Tensor &lse) {
  RankDecode call = guarded(transport, [&] {
    return treeAttnDecodeOf(inputs, transport.rank(), transport.world(), out, lse);
  });
  decode.run(stream, call.inputs, call.keys, transport, call.out, call.lse);
}

} // namespace ringc
