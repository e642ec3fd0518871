"""Recorder: goes along with a training run, looks at the model at chosen steps, and changes nothing in it.

    recorder = Recorder(model, probe_of("ali ata bak.", tokenizer), tokenizer=tokenizer, training_steps=1500)
    npgpt.train(model, batches, steps=1500, on_gradient=recorder.on_gradient, on_step=recorder.on_step)
    recording = recorder.finish()

The model may be of either backend. Whatever is asked of it (a forward, a backward, some letters) is asked of a twin with the
same weights and without dropout: so the run's own gradients, and the generator of its dropout masks, stay untouched, and the
run is the same to the last bit as the one that nobody recorded.
"""

import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray as Array

from ..backends import BACKENDS
from ..generation import checked_prompt
from ..models import KINDS, make_model
from ..ops.embedding import check_ids
from ..pictures.statistics import ngram_entropy, numpy_array
from ..pictures.style import KINDS as KIND_NAMES
from ..runs.checkpoint import check_tokenizer
from ..text import Tokenizer
from ..types import Model
from .agreement import digits_of_agreement, random_direction
from .recording import Recording

ABOUT = 100  # recorded steps, where nothing else is wished
DRAWS = 0  # seed of the recorder's own draws, the same for every run, so that two runs are looked at alike


def probe_of(text: str, tokenizer: Tokenizer) -> tuple[Array, Array]:
    """ids and targets (T,) of a text: each token but the last is read, each but the first expected.

    Raises ValueError where it has fewer than 2 tokens, and what the tokenizer raises.
    """
    tokens = np.array(tokenizer.encode(text), dtype=np.int64)
    if len(tokens) < 2:
        raise ValueError(f"the probe must hold at least 2 tokens, one to read and one to expect; got {text!r}")
    return tokens[:-1], tokens[1:]


class Recorder:
    """`on_gradient` and `on_step` go into `npgpt.train`, `on_gradient` and `on_record` into `TrainingRun.train`; `finish` gives
    the Recording, also of a run that diverged or was stopped.

    Parameters
    ----------
    model : the one that is trained, of any kind in npgpt, of either backend. One that computes in bfloat16 is looked at in
        float32, the dtype of its weights.
    probe : (ids, targets), both (T,) integers: the text that the model is looked at with. See `probe_of`.
    tokenizer : the model's.
    training_steps : up to which step the run goes.
    steps : after how many updates to look: every so many (an integer; the first and the last as well), those of a collection,
        or those for which a function is true. None: about 100, evenly.
    start : how many updates have been made before, as for `train`.
    prompt : a text that the model goes on from at each of these steps, by `new_tokens` tokens, drawn from its own probabilities
        with the same random numbers each time. None: the probe's first token.
    learning_rate : the one given to `train`, a number or a function; None: it is not told, and recorded as nan.
    text : the ids of the training text, for its entropies and to tell which tokens occur; None: they stay unknown.
    name, seed : how the run is called; the seed is that of its weights and batches.
    max_mb : how many megabytes the recording may take in memory.

    Raises ValueError naming the steps that the run never comes to; where the probe is longer than the context; where the probe,
    the prompt or the text have a token outside the vocabulary; where the kind or the tokenizer is not the model's.
    """

    def __init__(
        self,
        model: Model,
        probe: tuple[Array, Array],
        *,
        tokenizer: Tokenizer,
        training_steps: int,
        steps: int | Iterable[int] | Callable[[int], bool] | None = None,
        start: int = 0,
        prompt: str | None = None,
        new_tokens: int = 24,
        learning_rate: float | Callable[[int], float] | None = None,
        text: Array | None = None,
        name: str | None = None,
        seed: int | None = None,
        max_mb: float = 1000,
    ):
        config = model.config
        if config.kind not in KINDS:
            raise ValueError(f"the model's kind must be one of {', '.join(KINDS)}; got {config.kind!r}")
        if getattr(model, "sharded", False):
            raise ValueError("a model whose weights are split over several processes cannot be recorded")
        check_tokenizer(tokenizer, config)
        self.model, self.tokenizer, self.max_mb = model, tokenizer, max_mb
        self.backend = next(short for short, package in BACKENDS.items() if package == model.backend)
        self.name = name or ", ".join([KIND_NAMES[config.kind], self.backend, *([] if seed is None else [f"seed {seed}"])])
        self.seed, self.new_tokens = seed, new_tokens
        self.ids, self.targets = checked_probe(probe, config.vocab_size, model.context)
        self.prompt = tokenizer.decode(self.ids[:1]) if prompt is None else prompt
        self.prompt_ids = checked_prompt(np.array(tokenizer.encode(self.prompt), dtype=np.int64), config.vocab_size)[0]
        self.counts, self.floors = statistics_of(text, config.vocab_size)
        self.start, self.end = start, training_steps
        self.wanted = chosen_steps(steps, start, training_steps)
        self.rate_at = learning_rate if callable(learning_rate) else lambda step: learning_rate
        its_class: Any = type(model)  # Any: both backends' are called alike, which a protocol cannot say
        self.twin = its_class(replace(config, dropout=0.0) if config.dropout else config, model.device, dtype=model.dtype)
        self.numpy_twin = self.twin if self.backend == "numpy" else make_model(self.twin.config, dtype="float64")
        self.direction = random_direction(model.layout, DRAWS)
        self.step = self.gradient_of = start  # updates made; the step whose gradient was shown last
        self.losses: list[float] = []
        self.moments: dict[int, dict] = {}  # step -> what of a Recording belongs to it

    # ---------------------------------------------------------------------------------------------------- what a run calls

    def on_gradient(self, step: int, loss: float, norm: float) -> None:
        """Before update `step`: keeps its gradient, if the step before is recorded; looks at the model that a run starts from.

        Raises ValueError where the calls are not those of one run.
        """
        if step != self.step + 1:
            raise ValueError(
                f"gradient of step {step} after {self.step} updates: a recorder takes part in one run, from its start "
                f"(start={self.start}) and with both on_gradient and on_step"
            )
        if step - 1 in self.wanted and step - 1 not in self.moments:
            self.look(step - 1)
        self.gradient_of = step
        moment = self.moments.get(step - 1)
        if moment is not None:
            rate = self.rate_at(step)
            moment["batch_gradients"] = self.model.gradients()
            moment["norm"], moment["rate"] = norm, np.nan if rate is None else rate

    def on_step(self, step: int, loss: float, norm: float) -> None:
        """After update `step`: keeps the update, if the step before is recorded, and looks at the model, if this one is."""
        if not step == self.gradient_of == self.step + 1:
            raise ValueError(f"step {step} came without its gradient: a recorder needs on_gradient as well as on_step")
        self.step = step
        self.losses.append(loss)
        before = self.moments.get(step - 1)
        if before is not None:
            after = arrays_of(self.model)
            with np.errstate(all="ignore"):  # weights that overflow; the next step reports them
                before["updates"] = {name: after[name] - before["weights"][name] for name in before["batch_gradients"]}
        if step in self.wanted:
            self.look(step)

    def on_record(self, record: Mapping) -> None:
        """`on_step` for a TrainingRun, which shows a line of its metrics."""
        self.on_step(record["step"], record["loss"], record["grad_norm"])

    # ----------------------------------------------------------------------------------------------------- what is looked at

    def look(self, step: int) -> None:
        """Keeps all that the model is and does after `step` updates."""
        weights, twin = arrays_of(self.model), self.twin
        ids, targets = self.ids[None], self.targets[None]  # (1, T)
        twin.load_state_dict(weights)
        if self.numpy_twin is not twin:
            self.numpy_twin.load_state_dict(weights)
        with np.errstate(all="ignore"):  # a run that blows up is recorded as it is
            twin.zero_grad()
            loss = twin.loss_and_grad(ids, targets)
            gradients = twin.gradients()
            trace = {name: (numpy_array(v)[0], numpy_array(g)[0]) for name, (v, g) in twin.trace(ids, targets).items()}
            written = self.write()
        self.moments[step] = {
            "weights": weights,
            "probe_gradients": gradients,
            "values": {name: value for name, (value, _) in trace.items()},
            "gradients": {name: gradient for name, (_, gradient) in trace.items()},
            "probe_loss": loss,
            "digits": digits_of_agreement(self.numpy_twin, gradients, self.direction, ids, targets),
            "writes": written,
        }
        if len(self.moments) == 1:
            self.check_room(self.moments[step])

    def write(self) -> str:
        """What the twin puts after the prompt; nothing where its logits are nan."""
        generate = sys.modules[self.model.backend].generate
        try:
            tokens = generate(self.twin, self.prompt_ids, self.new_tokens, temperature=1.0, seed=DRAWS)
        except ValueError:
            return ""
        return self.tokenizer.decode(tokens[len(self.prompt_ids) :])

    def check_room(self, moment: dict) -> None:
        """Raises ValueError where moments like this one, at all the wanted steps, take more than max_mb."""
        sizes = {name: sum(array.nbytes for array in moment[name].values()) for name in ("weights", "values")}
        megabytes = len(self.wanted) * (4 * sizes["weights"] + 2 * sizes["values"]) / 1e6
        if megabytes > self.max_mb:
            raise ValueError(
                f"{len(self.wanted)} recorded steps of this model take {megabytes:,.0f} MB, and max_mb is {self.max_mb:g}: "
                f"record fewer steps, or allow more"
            )

    def finish(self) -> Recording:
        """The recording up to here. Where the run ended early, its last state is recorded too.

        Raises ValueError where no step was recorded.
        """
        if self.start < self.step < self.end and self.step not in self.moments:
            self.look(self.step)
        if not self.moments:
            raise ValueError(
                f"nothing was recorded: the run ended after {self.step} steps, the first wanted is {self.wanted[0]}"
            )
        moments = list(self.moments.values())
        weights = moments[0]["weights"]
        nothing = {name: np.full_like(array, np.nan) for name, array in weights.items()}

        def over_steps(group: str, names: Iterable[str]) -> dict[str, Array]:
            kept = [{**nothing, **moment.get(group, {})} for moment in moments]
            return {name: np.stack([arrays[name] for arrays in kept]) for name in names}

        def numbers(name: str) -> Array:
            return np.array([moment.get(name, np.nan) for moment in moments], dtype=np.float64)

        arrays: dict[str, Any] = {name: numbers(name) for name in ("probe_loss", "digits", "norm", "rate")}
        arrays |= {group: over_steps(group, weights) for group in ("weights", "batch_gradients", "updates", "probe_gradients")}
        arrays |= {group: over_steps(group, moments[0]["values"]) for group in ("values", "gradients")}
        return Recording(
            name=self.name,
            backend=self.backend,
            dtype=self.model.dtype,
            seed=self.seed,
            config=self.model.config,
            tokens=[self.tokenizer.decode([token]) for token in range(self.model.config.vocab_size)],
            counts=self.counts,
            floors=self.floors,
            ids=self.ids,
            targets=self.targets,
            losses=np.array([np.nan] * self.start + self.losses, dtype=np.float64),
            steps=np.array(list(self.moments), dtype=np.int64),
            prompt=self.prompt,
            writes=[moment["writes"] for moment in moments],
            **arrays,
        )


def arrays_of(model: Model) -> dict[str, Array]:
    """A copy of the state_dict as NumPy arrays, from either backend."""
    return {name: numpy_array(tensor).copy() for name, tensor in model.state_dict().items()}


def checked_probe(probe: tuple[Array, Array], vocab_size: int, context: int | None) -> tuple[Array, Array]:
    """ids and targets (T,). Raises TypeError or ValueError saying what is wrong with them."""
    ids, targets = (np.asarray(part) for part in probe)
    if ids.ndim != 1 or ids.shape != targets.shape:
        raise ValueError(f"the probe must be ids and targets of one shape (T,), got {ids.shape} and {targets.shape}")
    check_ids("the probe's ids", ids, vocab_size)
    check_ids("the probe's targets", targets, vocab_size)
    if context is not None and len(ids) > context:
        raise ValueError(f"the probe has {len(ids)} positions, more than the model's seq_len of {context}")
    return ids.astype(np.int64), targets.astype(np.int64)


def chosen_steps(steps: int | Iterable[int] | Callable[[int], bool] | None, start: int, end: int) -> list[int]:
    """The steps to record, rising, each in start..end. See Recorder. Raises TypeError or ValueError."""
    if not 0 <= start < end:
        raise ValueError(f"training_steps must be above start, and start at least 0; got {end} and {start}")
    if steps is None:
        steps = max(1, (end - start) // ABOUT)
    if callable(steps):
        chosen = [step for step in range(start, end + 1) if steps(step)]
    elif isinstance(steps, Iterable):
        chosen = sorted({operator.index(step) for step in steps})
    else:
        every = operator.index(steps)
        if every < 1:
            raise ValueError(f"steps must be at least 1 to record every so many, got {every}")
        chosen = [*range(start, end, every), end]
    never = [step for step in chosen if not start <= step <= end]
    if never:
        raise ValueError(f"steps {', '.join(map(str, never))} never come: the run goes from {start} updates to {end}")
    if not chosen:
        raise ValueError(f"steps must choose at least one of {start}..{end}")
    return chosen


def statistics_of(text: Array | None, vocab_size: int) -> tuple[Array | None, dict[int, float]]:
    """How often each token stands in the text (V,), and its entropies given the 0, 1 and 2 tokens before; nothing for None."""
    if text is None:
        return None, {}
    text = np.asarray(text)
    check_ids("the text's ids", text, vocab_size)
    floors = {n: float(ngram_entropy(text, n)) for n in (1, 2, 3) if n <= len(text)}
    return np.bincount(text, minlength=vocab_size), floors
