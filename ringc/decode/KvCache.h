#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/spec/Fields.h"
#include "ringc/decode/Decode.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace ringc {

class KvMemory;

/// What a cache is made for.
struct KvCacheOptions {
  int64_t pages = 0; ///< of this rank's pool
  int64_t pageSize = 64;
  int64_t kvHeads = 1, headDim = 64, valueHeadDim = 0; ///< value head dim 0: as headDim
  DType dtype = DType::F32;
  int64_t entries = 1;       ///< sequences at a time
  int64_t pagesOfEntry = 16; ///< at most, in this rank: columns of the page table
  int rank = 0, ranks = 1;   ///< page p of an entry is on the rank p % ranks
};
template <FieldsOf<KvCacheOptions> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[pages, pageSize, kvHeads, headDim, valueHeadDim, dtype, entries, pagesOfEntry, rank,
         ranks] = self;
  visit(Field{"pages", "of this rank's pool"}, pages);
  visit(Field{"page_size", "tokens of a page"}, pageSize);
  visit(Field{"kv_heads", "of keys and values"}, kvHeads);
  visit(Field{"head_dim", "elements of a row of k"}, headDim);
  visit(Field{"value_head_dim", "elements of a row of v; 0 is head_dim"}, valueHeadDim);
  visit(Field{"dtype", "of keys and values: f32, f16 or bf16"}, dtype);
  visit(Field{"entries", "sequences at a time"}, entries);
  visit(Field{"pages_of_entry", "at most, in this rank"}, pagesOfEntry);
  visit(Field{"rank", "whose pages p are those with p % ranks == rank"}, rank);
  visit(Field{"ranks", "that share the tokens of each entry"}, ranks);
}

/// Keys and values of sequences that grow, in pages of a pool (vLLM's PagedAttention, arXiv
/// 2309.06180). Each rank of a ring has one, and all make the same calls: each keeps the tokens of
/// its own pages. Entries that begin alike may share whole pages of their prefix; a page is free
/// again when its last entry is.
///
/// Errors are InputErrors and change nothing.
class KvCache {
public:
  /// In memory of the host.
  explicit KvCache(const KvCacheOptions &options);
  /// In memory of the stream's device; what changes it goes in the stream's order, and neither
  /// waits nor allocates. The stream must outlive it. Throws CudaError, too.
  KvCache(const KvCacheOptions &options, const CudaStream &stream);
  ~KvCache();
  KvCache(KvCache &&) noexcept;
  KvCache &operator=(KvCache &&) noexcept;

  int64_t length(int64_t entry) const {
    return lengths.at(size_t(entry));
  } ///< tokens, of all ranks
  int64_t freePages() const { return int64_t(unused.size()); }

  /// Adds tokens to an entry: k [n, h_kv, d], v [n, h_kv, d_v], all of them on every rank, any
  /// strides with a unit last one, in the cache's memory or, on a device, another place that it
  /// reaches; they are read in the stream's order. Throws where the pool or the entry's table is
  /// full.
  void append(int64_t entry, const Tensor &k, const Tensor &v);

  /// The same of `tokens` of which this rank has those of its own pages alone, in their order: k
  /// [own n, h_kv, d], v [own n, h_kv, d_v]. A ring whose layout is striped(page size) has them so.
  void appendOwn(int64_t entry, int64_t tokens, const Tensor &k, const Tensor &v);

  /// Makes an empty entry begin as another does, with its first `tokens`, a multiple of the page
  /// size: they share these pages.
  void share(int64_t from, int64_t to, int64_t tokens);

  /// Gives back an entry's pages.
  void free(int64_t entry);

  /// For HostDecode or DeviceDecode: pools, page table and lengths, of all entries. They last as
  /// long as the cache and change with it where they are, under a captured graph too.
  DecodeInputs inputs(const Tensor &q) const;
  DecodeKeys keys() const {
    return DecodeKeys::ofPages(options.rank, options.ranks, options.pageSize);
  }

private:
  KvCache(const KvCacheOptions &options, std::unique_ptr<KvMemory> memory);
  int32_t &pageAt(int64_t entry, int64_t column);
  /// Columns [begin, end) of an entry in the table.
  Tensor columns(int64_t entry, int64_t begin, int64_t end) const;
  int64_t ownPages(int64_t tokens) const;
  /// Of the first `tokens` of an entry.
  int64_t ownTokens(int64_t tokens) const;
  enum class Given : uint8_t { All, Own };
  void add(int64_t entry, int64_t tokens, const Tensor &k, const Tensor &v, Given given);
  void checkEntry(int64_t entry) const;
  void setLength(int64_t entry, int64_t tokens);

  KvCacheOptions options;
  std::unique_ptr<KvMemory> memory;
  Tensor poolK, poolV, table, lengthsOfEntries; ///< in it
  std::vector<int64_t> lengths;
  std::vector<int32_t> pages;   ///< what the table holds
  std::vector<int32_t> unused;  ///< pages
  std::vector<int32_t> holders; ///< entries that hold a page
};

} // namespace ringc
