"""GPT-2 as transformers keeps it (GPT2Config, GPT2LMHeadModel): its config and its names, there and here.

The same function as GPTModel with learned positions and a bias everywhere but in the head, in every size. What a config.json
may ask for beyond that is refused by name.
"""

from typing import Any

from ..models.gpt import GPTConfig
from .fields import check_only, check_sayable, check_sizes, filled

PREFIX = "transformer."  # a folder of the model without its head has none
EMBEDDING, HEAD = "transformer.wte.weight", "lm_head.weight"
TIED = True  # where a config.json does not say
NO_WEIGHTS = (".attn.bias", ".attn.masked_bias")  # ends of names: the causal mask, which older folders hold too
OLDER_NAMES: dict[str, str] = {}

# Their linear layers are of a class Conv1D, which multiplies from the other side, x W: its matrices (in, out) are our (out, in)
# transposed. c_attn makes all queries, then all keys, then all values, as Wqkv does.
# fmt: off
NAMES = (
    # here                              there                                      transposed
    ("token_embedding.weight",          EMBEDDING,                                 False),
    ("position_embedding.weight",       "transformer.wpe.weight",                  False),
    ("blocks.*.ln1.weight",             "transformer.h.*.ln_1.weight",             False),
    ("blocks.*.ln1.bias",               "transformer.h.*.ln_1.bias",               False),
    ("blocks.*.mha.Wqkv.weight",        "transformer.h.*.attn.c_attn.weight",      True),
    ("blocks.*.mha.Wqkv.bias",          "transformer.h.*.attn.c_attn.bias",        False),
    ("blocks.*.mha.projection.weight",  "transformer.h.*.attn.c_proj.weight",      True),
    ("blocks.*.mha.projection.bias",    "transformer.h.*.attn.c_proj.bias",        False),
    ("blocks.*.ln2.weight",             "transformer.h.*.ln_2.weight",             False),
    ("blocks.*.ln2.bias",               "transformer.h.*.ln_2.bias",               False),
    ("blocks.*.ffn.up.weight",          "transformer.h.*.mlp.c_fc.weight",         True),
    ("blocks.*.ffn.up.bias",            "transformer.h.*.mlp.c_fc.bias",           False),
    ("blocks.*.ffn.down.weight",        "transformer.h.*.mlp.c_proj.weight",       True),
    ("blocks.*.ffn.down.bias",          "transformer.h.*.mlp.c_proj.bias",         False),
    ("ln_f.weight",                     "transformer.ln_f.weight",                 False),
    ("ln_f.bias",                       "transformer.ln_f.bias",                   False),
    ("head.weight",                     HEAD,                                      False),
)
# fmt: on

# transformers' defaults (GPT2Config, 5.x) for the fields that shape the function; a config.json leaves out what it likes.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
}
DEFAULTS |= {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "initializer_range": 0.02}
DEFAULTS |= {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
ALIASES = {"hidden_size": "n_embd", "max_position_embeddings": "n_positions"}  # GPT2Config.attribute_map
ALIASES |= {"num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}


def config_here(fields: dict, tied: bool) -> GPTConfig:
    """The GPTConfig of a config.json. dropout is 0, whatever the folder says of its own training: who wants it asks for it.

    reorder_and_upcast_attn, which computes the same in another order, is not asked. Raises ValueError naming the field that
    our model cannot have.
    """
    own = filled(fields, DEFAULTS, ALIASES)
    check_sizes(own, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    if own["n_inner"] is not None:
        check_sizes(own, "n_inner")
    # gelu_new is GELU's tanh form, and so are the other two; "gelu" is the exact one
    check_only(own, activation_function=("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh"))
    check_only(own, layer_norm_epsilon=(1e-5,), scale_attn_weights=(True,))
    check_only(own, scale_attn_by_inverse_layer_idx=(False,), add_cross_attention=(False,))
    return GPTConfig(
        own["vocab_size"],
        own["n_layer"],
        own["n_head"],
        own["n_embd"],
        own["n_positions"],
        position="learned",
        ffn_hidden=own["n_inner"],
        qkv_bias=True,
        tie_weights=tied,
        head_bias=False,
        init_std=own["initializer_range"],
    )


def config_there(config: GPTConfig) -> dict:
    """The fields of a config.json. Raises ValueError naming an option that GPT-2 does not have."""
    check_sayable(config, position="learned", qkv_bias=True, head_bias=False, train_qkv=True)
    if config.ffn_size == 0:
        raise ValueError("ffn_hidden is 0: every block of a GPT-2 has an FFN")
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_positions": config.seq_len,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": config.ffn_hidden,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "initializer_range": config.init_std,
        **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), config.dropout),
    }
