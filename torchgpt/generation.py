"""Generation, the twin of npgpt/generation.py."""

from collections.abc import Callable

import torch
from numpy import ndarray as Array
from torch import Tensor

from npgpt.generation import Window, checked_prompt
from npgpt.sampling import make_sampler

from .models.base import LanguageModel


def generate(
    model: LanguageModel,
    ids: Tensor | Array,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    slide: int = 1,
    on_token: Callable[[Array], bool | None] | None = None,
) -> Tensor:
    """The prompt and `max_new_tokens` more: ids (T,) or (B, T) -> (T + n,) or (B, T + n) int64, on the CPU.

    A prompt may be shorter than the model's context, fill it, or be longer: the model sees the last seq_len tokens, or all
    where its context has no end. Of equal logits the lowest id wins. The options and what is raised: see npgpt.generate, whose
    seed gives the same tokens.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, got {max_new_tokens}")
    choose = make_sampler(temperature, top_k, top_p, seed)
    if isinstance(ids, Tensor):
        ids = ids.detach().cpu().numpy()
    prompt = torch.from_numpy(checked_prompt(ids, model.config.vocab_size).astype("int64"))  # (B, T)
    B, T = prompt.shape
    tokens = torch.empty((B, T + max_new_tokens), dtype=torch.int64)
    tokens[:, :T] = prompt
    window = Window(model.context, slide)
    past = model.remember(B)
    for end in range(T, T + max_new_tokens):
        new, moved = window.next(end)
        if moved:
            past = model.remember(B)
        logits = model.next_logits(tokens[:, new], past)
        chosen = choose(logits.cpu().double().numpy())  # on the CPU: MPS has no float64
        tokens[:, end] = torch.from_numpy(chosen)
        if on_token is not None and on_token(chosen) is True:
            tokens = tokens[:, : end + 1]
            break
    return tokens if torch.as_tensor(ids).ndim == 2 else tokens[0]
