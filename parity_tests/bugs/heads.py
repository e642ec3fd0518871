"""Mistakes between the heads and the stream: splitting, joining, and who gets which gradient."""

from .bug import Bug

BUGS = (
    Bug(
        "heads_not_split_back",
        "npgpt.layers:MultiHeadAttention.backward",
        "dz = dz.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)",
        "dz = dz.reshape(B, self.n_head, T, C // self.n_head)",
        "The shape is right; positions and heads are shuffled, and the layers above learn without them.",
        "published",
        tensor="gradient of blocks.1.z",
        mistake="transpose",
    ),
    Bug(
        "heads_joined_without_a_transpose",
        "npgpt.layers:join_heads",
        "z.swapaxes(1, 2).reshape(B, T, H * D)",
        "z.reshape(B, T, H * D)",
        "The forward mixes positions, which leaks the future: the loss falls.",
        "classic",
        tensor="blocks.0.attn_out",
    ),
    Bug(
        "query_and_key_gradients_exchanged",
        "npgpt.layers:MultiHeadAttention.backward",
        "[join_heads(dq), join_heads(dk), join_heads(dv)]",
        "[join_heads(dk), join_heads(dq), join_heads(dv)]",
        "Queries and keys start alike, and their product is what counts.",
        "classic",
        tensor="gradient of blocks.1.mha.Wqkv.weight",
    ),
    Bug(
        "qkv_never_trained",
        "npgpt.layers:MultiHeadAttention.backward",
        "return self.Wqkv.backward(dqkv, cache.Wqkv)",
        "return dqkv @ self.Wqkv.weight",
        "Random queries and keys are good enough for a small model: the article's own 248.",
        "published",
        tensor="gradient of blocks.1.mha.Wqkv.weight",
        mistake="zero",
    ),
)
