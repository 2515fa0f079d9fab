#include "ringc/decode/Decode.h"
#include "ringc/c/Group.h"
#include "ringc/c/Inputs.h"
#include "ringc/c/Options.h"
#include "ringc/comm/AloneOnDevice.h"
#include "ringc/comm/InProcess.h"
#include "ringc/decode/TreeAttnDecode.h"

#include <string>
#include <utility>

namespace ringc::c {

namespace {

TreeKeys treeKeysOf(ringc_tree_keys keys) {
  switch (keys) {
  case RINGC_TREE_WHOLE:
    return TreeKeys::Whole;
  case RINGC_TREE_SHARD:
    return TreeKeys::Shard;
  }
  throw InputError("keys", std::to_string(int(keys)), "RINGC_TREE_WHOLE, RINGC_TREE_SHARD");
}

} // namespace

/// Of the host or of a device, alone or of several ranks.
class Decode final : public OnGroup {
public:
  Decode(std::shared_ptr<Group> of, DecodeOptions options) : OnGroup(std::move(of), "decode") {
    const Context &context = *group->context;
    if (!options.attention.tune)
      options.attention.tune = context.table();
    if (!context.isDevice()) {
      onHost.emplace(std::move(options), context.ofHost("a decode"));
      return;
    }
    onDevice.emplace(std::move(options), context.ofDevice("a decode"));
    itselfOnDevice.emplace(context.ofDevice("a decode").device);
  }
  ~Decode() override { leave(); }

  void run(void *stream, const ringc_decode_inputs *inputs, const ringc_decode_keys *keys,
           const ringc_tensor *out, const ringc_tensor *lse) {
    alone([&] {
      TensorReader tensors = TensorReader::of(*group->context);
      run(stream, {.inputs = decodeInputsOf(*group, inputs),
                   .keys = decodeKeysOf(keys),
                   .out = tensors.write("out", out),
                   .lse = tensors.write("lse", lse)});
    });
  }

  struct Tree {
    const ringc_tensor *q, *k, *v;
    ringc_tree_keys keys;
    const ringc_tensor *out, *lse;
  };
  void runTree(void *stream, const Tree &call) {
    alone([&] {
      TensorReader tensors = TensorReader::of(*group->context);
      TreeInputs inputs{.q = tensors.read("q", call.q),
                        .k = tensors.read("k", call.k),
                        .v = tensors.read("v", call.v),
                        .keys = treeKeysOf(call.keys)};
      run(stream, treeAttnDecodeOf(inputs, group->rank(), group->world(),
                                   tensors.write("out", call.out), tensors.write("lse", call.lse)));
    });
  }

  void wait(void *stream) {
    alone([&] {
      if (const CudaStream *order = group->context->stream(stream))
        remote().wait(*order);
    });
  }

private:
  void end() noexcept override {
    onHost.reset();
    onDevice.reset();
  }

  void run(void *stream, const RankDecode &call) {
    const CudaStream *order = group->context->stream(stream);
    const auto &[inputs, keys, out, lse] = call;
    if (onHost)
      onHost->run(inputs, keys, group->host() ? *group->host() : itself.at(0), out, lse);
    else
      onDevice->run(*order, inputs, keys, remote(), out, lse);
  }

  RemoteTransport &remote() { return group->device() ? *group->device() : *itselfOnDevice; }

  InProcessWorld itself{1}; ///< of a rank alone
  std::optional<AloneOnDevice> itselfOnDevice;
  std::optional<HostDecode> onHost;
  std::optional<DeviceDecode> onDevice;
};

} // namespace ringc::c

using namespace ringc::c;

struct ringc_decode {
  Decode self;
};

ringc_status ringc_decode_create(ringc_context *context, ringc_group *group,
                                 const char *options_json, ringc_decode **decode) {
  return call([&] {
    required("decode", decode);
    std::shared_ptr<Group> of = Group::of(*required("context", context), group);
    OneUser::Hold hold = of->hold();
    *decode = new ringc_decode{{std::move(of), parseDecodeOptions(optionsText(options_json))}};
  });
}

void ringc_decode_destroy(ringc_decode *decode) { delete decode; }

ringc_status ringc_decode_run(ringc_decode *decode, void *stream, const ringc_decode_inputs *inputs,
                              const ringc_decode_keys *keys, const ringc_tensor *out,
                              const ringc_tensor *lse) {
  return call([&] { required("decode", decode)->self.run(stream, inputs, keys, out, lse); });
}

ringc_status ringc_decode_wait(ringc_decode *decode, void *stream) {
  return call([&] { required("decode", decode)->self.wait(stream); });
}

ringc_status ringc_tree_attn_decode(ringc_decode *decode, void *stream, const ringc_tensor *q,
                                    const ringc_tensor *k, const ringc_tensor *v,
                                    ringc_tree_keys keys, const ringc_tensor *out,
                                    const ringc_tensor *lse) {
  return call([&] { required("decode", decode)->self.runTree(stream, {q, k, v, keys, out, lse}); });
}

ringc_status ringc_merge(ringc_context *context, const ringc_tensor *out_a,
                         const ringc_tensor *lse_a, const ringc_tensor *out_b,
                         const ringc_tensor *lse_b, const ringc_tensor *out,
                         const ringc_tensor *lse) {
  return call([&] {
    TensorReader tensors = TensorReader::ofHost();
    ringc::merge(required("context", context)->self->ofHost("ringc_merge"),
                 tensors.read("out_a", out_a), tensors.read("lse_a", lse_a),
                 tensors.read("out_b", out_b), tensors.read("lse_b", lse_b),
                 tensors.write("out", out), tensors.write("lse", lse));
  });
}
