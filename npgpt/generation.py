"""Greedy generation: ask for the next token, append the likeliest, ask again."""

import numpy as np
from numpy import ndarray as Array

from .ops.embedding import check_ids


def checked_prompt(ids: Array, vocab_size: int) -> Array:
    """The prompt as integers (B, T). Raises TypeError or ValueError saying what is wrong with it."""
    prompt = np.asarray(ids)
    if prompt.ndim not in (1, 2) or prompt.size == 0:
        raise ValueError(f"the prompt must hold at least one token, as (T,) or (B, T); got the shape {prompt.shape}")
    check_ids("the prompt's ids", prompt, vocab_size)
    return np.atleast_2d(prompt)


def generate(model, ids: Array, max_new_tokens: int) -> Array:
    """The prompt and `max_new_tokens` more: ids (T,) or (B, T) -> (T + n,) or (B, T + n) int64.

    A prompt may be shorter than the model's context, fill it, or be longer: the model always sees the last seq_len tokens. Of
    equal logits the lowest id wins. Raises what the model raises, for all ids of the prompt, and ValueError for an empty
    prompt or a negative max_new_tokens.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, got {max_new_tokens}")
    prompt = checked_prompt(ids, model.config.vocab_size)  # (B, T)
    seq_len = model.config.seq_len
    T = prompt.shape[1]
    tokens = np.empty((prompt.shape[0], T + max_new_tokens), np.int64)
    tokens[:, :T] = prompt
    for end in range(T, T + max_new_tokens):
        logits = model(tokens[:, max(0, end - seq_len) : end])  # (B, min(end, seq_len), V)
        tokens[:, end] = logits[:, -1].argmax(axis=-1)
    return tokens if np.ndim(ids) == 2 else tokens[0]
