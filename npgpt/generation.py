"""Generation: ask for the logits of the next token, choose one (sampling.py), append it, ask again."""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
from numpy import ndarray as Array

from .machine.threads import blas_for, too_little_for_blas
from .ops.embedding import check_ids
from .sampling import make_sampler
from .types import Model


def checked_prompt(ids: Array, vocab_size: int) -> Array:
    """The prompt as integers (B, T). Raises TypeError or ValueError saying what is wrong with it."""
    prompt = np.asarray(ids)
    if prompt.ndim not in (1, 2) or prompt.size == 0:
        raise ValueError(f"the prompt must hold at least one token, as (T,) or (B, T); got the shape {prompt.shape}")
    check_ids("the prompt's ids", prompt, vocab_size)
    return np.atleast_2d(prompt)


class Window:
    """Which tokens the model is to be fed at each step, so that it has seen a window of the last ones, at most `context`.

    While all tokens fit into the context, a step feeds only what is new: the model remembers the rest. Where the context has no
    end (None), that is all. Past it the window's start moves on by `slide` tokens, every token gets another position, and what
    was remembered holds no longer: the window is fed again, after which there is room for slide - 1 tokens more.
    """

    def __init__(self, context: int | None, slide: int):
        if slide < 1 or (context is not None and slide > context):
            allowed = "be at least 1" if context is None else f"lie in 1..{context} (the model's seq_len)"
            raise ValueError(f"slide must {allowed}, got {slide}")
        self.context, self.slide = context, slide
        self.start, self.fed = 0, 0

    def next(self, end: int) -> tuple[slice, bool]:
        """For tokens 0..end - 1: those to feed now, and whether what is remembered must be dropped first."""
        moved = False
        if self.context is not None and end - self.start > self.context:
            moved = True
            self.start = end - self.context + self.slide - 1
            self.fed = self.start
        new = slice(self.fed, end)
        self.fed = end
        return new, moved


def generate(
    model: Model,
    ids: Array,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    slide: int = 1,
    on_token: Callable[[Array], bool | None] | None = None,
) -> Array:
    """The prompt and `max_new_tokens` more: ids (T,) or (B, T) -> (T + n,) or (B, T + n) int64.

    A prompt may be shorter than the model's context, fill it, or be longer: the model sees the last seq_len tokens, or all
    where its context has no end. Of equal logits the lowest id wins.

    temperature, top_k, top_p : see npgpt/sampling.py; temperature 0, the default, always takes the likeliest.
    seed : fixes what is drawn; None draws something else each time.
    slide : within the context each token costs one position's work. Past it the whole window must be computed again whenever it
        moves, which it does by `slide` tokens at a time: 1 keeps it full; seq_len // 2 moves seldom and is many times faster,
        with a window between half and all of seq_len.
    on_token : called with each new column of tokens (B,) as soon as it is there. Where it returns True, generation ends.

    Raises what the model raises, for all ids of the prompt, and ValueError for an empty prompt, a negative max_new_tokens or
    impossible options.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, got {max_new_tokens}")
    choose = make_sampler(temperature, top_k, top_p, seed)
    prompt = checked_prompt(ids, model.config.vocab_size)  # (B, T)
    B, T = prompt.shape
    tokens = np.empty((B, T + max_new_tokens), np.int64)
    tokens[:, :T] = prompt
    window = Window(model.context, slide)
    past = model.remember(B)
    parameters, longest = model.num_parameters(), B * model.config.seq_len
    always = too_little_for_blas(longest, parameters)
    with blas_for(longest, parameters):
        for end in range(T, T + max_new_tokens):
            new, moved = window.next(end)
            if moved:
                past = model.remember(B)
            fed = tokens[:, new]  # a long prompt is worth more threads than a token
            with nullcontext() if always else blas_for(fed.size, parameters):
                logits = model.next_logits(fed, past)  # (B, V)
            tokens[:, end] = choose(logits)
            if on_token is not None and on_token(tokens[:, end]) is True:
                tokens = tokens[:, : end + 1]
                break
    return tokens if np.ndim(ids) == 2 else tokens[0]
