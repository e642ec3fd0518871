"""The operations of a GPT, one a file: what it is for, the derivation, the forward, the backward.

Every pair has the same contract: `y, cache = op(*inputs)` and `*gradients = op_backward(dy, cache)`. The functions are pure (no
argument is ever changed), keep the dtype that they are given, and the forwards also run on complex numbers, which is how the
parity suite proves the backwards (complex step): derivatives come out of f(x + ih) with h = 1e-30.

`npgpt.ops.softmax` is the function; what else stands in its file comes with `from npgpt.ops.softmax import softmax_backward`.
"""

from .attention import attention, attention_backward
from .cross_entropy import cross_entropy, cross_entropy_backward
from .dropout import dropout, dropout_backward
from .embedding import add_position, add_position_backward, embedding, embedding_backward, sinusoids
from .gelu import gelu, gelu_backward
from .layer_norm import layer_norm, layer_norm_backward
from .linear import linear, linear_backward
from .softmax import softmax, softmax_backward

__all__ = [
    "add_position",
    "add_position_backward",
    "attention",
    "attention_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "embedding",
    "embedding_backward",
    "gelu",
    "gelu_backward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "sinusoids",
    "softmax",
    "softmax_backward",
]
