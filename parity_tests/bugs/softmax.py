"""Softmax's mistakes: the sum over the row, the maximum."""

from .bug import Bug

BUGS = (
    Bug(
        "softmax_sum_term_dropped",
        "npgpt.ops.softmax:softmax_backward",
        "dp - mean_dp",
        "dp",
        "With a cotangent of ones the truth is 0, and few tests take another; the diagonal's sign is right.",
        "published",
        tensor="gradient of blocks.1.scores",
        mistake="missing term",
    ),
    Bug(
        "softmax_sum_over_the_wrong_axis",
        "npgpt.ops.softmax:softmax_backward",
        "(dp * p).sum(axis=-1, keepdims=True)",
        "(dp * p).sum(axis=-2, keepdims=True)",
        "Scores are square, so the shapes agree, and on average something like a mean is subtracted.",
        "classic",
        tensor="gradient of blocks.1.scores",
    ),
    Bug(
        "softmax_without_the_maximum",
        "npgpt.ops.softmax:softmax",
        "m = x.real.max(axis=-1, keepdims=True)",
        "m = 0",
        "Right until a score exceeds 88; then nan.",
        "classic",
        tensor="nowhere in a tame model",
    ),
)
