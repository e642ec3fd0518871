"""What the tests draw: a seed and a structure, never single elements. A failing example prints both, and they rebuild it.

Structures are the inputs on which wrong gradients and careless numerics show: peaked rows, mixed magnitudes, rows that are
almost constant, a large common offset, ties, rows far apart.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt import GPTConfig, LlamaConfig, LSTMConfig, MambaConfig
from npgpt.models import layout_of
from npgpt.models.config import Config
from npgpt.models.layout import initial_weights

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(["float32", "float64"])
sizes = st.sampled_from([1, 2, 3, 5, 7, 8, 13, 17])  # one, primes, powers of two


def _normal(rng, shape):
    return rng.standard_normal(shape)


def _peaked(rng, shape):
    x = rng.standard_normal(shape)
    x[..., rng.integers(shape[-1])] += 30
    return x


def _mixed(rng, shape):
    return rng.standard_normal(shape) * np.exp(rng.uniform(-8, 3, shape))


def _near_constant(rng, shape):
    return rng.standard_normal((*shape[:-1], 1)) + 1e-3 * rng.standard_normal(shape)


def _offset(rng, shape):
    return rng.standard_normal(shape) + 20


def _ties(rng, shape):
    return rng.integers(-2, 3, shape).astype(np.float64)


def _far_apart(rng, shape):
    return rng.standard_normal(shape) + rng.choice([-900.0, 900.0], shape)


STRUCTURES = {f.__name__.strip("_"): f for f in (_normal, _peaked, _mixed, _near_constant, _offset, _ties, _far_apart)}
structures = st.sampled_from(sorted(STRUCTURES))


def array(rng: np.random.Generator, structure: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of that structure, rounded to dtype."""
    return STRUCTURES[structure](rng, shape).astype(dtype)


# One small config of each kind of model, with every part that the kind has: for what must hold of any kind (test_contract.py,
# checks.py).
EXAMPLES: dict[str, Config] = {
    "gpt": GPTConfig(23, 2, 2, 6, 7, position="learned", ffn_hidden=11, qkv_bias=True, tie_weights=True),
    "lstm": LSTMConfig(23, 2, 6, 6, 7, tie_weights=True),
    "mamba": MambaConfig(23, 2, 6, 7, d_state=3, d_conv=3, expand=1.5, dt_rank=2, head_bias=True),
    "llama": LlamaConfig(
        23, 2, 4, 6, 7, n_kv_head=2, head_size=4, ffn_hidden=11, rope_theta=50.0, norm_eps=1e-3, qkv_bias=True
    ),
}


@st.composite
def configs(draw) -> GPTConfig:
    """A small GPTConfig over every option.

    At least 3 features and 5 tokens: LayerNorm over 1 or 2 features passes (almost) no gradient, and with 2 tokens the
    gradients of a batch can cancel: what is left is rounding. test_model.py has a test of its own for those.
    """
    n_head = draw(st.integers(1, 3))
    return GPTConfig(
        vocab_size=draw(st.integers(5, 40)),
        n_layer=draw(st.integers(1, 3)),
        n_head=n_head,
        n_embd=n_head * draw(st.integers(-(-3 // n_head), 5)),
        seq_len=draw(st.integers(1, 9)),
        position=draw(st.sampled_from(["sinusoidal", "learned"])),
        ffn_hidden=draw(st.sampled_from([None, 0, 1, 7])),
        qkv_bias=draw(st.booleans()),
        tie_weights=draw(st.booleans()),
        head_bias=draw(st.booleans()),
        train_qkv=draw(st.booleans()),
    )


@st.composite
def lstm_configs(draw) -> LSTMConfig:
    """A small LSTMConfig over every option (dropout aside: test_dropout.py), sizes of 1 among them."""
    n_hidden, tie_weights = draw(st.integers(1, 7)), draw(st.booleans())
    return LSTMConfig(
        vocab_size=draw(st.integers(5, 40)),
        n_layer=draw(st.integers(1, 3)),
        n_embd=n_hidden if tie_weights else draw(st.integers(1, 7)),
        n_hidden=n_hidden,
        seq_len=draw(st.integers(1, 9)),
        tie_weights=tie_weights,
        head_bias=draw(st.booleans()),
    )


@st.composite
def mamba_configs(draw) -> MambaConfig:
    """A small MambaConfig over every option, sizes of 1 among them; but two features at least, since a row of one has a norm
    that only eps keeps from being constant (test_model.py has a test of its own for those)."""
    n_embd, channels = draw(st.integers(2, 7)), draw(st.sampled_from([None, 1, 3, 8]))
    return MambaConfig(
        vocab_size=draw(st.integers(5, 40)),
        n_layer=draw(st.integers(1, 3)),
        n_embd=n_embd,
        seq_len=draw(st.integers(1, 9)),
        d_state=draw(st.sampled_from([1, 2, 5, 16])),
        d_conv=draw(st.integers(1, 5)),
        expand=2 if channels is None else channels / n_embd,
        dt_rank=draw(st.sampled_from([None, 1, 3])),
        conv_bias=draw(st.booleans()),
        tie_weights=draw(st.booleans()),
        head_bias=draw(st.booleans()),
    )


@st.composite
def llama_configs(draw) -> LlamaConfig:
    """A small LlamaConfig over every option (dropout aside: test_dropout.py): groups of any size, heads that are not C / H; and
    three features at least (see `configs`)."""
    n_kv_head, group, width = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.sampled_from([2, 4, 6]))
    n_head = n_kv_head * group
    own_head_size = draw(st.booleans())
    return LlamaConfig(
        vocab_size=draw(st.integers(5, 40)),
        n_layer=draw(st.integers(1, 3)),
        n_head=n_head,
        n_embd=draw(st.integers(3, 9)) if own_head_size else max(n_head * width, 4),
        seq_len=draw(st.integers(1, 9)),
        n_kv_head=draw(st.sampled_from([None, n_head])) if group == 1 else n_kv_head,
        head_size=width if own_head_size else None,
        ffn_hidden=draw(st.sampled_from([None, 1, 7])),
        rope_theta=draw(st.sampled_from([1.5, 100.0, 10000.0, 5e5])),
        norm_eps=draw(st.sampled_from([1e-6, 1e-5, 1e-2])),
        qkv_bias=draw(st.booleans()),
        tie_weights=draw(st.booleans()),
    )


CONFIGS_OF_A_KIND = {"gpt": configs, "lstm": lstm_configs, "mamba": mamba_configs, "llama": llama_configs}


def given_every_kind(*strategies: st.SearchStrategy):
    """For a test of (config, ...): one test a kind, over random configs of that kind and what the strategies draw. A GPT gets
    as many examples as the profile says, the other kinds a fifth of that each, but ten at least."""

    def decorate(test):
        def of_a_kind(kind):
            most = settings().max_examples
            examples = most if kind == "gpt" else max(10, most // 5)
            settings(max_examples=examples)(given(CONFIGS_OF_A_KIND[kind](), *strategies)(test))()

        of_a_kind.__name__, of_a_kind.__doc__, of_a_kind.__module__ = test.__name__, test.__doc__, test.__module__
        return pytest.mark.parametrize("kind", CONFIGS_OF_A_KIND)(of_a_kind)

    return decorate


def tokens(rng: np.random.Generator, config: Config, batch_size: int | None = None, length: int | None = None):
    """(ids, targets) for that config: few distinct ids half of the time, so that tokens repeat."""
    B = int(rng.integers(1, 5)) if batch_size is None else batch_size
    T = int(rng.integers(1, config.seq_len + 1)) if length is None else length
    most = config.vocab_size if rng.random() < 0.5 else min(3, config.vocab_size)
    return rng.integers(most, size=(B, T)), rng.integers(config.vocab_size, size=(B, T))


def random_weights(rng: np.random.Generator, config: Config, std: float) -> dict[str, np.ndarray]:
    """Weights of the config's model as training might leave them: nothing is 0 or 1, so that no term of a gradient is hidden
    by one. What starts from the same numbers for every seed (a norm's scale, a bias) stays around those, the rest around 0."""
    layout = layout_of(config)
    first, second = (initial_weights(layout, seed) for seed in (0, 1))
    start = {name: value if np.array_equal(value, second[name]) else 0.0 for name, value in first.items()}
    return {name: start[name] + std * rng.standard_normal(entry.shape) for name, entry in layout.items()}


def weight_shapes(config) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every entry of the state_dict, in order."""
    return {name: entry.shape for name, entry in layout_of(config).items()}


def trained_names(config) -> list[str]:
    """The names of the entries that are trained, in order."""
    return [name for name, entry in layout_of(config).items() if entry.trained]
