#include "tests/gpu/PlacedDecode.h"

namespace ringc::test {

PlacedDecode::PlacedDecode(const DecodeProblem &problem, int ofRank, const DeviceContext &context)
    : of(&problem), rank(ofRank), stream(context.device) {
  DecodeInputs host = problem.inputsOf(rank);
  call.inputs = {.q = put(host.q), .k = put(host.k), .v = put(host.v)};
  call.inputs.lengths = put(*host.lengths);
  if (host.pageTable)
    call.inputs.pageTable = put(*host.pageTable);
  call.keys = problem.keysOf(rank);
  call.out = put(problem.newOut());
  call.lse = put(problem.newLse());
}

Tensor PlacedDecode::put(const Tensor &onHost) {
  return memory.emplace_back(DeviceTensor::copyOf(stream, onHost));
}

void PlacedDecode::refill(const DecodeProblem &problem) {
  of = &problem;
  DecodeInputs host = problem.inputsOf(rank);
  auto upload = [&](const Tensor &from, const Tensor &to) {
    HostTensor dense = HostTensor::copyOf(from);
    stream.upload(to.data(), dense.data(), dense.byteCount());
    stream.synchronize();
  };
  upload(host.q, call.inputs.q);
  upload(host.k, call.inputs.k);
  upload(host.v, call.inputs.v);
  upload(*host.lengths, *call.inputs.lengths);
  if (host.pageTable)
    upload(*host.pageTable, *call.inputs.pageTable);
}

bool PlacedDecode::isRight() const {
  auto bring = [&](const Tensor &from) {
    HostTensor home(from.dtype(), from.shape());
    stream.download(home.data(), from.data(), home.byteCount());
    stream.synchronize();
    return home;
  };
  return of->isRight(bring(call.out), bring(call.lse));
}

} // namespace ringc::test
