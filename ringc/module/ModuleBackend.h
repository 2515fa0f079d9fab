#pragma once

#include "ringc/Tensor.h"
#include "ringc/attention/Attention.h"
#include "ringc/decode/Decode.h"
#include "ringc/decode/KvCache.h"
#include "ringc/module/BatchDeal.h"
#include "ringc/module/ModuleKernels.h"
#include "ringc/module/Products.h"
#include "ringc/ring/Agreement.h"

#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace ringc {

/// A tensor and a share in the memory that it lies in, which goes with its last owner. Where the
/// memory is somebody else's there is none to share.
class SharedTensor {
public:
  SharedTensor() = default;
  explicit SharedTensor(const Tensor &borrowed) : tensor(borrowed) {}
  SharedTensor(const Tensor &view, std::shared_ptr<void> of)
      : tensor(view), memory(std::move(of)) {}
  SharedTensor(HostTensor made) : memory(std::make_shared<HostTensor>(std::move(made))) {
    tensor = *static_cast<HostTensor *>(memory.get());
  }

  const Tensor &view() const { return tensor; }
  operator const Tensor &() const { return tensor; }

  /// A view of the same memory.
  SharedTensor share(const Tensor &view) const { return {view, memory}; }

private:
  Tensor tensor;
  std::shared_ptr<void> memory;
};

/// The attention of one rank: HostAttentionRank or DeviceAttentionRank.
class ModuleAttention {
public:
  virtual ~ModuleAttention() = default;
  virtual void forward(const AttentionShape &shape, const AttentionInputs &inputs,
                       const ForwardResults &results) = 0;
  virtual void backward(const AttentionShape &shape, const AttentionInputs &inputs,
                        const ForwardResults &results, const Tensor &dout,
                        const GradientResults &gradients) = 0;
};

/// Attention of a few queries to the pages of a cache, of all ranks: HostDecode or DeviceDecode.
class ModuleDecode {
public:
  virtual ~ModuleDecode() = default;
  /// All ranks have the same q; every rank gets the whole result.
  virtual void run(const DecodeInputs &inputs, const DecodeKeys &keys, const Tensor &out,
                   const Tensor &lse) = 0;
};

/// The ranks that share a module's sequences and weights. All of them call the same functions in
/// the same order.
class ModuleRanks {
public:
  virtual ~ModuleRanks() = default;

  virtual int rank() const = 0;
  virtual int world() const = 0;
  /// Throws DisagreementError on all ranks where they do not say the same.
  virtual void agree(const Agreement &own) = 0;
  /// What each gives, pieces of one size of the host's memory, by rank.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> own) = 0;
  /// Between dealt by batch and dealt by sequence (AutoShard.h), in the backend's memory.
  virtual SharedTensor autoShard(const Tensor &own, const BatchDeal &deal) = 0;
  virtual SharedTensor gatherSharded(const Tensor &shard, const BatchDeal &deal) = 0;
  /// Adds f32 numbers without gaps up over all ranks, in their order (orderedSum).
  virtual void sum(const Tensor &numbers) = 0;
  /// Makes the others fail, too.
  virtual void abort(std::string_view reason) noexcept = 0;
};

/// Where a rank of a module works: its memory, kernels, products and attention. The module is the
/// same on the host and on devices.
class ModuleBackend {
public:
  virtual ~ModuleBackend() = default;

  virtual ModuleRanks &ranks() = 0;
  virtual ModuleKernels &kernels() = 0;
  /// Of f32 on a GPU: exact or fast ones.
  virtual std::unique_ptr<Products> products(F32Products f32) = 0;

  /// Of a ring as `options` say, or of this rank alone.
  enum class Scope : uint8_t { Ring, Alone };
  virtual std::unique_ptr<ModuleAttention> attention(const AttentionOptions &options,
                                                     Scope scope) = 0;

  virtual std::unique_ptr<ModuleDecode> decode(const DecodeOptions &options) = 0;
  /// Its memory is the backend's, and its rank is this one.
  virtual KvCache kvCache(KvCacheOptions options) = 0;

  /// Row-major memory, not filled.
  virtual SharedTensor allocate(DType dtype, std::span<const int64_t> shape) = 0;
  /// Between tensors of the backend, of one type and shape, any strides.
  virtual void copy(const Tensor &from, const Tensor &to) = 0;
  /// From memory of the host, rounded to the type of `to`, which has no gaps; `from` may go when
  /// this returns.
  virtual void upload(const Tensor &from, const Tensor &to) = 0;
  /// To memory of the host, of one type and shape; returns when it is there.
  virtual void download(const Tensor &from, const Tensor &to) = 0;
};

} // namespace ringc
