#include "ringc/module/DeviceModuleBackend.h"

#include "ringc/Env.h"
#include "ringc/attention/DeviceAttentionRank.h"
#include "ringc/attention/DeviceAttentionRing.h"
#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/comm/OrderedSum.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/module/BlockShelf.h"
#include "ringc/module/DealIn.h"
#include "ringc/module/KernelShelf.h"

#include <array>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

namespace {

/// In the order of a stream: what is freed is given again to who comes behind. It is kept for that:
/// the driver would take it back whenever the host waits, and need its time to give it again.
class StreamMemory {
public:
  explicit StreamMemory(const CudaStream &order)
      : stream(order), shelf(std::make_shared<BlockShelf<DeviceMemory>>()) {}

  SharedTensor allocate(DType dtype, std::span<const int64_t> shape) const {
    int64_t bytes = Tensor(nullptr, dtype, shape).byteCount();
    if (bytes == 0)
      return SharedTensor(Tensor(nullptr, dtype, shape));
    std::optional<DeviceMemory> taken = shelf->take(bytes);
    auto block =
        std::make_unique<DeviceMemory>(taken ? std::move(*taken) : DeviceMemory(stream, bytes));
    shelf->lend(block->bytes());
    Tensor view(block->data(), dtype, shape);
    return {view, std::shared_ptr<void>(block.release(), [from = shelf](void *pointer) {
              std::unique_ptr<DeviceMemory> back(static_cast<DeviceMemory *>(pointer));
              int64_t of = back->bytes();
              from->giveBack(of, std::move(*back));
            })};
  }
  void copy(const Tensor &from, const Tensor &to) const { copyOnDevice(stream, from, to); }

private:
  const CudaStream &stream;
  std::shared_ptr<BlockShelf<DeviceMemory>> shelf;
};

class DeviceKernelsOfLibrary final : public ModuleKernels {
public:
  DeviceKernelsOfLibrary(DeviceContext ofDevice, const CudaStream &order)
      : context(std::move(ofDevice)), stream(order) {}

  void launch(const Spec &spec, const KernelViews &views, const KernelValues &values) override {
    const DeviceKernel &kernel = shelf.get(spec, [&] { return DeviceKernel(context, spec); });
    ringc::launch(kernel, views, values, stream);
  }

private:
  DeviceContext context;
  const CudaStream &stream;
  KernelShelf<DeviceKernel> shelf;
};

/// One rank, the only one of its world.
class NoOtherRanks final : public ModuleRanks {
public:
  int rank() const override { return 0; }
  int world() const override { return 1; }
  void agree(const Agreement &) override {}
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> own) override {
    return {{own.begin(), own.end()}};
  }
  SharedTensor autoShard(const Tensor &own, const BatchDeal &) override {
    return SharedTensor(own);
  }
  SharedTensor gatherSharded(const Tensor &shard, const BatchDeal &) override {
    return SharedTensor(shard);
  }
  void sum(const Tensor &) override {}
  void abort(std::string_view) noexcept override {}
};

class DeviceRanks final : public ModuleRanks {
public:
  DeviceRanks(const CudaStream &order, RemoteTransport &ofRank)
      : stream(order), transport(ofRank), memory(order), elementwise(order.device()),
        all(size_t(ofRank.world())) {
    std::iota(all.begin(), all.end(), 0);
  }

  int rank() const override { return transport.rank(); }
  int world() const override { return transport.world(); }
  void agree(const Agreement &own) override {
    if (world() > 1)
      requireAgreement(own, rank(), all,
                       [&](std::span<const std::byte> bytes) { return gather(bytes); });
  }
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> own) override {
    return transport.gather(all, own);
  }
  SharedTensor autoShard(const Tensor &own, const BatchDeal &deal) override {
    transport.follow(stream);
    return DealIn(transport, deal, memory).toShard(own);
  }
  SharedTensor gatherSharded(const Tensor &shard, const BatchDeal &deal) override {
    transport.follow(stream);
    return DealIn(transport, deal, memory).toBatch(shard);
  }

  void sum(const Tensor &numbers) override {
    if (world() == 1 || numbers.empty())
      return;
    transport.follow(stream);
    std::span<float> floats(numbers.dataAs<float>(), size_t(numbers.elementCount()));
    auto count = int64_t(SumExchanges::shareOf(rank(), world(), floats).size());
    SharedTensor received = memory.allocate(DType::F32, std::array{int64_t(world()), count});
    const Tensor &parts = received;
    SumExchanges exchanges(rank(), world(), floats,
                           {parts.dataAs<float>(), size_t(parts.elementCount())});
    if (!exchanges.parts.empty())
      transport.post(exchanges.parts)->wait();
    if (count > 0) {
      Tensor share(exchanges.share.data(), DType::F32, {count});
      memory.copy(share, parts.select(0, rank()));
      clearOnDevice(stream, share);
      for (int each = 0; each < world(); ++each)
        elementwise.add(stream, parts.select(0, each), share);
    }
    if (!exchanges.sums.empty())
      transport.post(exchanges.sums)->wait();
  }

  void abort(std::string_view reason) noexcept override { transport.abort(reason); }

private:
  const CudaStream &stream;
  RemoteTransport &transport;
  StreamMemory memory;
  DeviceElementwise elementwise;
  std::vector<int> all;
};

class DeviceAttentionOfRing final : public ModuleAttention {
public:
  DeviceAttentionOfRing(const AttentionOptions &options, RemoteTransport &transport,
                        const DeviceContext &context, const CudaStream &order)
      : rank(options, transport, context), stream(order) {}

  void forward(const AttentionShape &shape, const AttentionInputs &inputs,
               const ForwardResults &results) override {
    rank.forward(stream, shape, inputs, results);
  }
  void backward(const AttentionShape &shape, const AttentionInputs &inputs,
                const ForwardResults &results, const Tensor &dout,
                const GradientResults &gradients) override {
    rank.backward(stream, shape, inputs, results, dout, gradients);
  }

private:
  DeviceAttentionRank rank;
  const CudaStream &stream;
};

class DeviceAttentionAlone final : public ModuleAttention {
public:
  DeviceAttentionAlone(const AttentionOptions &options, const DeviceContext &context,
                       const CudaStream &order)
      : ring(options, 1, {context}), stream(order) {}

  void forward(const AttentionShape &shape, const AttentionInputs &inputs,
               const ForwardResults &results) override {
    ring.forward(stream, shape, std::array{RankForward{inputs, results}});
  }
  void backward(const AttentionShape &shape, const AttentionInputs &inputs,
                const ForwardResults &results, const Tensor &dout,
                const GradientResults &gradients) override {
    ring.backward(stream, shape, std::array{RankBackward{inputs, results, dout, gradients}});
  }

private:
  DeviceAttentionRing ring;
  const CudaStream &stream;
};

class DeviceDecodeOfRanks final : public ModuleDecode {
public:
  /// `ofRank` is null for a rank alone.
  DeviceDecodeOfRanks(const DecodeOptions &options, const DeviceContext &context,
                      const CudaStream &order, RemoteTransport *ofRank)
      : decode(options, context), stream(order), transport(ofRank) {}

  void run(const DecodeInputs &inputs, const DecodeKeys &keys, const Tensor &out,
           const Tensor &lse) override {
    if (transport)
      decode.run(stream, inputs, keys, *transport, out, lse);
    else
      decode.run(stream, inputs, out, lse);
  }

private:
  DeviceDecode decode;
  const CudaStream &stream;
  RemoteTransport *transport;
};

class DeviceBackend final : public ModuleBackend {
public:
  DeviceBackend(DeviceContext ofDevice, const CudaStream &order, RemoteTransport *ofRank,
                const TellProducts &tell)
      : context(std::move(ofDevice)), stream(order), transport(ofRank), memory(order),
        library(context, order),
        choice(ProductsChoice::onDevice(Env::read(), library, order, tell)) {
    if (transport)
      together = std::make_unique<DeviceRanks>(order, *transport);
    else
      together = std::make_unique<NoOtherRanks>();
  }

  ModuleRanks &ranks() override { return *together; }
  ModuleKernels &kernels() override { return library; }
  std::unique_ptr<Products> products(F32Products f32) override { return choice.make(f32); }
  std::unique_ptr<ModuleAttention> attention(const AttentionOptions &options,
                                             Scope scope) override {
    if (scope == Scope::Alone || !transport)
      return std::make_unique<DeviceAttentionAlone>(options, context, stream);
    return std::make_unique<DeviceAttentionOfRing>(options, *transport, context, stream);
  }
  std::unique_ptr<ModuleDecode> decode(const DecodeOptions &options) override {
    return std::make_unique<DeviceDecodeOfRanks>(options, context, stream, transport);
  }
  KvCache kvCache(KvCacheOptions options) override {
    options.rank = together->rank();
    options.ranks = together->world();
    return KvCache(options, stream);
  }
  SharedTensor allocate(DType dtype, std::span<const int64_t> shape) override {
    return memory.allocate(dtype, shape);
  }
  void copy(const Tensor &from, const Tensor &to) override { memory.copy(from, to); }
  void upload(const Tensor &from, const Tensor &to) override {
    HostTensor rounded(to.dtype(), from.shape());
    if (from.dtype() == to.dtype())
      ringc::copy(from, rounded);
    else
      convert(from, rounded);
    stream.upload(to.data(), rounded.data(), rounded.byteCount());
    stream.synchronize(); // `rounded` ends here
  }

  void download(const Tensor &from, const Tensor &to) override {
    SharedTensor dense = SharedTensor(from);
    if (!from.isContiguous()) {
      dense = allocate(from.dtype(), from.shape());
      copy(from, dense);
    }
    HostTensor read(from.dtype(), from.shape());
    stream.download(read.data(), dense.view().data(), read.byteCount());
    if (transport)
      transport->wait(stream);
    else
      stream.synchronize();
    ringc::copy(read, to);
  }

private:
  DeviceContext context;
  const CudaStream &stream;
  RemoteTransport *transport; ///< null: alone
  StreamMemory memory;
  DeviceKernelsOfLibrary library;
  ProductsChoice choice;
  std::unique_ptr<ModuleRanks> together;
};

} // namespace

std::unique_ptr<ModuleBackend> deviceModuleBackend(DeviceContext context, const CudaStream &stream,
                                                   RemoteTransport &transport, TellProducts tell) {
  return std::make_unique<DeviceBackend>(std::move(context), stream, &transport, tell);
}

std::unique_ptr<ModuleBackend> deviceModuleBackend(DeviceContext context, const CudaStream &stream,
                                                   TellProducts tell) {
  return std::make_unique<DeviceBackend>(std::move(context), stream, nullptr, tell);
}

} // namespace ringc
