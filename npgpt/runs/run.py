"""A training run: it evaluates, saves, stops when asked to, and goes on later as the run that was never stopped, bit for bit.

    windows = npgpt.RandomWindows(train_tokens, T, B)
    run = TrainingRun(model, optimizer, windows, lambda: npgpt.RandomWindows(validation_tokens, T, B), "out")
    run.train(steps=1000)                # Ctrl-C finishes the step, saves, and ends it

and in another process, with the model, the optimizer and the windows made anew:

    checkpoint = npgpt.read_checkpoint("out/last.safetensors")
    model.load_state_dict(checkpoint.weights)
    run = TrainingRun(model, optimizer, windows, validation, "out")
    run.go_on(checkpoint)
    run.train(steps=2000)

It takes any kind of model, of either backend: it calls only what all of them have. tqdm and matplotlib are imported where they
are used.
"""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ..text import Tokenizer
from ..text.data import RandomWindows, set_generator_state
from ..types import Model, Optimizer
from .checkpoint import Checkpoint
from .files import only_writer, remove_leftovers, write_picture
from .metrics import MetricsFile, records_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TrainingRun:
    """What a run leaves in its folder: last.safetensors (all that it goes on from), best.safetensors (the lowest validation
    loss), metrics.jsonl (a line a step), loss.png. Each is whole at every moment, whatever stops the process. While it trains,
    no other run can write there; one whose process is dead hinders nobody.

    Parameters
    ----------
    model : with the weights that it starts from; of several processes each has its own (`torchgpt.distribute`).
    optimizer : the model's AdamW.
    windows : the batches to train on.
    validation : gives the batches to evaluate on, the same ones every time, so that two losses differ by the model alone.
    out_dir : the folder; made where it is missing.
    tokenizer, options : saved with the model; options are whatever JSON can hold, for the one who goes on (`checkpoint.run`).
    rank, ranks : which process this is, of how many. All train and evaluate, so that all know the best loss; the first writes.

    Attributes: step, how many steps have been made; best, the lowest validation loss or None; records, the metrics.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        windows: RandomWindows,
        validation: Callable[[], Iterable],
        out_dir: str | PathLike,
        *,
        tokenizer: Tokenizer | None = None,
        options: Mapping | None = None,
        rank: int = 0,
        ranks: int = 1,
    ):
        self.model, self.optimizer, self.windows, self.validation = model, optimizer, windows, validation
        self.tokenizer, self.options, self.rank, self.ranks = tokenizer, dict(options or {}), rank, ranks
        self.backend = sys.modules[model.backend]  # npgpt or torchgpt
        folder = Path(out_dir)
        self.last_path, self.best_path = folder / "last.safetensors", folder / "best.safetensors"
        self.metrics_path, self.picture_path = folder / "metrics.jsonl", folder / "loss.png"
        self.step: int = 0
        self.best: float | None = None

    @property
    def paths(self) -> list[Path]:
        """The four files."""
        return [self.last_path, self.best_path, self.metrics_path, self.picture_path]

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Takes up the run that a checkpoint of `save` stands in. The model has the checkpoint's weights already.

        Raises ValueError where the checkpoint holds no run, or one of another model.
        """
        if "windows" not in checkpoint.run:
            raise ValueError("the checkpoint holds a model and no run to go on with")
        self.optimizer.set_moments(self.model.named_parameters(), checkpoint.moments, checkpoint.step)
        self.windows.set_state(checkpoint.run["windows"])
        if checkpoint.run["dropout"] is not None:
            set_generator_state(self.model.dropout_rng, checkpoint.run["dropout"])
        self.step, self.best = checkpoint.step, checkpoint.run["best"]

    def save(self, path: str | PathLike) -> None:
        """Writes a checkpoint that `go_on` takes. Of several processes all call it: each may hold a part of the weights."""
        rng = getattr(self.model, "dropout_rng", None)  # a kind of model without dropout has none
        state = {
            "windows": self.windows.state(),
            "dropout": None if rng is None else rng.bit_generator.state,
            "best": self.best,
            "options": self.options,
        }
        self.backend.save_checkpoint(self.model, path, tokenizer=self.tokenizer, optimizer=self.optimizer, run=state)

    def evaluate(self, count: int) -> float:
        """The mean loss of the first `count` validation batches, in nats."""
        return self.backend.evaluate(self.model, self.validation(), count)

    def train(
        self,
        *,
        steps: int,
        learning_rate: float | Callable[[int], float] = 1e-3,
        max_norm: float = 1.0,
        accumulate: int = 1,
        evaluate_every: int = 100,
        evaluate_batches: int = 20,
        save_every: int | None = None,
        on_gradient: Callable[[int, float, float], None] | None = None,
        on_step: Callable[[dict], bool | None] | None = None,
    ) -> bool:
        """Trains up to step `steps`, and saves. True where it came there, False where it was stopped, and saved, before.

        learning_rate, max_norm, accumulate, on_gradient : see `npgpt.train`.
        evaluate_every, evaluate_batches : after how many steps, and at the last one; on how many validation batches.
        save_every : after how many steps last.safetensors is written; None: evaluate_every.
        on_step : called after each step with its line of the metrics. Where it returns True, in all ranks, the run stops.

        The first Ctrl-C stops the run after its step; a second one interrupts at once (KeyboardInterrupt), without saving, and
        so does the first one where several processes run, which would not stop after the same step.
        Raises TrainingDiverged, OSError (BlockingIOError where another run is writing to the folder: nothing in it has been
        changed by then), and ValueError as `npgpt.train` does.
        """
        save_every = evaluate_every if save_every is None else save_every
        counts = {"evaluate_every": evaluate_every, "evaluate_batches": evaluate_batches, "save_every": save_every}
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if steps <= self.step:
            raise ValueError(f"steps must be above {self.step}, the number that the run has made; got {steps}")
        from tqdm import tqdm

        tokens_a_step = self.windows.batch_size * accumulate * self.windows.seq_len
        stop = StopAfterStep(self.ranks == 1)
        metrics: MetricsFile | None = None  # the first rank's
        clock: float
        since: int  # the step since which the clock runs

        def after_step(step: int, loss: float, norm: float) -> bool:
            nonlocal clock, since
            self.step = step
            speed = (step - since) * tokens_a_step / (time.perf_counter() - clock)
            record = {"step": step, "loss": loss, "grad_norm": norm, "lr": self.optimizer.lr, "tokens_per_second": round(speed)}
            bar.update()
            bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
            if step % evaluate_every == 0 or step == steps:
                record["val_loss"] = self.evaluate(evaluate_batches)
                if metrics:
                    line = f"step {step:>6,}  loss {loss:.4f}  validation {record['val_loss']:.4f}  {speed:,.0f} tokens/s"
                    bar.write(line)
                if self.best is None or record["val_loss"] < self.best:
                    self.best = record["val_loss"]
                    self.save(self.best_path)
            if metrics:
                metrics.write(record)
            asked = on_step is not None and on_step(record) is True
            ending = step == steps or stop.asked or asked
            if ending or step % save_every == 0:
                self.save(self.last_path)
            if "val_loss" in record:  # the speed is that of training: the clock starts anew after an evaluation
                clock, since = time.perf_counter(), step
            return ending

        with ExitStack() as until_the_end:
            if self.rank == 0:
                self.last_path.parent.mkdir(parents=True, exist_ok=True)
                until_the_end.enter_context(only_writer(self.last_path.parent))
                for path in self.paths:
                    remove_leftovers(path)
                metrics = until_the_end.enter_context(MetricsFile(self.metrics_path, after=self.step))
            # Silent without a terminal, and in all processes but the first.
            bar = tqdm(total=steps, initial=self.step, unit="step", leave=False, disable=True if self.rank else None)
            clock, since = time.perf_counter(), self.step
            with stop, bar:
                self.backend.train(
                    self.model,
                    self.windows,
                    steps=steps,
                    learning_rate=learning_rate,
                    max_norm=max_norm,
                    accumulate=accumulate,
                    optimizer=self.optimizer,
                    start=self.step,
                    on_gradient=on_gradient,
                    on_step=after_step,
                )
            if metrics:
                write_picture(self.picture_path, losses_picture(records_of(self.metrics_path), self.model.config.vocab_size))
        return self.step == steps


class StopAfterStep:
    """Within its block the first Ctrl-C only sets `asked`; a second one interrupts at once. Python gives signals to the main
    thread alone: elsewhere nothing changes."""

    def __init__(self, enabled: bool):
        self.enabled, self.asked = enabled and threading.current_thread() is threading.main_thread(), False

    def __enter__(self) -> "StopAfterStep":
        if self.enabled:
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.enabled:
            signal.signal(signal.SIGINT, self.before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nfinishing the step (Ctrl-C again stops at once, without saving)", file=sys.stderr)


def losses_picture(records: Iterable[Mapping], vocab_size: int) -> "Figure":
    """The picture of the training losses, with the validation losses in it."""
    from ..pictures import loss_curve
    from ..pictures.style import CONSONANT

    losses, evaluated = [], []
    for record in records:
        losses.append(record["loss"])
        if "val_loss" in record:
            evaluated.append((record["step"], record["val_loss"]))
    figure = loss_curve(losses, math.log(vocab_size))
    (axes,) = figure.axes
    axes.plot([step for step, _ in evaluated], [loss for _, loss in evaluated], "o-", color=CONSONANT, label="validation")
    axes.legend(frameon=False)
    return figure
