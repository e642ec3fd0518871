"""Exercise 8, a whole pre-norm transformer block: two branches, each of which adds what it finds to the residual stream.

    x = x + mha(ln1(x))          x = x + ffn(ln2(x))

Write block_backward: from the gradient of the last x, the gradient of the first one. The layers are there and know their own
way back: block.ln1.backward(dy, cache.ln1) gives the gradient of ln1's input (and adds to the gradients of its weights), and so
do block.mha, block.ln2 and block.ffn.

Hint: from bottom to top. In x = x + f(x), x enters twice: beside the branch and through it. What arrives at the first branch?
"""

import functools
import sys

import numpy as np
from numpy import ndarray as Array

from npgpt import GPTConfig, GPTModel, check_backward
from npgpt.models.gpt import Block


def block_forward(block: Block, x: Array) -> tuple[Array, Block.Cache]:
    """x (B, T, C) -> x (B, T, C)."""
    normed, ln1_cache = block.ln1.forward(x)  # (B, T, C)
    attn_out, mha_cache = block.mha.forward(normed)  # (B, T, C)
    x = x + attn_out
    normed, ln2_cache = block.ln2.forward(x)  # (B, T, C)
    ffn_out, ffn_cache = block.ffn.forward(normed)  # (B, T, C)
    x = x + ffn_out
    return x, Block.Cache(ln1_cache, mha_cache, ln2_cache, ffn_cache)


def block_backward(block: Block, dx: Array, cache: Block.Cache) -> Array:
    """dx (B, T, C), of the block's output -> dx (B, T, C), of its input."""
    raise NotImplementedError("your turn")


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    model = GPTModel(GPTConfig(vocab_size=8, n_layer=1, n_head=2, n_embd=6, seq_len=4), dtype="float64")
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.data.shape)  # so that no weight is 0 or 1 and hides a term
    block, x = model.blocks[0], rng.standard_normal((2, 4, 6))
    verdict = check_backward(functools.partial(block_forward, block), functools.partial(block_backward, block), x)
    print(verdict)
    sys.exit(0 if verdict else 1)
