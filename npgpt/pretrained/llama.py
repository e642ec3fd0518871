"""Llama and Qwen2 as transformers keeps them (LlamaForCausalLM, Qwen2ForCausalLM): their configs and names, there and here.

A Qwen2 is a Llama whose queries, keys and values have a bias. What a config.json may ask for beyond LlamaModel (a sliding
window, another scaling of RoPE than Llama 3's, a bias elsewhere) is refused by name.
"""

from typing import Any

from ..models.llama import LlamaConfig
from .fields import check_only, check_sayable, check_sizes, filled

PREFIX = "model."
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TIED = False  # where a config.json does not say
NO_WEIGHTS = (".rotary_emb.inv_freq",)  # ends of names: the angles, which older folders hold too
OLDER_NAMES: dict[str, str] = {}

# fmt: off
NAMES = (
    # here                              there                                         transposed
    ("token_embedding.weight",          EMBEDDING,                                    False),
    ("blocks.*.norm1.weight",           "model.layers.*.input_layernorm.weight",      False),
    ("blocks.*.mha.Wq.weight",          "model.layers.*.self_attn.q_proj.weight",     False),
    ("blocks.*.mha.Wq.bias",            "model.layers.*.self_attn.q_proj.bias",       False),
    ("blocks.*.mha.Wk.weight",          "model.layers.*.self_attn.k_proj.weight",     False),
    ("blocks.*.mha.Wk.bias",            "model.layers.*.self_attn.k_proj.bias",       False),
    ("blocks.*.mha.Wv.weight",          "model.layers.*.self_attn.v_proj.weight",     False),
    ("blocks.*.mha.Wv.bias",            "model.layers.*.self_attn.v_proj.bias",       False),
    ("blocks.*.mha.projection.weight",  "model.layers.*.self_attn.o_proj.weight",     False),
    ("blocks.*.norm2.weight",           "model.layers.*.post_attention_layernorm.weight", False),
    ("blocks.*.ffn.gate.weight",        "model.layers.*.mlp.gate_proj.weight",        False),
    ("blocks.*.ffn.up.weight",          "model.layers.*.mlp.up_proj.weight",          False),
    ("blocks.*.ffn.down.weight",        "model.layers.*.mlp.down_proj.weight",        False),
    ("norm_f.weight",                   "model.norm.weight",                          False),
    ("head.weight",                     HEAD,                                         False),
)
# fmt: on

# transformers' defaults (LlamaConfig and Qwen2Config, 5.x), where the two differ that of each.
DEFAULTS: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
}
DEFAULTS |= {"head_dim": None, "attention_bias": False, "mlp_bias": False}
DEFAULTS |= {"rope_parameters": None, "rope_theta": 10000.0, "rope_scaling": None}
LLAMA: dict[str, Any] = {
    "vocab_size": 32000,
    "intermediate_size": 11008,
    "num_key_value_heads": None,
    "max_position_embeddings": 2048,
}
QWEN2: dict[str, Any] = {
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
}
QWEN2 |= {"use_sliding_window": False, "layer_types": None}
LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


def config_here(fields: dict, tied: bool) -> LlamaConfig:
    """The LlamaConfig of a config.json. Raises ValueError naming the field that our model cannot have."""
    qwen2 = fields["model_type"] == "qwen2"
    own = filled(fields, DEFAULTS | (QWEN2 if qwen2 else LLAMA))
    sizes = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
    optional = [name for name in ("num_key_value_heads", "head_dim") if own[name] is not None]
    check_sizes(own, *sizes, "max_position_embeddings", *optional)
    check_only(own, hidden_act=("silu", "swish"), attention_bias=(False,), mlp_bias=(False,))
    if qwen2:
        check_only(own, use_sliding_window=(False,))
        if not isinstance(own["layer_types"], list | None):
            raise ValueError(f"layer_types must be a list or null, got {own['layer_types']!r}")
        for kind in own["layer_types"] or []:
            check_only({"layer_types": kind}, layer_types=("full_attention",))
    theta, scaling = rope_here(own)
    return LlamaConfig(
        own["vocab_size"],
        own["num_hidden_layers"],
        own["num_attention_heads"],
        own["hidden_size"],
        own["max_position_embeddings"],
        n_kv_head=own["num_key_value_heads"],
        head_size=own["head_dim"],
        ffn_hidden=own["intermediate_size"],
        rope_theta=theta,
        rope_scaling=scaling,
        norm_eps=own["rms_norm_eps"],
        qkv_bias=qwen2,
        tie_weights=tied,
    )


def rope_here(own: dict) -> tuple[float, tuple | None]:
    """theta, and Llama 3's scaling or None. Older folders have rope_theta and rope_scaling, newer ones rope_parameters."""
    for name in ("rope_parameters", "rope_scaling"):
        if not isinstance(own[name], dict | None):
            raise ValueError(f"{name} must be an object or null, got {own[name]!r}")
    rope = own["rope_parameters"] or own["rope_scaling"] or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    check_only({"rope_type": kind}, rope_type=("default", "llama3"))
    check_only({"partial_rotary_factor": rope.get("partial_rotary_factor", 1)}, partial_rotary_factor=(1,))
    theta = rope.get("rope_theta", own["rope_theta"])
    if isinstance(theta, bool) or not isinstance(theta, int | float):
        raise ValueError(f"rope_theta must be a number, got {theta!r}")
    if kind == "default":
        return theta, None
    missing = [name for name in LLAMA3 if name not in rope]
    if missing:
        raise ValueError(f"rope_type 'llama3' needs {', '.join(LLAMA3)}; {', '.join(missing)} is missing")
    return theta, tuple(rope[name] for name in LLAMA3)


def config_there(config: LlamaConfig) -> dict:
    """The fields of a config.json: of a Qwen2 where the config has biases, else of a Llama."""
    check_sayable(config, dropout=0.0)
    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {"rope_type": "llama3", **dict(zip(LLAMA3, config.rope_scaling, strict=True))}
    return {
        "model_type": "qwen2" if config.qkv_bias else "llama",
        "architectures": ["Qwen2ForCausalLM" if config.qkv_bias else "LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "intermediate_size": config.ffn_size,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.seq_len,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": rope,
    }
