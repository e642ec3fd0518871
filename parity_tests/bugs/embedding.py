"""The embedding's and the positions' mistakes: sums that are no sums, rows that are not one's own."""

from .bug import Bug

BUGS = (
    Bug(
        "embedding_repeated_ids_not_added",
        "npgpt.ops.embedding:embedding_backward",
        "np.add.at(dweight, ids, dy)",
        "dweight[ids] = dy",
        "Every token that occurs still gets a gradient, from its last place.",
        "classic",
        tensor="gradient of token_embedding.weight",
        mistake="missing term",
    ),
    Bug(
        "position_only_the_first_sequence",
        "npgpt.ops.embedding:add_position_backward",
        "dy.sum(axis=0)",
        "dy[0]",
        "The first sequence is as good a sample as any.",
        "classic",
        tensor="gradient of pos_embed",
        mistake="missing term",
    ),
    Bug(
        "position_averaged_over_the_batch",
        "npgpt.ops.embedding:add_position_backward",
        "dy.sum(axis=0)",
        "dy.mean(axis=0)",
        "A factor, which Adam divides away.",
        "classic",
        tensor="gradient of pos_embed",
        mistake="factor",
    ),
    Bug(
        "position_off_by_one",
        "npgpt.ops.embedding:add_position",
        "x + table[:T]",
        "x + np.roll(table, 1, axis=0)[:T]",
        "Learned positions do not care which row is theirs.",
        "classic",
        tensor="blocks.0.resid_pre",
        mistake="shift",
    ),
    Bug(
        "tied_heads_gradient_dropped",
        "npgpt.layers:Embedding.backward",
        "self.dweight += embedding_backward(dy, cache)",
        "self.dweight[...] = embedding_backward(dy, cache)",
        "The embedding still learns from where it is looked up.",
        "published",
        tensor="gradient of token_embedding.weight",
        mistake="missing term",
    ),
)
