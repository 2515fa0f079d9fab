#include "ringc/decode/KvCache.h"

#include "ringc/attention/shared/Extents.h"
#include "ringc/decode/KvMemory.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace ringc {

namespace {

void requireAtLeast(const char *name, int64_t value, int64_t least) {
  if (value < least)
    throw InputError(name, std::to_string(value), std::to_string(least) + " or more");
}

/// All pages, one after another.
Tensor rowsOf(const Tensor &pool) {
  return {pool.data(), pool.dtype(), {pool.dim(0) * pool.dim(1), pool.dim(2), pool.dim(3)}};
}

/// Complete.
KvCacheOptions checked(KvCacheOptions options) {
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
  return options;
}

} // namespace

KvCache::KvCache(const KvCacheOptions &given) : KvCache(given, hostKvMemory()) {}
KvCache::KvCache(const KvCacheOptions &given, const CudaStream &stream)
    : KvCache(given, deviceKvMemory(stream)) {}

KvCache::KvCache(const KvCacheOptions &given, std::unique_ptr<KvMemory> made)
    : options(checked(given)), memory(std::move(made)) {
  std::array shape = {options.pages, options.pageSize, options.kvHeads, options.headDim};
  poolK = memory->allocate(options.dtype, shape);
  shape.back() = options.valueHeadDim;
  poolV = memory->allocate(options.dtype, shape);
  table = memory->allocate(DType::I32, std::array{options.entries, options.pagesOfEntry});
  memory->fill(table, -1);
  lengthsOfEntries = memory->allocate(DType::I32, std::array{options.entries});
  memory->fill(lengthsOfEntries, 0);
  lengths.resize(size_t(options.entries));
  pages.assign(size_t(options.entries * options.pagesOfEntry), -1);
  holders.resize(size_t(options.pages));
  for (int64_t page = options.pages; page-- > 0;)
    unused.push_back(int32_t(page));
}

KvCache::~KvCache() = default;
KvCache::KvCache(KvCache &&) noexcept = default;
KvCache &KvCache::operator=(KvCache &&) noexcept = default;

int32_t &KvCache::pageAt(int64_t entry, int64_t column) {
  return pages[size_t(entry * options.pagesOfEntry + column)];
}

Tensor KvCache::columns(int64_t entry, int64_t begin, int64_t end) const {
  return table.select(0, entry).slice(0, begin, end - begin);
}

void KvCache::setLength(int64_t entry, int64_t tokens) {
  lengths[size_t(entry)] = tokens;
  memory->fill(lengthsOfEntries.slice(0, entry, 1), int32_t(tokens));
}

/// Of this rank's, with so many tokens.
int64_t KvCache::ownPages(int64_t tokens) const {
  int64_t all = (tokens + options.pageSize - 1) / options.pageSize;
  return (all - options.rank + options.ranks - 1) / options.ranks;
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
    checkUnitStride(name, tensor);
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
    int32_t page = unused.back();
    unused.pop_back();
    pageAt(entry, column) = page;
    ++holders[size_t(page)];
    memory->fill(columns(entry, column, column + 1), page);
  }
  for (int64_t token = begin; token < end;) {
    int64_t page = token / options.pageSize, row = token % options.pageSize,
            count = std::min(options.pageSize - row, end - token);
    if (page % options.ranks == options.rank) {
      int64_t column = page / options.ranks, at = pageAt(entry, column),
              from = given == Given::All ? token - begin : ownTokens(token) - ownTokens(begin);
      // Pages that follow each other in the pool, too, are one copy.
      while (options.ranks == 1 && token + count < end &&
             pageAt(entry, column + 1) == 1 + pageAt(entry, column)) {
        ++column;
        count += std::min(options.pageSize, end - token - count);
      }
      auto put = [&](const Tensor &rows, const Tensor &pool) {
        memory->copy(rows.slice(0, from, count),
                     rowsOf(pool).slice(0, at * options.pageSize + row, count));
      };
      put(k, poolK);
      put(v, poolV);
    }
    token += count;
  }
  setLength(entry, end);
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
  int64_t shared = ownPages(tokens);
  for (int64_t column = 0; column < shared; ++column) {
    pageAt(to, column) = pageAt(from, column);
    ++holders[size_t(pageAt(to, column))];
  }
  if (shared > 0)
    memory->copy(columns(from, 0, shared), columns(to, 0, shared));
  setLength(to, tokens);
}

void KvCache::free(int64_t entry) {
  checkEntry(entry);
  int64_t held = ownPages(lengths[size_t(entry)]);
  for (int64_t column = held; column-- > 0;) { // so that they are taken in their order again
    int32_t &page = pageAt(entry, column);
    if (--holders[size_t(page)] == 0)
      unused.push_back(page);
    page = -1;
  }
  if (held > 0)
    memory->fill(columns(entry, 0, held), -1);
  setLength(entry, 0);
}

DecodeInputs KvCache::inputs(const Tensor &q) const {
  return {.q = q, .k = poolK, .v = poolV, .pageTable = table, .lengths = lengthsOfEntries};
}

} // namespace ringc
