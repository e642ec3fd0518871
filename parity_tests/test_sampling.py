"""Choosing a token: what temperature, top-k and top-p leave, that draws follow the probabilities, and that seeds hold."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import npgpt
import torchgpt
from npgpt.sampling import draw, make_sampler, next_token_probabilities

from .strategies import configs, random_weights, seeds, weight_shapes

temperatures = st.sampled_from([0.0, 5e-324, 1e-300, 0.1, 0.7, 1.0, 3.0, 1e6])
top_ks = st.none() | st.integers(1, 12)
top_ps = st.none() | st.floats(0.0, 1.0, exclude_min=True)


def random_logits(seed, ties=False):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 4), rng.integers(1, 11)
    return rng.integers(-2, 3, shape).astype(float) if ties else rng.standard_normal(shape) * 3


@example(0, False, 5e-324, None, None)  # where the quotients overflow
@given(seeds, st.booleans(), temperatures, top_ks, top_ps)
def test_probabilities_sum_to_one_and_keep_the_order(seed, ties, temperature, top_k, top_p):
    logits = random_logits(seed, ties)
    p = next_token_probabilities(logits, temperature, top_k, top_p)
    assert p.shape == logits.shape and np.allclose(p.sum(axis=-1), 1) and (p >= 0).all()
    for row, probabilities in zip(logits, p, strict=True):
        assert probabilities[row.argmax()] == probabilities.max() > 0
        assert (np.diff(probabilities[np.argsort(-row, kind="stable")]) <= 0).all()
        assert np.count_nonzero(probabilities) <= (top_k or len(row))


@given(seeds, st.sampled_from([0.3, 1.0, 2.5]))
def test_without_cuts_it_is_the_softmax(seed, temperature):
    logits = random_logits(seed)
    exact = np.exp(logits / temperature) / np.exp(logits / temperature).sum(axis=-1, keepdims=True)
    assert np.allclose(next_token_probabilities(logits, temperature), exact, rtol=1e-12)
    assert np.array_equal(next_token_probabilities(logits, temperature, logits.shape[-1] + 5, 1.0) > 0, exact > 0)
    if temperature == 1:
        assert np.array_equal(next_token_probabilities(logits), next_token_probabilities(logits, 1.0, None, None))


def test_top_p_of_one_keeps_the_unlikeliest_token_too():
    """Its probability vanishes beside the sum of the others, which is 1 by rounding."""
    p = next_token_probabilities(np.array([[0.0, -40.0, -90.0]]), top_p=1.0)
    assert np.allclose(p, [[1, math.exp(-40), math.exp(-90)]], rtol=1e-15, atol=0)


def test_all_is_computed_in_float64_whatever_the_logits_are():
    logits = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    p = next_token_probabilities(logits, 0.7, 40, 0.9)
    assert p.dtype == np.float64 and np.array_equal(p, next_token_probabilities(logits.astype(np.float64), 0.7, 40, 0.9))


def test_a_token_of_logit_minus_infinity_is_impossible():
    logits = np.array([[-math.inf, 0.0, -math.inf, 0.0]])
    for options in ((1.0,), (5e-324,), (2.0, 3), (1.0, None, 0.9)):
        assert next_token_probabilities(logits, *options).tolist() == [[0, 0.5, 0, 0.5]]


@given(seeds, st.integers(1, 10), st.booleans())
def test_top_k_keeps_the_k_likeliest_in_proportion(seed, k, ties):
    logits = random_logits(seed, ties)
    p, whole = next_token_probabilities(logits, 1.0, k), next_token_probabilities(logits, 1.0)
    for row, cut, full in zip(logits, p, whole, strict=True):
        kept = np.argsort(-row, kind="stable")[:k]  # of equal logits the lower ids
        assert set(np.flatnonzero(cut)) == set(kept) and np.allclose(cut[kept], full[kept] / full[kept].sum())


@given(seeds, st.floats(0.01, 0.99), st.booleans())
def test_top_p_keeps_the_fewest_that_reach_p(seed, top_p, ties):
    logits = random_logits(seed, ties)
    p, whole = next_token_probabilities(logits, 1.0, None, top_p), next_token_probabilities(logits, 1.0)
    for row, cut, full in zip(logits, p, whole, strict=True):
        ends = np.cumsum(full[np.argsort(-row, kind="stable")])
        assume(np.abs(ends - top_p).min() > 1e-9)
        count = int((ends < top_p).sum()) + 1
        kept = np.argsort(-row, kind="stable")[:count]
        assert set(np.flatnonzero(cut)) == set(kept) and np.allclose(cut[kept], full[kept] / full[kept].sum())


@given(st.sampled_from([1, 2, 4, 8, 16, 32]), st.data(), temperatures)
def test_a_sum_that_is_exactly_p_is_enough(V, data, temperature):
    """V equal logits: each probability is 1 / V, a power of two, and so are no sums rounded. n of them have n / V together."""
    assume(temperature > 0)
    n = data.draw(st.integers(1, V))
    p = next_token_probabilities(np.full((2, V), 0.7), temperature, None, n / V)
    assert np.array_equal(p, np.tile([1 / n] * n + [0.0] * (V - n), (2, 1)))


@given(seeds, top_ks, top_ps)
def test_temperature_zero_is_the_likeliest_and_the_lowest_id_of_equals(seed, top_k, top_p):
    logits = random_logits(seed, ties=True)
    assert np.array_equal(make_sampler(0.0, top_k, top_p)(logits), logits.argmax(axis=-1))
    assert np.array_equal(make_sampler(1e-300, 1, top_p)(logits), logits.argmax(axis=-1))


def test_a_draw_falls_where_the_uniform_number_falls():
    p = np.array([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]])
    for uniform, expected in [(0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (1 - 2**-53, 4)]:
        assert draw(p, np.array([uniform])).tolist() == [expected]


@given(seeds)
def test_what_has_probability_zero_is_never_drawn(seed):
    rng = np.random.default_rng(seed)
    p = rng.random((1, 50)) * (rng.random((1, 50)) < 0.3)
    assume(p.any())
    p /= p.sum()
    for uniform in (0.0, 1 - 2**-53, *rng.random(20), *np.cumsum(p)[:-1]):
        assert p[0, draw(p, np.array([min(uniform, 1 - 2**-53)]))[0]] > 0


P = [0.5, 0.3, 0.15, 0.05]
DRAWN = [  # options, and what they make of P by hand
    ({"temperature": 1.0}, P),
    ({"temperature": 0.5}, [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),  # the squares
    ({"temperature": 1.0, "top_k": 3}, [10 / 19, 6 / 19, 3 / 19, 0]),
    ({"temperature": 1.0, "top_p": 0.7}, [0.625, 0.375, 0, 0]),
    ({}, [1, 0, 0, 0]),
]


def assert_frequencies(tokens, expected):
    """Each frequency has a standard error of at most sqrt(0.25 / N); what is impossible never comes."""
    counts = np.bincount(tokens, minlength=4)
    assert np.abs(counts / len(tokens) - expected).max() < 5 * math.sqrt(0.25 / len(tokens))
    assert not counts[np.equal(expected, 0)].any()


@pytest.mark.parametrize(("options", "expected"), DRAWN)
def test_draws_follow_the_probabilities(options, expected):
    logits = np.tile(np.log(P), (20000, 1))
    assert_frequencies(make_sampler(**options, seed=0)(logits), expected)
    choose = make_sampler(**options, seed=0)  # the generator goes on from call to call
    assert_frequencies(np.concatenate([choose(logits[:1]) for _ in range(1000)]), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be a number of at least 0, got -0.1"),
        ({"temperature": math.nan}, "temperature must be a number of at least 0, got nan"),
        ({"temperature": math.inf}, "temperature must be a number of at least 0, got inf"),
        ({"top_k": 0}, "top_k must be an integer of at least 1, or None for all tokens; got 0"),
        ({"top_k": 1.5}, "top_k must be an integer of at least 1, or None for all tokens; got 1.5"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, or None for all tokens; got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, or None for all tokens; got 1.1"),
        ({"top_p": math.nan}, "top_p must be above 0 and at most 1, or None for all tokens; got nan"),
    ],
)
def test_impossible_options_are_named_before_anything_is_computed(options, message):
    for backend in (npgpt, torchgpt):
        with pytest.raises(ValueError, match=message):
            backend.generate(backend.GPTModel(npgpt.GPTConfig.article()), [1], 0, **options)
    for refuse in (make_sampler, lambda **options: next_token_probabilities(np.zeros((1, 2)), **options)):
        with pytest.raises(ValueError, match=message):
            refuse(**options)


@pytest.mark.parametrize("row", [[0.0, math.nan], [0.0, math.inf], [-math.inf, -math.inf]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_of_which_none_can_be_the_likeliest_choose_nothing(row, temperature):
    with pytest.raises(ValueError, match=r"^the logits hold nan or inf, or -inf alone: no token can be chosen"):
        next_token_probabilities(np.array([[0.0, 1.0], row]), temperature)


# ------------------------------------------------------------------------------------------------------------------ generation


@given(configs(), seeds, top_ks, top_ps)
def test_both_backends_draw_the_same_tokens_from_a_seed(config, seed, top_k, top_p):
    rng = np.random.default_rng(seed)
    ours = npgpt.GPTModel(config, dtype="float64")
    ours.load_state_dict(random_weights(rng, config, 1.0))
    theirs = torchgpt.from_numpy(ours)
    prompt = rng.integers(config.vocab_size, size=(2, 3))
    options = {"temperature": 0.9, "top_k": top_k, "top_p": top_p, "seed": seed}
    tokens = npgpt.generate(ours, prompt, 6, **options)
    assert np.array_equal(tokens, torchgpt.generate(theirs, prompt, 6, **options).numpy())
    assert np.array_equal(tokens, npgpt.generate(ours, prompt, 6, **options))


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
@pytest.mark.parametrize(("options", "expected"), DRAWN)
def test_a_model_that_says_the_same_everywhere_writes_it_as_often(backend, options, expected):
    """Its weights are zeros, and its head's bias is the logarithm of P."""
    model = backend.GPTModel(npgpt.GPTConfig(4, 1, 1, 2, 3))
    zeros = {name: np.zeros(shape) for name, shape in weight_shapes(model.config).items()}
    model.load_state_dict(zeros | {"head.bias": np.log(P)})
    tokens = np.asarray(backend.generate(model, np.zeros((2000, 1), int), 5, **options, seed=2))
    assert_frequencies(tokens[:, 1:].ravel(), expected)


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_seeds_differ_and_no_seed_is_another_each_time(backend):
    model = backend.GPTModel(npgpt.GPTConfig.article())
    runs = {tuple(backend.generate(model, [1], 30, temperature=1.0, seed=seed).tolist()) for seed in (0, 1, None, None)}
    assert len(runs) == 4


@pytest.mark.parametrize("backend", [npgpt, torchgpt])
def test_each_token_is_shown_at_once_and_may_end_the_text(backend):
    model = backend.GPTModel(npgpt.GPTConfig.article())
    seen = []
    tokens = backend.generate(model, [[1, 2], [3, 4]], 9, temperature=1.0, seed=0, on_token=lambda new: seen.append(new.copy()))
    assert tokens.shape == (2, 11) and tokens[:, 2:].T.tolist() == [column.tolist() for column in seen]
    seen.clear()

    def stop_after_three(new):
        seen.append(new)
        return len(seen) == 3

    shorter = backend.generate(model, [[1, 2], [3, 4]], 9, temperature=1.0, seed=0, on_token=stop_after_three)
    assert shorter.tolist() == tokens[:, :5].tolist()
