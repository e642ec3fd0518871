"""The linear layer's mistakes."""

from .bug import Bug

BUGS = (
    Bug(
        "linear_bias_gradient_averaged",
        "npgpt.ops.linear:linear_backward",
        "rows_dy.sum(axis=0)",
        "rows_dy.mean(axis=0)",
        "A factor, which Adam divides away.",
        "classic",
        tensor="gradient of head.bias",
        mistake="factor",
    ),
    Bug(
        "linear_gradient_overwritten",
        "npgpt.layers:Linear.backward",
        "self.dweight += dweight",
        "self.dweight[...] = dweight",
        "Right until gradients are to add up over several batches.",
        "classic",
        tensor="nowhere in one batch",
    ),
)
