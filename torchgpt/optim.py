"""AdamW and clipping by the global norm: torch's own, under the names and with the arguments of npgpt/optim.py."""

from collections.abc import Iterable

import torch
from torch import nn


class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW in its fused form: one kernel updates everything. See npgpt.AdamW for the arguments."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def clip_grad_norm(params: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scales all gradients by one factor so that their joint Euclidean norm is at most max_norm; gives the norm from before.

    A norm that is not finite is given back with the gradients as they are.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm}")
    params = list(params)
    norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
    if norm.isfinite():
        nn.utils.clip_grads_with_norm_(params, max_norm, norm)
    return norm.item()
