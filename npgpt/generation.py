"""Generation: ask for the logits of the next token, choose one (sampling.py), append it, ask again."""

from collections.abc import Callable

import numpy as np
from numpy import ndarray as Array

from .ops.embedding import check_ids
from .sampling import make_sampler


def checked_prompt(ids: Array, vocab_size: int) -> Array:
    """The prompt as integers (B, T). Raises TypeError or ValueError saying what is wrong with it."""
    prompt = np.asarray(ids)
    if prompt.ndim not in (1, 2) or prompt.size == 0:
        raise ValueError(f"the prompt must hold at least one token, as (T,) or (B, T); got the shape {prompt.shape}")
    check_ids("the prompt's ids", prompt, vocab_size)
    return np.atleast_2d(prompt)


def generate(
    model,
    ids: Array,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    on_token: Callable[[Array], bool | None] | None = None,
) -> Array:
    """The prompt and `max_new_tokens` more: ids (T,) or (B, T) -> (T + n,) or (B, T + n) int64.

    A prompt may be shorter than the model's context, fill it, or be longer: the model always sees the last seq_len tokens. Of
    equal logits the lowest id wins.

    temperature, top_k, top_p : see npgpt/sampling.py; temperature 0, the default, always takes the likeliest.
    seed : fixes what is drawn; None draws something else each time.
    on_token : called with each new column of tokens (B,) as soon as it is there. Where it returns True, generation ends.

    Raises what the model raises, for all ids of the prompt, and ValueError for an empty prompt, a negative max_new_tokens or
    impossible options.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, got {max_new_tokens}")
    choose = make_sampler(temperature, top_k, top_p, seed)
    prompt = checked_prompt(ids, model.config.vocab_size)  # (B, T)
    seq_len = model.config.seq_len
    T = prompt.shape[1]
    tokens = np.empty((prompt.shape[0], T + max_new_tokens), np.int64)
    tokens[:, :T] = prompt
    for end in range(T, T + max_new_tokens):
        logits = model(tokens[:, max(0, end - seq_len) : end])  # (B, min(end, seq_len), V)
        tokens[:, end] = choose(logits[:, -1])
        if on_token is not None and on_token(tokens[:, end]) is True:
            tokens = tokens[:, : end + 1]
            break
    return tokens if np.ndim(ids) == 2 else tokens[0]
