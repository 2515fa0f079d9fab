#include "ringc/c/AttentionBackend.h"
#include "ringc/c/Inputs.h"
#include "ringc/c/Options.h"
#include "ringc/ring/PlanText.h"

#include <utility>

namespace ringc::c {

namespace {

std::span<std::byte> workspaceOf(void *memory, int64_t bytes) {
  if (!memory)
    return {};
  if (bytes < 0)
    throw InputError("workspace_bytes", std::to_string(bytes), "0, or above");
  return {static_cast<std::byte *>(memory), size_t(bytes)};
}

} // namespace

/// Which rank's, and what computes it.
class Attention final : public OnGroup {
public:
  Attention(std::shared_ptr<Group> of, AttentionOptions options)
      : OnGroup(std::move(of), "attention") {
    if (!options.tune)
      options.tune = group->context->table();
    backend = attentionBackend(options, *group);
  }
  ~Attention() override { leave(); }

  void prepare(ringc_pass pass, const ringc_attention_inputs *inputs) {
    alone([&] {
      AttentionCall call = attentionCallOf(*group, inputs, Data::Shapes);
      backend->prepare(passOf(pass), call.shape, call.inputs);
    });
  }
  int64_t workspaceBytes(ringc_pass pass, const ringc_attention_inputs *inputs) {
    return alone([&] {
      AttentionCall call = attentionCallOf(*group, inputs, Data::Shapes);
      return backend->workspaceBytes(passOf(pass), call.shape, call.inputs);
    });
  }
  void forward(void *stream, const ringc_attention_inputs *inputs,
               const ringc_attention_results *results, std::span<std::byte> workspace) {
    alone([&] {
      AttentionCall call = attentionCallOf(*group, inputs, Data::Read);
      backend->forward(group->context->stream(stream), call.shape, call.inputs,
                       resultsOf(*group, results, Pass::Forward), workspace);
    });
  }
  void backward(void *stream, const ringc_attention_inputs *inputs,
                const ringc_attention_results *results, const ringc_attention_gradients *gradients,
                std::span<std::byte> workspace) {
    alone([&] {
      AttentionCall call = attentionCallOf(*group, inputs, Data::Read);
      GradientCall made = gradientCallOf(*group, gradients);
      backend->backward(group->context->stream(stream), call.shape, call.inputs,
                        resultsOf(*group, results, Pass::Backward), made.dout, made.gradients,
                        workspace);
    });
  }
  void wait(void *stream) {
    alone([&] { backend->wait(group->context->stream(stream)); });
  }
  std::string plan(ringc_pass pass, const ringc_attention_inputs *inputs) {
    return alone([&] {
      AttentionCall call = attentionCallOf(*group, inputs, Data::Shapes);
      return planJson(backend->plans(passOf(pass), call.shape, call.inputs));
    });
  }

private:
  void end() noexcept override { backend.reset(); }

  std::unique_ptr<AttentionBackend> backend;
};

} // namespace ringc::c

using namespace ringc::c;

struct ringc_attention {
  Attention self;
};

ringc_status ringc_attention_create(ringc_context *context, ringc_group *group,
                                    const char *options_json, ringc_attention **attention) {
  return call([&] {
    required("attention", attention);
    std::shared_ptr<Group> of = Group::of(*required("context", context), group);
    OneUser::Hold hold = of->hold();
    *attention =
        new ringc_attention{{std::move(of), parseAttentionOptions(optionsText(options_json))}};
  });
}

void ringc_attention_destroy(ringc_attention *attention) { delete attention; }

ringc_status ringc_attention_prepare(ringc_attention *attention, ringc_pass pass,
                                     const ringc_attention_inputs *inputs) {
  return call([&] { required("attention", attention)->self.prepare(pass, inputs); });
}

ringc_status ringc_attention_workspace_bytes(ringc_attention *attention, ringc_pass pass,
                                             const ringc_attention_inputs *inputs, int64_t *bytes) {
  return call([&] {
    required("bytes", bytes);
    *bytes = required("attention", attention)->self.workspaceBytes(pass, inputs);
  });
}

ringc_status ringc_attention_forward(ringc_attention *attention, void *stream,
                                     const ringc_attention_inputs *inputs,
                                     const ringc_attention_results *results, void *workspace,
                                     int64_t workspace_bytes) {
  return call([&] {
    required("attention", attention)
        ->self.forward(stream, inputs, results, workspaceOf(workspace, workspace_bytes));
  });
}

ringc_status ringc_attention_backward(ringc_attention *attention, void *stream,
                                      const ringc_attention_inputs *inputs,
                                      const ringc_attention_results *results,
                                      const ringc_attention_gradients *gradients, void *workspace,
                                      int64_t workspace_bytes) {
  return call([&] {
    required("attention", attention)
        ->self.backward(stream, inputs, results, gradients,
                        workspaceOf(workspace, workspace_bytes));
  });
}

ringc_status ringc_attention_wait(ringc_attention *attention, void *stream) {
  return call([&] { required("attention", attention)->self.wait(stream); });
}

ringc_status ringc_attention_plan(ringc_attention *attention, ringc_pass pass,
                                  const ringc_attention_inputs *inputs, char **json) {
  return call([&] {
    required("json", json);
    *json = givenText(required("attention", attention)->self.plan(pass, inputs));
  });
}
