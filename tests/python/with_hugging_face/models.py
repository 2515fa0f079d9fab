"""Models of transformers of two layers with random weights, and what is compared."""

import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

TOKENS = 61
_SIZES = {
    "vocab_size": TOKENS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
_KINDS = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": 7}),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config, {"head_dim": 8, "sliding_window": 6, "attn_logit_softcapping": 5.0, "query_pre_attn_scalar": 9}),
}  # fmt: skip


def make(name, **more):
    kind, config, options = _KINDS[name]
    torch.manual_seed(1)
    model = kind(config(**{**_SIZES, **options, **more}))
    for each in model.parameters():  # so that heads attend to some keys more than to others
        each.data.mul_(3.0)
    return model


def ids(batch=2, length=24, seed=2):
    return torch.randint(1, TOKENS, (batch, length), generator=torch.Generator().manual_seed(seed))


def step(model, implementation, **inputs):
    """Loss and the gradients of weights."""
    model.set_attn_implementation(implementation)
    model.zero_grad()
    loss = model(**inputs).loss
    loss.backward()
    return loss.detach(), {name: each.grad.clone() for name, each in model.named_parameters()}


def compare(found, expected, bar=2e-5):
    (loss, gradients), (exact_loss, exact) = found, expected
    assert abs(loss - exact_loss) < bar * abs(exact_loss), f"a loss of {loss}, {exact_loss} is right"
    for name, each in exact.items():
        error = (gradients[name] - each).norm() / each.norm()
        assert error < bar, f"an error of {error} in the gradient of {name}"
