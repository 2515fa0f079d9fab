#include "ringc/c/Context.h"
#include "ringc/c/OneUser.h"
#include "ringc/c/Options.h"
#include "ringc/c/Tensors.h"
#include "ringc/decode/KvCache.h"

#include <array>
#include <optional>
#include <utility>

namespace ringc::c {

/// A cache, and the views of it that the user has.
class Cache {
public:
  Cache(std::shared_ptr<Context> of, void *stream, const KvCacheOptions &options)
      : context(std::move(of)), entries(options.entries), headDim(options.headDim),
        dtype(options.dtype) {
    if (const CudaStream *order = context->stream(stream))
      cache.emplace(options, *order);
    else
      cache.emplace(options);
    // q matters to a decode alone.
    DecodeInputs inputs = cache->inputs(Tensor(nullptr, dtype, {entries, 1, 1, headDim}));
    views = {inputs.k, inputs.v, *inputs.pageTable, *inputs.lengths};
  }

  template <class Body> auto use(Body &&body) {
    OneUser::Hold hold(user);
    return std::forward<Body>(body)(*cache, TensorReader::of(*context));
  }

  enum View : uint8_t { K, V, Table, Lengths };
  ringc_tensor view(View which) const {
    ringc_device where{RINGC_CPU, 0};
    if (context->isDevice())
      where = {RINGC_CUDA, context->ofDevice("a cache").device->facts().ordinal};
    return viewOf(views[which], where);
  }

  void checkEntry(int64_t entry) const {
    if (entry < 0 || entry >= entries)
      throw InputError("entry", std::to_string(entry), "0 to " + std::to_string(entries - 1));
  }

private:
  std::shared_ptr<Context> context;
  int64_t entries, headDim;
  DType dtype;
  OneUser user{"cache"};
  std::optional<KvCache> cache;
  std::array<Tensor, 4> views;
};

} // namespace ringc::c

using namespace ringc::c;
using ringc::KvCache;

struct ringc_cache {
  Cache self;
};

ringc_status ringc_cache_create(ringc_context *context, void *stream, const char *options_json,
                                ringc_cache **cache) {
  return call([&] {
    required("cache", cache);
    *cache = new ringc_cache{
        {required("context", context)->self, stream, parseCacheOptions(optionsText(options_json))}};
  });
}

void ringc_cache_destroy(ringc_cache *cache) { delete cache; }

ringc_status ringc_cache_append(ringc_cache *cache, int64_t entry, const ringc_tensor *k,
                                const ringc_tensor *v) {
  return call([&] {
    required("cache", cache)->self.use([&](KvCache &of, const TensorReader &tensors) {
      of.append(entry, tensors.read("k", k), tensors.read("v", v));
    });
  });
}

ringc_status ringc_cache_append_own(ringc_cache *cache, int64_t entry, int64_t tokens,
                                    const ringc_tensor *k, const ringc_tensor *v) {
  return call([&] {
    required("cache", cache)->self.use([&](KvCache &of, const TensorReader &tensors) {
      of.appendOwn(entry, tokens, tensors.read("k", k), tensors.read("v", v));
    });
  });
}

ringc_status ringc_cache_share(ringc_cache *cache, int64_t from, int64_t to, int64_t tokens) {
  return call([&] {
    required("cache", cache)->self.use([&](KvCache &of, const TensorReader &) {
      of.share(from, to, tokens);
    });
  });
}

ringc_status ringc_cache_free_entry(ringc_cache *cache, int64_t entry) {
  return call([&] {
    required("cache", cache)->self.use([&](KvCache &of, const TensorReader &) { of.free(entry); });
  });
}

ringc_status ringc_cache_length(ringc_cache *cache, int64_t entry, int64_t *tokens) {
  return call([&] {
    required("tokens", tokens);
    Cache &self = required("cache", cache)->self;
    self.checkEntry(entry);
    *tokens = self.use([&](KvCache &of, const TensorReader &) { return of.length(entry); });
  });
}

ringc_status ringc_cache_free_pages(ringc_cache *cache, int64_t *pages) {
  return call([&] {
    required("pages", pages);
    *pages = required("cache", cache)->self.use([](KvCache &of, const TensorReader &) {
      return of.freePages();
    });
  });
}

ringc_status ringc_cache_inputs(ringc_cache *cache, ringc_tensor *k, ringc_tensor *v,
                                ringc_tensor *page_table, ringc_tensor *lengths,
                                ringc_decode_keys *keys) {
  return call([&] {
    Cache &self = required("cache", cache)->self;
    self.use([&](KvCache &of, const TensorReader &) {
      std::array<ringc_tensor *, 4> given = {k, v, page_table, lengths};
      for (size_t i = 0; i < given.size(); ++i)
        if (given[i])
          *given[i] = self.view(Cache::View(i));
      const auto &[first, block, jump] = of.keys().positions;
      if (keys)
        *keys = {sizeof(ringc_decode_keys), {first, block, jump}, -1};
    });
  });
}
