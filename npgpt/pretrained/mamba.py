"""Mamba as transformers keeps it (MambaConfig, MambaForCausalLM; the folders whose names end in -hf): its config and its names,
there and here.

Both follow the reference implementation's names, so the table is short. time_step_min and its kin only say how weights start,
and residual_in_fp32 is what float32 does anyway.
"""

from typing import Any

from ..models.mamba import MambaConfig
from .fields import check_only, check_sayable, check_sizes, filled

PREFIX = "backbone."
EMBEDDING, HEAD = "backbone.embeddings.weight", "lm_head.weight"
TIED = True  # where a config.json does not say
NO_WEIGHTS: tuple[str, ...] = ()
OLDER_NAMES = {"backbone.embedding.weight": EMBEDDING}  # which transformers renames too (MambaModel.load_hook)

# fmt: off
NAMES = (
    # here                            there                                      transposed
    ("token_embedding.weight",        EMBEDDING,                                 False),
    ("blocks.*.norm.weight",          "backbone.layers.*.norm.weight",           False),
    ("blocks.*.mixer.A_log",          "backbone.layers.*.mixer.A_log",           False),
    ("blocks.*.mixer.D",              "backbone.layers.*.mixer.D",               False),
    ("blocks.*.mixer.in_proj.weight", "backbone.layers.*.mixer.in_proj.weight",  False),
    ("blocks.*.mixer.conv1d.weight",  "backbone.layers.*.mixer.conv1d.weight",   False),
    ("blocks.*.mixer.conv1d.bias",    "backbone.layers.*.mixer.conv1d.bias",     False),
    ("blocks.*.mixer.x_proj.weight",  "backbone.layers.*.mixer.x_proj.weight",   False),
    ("blocks.*.mixer.dt_proj.weight", "backbone.layers.*.mixer.dt_proj.weight",  False),
    ("blocks.*.mixer.dt_proj.bias",   "backbone.layers.*.mixer.dt_proj.bias",    False),
    ("blocks.*.mixer.out_proj.weight","backbone.layers.*.mixer.out_proj.weight", False),
    ("norm_f.weight",                 "backbone.norm_f.weight",                  False),
    ("head.weight",                   HEAD,                                      False),
)
# fmt: on

# transformers' defaults (MambaConfig, 5.x); intermediate_size, where it is not given, is expand * hidden_size.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 50280,
    "hidden_size": 768,
    "state_size": 16,
    "num_hidden_layers": 32,
    "conv_kernel": 4,
    "expand": 2,
}
DEFAULTS |= {"intermediate_size": None, "time_step_rank": "auto", "use_conv_bias": True, "use_bias": False}
DEFAULTS |= {"hidden_act": "silu", "layer_norm_epsilon": 1e-5}
SEQ_LEN = "seq_len"  # a field of our own, which transformers keeps: a Mamba has no longest sequence, but a window of training
PUBLISHED_SEQ_LEN = 2048  # in folders that do not say: the window of the published models


def config_here(fields: dict, tied: bool) -> MambaConfig:
    """The MambaConfig of a config.json. Raises ValueError naming the field that our model cannot have."""
    own = filled(fields, DEFAULTS | {SEQ_LEN: PUBLISHED_SEQ_LEN})
    check_sizes(own, "vocab_size", "hidden_size", "state_size", "num_hidden_layers", "conv_kernel", SEQ_LEN)
    check_only(own, use_bias=(False,), use_conv_bias=(True, False), layer_norm_epsilon=(1e-5,))
    check_only(own, hidden_act=("silu", "swish"))  # two names of one function
    C, R = own["hidden_size"], own["time_step_rank"]
    if own["intermediate_size"] is not None:
        check_sizes(own, "intermediate_size")
    else:
        check_sizes(own, "expand")
    if R != "auto":
        check_sizes(own, "time_step_rank")
    E = own["intermediate_size"] or own["expand"] * C
    return MambaConfig(
        own["vocab_size"],
        own["num_hidden_layers"],
        C,
        own[SEQ_LEN],
        d_state=own["state_size"],
        d_conv=own["conv_kernel"],
        expand=E / C,
        dt_rank=None if R in ("auto", -(-C // 16)) else R,
        conv_bias=bool(own["use_conv_bias"]),
        tie_weights=tied,
    )


def config_there(config: MambaConfig) -> dict:
    """The fields of a config.json. Raises ValueError naming an option that transformers' Mamba does not have."""
    check_sayable(config, head_bias=False)
    return {
        "model_type": "mamba",
        "architectures": ["MambaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "num_hidden_layers": config.n_layer,
        "state_size": config.d_state,
        "conv_kernel": config.d_conv,
        "expand": max(1, int(config.expand)),  # an integer there; where that is not all, the next field counts
        "intermediate_size": config.channels,
        "time_step_rank": config.dt_size,
        "use_conv_bias": config.conv_bias,
        "use_bias": False,
        "hidden_act": "silu",
        "layer_norm_epsilon": 1e-5,
        SEQ_LEN: config.seq_len,
    }
