"""AdamW and clipping by the global norm: torch's own, under the names and with the arguments of npgpt/optim.py."""

from collections.abc import Iterable, Mapping

import torch
from numpy import ndarray as Array
from torch import nn

from npgpt.optim import check_moments

from .machine.distributed import part_like, whole


class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW in its fused form: one kernel updates everything. See npgpt.AdamW for the arguments."""

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)

    @property
    def lr(self) -> float:
        """The learning rate of all groups; may be changed between steps."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    @property
    def steps(self) -> int:
        """How many steps have been made."""
        return int(next(iter(self.state.values()))["step"].item()) if self.state else 0

    def get_moments(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, tuple[Array, Array]]:
        """Name -> (m, v), copies as NumPy arrays; before the first step they are 0."""
        moments = {}
        for name, parameter in named_parameters:
            state = self.state.get(parameter, {})
            pair = (state.get(key, torch.zeros_like(parameter)) for key in ("exp_avg", "exp_avg_sq"))
            m, v = (whole(tensor).detach().cpu().numpy().copy() for tensor in pair)
            moments[name] = m, v
        return moments

    def set_moments(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], moments: Mapping[str, tuple[Array, Array]], steps: int
    ) -> None:
        """Goes on from saved moments. Raises ValueError where their names or shapes are not those of the parameters."""
        parameters = dict(named_parameters)
        check_moments({name: tuple(p.shape) for name, p in parameters.items()}, moments, steps)
        for name, p in parameters.items():
            m, v = (part_like(torch.tensor(array).to(p.device, p.dtype), p) for array in moments[name])
            step = torch.tensor(float(steps), device=p.device)  # where the fused kernel wants it
            self.state[p] = {"step": step, "exp_avg": m, "exp_avg_sq": v}


def clip_grad_norm(params: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scales all gradients by one factor so that their joint Euclidean norm is at most max_norm; gives the norm from before.

    A norm that is not finite is given back with the gradients as they are.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm}")
    params = list(params)
    norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
    total = whole(norm)
    if total.isfinite():
        nn.utils.clip_grads_with_norm_(params, max_norm, norm)
    return total.item()
