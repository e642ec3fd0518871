"""The training step of npgpt's GPT in JAX under jit, for benchmark.py to compare with: the same weights, the same numbers.

One function of (weights, moments, batch) that XLA compiles as a whole: forward, jax.grad's backward, clipping and AdamW.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import npgpt
from npgpt.models import layout_of

BETA1, BETA2, EPS, DECAY = 0.9, 0.999, 1e-8, 0.01  # AdamW's defaults
LEARNING_RATE, MAX_NORM = 1e-3, 1.0  # as in benchmark.py

Weights = dict[str, Array]  # by the names of the state_dict


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias


def linear(weights: Weights, name: str, x: Array) -> Array:
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def normed(weights: Weights, name: str, x: Array) -> Array:
    return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def logits(weights: Weights, ids: Array, config: npgpt.GPTConfig, positions: np.ndarray | None) -> Array:
    """ids (B, T) -> (B, T, V). positions : the sinusoids (T, C); None where they are learned."""
    B, T = ids.shape
    C, H = config.n_embd, config.n_head
    x = weights["token_embedding.weight"][ids]  # (B, T, C)
    x = x + (weights["position_embedding.weight"][:T] if positions is None else positions[:T])
    for block in (f"blocks.{i}" for i in range(config.n_layer)):
        qkv = linear(weights, f"{block}.mha.Wqkv", normed(weights, f"{block}.ln1", x))  # (B, T, 3C)
        q, k, v = jnp.moveaxis(qkv.reshape(B, T, 3, H, C // H), 2, 0)  # (B, T, H, D) each
        z = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(B, T, C)
        x = x + linear(weights, f"{block}.mha.projection", z)
        if config.ffn_size:
            hidden = jax.nn.gelu(linear(weights, f"{block}.ffn.up", normed(weights, f"{block}.ln2", x)), approximate=True)
            x = x + linear(weights, f"{block}.ffn.down", hidden)
    x = normed(weights, "ln_f", x)
    if config.tie_weights:
        x = x @ weights["token_embedding.weight"].T
        return x + weights["head.bias"] if config.head_bias else x
    return linear(weights, "head", x)


def make_step(
    config: npgpt.GPTConfig, state_dict: dict[str, np.ndarray], ids: np.ndarray, targets: np.ndarray
) -> Callable[[], float]:
    """A training step from those weights on, on one batch (B, T); each call makes one, and gives the loss before it."""
    trained = [name for name, entry in layout_of(config).items() if entry.trained]
    given = {name: jnp.asarray(array) for name, array in state_dict.items()}
    fixed = {name: array for name, array in given.items() if name not in trained}
    positions = None if config.position == "learned" else npgpt.get_position_encoding(config.seq_len, config.n_embd)[0]

    def loss_of(weights: Weights, ids: Array, targets: Array) -> Array:
        log_p = jax.nn.log_softmax(logits(weights | fixed, ids, config, positions))  # (B, T, V)
        return -jnp.take_along_axis(log_p, targets[..., None], axis=-1).mean()

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(weights: Weights, m: Weights, v: Weights, step: Array, ids: Array, targets: Array):
        loss, gradients = jax.value_and_grad(loss_of)(weights, ids, targets)
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in gradients.values()))
        clip = jnp.minimum(1.0, MAX_NORM / norm)

        def moved(w: Array, m: Array, v: Array, g: Array) -> tuple[Array, Array, Array]:
            m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
            m_hat, v_hat = m / (1 - BETA1**step), v / (1 - BETA2**step)
            return w - LEARNING_RATE * (DECAY * w + m_hat / (jnp.sqrt(v_hat) + EPS)), m, v

        new = {name: moved(w, m[name], v[name], clip * gradients[name]) for name, w in weights.items()}
        return *({name: each[i] for name, each in new.items()} for i in range(3)), loss

    weights = {name: given[name] for name in trained}
    m, v = ({name: jnp.zeros_like(array) for name, array in weights.items()} for _ in range(2))
    steps = 0

    def step() -> float:
        nonlocal weights, m, v, steps
        steps += 1
        weights, m, v, loss = update(weights, m, v, jnp.float32(steps), ids, targets)
        return float(loss)  # waits for it

    return step
