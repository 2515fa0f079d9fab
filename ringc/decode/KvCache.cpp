#include "ringc/decode/KvCache.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <string>

namespace ringc {

namespace {

void requireAtLeast(const char *name, int64_t value, int64_t least) {
  if (value < least)
    throw InputError(name, std::to_string(value), std::to_string(least) + " or more");
}

} // namespace

KvCache::KvCache(const KvCacheOptions &given) : options(given) {
  if (options.valueHeadDim == 0)
    options.valueHeadDim = options.headDim;
  requireAtLeast("pages", options.pages, 1);
  requireAtLeast("KV heads", options.kvHeads, 1);
  requireAtLeast("head dim", options.headDim, 1);
  requireAtLeast("value head dim", options.valueHeadDim, 1);
  requireAtLeast("entries", options.entries, 1);
  requireAtLeast("pages of an entry", options.pagesOfEntry, 1);
  if (options.pageSize < 1 || options.pageSize > 4096)
    throw InputError("page size", std::to_string(options.pageSize), "1 to 4096 rows");
  if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks)
    throw InputError("rank", std::to_string(options.rank),
                     "0 to " + std::to_string(options.ranks - 1));
  if (!isFloat(options.dtype))
    throw InputError("dtype", nameOf(options.dtype), "f32, f16, bf16");
  poolK = HostTensor(options.dtype,
                     {options.pages, options.pageSize, options.kvHeads, options.headDim});
  poolV = HostTensor(options.dtype,
                     {options.pages, options.pageSize, options.kvHeads, options.valueHeadDim});
  table = HostTensor(DType::I32, {options.entries, options.pagesOfEntry});
  std::fill_n(table.dataAs<int32_t>(), table.elementCount(), -1);
  lengthsOfEntries = HostTensor(DType::I32, {options.entries});
  std::fill_n(lengthsOfEntries.dataAs<int32_t>(), options.entries, 0);
  lengths.resize(size_t(options.entries));
  holders.resize(size_t(options.pages));
  for (int64_t page = options.pages; page-- > 0;)
    unused.push_back(int32_t(page));
}

int32_t &KvCache::pageAt(int64_t entry, int64_t column) const {
  return table.dataAs<int32_t>()[entry * options.pagesOfEntry + column];
}

/// Of this rank's, with so many tokens.
int64_t KvCache::ownPages(int64_t tokens) const {
  int64_t pages = (tokens + options.pageSize - 1) / options.pageSize;
  return (pages - options.rank + options.ranks - 1) / options.ranks;
}

void KvCache::checkEntry(int64_t entry) const {
  if (entry < 0 || entry >= options.entries)
    throw InputError("entry", std::to_string(entry), "0 to " + std::to_string(options.entries - 1));
}

int64_t KvCache::ownTokens(int64_t tokens) const {
  int64_t cycle = options.pageSize * options.ranks, before = options.rank * options.pageSize;
  return tokens / cycle * options.pageSize +
         std::clamp<int64_t>(tokens % cycle - before, 0, options.pageSize);
}

void KvCache::append(int64_t entry, const Tensor &k, const Tensor &v) {
  add(entry, k.rank() == 3 ? k.dim(0) : 0, k, v, Given::All);
}

void KvCache::appendOwn(int64_t entry, int64_t tokens, const Tensor &k, const Tensor &v) {
  checkEntry(entry);
  int64_t begin = lengths[size_t(entry)];
  if (tokens < 0)
    throw InputError("tokens", std::to_string(tokens), "0 or more");
  int64_t own = ownTokens(begin + tokens) - ownTokens(begin);
  if (k.rank() == 3 && k.dim(0) != own)
    throw InputError("k", describe(k),
                     std::to_string(own) + " tokens, this rank's of " + std::to_string(tokens));
  add(entry, tokens, k, v, Given::Own);
}

void KvCache::add(int64_t entry, int64_t tokens, const Tensor &k, const Tensor &v, Given given) {
  checkEntry(entry);
  auto check = [&](const char *name, const Tensor &tensor, int64_t dim) {
    if (tensor.dtype() != options.dtype || tensor.rank() != 3 || tensor.dim(0) != k.dim(0) ||
        tensor.dim(1) != options.kvHeads || tensor.dim(2) != dim)
      throw InputError(name, describe(tensor),
                       std::string(nameOf(options.dtype)) + " [n, " +
                           std::to_string(options.kvHeads) + ", " + std::to_string(dim) + "]");
  };
  if (k.rank() != 3)
    throw InputError("k", describe(k), "three axes: tokens, KV heads, head dim");
  check("k", k, options.headDim);
  check("v", v, options.valueHeadDim);
  int64_t begin = lengths[size_t(entry)], end = begin + tokens;
  constexpr int64_t most = (int64_t(1) << 31) - 1;
  int64_t have = ownPages(begin), need = ownPages(end);
  if (end > most || need > options.pagesOfEntry)
    throw InputError("tokens of entry " + std::to_string(entry), std::to_string(end),
                     "at most " +
                         std::to_string(std::min(most, options.pagesOfEntry * options.ranks *
                                                           options.pageSize)) +
                         ", as many as its pages hold");
  if (need - have > freePages())
    throw InputError("pages for entry " + std::to_string(entry), std::to_string(need - have),
                     std::to_string(freePages()) + ", the free ones");
  for (int64_t column = have; column < need; ++column) {
    pageAt(entry, column) = unused.back();
    ++holders[size_t(unused.back())];
    unused.pop_back();
  }
  for (int64_t token = begin; token < end;) {
    int64_t page = token / options.pageSize, row = token % options.pageSize,
            count = std::min(options.pageSize - row, end - token);
    if (page % options.ranks == options.rank) {
      int64_t at = pageAt(entry, page / options.ranks);
      int64_t from = given == Given::All ? token - begin : ownTokens(token) - ownTokens(begin);
      copy(k.slice(0, from, count), poolK.view().select(0, at).slice(0, row, count));
      copy(v.slice(0, from, count), poolV.view().select(0, at).slice(0, row, count));
    }
    token += count;
  }
  lengths[size_t(entry)] = end;
  lengthsOfEntries.dataAs<int32_t>()[entry] = int32_t(end);
}

void KvCache::share(int64_t from, int64_t to, int64_t tokens) {
  checkEntry(from);
  checkEntry(to);
  if (from == to || lengths[size_t(to)] != 0)
    throw InputError("entry " + std::to_string(to), std::to_string(lengths[size_t(to)]) + " tokens",
                     "an empty one");
  if (tokens < 0 || tokens > lengths[size_t(from)] || tokens % options.pageSize)
    throw InputError("shared tokens", std::to_string(tokens),
                     "a multiple of the page size, " + std::to_string(options.pageSize) +
                         ", up to " + std::to_string(lengths[size_t(from)]));
  for (int64_t column = 0; column < ownPages(tokens); ++column) {
    pageAt(to, column) = pageAt(from, column);
    ++holders[size_t(pageAt(to, column))];
  }
  lengths[size_t(to)] = tokens;
  lengthsOfEntries.dataAs<int32_t>()[to] = int32_t(tokens);
}

void KvCache::free(int64_t entry) {
  checkEntry(entry);
  for (int64_t column = 0; column < ownPages(lengths[size_t(entry)]); ++column) {
    int32_t &page = pageAt(entry, column);
    if (--holders[size_t(page)] == 0)
      unused.push_back(page);
    page = -1;
  }
  lengths[size_t(entry)] = 0;
  lengthsOfEntries.dataAs<int32_t>()[entry] = 0;
}

DecodeInputs KvCache::inputs(const Tensor &q) const {
  return {.q = q,
          .k = poolK,
          .v = poolV,
          .pageTable = table.view(),
          .lengths = lengthsOfEntries.view()};
}

} // namespace ringc
