"""Is my backward pass right? npgpt.check_backward on a right and a wrong softmax, and on a right and a wrong attention.

    python examples/check_your_backward.py

An editor that knows `# %%` (VS Code, PyCharm, Spyder; Jupyter with jupytext) runs it cell by cell. A few more to write yourself
stand in examples/exercises/.
"""

# %% A softmax: the forward gives the output and whatever the backward will need.
import math

import numpy as np

from npgpt import check_backward

rng = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)  # (..., N)
    return p, p


def softmax_backward(dp, p):
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))  # (..., N)


x = rng.standard_normal((2, 3, 5))
print(check_backward(softmax, softmax_backward, x))

# %% Wrong: each probability is differentiated by its own score only, as if the others in the row did not move.


def softmax_backward_diagonal(dp, p):
    return p * (1 - p) * dp


print(check_backward(softmax, softmax_backward_diagonal, x))

# %% Attention of one head, on a batch of sequences. Without a cache the backward gets the inputs: backward(dy, *inputs).


def pattern(q, k):
    T, D = q.shape[-2:]
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(D)  # (B, T, T)
    return softmax(np.where(np.triu(np.ones((T, T), dtype=bool), k=1), -np.inf, scores))[0]


def attention(q, k, v):
    return pattern(q, k) @ v  # (B, T, D)


def attention_backward(dz, q, k, v):
    p, scale = pattern(q, k), 1 / math.sqrt(q.shape[-1])
    dscores = softmax_backward(dz @ v.swapaxes(-1, -2), p)  # (B, T, T)
    dq = dscores @ k * scale  # (B, T, D)
    dk = dscores.swapaxes(-1, -2) @ q * scale  # (B, T, D)
    dv = p.swapaxes(-1, -2) @ dz  # (B, T, D)
    return dq, dk, dv


q, k, v = rng.standard_normal((3, 2, 4, 3))  # each (B, T, D)
print(check_backward(attention, attention_backward, q, k, v))

# %% Wrong: the scores are q @ kT, so the product's rule gives the gradient of kT. A reshape makes its shape fit, but it is a
# transpose that leads back to k. Nothing fails, and training goes on.


def attention_backward_untransposed(dz, q, k, v):
    dq, _, dv = attention_backward(dz, q, k, v)
    dscores = softmax_backward(dz @ v.swapaxes(-1, -2), pattern(q, k))
    dkT = q.swapaxes(-1, -2) @ dscores / math.sqrt(q.shape[-1])  # (B, D, T)
    return dq, dkT.reshape(k.shape), dv


print(check_backward(attention, attention_backward_untransposed, q, k, v))

# %% Which element, and which value would be right? The verdict is also data: true or false, and one record for each check.
verdict = check_backward(attention, attention_backward_untransposed, q, k, v)
print(f"\nok: {verdict.ok}, first failed check: {verdict.first_failure}")
