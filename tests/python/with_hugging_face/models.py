"""Models of transformers of two layers with random weights, and what is compared."""

import torch
from transformers import (
    BartConfig, BartForConditionalGeneration, Gemma2Config, Gemma2ForCausalLM, GptOssConfig, GptOssForCausalLM, Llama4ForCausalLM,
    Llama4TextConfig, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, ModernBertConfig, ModernBertForMaskedLM,
)  # fmt: skip

TOKENS = 61
_SIZES = {
    "vocab_size": TOKENS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0,
}  # fmt: skip
_KINDS = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": 7}),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config, {"head_dim": 8, "sliding_window": 6, "attn_logit_softcapping": 5.0, "query_pre_attn_scalar": 9}),
    "llama4": (Llama4ForCausalLM, Llama4TextConfig, {"head_dim": 8, "attention_chunk_size": 7, "intermediate_size_mlp": 48, "num_local_experts": 2}),
    "modernbert": (ModernBertForMaskedLM, ModernBertConfig, {"local_attention": 10, "global_attn_every_n_layers": 2}),
    "bart": (BartForConditionalGeneration, BartConfig, {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
             "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "dropout": 0.0}),
    "gpt_oss": (GptOssForCausalLM, GptOssConfig, {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1}),
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


def compare(found, expected):
    (loss, gradients), (exact_loss, exact) = found, expected
    bar = 2e-4 if loss.is_cuda else 2e-5  # a GPU multiplies f32 as three of tf32
    assert abs(loss - exact_loss) < bar * abs(exact_loss), f"a loss of {loss}, {exact_loss} is right"
    floor = 1e-3 * max(each.norm() for each in exact.values())  # the gradient of a bias of all keys is 0
    for name, each in exact.items():
        error = (gradients[name] - each).norm() / max(each.norm(), floor)
        assert error < bar, f"an error of {error} in the gradient of {name}"
