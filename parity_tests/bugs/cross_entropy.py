"""Cross-entropy's mistakes: what the mean divides by, and the target."""

from .bug import Bug

BUGS = (
    Bug(
        "cross_entropy_gradient_divided_by_B_only",
        "npgpt.ops.cross_entropy:cross_entropy_backward",
        "dloss / N",
        "dloss / shape[0]",
        "The gradient is T times too large, and clipping or Adam takes that away.",
        "published",
        tensor="gradient of logits",
        mistake="factor",
    ),
    Bug(
        "cross_entropy_gradient_not_divided",
        "npgpt.ops.cross_entropy:cross_entropy_backward",
        "dloss / N",
        "dloss",
        "The gradient is B * T times too large, and clipping or Adam takes that away.",
        "classic",
        tensor="gradient of logits",
        mistake="factor",
    ),
    Bug(
        "cross_entropy_target_dropped",
        "npgpt.ops.cross_entropy:cross_entropy_backward",
        "p_minus_onehot[np.arange(N), y] -= 1",
        "pass",
        "What is likely is pushed down until all is equally likely; then all logits sink together, which softmax does not see.",
        "classic",
        tensor="gradient of logits",
        mistake="missing term",
    ),
    Bug(
        "cross_entropy_loss_summed_over_time",
        "npgpt.ops.cross_entropy:cross_entropy",
        "-log_p.sum() / N",
        "-log_p.sum() / logits.shape[0]",
        "Only the number on the screen is T times too large; the gradient is right.",
        "classic",
        tensor="loss",
        mistake="factor",
    ),
    Bug(
        "cross_entropy_targets_shifted",
        "npgpt.ops.cross_entropy:cross_entropy",
        "y = targets.reshape(-1)",
        "y = np.roll(targets.reshape(-1), 1)",
        "The model learns to repeat its input, with a beautiful loss curve.",
        "classic",
        tensor="loss",
    ),
)
