#include "ringc/module/HostModuleBackend.h"

#include "ringc/Env.h"
#include "ringc/attention/HostAttentionRank.h"
#include "ringc/comm/Gather.h"
#include "ringc/comm/InProcess.h"
#include "ringc/comm/OrderedSum.h"
#include "ringc/driver/HostMemory.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/module/AutoShard.h"
#include "ringc/module/HostBlocks.h"
#include "ringc/module/KernelShelf.h"

#include <numeric>
#include <vector>

namespace ringc {

namespace {

class HostKernels final : public ModuleKernels {
public:
  explicit HostKernels(const AttentionContext &ofProcess) : context(ofProcess) {}

  void launch(const Spec &spec, const KernelViews &views, const KernelValues &values) override {
    const Kernel &kernel = shelf.get(spec, [&] { return Kernel(context, spec); });
    ringc::launch(kernel, views, values, *context.pool);
  }

private:
  AttentionContext context;
  KernelShelf<Kernel> shelf;
};

class HostRanks final : public ModuleRanks {
public:
  explicit HostRanks(Transport &ofRank) : transport(ofRank), all(size_t(ofRank.world())) {
    std::iota(all.begin(), all.end(), 0);
  }

  int rank() const override { return transport.rank(); }
  int world() const override { return transport.world(); }
  void agree(const Agreement &own) override {
    if (world() > 1 && transport.comparesCalls())
      requireAgreement(own, rank(), all,
                       [&](std::span<const std::byte> bytes) { return gather(bytes); });
  }
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> own) override {
    return ringc::gather(transport, all, own);
  }
  SharedTensor autoShard(const Tensor &own, const BatchDeal &deal) override {
    return ringc::autoShard(transport, own, deal);
  }
  SharedTensor gatherSharded(const Tensor &shard, const BatchDeal &deal) override {
    return ringc::gatherSharded(transport, shard, deal);
  }
  void sum(const Tensor &numbers) override {
    orderedSum(transport, {numbers.dataAs<float>(), size_t(numbers.elementCount())});
  }
  void abort(std::string_view reason) noexcept override { transport.abort(reason); }

private:
  Transport &transport;
  std::vector<int> all;
};

class HostAttention final : public ModuleAttention {
public:
  HostAttention(const AttentionOptions &options, Transport &transport,
                const AttentionContext &context)
      : rank(options, transport, context) {}
  /// Alone: a world of itself.
  HostAttention(const AttentionOptions &options, const AttentionContext &context)
      : alone(std::make_unique<InProcessWorld>(1)), rank(options, alone->at(0), context) {}

  void forward(const AttentionShape &shape, const AttentionInputs &inputs,
               const ForwardResults &results) override {
    rank.forward(shape, inputs, results);
  }
  void backward(const AttentionShape &shape, const AttentionInputs &inputs,
                const ForwardResults &results, const Tensor &dout,
                const GradientResults &gradients) override {
    rank.backward(shape, inputs, results, dout, gradients);
  }

private:
  std::unique_ptr<InProcessWorld> alone;
  HostAttentionRank rank;
};

class HostDecodeOfRanks final : public ModuleDecode {
public:
  HostDecodeOfRanks(const DecodeOptions &options, Transport &ofRank,
                    const AttentionContext &context)
      : decode(options, context), transport(ofRank) {}

  void run(const DecodeInputs &inputs, const DecodeKeys &keys, const Tensor &out,
           const Tensor &lse) override {
    decode.run(inputs, keys, transport, out, lse);
  }

private:
  HostDecode decode;
  Transport &transport;
};

class HostBackend final : public ModuleBackend {
public:
  HostBackend(AttentionContext ofProcess, Transport &ofRank, const TellProducts &tell)
      : context(std::move(ofProcess)), transport(ofRank), together(ofRank), library(context),
        choice(ProductsChoice::onHost(Env::read(), library, *context.pool, tell)) {}

  ModuleRanks &ranks() override { return together; }
  ModuleKernels &kernels() override { return library; }
  std::unique_ptr<Products> products(F32Products f32) override { return choice.make(f32); }
  std::unique_ptr<ModuleAttention> attention(const AttentionOptions &options,
                                             Scope scope) override {
    if (scope == Scope::Alone)
      return std::make_unique<HostAttention>(options, context);
    return std::make_unique<HostAttention>(options, transport, context);
  }
  std::unique_ptr<ModuleDecode> decode(const DecodeOptions &options) override {
    return std::make_unique<HostDecodeOfRanks>(options, transport, context);
  }
  KvCache kvCache(KvCacheOptions options) override {
    options.rank = transport.rank();
    options.ranks = transport.world();
    return KvCache(options);
  }
  SharedTensor allocate(DType dtype, std::span<const int64_t> shape) override {
    return blocks.tensor(dtype, shape);
  }
  void copy(const Tensor &from, const Tensor &to) override { ringc::copy(*context.pool, from, to); }
  void upload(const Tensor &from, const Tensor &to) override {
    if (from.dtype() == to.dtype())
      ringc::copy(*context.pool, from, to);
    else
      convert(*context.pool, from, to);
  }

  void download(const Tensor &from, const Tensor &to) override { copy(from, to); }

private:
  AttentionContext context;
  Transport &transport;
  HostRanks together;
  HostBlocks blocks;
  HostKernels library;
  ProductsChoice choice;
};

} // namespace

std::unique_ptr<ModuleBackend> hostModuleBackend(AttentionContext context, Transport &transport,
                                                 const TellProducts &tell) {
  return std::make_unique<HostBackend>(std::move(context), transport, tell);
}

} // namespace ringc
