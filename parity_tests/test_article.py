"""The article's steps, in its order and with its own calls, on both backends."""

import importlib

import numpy as np
import pytest

import npgpt
from npgpt import pictures
from npgpt.pictures.statistics import numpy_array, probabilities


@pytest.fixture(scope="module", params=["npgpt", "torchgpt"])
def backend(request):
    return importlib.import_module(request.param)


@pytest.fixture(scope="module")
def model(backend):
    config = backend.GPTConfig.article()
    device = backend.pick_device("cpu")
    return backend.GPTModel(config, device)


IDS = [0, 14, 11, 29, 0, 23, 0, 29, 1, 0, 13, 30]


def test_letters_become_numbers():
    assert npgpt.letters == "abcçdefgğhıijklmnoöprsştuüvyz .,"
    assert npgpt.tokenize("ali ata bak.") == IDS and npgpt.detokenize(IDS) == "ali ata bak."


def test_the_model_counts_248_or_275_parameters(backend, model):
    assert model.num_parameters() == sum(p.numel() for p in model.parameters()) == 248
    assert backend.GPTModel(backend.GPTConfig.article(train_qkv=True), "cpu").num_parameters() == 275


def test_the_dictionary_space_a_lookup_copies_rows(model):
    table = numpy_array(model.token_embedding.weight)
    vectors = numpy_array(model.token_embedding(model_ids(model)))
    assert table.shape == (32, 3) and vectors.shape == (1, 12, 3)
    assert np.array_equal(vectors[0], table[IDS])


def model_ids(model):
    """The sentence as the model's own kind of array: the layers below the model take no lists on torch."""
    if model.backend == "npgpt":
        return np.array([IDS])
    torch = pytest.importorskip("torch")
    return torch.tensor([IDS])


def test_positions_sine_cosine_and_a_column_of_zeros(backend, model):
    encoding = numpy_array(backend.get_position_encoding(12, 3))
    assert encoding.shape == (1, 12, 3) and np.array_equal(encoding, numpy_array(model.position_encoding))
    place = np.arange(12)
    expected = np.stack((np.sin(place), np.cos(place), 0 * place), axis=-1)
    assert np.abs(encoding[0] - expected).max() < 1e-6


def test_the_same_words_in_another_order_are_other_vectors(model):
    same, other = (model.trace([npgpt.tokenize(text)]) for text in ("ali ata bak", "bak ata ali"))
    bags = [np.sort(numpy_array(trace["embed"][0])[0], axis=0) for trace in (same, other)]
    assert np.array_equal(*bags)
    ordered = [np.sort(numpy_array(trace["blocks.0.resid_pre"][0])[0], axis=0) for trace in (same, other)]
    assert np.abs(ordered[0] - ordered[1]).max() > 0.01


def test_attention_from_the_weights_to_the_context(model):
    head = model.blocks[0].mha.attn_heads[0]
    Wq, Wk, Wv = (numpy_array(layer.weight) for layer in (head.Wq, head.Wk, head.Wv))
    assert Wq.shape == Wk.shape == Wv.shape == (3, 3)
    x = model.blocks[0].ln1(model.token_embedding(model_ids(model)) + model.position_encoding)
    output, weights = (numpy_array(array)[0] for array in head(x))
    rows = numpy_array(x)[0]
    scores = (rows @ Wq.T) @ (rows @ Wk.T).T / np.sqrt(3)
    scores[np.triu_indices(12, k=1)] = -np.inf  # the mask: no letter sees the future
    expected = probabilities(scores)
    assert np.abs(weights - expected).max() < 1e-6 and np.all(weights[np.triu_indices(12, k=1)] == 0)
    assert np.abs(output - weights @ (rows @ Wv.T)).max() < 1e-6
    projected = numpy_array(model.blocks[0].mha.projection(head(x)[0]))
    assert np.abs(projected - numpy_array(model.trace([IDS])["blocks.0.attn_out"][0])).max() < 1e-6


def test_layer_norm_in_three_dimensions_is_a_circle(model):
    normed = numpy_array(model.ln_f(model.position_encoding))  # untrained: weight 1, bias 0
    assert np.abs(np.linalg.norm(normed, axis=-1) - np.sqrt(3)).max() < 1e-3
    assert np.abs(normed.sum(axis=-1)).max() < 1e-5


def test_the_ffn_works_where_there_is_one(backend):
    config = backend.GPTConfig(32, n_layer=1, n_head=1, n_embd=3, seq_len=12)
    with_ffn = backend.GPTModel(config, "cpu")
    out = numpy_array(with_ffn.blocks[0].ffn(with_ffn.token_embedding(model_ids(with_ffn))))
    assert out.shape == (1, 12, 3)


def test_the_prediction_is_a_distribution_over_letters(model):
    logits = numpy_array(model([IDS]))
    p = probabilities(logits)
    assert logits.shape == (1, 12, 32) and np.abs(p.sum(axis=-1) - 1).max() < 1e-6
    assert np.abs(p - 1 / 32).max() < 0.01  # untrained: it knows nothing


def test_dataset_training_and_inference(backend):
    model = backend.GPTModel(backend.GPTConfig.article(), "cpu", dtype="float64")
    inputs, targets = npgpt.sliding_windows(np.array(IDS * 3), 12)
    assert inputs.shape == (24, 12) and np.array_equal(inputs[1:, 0], targets[:-1, 0])
    before = numpy_array(model.token_embedding.weight).copy()
    losses = backend.train(model, npgpt.random_batches(inputs, targets, 4), steps=200, learning_rate=1e-2)
    assert losses[0] == pytest.approx(np.log(32), abs=0.05) and losses[-1] < 1.6
    moved = np.abs(numpy_array(model.token_embedding.weight) - before).max(axis=-1)
    assert moved[npgpt.letters.index("v")] == 0 and moved[npgpt.letters.index("a")] > 0.1  # "v" never occurs, never moves
    text = npgpt.detokenize(backend.generate(model, npgpt.tokenize("ali "), 8))
    assert text.startswith("ali ") and len(text) == 12 and set(text) <= set("aliatbk. ")


def test_the_articles_plot_dots_takes_its_list_of_dicts(model):
    table = model.token_embedding.weight  # an array or a tensor that requires grad
    dots_data = [
        {"dots": table[:8], "labels": list(npgpt.letters[:8]), "color": "red", "name": "sözlük"},
        {"dots": table[8:12] * 2, "labels": list(npgpt.letters[8:12]), "color": "blue", "name": "bağlam"},
    ]
    figure = pictures.plot_dots(dots_data, "Sözlük uzayı: ığüşöç")
    axes = figure.axes[0]
    assert axes.name == "3d" and [text.get_text() for text in axes.get_legend().get_texts()] == ["sözlük", "bağlam"]
    assert {text.get_text() for text in axes.texts} >= set(npgpt.letters[:12])
