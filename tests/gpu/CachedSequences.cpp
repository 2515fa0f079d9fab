#include "tests/gpu/CachedSequences.h"

#include "tests/support/ReferenceAttention.h"

namespace ringc::test {

CachedSequences::CachedSequences(const AttentionOptions &options, KvCacheOptions each, int ranks,
                                 const CudaStream &order, unsigned seed)
    : of(options), stream(order), random(seed) {
  each.kvHeads = of.kvHeads;
  each.headDim = of.headDim;
  each.dtype = of.dtype;
  each.ranks = ranks;
  q = cli::randomTensor(of.dtype, {each.entries, 1, of.heads, of.headDim}, random);
  for (int64_t entry = 0; entry < each.entries; ++entry) {
    keys.emplace_back(of.dtype, std::vector<int64_t>{0, of.kvHeads, of.headDim});
    values.emplace_back(of.dtype, std::vector<int64_t>{0, of.kvHeads, of.headDim});
  }
  for (each.rank = 0; each.rank < ranks; ++each.rank) {
    const KvCache &cache = caches.emplace_back(each, stream);
    const Tensor &there = memory.emplace_back(DeviceTensor::copyOf(stream, q));
    const Tensor &out = memory.emplace_back(stream.device(), of.dtype, q.shape());
    const Tensor &lse = memory.emplace_back(stream.device(), DType::F32,
                                            std::vector<int64_t>{each.entries, of.heads, 1});
    decodes.push_back({cache.inputs(there), cache.keys(), out, lse});
  }
}

void CachedSequences::grow(HostTensor &whole, const Tensor &more) const {
  int64_t had = whole.dim(0);
  HostTensor longer(whole.dtype(),
                    std::vector<int64_t>{had + more.dim(0), more.dim(1), more.dim(2)});
  copy(whole, longer.view().slice(0, 0, had));
  copy(more, longer.view().slice(0, had, more.dim(0)));
  whole = std::move(longer);
}

void CachedSequences::append(int64_t entry, int64_t tokens) {
  // K and V side by side, as a projection gives them: rows with gaps.
  HostTensor both = cli::randomTensor(of.dtype, {tokens, 2, of.kvHeads, of.headDim}, random);
  const Tensor &there = memory.emplace_back(DeviceTensor::copyOf(stream, both));
  for (KvCache &cache : caches)
    cache.append(entry, there.select(1, 0), there.select(1, 1));
  grow(keys[size_t(entry)], both.view().select(1, 0));
  grow(values[size_t(entry)], both.view().select(1, 1));
}

void CachedSequences::share(int64_t from, int64_t to, int64_t tokens) {
  for (KvCache &cache : caches)
    cache.share(from, to, tokens);
  grow(keys[size_t(to)], keys[size_t(from)].view().slice(0, 0, tokens));
  grow(values[size_t(to)], values[size_t(from)].view().slice(0, 0, tokens));
}

void CachedSequences::free(int64_t entry) {
  for (KvCache &cache : caches)
    cache.free(entry);
  for (auto *all : {&keys, &values})
    (*all)[size_t(entry)] = HostTensor(of.dtype, std::vector<int64_t>{0, of.kvHeads, of.headDim});
}

HostTensor CachedSequences::download(const Tensor &from) const {
  HostTensor home(from.dtype(), from.shape());
  stream.download(home.data(), from.data(), home.byteCount());
  stream.synchronize();
  return home;
}

bool CachedSequences::areRight() const {
  bool right = true;
  auto asBatch = [](const HostTensor &rows) {
    return Tensor(rows.data(), rows.dtype(), {1, rows.dim(0), rows.dim(1), rows.dim(2)});
  };
  for (const RankDecode &call : decodes) {
    HostTensor out = download(call.out), lse = download(call.lse);
    for (int64_t entry = 0; entry < q.dim(0); ++entry) {
      reference::Problem problem;
      problem.q = reference::arrayOf(q.view().slice(0, entry, 1));
      problem.k = reference::arrayOf(asBatch(keys[size_t(entry)]));
      problem.v = reference::arrayOf(asBatch(values[size_t(entry)]));
      reference::Result exact = reference::attention(problem);
      double bar = of.dtype == DType::F32 ? 3e-5 : 2e-2;
      right &= reference::relativeError(reference::arrayOf(out.view().slice(0, entry, 1)),
                                        exact.out) < bar &&
               reference::relativeError(reference::arrayOf(lse.view().slice(0, entry, 1)),
                                        exact.lse) < bar;
    }
  }
  return right;
}

} // namespace ringc::test
