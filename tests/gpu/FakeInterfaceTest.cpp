// The C interface on a device without a device: a rank alone, whose results are the host's.

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/c/Context.h"
#include "ringc/c/Tensors.h"
#include "ringc/c/ringc_c.h"
#include "ringc/decode/Decode.h"
#include "tests/gpu/FakeWorld.h"
#include "tests/gpu/RankTensors.h"
#include "tests/gpu/RingInputs.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

const AttentionOptions options{
    .heads = 4, .kvHeads = 2, .headDim = 32, .dtype = DType::BF16, .causal = true};
constexpr const char *optionsJson =
    R"({"heads": 4, "kv_heads": 2, "head_dim": 32, "dtype": "bf16", "causal": true})";

/// The fake's memory is the host's.
ringc_tensor onDevice(const Tensor &tensor) { return c::viewOf(tensor, {RINGC_CUDA, 0}); }

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

struct Call {
  explicit Call(const RingInputs &whole)
      : out(DType::BF16, whole.dout.shape()), lse(DType::F32, {1, 4, whole.q.dim(1)}),
        dq(DType::BF16, whole.q.shape()), dk(DType::BF16, whole.k.shape()),
        dv(DType::BF16, whole.v.shape()) {
    const Tensor *all[] = {&whole.q.view(), &whole.k.view(), &whole.v.view(),
                           &out.view(),     &lse.view(),     &whole.dout.view(),
                           &dq.view(),      &dk.view(),      &dv.view()};
    for (const Tensor *tensor : all)
      views.push_back(onDevice(*tensor));
    inputs.size = sizeof inputs;
    inputs.q = &views[0];
    inputs.k = &views[1];
    inputs.v = &views[2];
    results.size = sizeof results;
    results.out = &views[3];
    results.lse = &views[4];
    gradients.size = sizeof gradients;
    gradients.dout = &views[5];
    gradients.dq = &views[6];
    gradients.dk = &views[7];
    gradients.dv = &views[8];
  }

  HostTensor out, lse, dq, dk, dv;
  std::vector<ringc_tensor> views;
  ringc_attention_inputs inputs{};
  ringc_attention_results results{};
  ringc_attention_gradients gradients{};
};

} // namespace

TEST_CASE("an attention of the C interface alone on a device") {
  RingInputs whole(options, 1, 50, 50);
  HostAttentionRing onHost(completed(options), 1, hostWorld());
  HostAttentionRing::Forward forward = onHost.forward(whole.inputs());
  HostAttentionRing::Gradients gradients = onHost.backward(whole.inputs(), forward, whole.dout);
  {
    auto context = std::make_unique<ringc_context>(
        std::make_shared<c::Context>(fakeWorld(1)[0], std::optional<std::string>("")));
    ringc_attention *attention = nullptr;
    REQUIRE(ringc_attention_create(context.get(), nullptr, optionsJson, &attention) == RINGC_OK);
    Call call(whole);
    int64_t bytes = 0;
    REQUIRE(ringc_attention_workspace_bytes(attention, RINGC_BACKWARD, &call.inputs, &bytes) ==
            RINGC_OK);
    CHECK(bytes > 0);
    HostTensor workspace(DType::F32, {bytes / 4 + 128});
    auto address = reinterpret_cast<uintptr_t>(workspace.data());
    void *aligned = static_cast<std::byte *>(workspace.data()) + (256 - address % 256) % 256;
    REQUIRE(ringc_attention_forward(attention, nullptr, &call.inputs, &call.results, nullptr, 0) ==
            RINGC_OK);
    REQUIRE(ringc_attention_backward(attention, nullptr, &call.inputs, &call.results,
                                     &call.gradients, aligned, bytes) == RINGC_OK);
    REQUIRE(ringc_attention_wait(attention, nullptr) == RINGC_OK);
    CHECK(sameBits(call.out, forward.out));
    CHECK(sameBits(call.lse, forward.lse));
    CHECK(sameBits(call.dq, gradients.dq));
    CHECK(sameBits(call.dk, gradients.dk));
    CHECK(sameBits(call.dv, gradients.dv));

    CHECK(ringc_attention_backward(attention, nullptr, &call.inputs, &call.results, &call.gradients,
                                   aligned, 256) == RINGC_ERROR_INPUT);
    CHECK(std::string(ringc_last_error()).find("workspace: got 256 bytes") != std::string::npos);
    call.views[0].device.type = RINGC_CPU;
    CHECK(ringc_attention_forward(attention, nullptr, &call.inputs, &call.results, nullptr, 0) ==
          RINGC_ERROR_INPUT);
    CHECK(std::string(ringc_last_error()) == "device of q: got the CPU, allowed: CUDA device 0");
    context.reset();
    ringc_attention_destroy(attention);
  }
  CHECK(fake().liveObjects == 0);
}

namespace {

std::unique_ptr<ringc_context> contextOf(const DeviceContext &device) {
  return std::make_unique<ringc_context>(
      std::make_shared<c::Context>(device, std::optional<std::string>("")));
}

/// Both passes of one rank, on `tensors` of it.
void bothPasses(ringc_context *context, ringc_group *group, const RankBackward &tensors,
                const AttentionShape &shape) {
  int device = context->self->ofDevice("a test").device->facts().ordinal;
  auto view = [&](const Tensor &tensor) { return c::viewOf(tensor, {RINGC_CUDA, device}); };
  ringc_tensor q = view(tensors.inputs.q), k = view(tensors.inputs.k), v = view(tensors.inputs.v),
               out = view(tensors.results.out), lse = view(tensors.results.lse),
               dout = view(tensors.dout), dq = view(tensors.gradients.dq),
               dk = view(tensors.gradients.dk), dv = view(tensors.gradients.dv);
  ringc_attention_inputs inputs{};
  inputs.size = sizeof inputs;
  inputs.batch = shape.batch;
  inputs.query_length = shape.queryLength;
  inputs.key_length = shape.keyLength;
  inputs.q = &q;
  inputs.k = &k;
  inputs.v = &v;
  ringc_attention_results results{sizeof results, &out, &lse, nullptr, nullptr};
  ringc_attention_gradients gradients{sizeof gradients, &dout, &dq, &dk, &dv};
  CudaStream stream(context->self->ofDevice("a test").device);
  ringc_attention *attention = nullptr;
  CHECK(ringc_attention_create(context, group, optionsJson, &attention) == RINGC_OK);
  CHECK(ringc_attention_forward(attention, stream.handle(), &inputs, &results, nullptr, 0) ==
        RINGC_OK);
  CHECK(ringc_attention_backward(attention, stream.handle(), &inputs, &results, &gradients, nullptr,
                                 0) == RINGC_OK);
  CHECK(ringc_attention_wait(attention, stream.handle()) == RINGC_OK);
  ringc_attention_destroy(attention);
}

/// `groupOf(contexts, rank)` gives a rank its group, on its thread.
template <typename GroupOf>
void checkRanks(const std::vector<DeviceContext> &devices, const GroupOf &groupOf) {
  int world = int(devices.size());
  RingInputs whole(options, 1, 50, 50);
  HostAttentionRing onHost(completed(options), 1, hostWorld());
  HostAttentionRing::Forward forward = onHost.forward(whole.inputs());
  HostAttentionRing::Gradients gradients = onHost.backward(whole.inputs(), forward, whole.dout);
  RankTensors tensors(options, world, whole, devices);
  std::vector<std::unique_ptr<ringc_context>> contexts;
  for (const DeviceContext &device : devices)
    contexts.push_back(contextOf(device));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < world; ++rank)
    threads.emplace_back([&, rank] {
      ringc_group *own = groupOf(contexts, rank);
      REQUIRE(own);
      bothPasses(contexts[size_t(rank)].get(), own, tensors.backwards[size_t(rank)],
                 tensors.shape());
      CHECK(ringc_group_close(own) == RINGC_OK);
      ringc_group_destroy(own);
    });
  threads.clear();
  CHECK(errorOf(tensors.forward().out, forward.out) < 1e-2);
  CHECK(errorOf(tensors.gradients().dk, gradients.dk) < 1e-2);
}

} // namespace

TEST_CASE("a decode of the C interface alone on a device") {
  constexpr int64_t keys = 70;
  HostTensor q = randomNumbers(DType::BF16, {2, 1, 4, 32}, 1),
             k = randomNumbers(DType::BF16, {2, keys, 2, 32}, 2),
             v = randomNumbers(DType::BF16, {2, keys, 2, 32}, 3);
  HostTensor out(DType::BF16, {2, 1, 4, 32}), lse(DType::F32, {2, 4, 1}),
      wanted(DType::BF16, {2, 1, 4, 32}), wantedLse(DType::F32, {2, 4, 1});
  HostDecode({.attention = options}, hostWorld()).run({.q = q, .k = k, .v = v}, wanted, wantedLse);
  {
    auto context = std::make_unique<ringc_context>(
        std::make_shared<c::Context>(fakeWorld(1)[0], std::optional<std::string>("")));
    ringc_decode *decode = nullptr;
    REQUIRE(ringc_decode_create(context.get(), nullptr, optionsJson, &decode) == RINGC_OK);
    ringc_tensor tq = onDevice(q), tk = onDevice(k), tv = onDevice(v), tout = onDevice(out),
                 tlse = onDevice(lse);
    ringc_decode_inputs inputs{};
    inputs.size = sizeof inputs;
    inputs.q = &tq;
    inputs.k = &tk;
    inputs.v = &tv;
    REQUIRE(ringc_decode_run(decode, nullptr, &inputs, nullptr, &tout, &tlse) == RINGC_OK);
    REQUIRE(ringc_decode_wait(decode, nullptr) == RINGC_OK);
    CHECK(errorOf(out, wanted) < 1e-2);
    CHECK(errorOf(lse, wantedLse) < 1e-5);
    ringc_decode_destroy(decode);
  }
  CHECK(fake().liveObjects == 0);
}

TEST_CASE("ranks of the C interface as threads, on devices of one process and over NCCL") {
  using Contexts = std::vector<std::unique_ptr<ringc_context>>;
  {
    std::vector<DeviceContext> devices = fakeWorld(2);
    std::vector<ringc_group *> groups(2);
    std::once_flag once;
    checkRanks(devices, [&](const Contexts &contexts, int rank) {
      std::call_once(once, [&] {
        ringc_context *const all[] = {contexts[0].get(), contexts[1].get()};
        CHECK(ringc_group_devices(all, 2, 2000, groups.data()) == RINGC_OK);
      });
      return groups[size_t(rank)];
    });
  }
  {
    setenv("RINGC_NCCL_LIBRARY", RINGC_FAKE_NCCL, 1);
    std::vector<DeviceContext> devices = fakeWorld(2);
    uint8_t id[128];
    std::once_flag once;
    checkRanks(devices, [&](const Contexts &contexts, int rank) {
      std::call_once(once, [&] { CHECK(ringc_nccl_unique_id(contexts[0].get(), id) == RINGC_OK); });
      ringc_group *made = nullptr;
      CHECK(ringc_group_nccl(contexts[size_t(rank)].get(), rank, 2, id, 2000, &made) == RINGC_OK);
      return made;
    });
    unsetenv("RINGC_NCCL_LIBRARY");
  }
  CHECK(fake().liveObjects == 0);
}
