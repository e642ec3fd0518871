"""Every pair of a reader's file graded: which functions are pairs, which inputs they get, what is said, how the command ends.

Right and wrong files are written as readers write them. What must never happen: that a pair which was not graded is called
right, and that a right one is called wrong since its inputs were read wrongly.
"""

import importlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import npgpt
from npgpt import check_backward, check_pairs
from npgpt.check.draws import drawn_inputs
from npgpt.check.pairs import pairs_in
from npgpt.check.signature import parameters_of

ROOT = Path(__file__).parents[1]

SOFTMAX = """
def softmax(x):
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return p, p


def softmax_backward(dp, p):
    return p * (dp - (dp * p).sum(-1, keepdims=True))
"""
WRONG_SOFTMAX = SOFTMAX.replace("(dp - (dp * p).sum(-1, keepdims=True))", "dp")
PRODUCT = """
def product(a, b):
    return a @ b


def product_backward(dy, a, b):
    return dy @ b.T, a.T @ dy
"""


def written(folder, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text("import numpy as np\n" + textwrap.dedent(text), encoding="utf-8")
    return path


def words(report) -> dict[str, str]:
    return {each.name: each.word for each in report.pairs}


def remarks(report) -> str:
    return "\n".join(each.remark for each in report.pairs)


def command(*arguments, **options):
    """The command, in another process: what a reader types."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "npgpt.check", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60, **options)


# --------------------------------------------------------------------------------------------------------- inputs from cases()


def test_a_right_and_a_wrong_file(tmp_path):
    """Catches: a verdict that does not reach the table, the exit code or the report."""
    right = check_pairs(written(tmp_path, SOFTMAX))
    assert right and right.exit_code == 0 and words(right) == {"softmax_backward": "right"}
    wrong = check_pairs(written(tmp_path, WRONG_SOFTMAX))
    assert not wrong and wrong.exit_code == 1 and words(wrong) == {"softmax_backward": "WRONG"}
    lines = str(wrong).splitlines()
    assert lines[0].split() == ["name", "verdict", "worst", "gradient", "likely", "mistake"]
    assert lines[1].startswith("softmax_backward  WRONG    dx[") and "missing term: each row lacks a multiple" in lines[1]
    assert lines[3] == "1 wrong" and lines[5] == "softmax_backward is wrong." and "should be" in str(wrong)


def test_the_worst_element_is_the_one_that_is_furthest_off(tmp_path):
    """Catches: the first element in place of the worst one, an error that is not relative, another gradient's name."""
    text = PRODUCT.replace("return dy @ b.T, a.T @ dy", "db = a.T @ dy; db[1, 2] += 3; db[0, 0] += 1e-3; return dy @ b.T, db")
    text += "\ndef cases():\n    return {'product': (np.full((2, 3), 0.5), np.full((3, 4), 0.25))}\n"
    (found,) = check_pairs(written(tmp_path, text)).pairs
    place, error = found.verdict.worst
    dy_a = np.full((2, 3), 0.5).T @ np.random.default_rng(0).standard_normal((2, 4))
    assert place == "db[1, 2]" and 3 / (3 + 10 * np.abs(dy_a).max()) < error < 3 / np.abs(dy_a).max() * 10


def test_the_error_is_a_part_of_the_gradients_size(tmp_path):
    """Catches: an absolute error, and a nan that counts as no error."""
    text = "def f(x):\n    return 1e6 * x  # x (N, C)\n\n\ndef f_backward(dy, x):\n    return 2e6 * dy\n"
    (found,) = check_pairs(written(tmp_path, text)).pairs
    assert found.verdict.worst.error == pytest.approx(1, rel=1e-6)  # twice the size is as wrong as none
    (found,) = check_pairs(written(tmp_path, text.replace("2e6 * dy", "np.where(dy == dy.max(), np.nan, 1e6 * dy)"))).pairs
    assert found.word == "WRONG" and found.verdict.worst.error == np.inf


def test_of_several_right_cases_the_one_with_the_largest_error_is_told(tmp_path):
    cases = "[(np.eye(1), np.eye(1)), (np.full((9, 9), 1 / 3), np.full((9, 9), 0.7)), (np.eye(2), np.eye(2))]"
    report = check_pairs(written(tmp_path, f"{PRODUCT}\ndef cases():\n    return {{'product': {cases}}}\n"))
    assert report and "a (9, 9)" in report.pairs[0].verdict.checks[0].message and report.pairs[0].verdict.worst.error > 0


def test_how_far_a_right_verdict_reaches_is_said_in_the_table(tmp_path):
    """Catches: a gradient that is 0 at these inputs, which any backward may get right, called right without a word."""
    report = check_pairs(written(tmp_path, SOFTMAX + "\ndef cases():\n    return {'softmax': (np.ones((4, 1)),)}\n"))
    assert report and "Note: dx is all but zero at these inputs" in str(report).splitlines()[1]


def test_cases_give_the_inputs_one_or_many(tmp_path):
    """Catches: cases that are ignored, all but the first of them ignored, a wrong one hidden behind a right one."""
    cases = """
    def cases():
        print("never seen")
        of_products = [(np.ones((2, 3)), np.eye(3)), (np.ones((1, 3)), np.ones((3, 2)))]
        return {"product": of_products, "softmax_backward": (np.ones((2, 5)),)}
    """
    report = check_pairs(written(tmp_path, SOFTMAX + PRODUCT + textwrap.dedent(cases)))
    assert words(report) == {"softmax_backward": "right", "product_backward": "right"}
    assert "x (2, 5)" in report.pairs[0].verdict.checks[0].message

    wrong_for_some = PRODUCT.replace("dy @ b.T", "dy @ (b.T if len(a) > 1 else 2 * b.T)")
    cases = cases.replace(', "softmax_backward": (np.ones((2, 5)),)', "")
    report = check_pairs(written(tmp_path, wrong_for_some + textwrap.dedent(cases)))
    assert words(report) == {"product_backward": "WRONG"} and "case 2 of 2" in remarks(report)


def test_what_cases_may_not_return_is_said(tmp_path):
    """Catches: a typing mistake in cases() that leaves a pair ungraded without a word."""
    for cases, says in [
        ("{'soft_max': (np.ones(3),)}", r"cases\(\) names 'soft_max', and the pairs are softmax_backward"),
        ("{'softmax': np.ones(3)}", r"must give a tuple of inputs for 'softmax'"),
        ("{'softmax': []}", r"must give a tuple of inputs for 'softmax'"),
        ("[(np.ones(3),)]", r"must return a dict, name -> inputs, got list"),
        ("1 / 0", r"cases\(\) raised ZeroDivisionError"),
        ("{'softmax': (np.array([1.0, np.nan]),)}", r"case 1 of softmax_backward: x holds a nan"),
        ("{'softmax': (np.arange(3),)}", r"case 1 of softmax_backward: no input holds floating-point numbers"),
    ]:
        with pytest.raises(ValueError, match=says):
            check_pairs(written(tmp_path, f"{SOFTMAX}\ndef cases():\n    return {cases}\n"))


def test_a_forward_that_fails_on_its_own_case_is_wrong_and_on_a_drawn_one_not_graded(tmp_path):
    text = SOFTMAX.replace("p = ", "assert x.ndim == 5\n    p = ")
    report = check_pairs(written(tmp_path, text))
    assert words(report) == {"softmax_backward": "not graded"} and report.exit_code == 2 and "AssertionError" in remarks(report)
    report = check_pairs(written(tmp_path, text + "\ndef cases():\n    return {'softmax': (np.ones(3),)}\n"))
    assert words(report) == {"softmax_backward": "WRONG"} and report.exit_code == 1


# ------------------------------------------------------------------------------------------------- inputs from the signature


SHAPES = {  # how a and b of a @ b may be described; every one must be read as (N, C) and (C, O)
    "docstring": ('a, b', '"""a (N, C), b (C, O) -> y (N, O)."""'),
    "docstring, brackets": ("a, b", '"""a [N, C] and b [C, O]"""'),
    "CS231n": (
        "a, b",
        '"""\n    - a: An array, of\n      shape (N, C)\n    - b: of shape (C, O)\n\n    Returns:\n    - b: (N, O)\n    """',
    ),
    "numpydoc": ("a, b", '"""A product.\n\n    a : ndarray, shape (N, C)\n        Data.\n    b : (C, O) array\n    """'),
    "Google": ("a, b", '"""\n    Args:\n        a (Array): of shape (N, C).\n        b (Array): of shape (C, O).\n    """'),
    "prose": ("a, b", '"""a has the shape (N, C). Then b is of shape (C, O)."""'),
    "behind each": ("\n    a,  # (N, C)\n    b,  # (C, O), the weights\n", ""),
    "behind all": ("a, b", "# a (N, C), b (C, O)"),
    "strings": ('a: "N C", b: "(C, O)"', ""),
    "dtypes": ('a: "float64[N, C]", b: "float[C, O]"', ""),
    "jaxtyping": ("a: 'Float[Array, \"N C\"]', b: 'Float[np.ndarray, \"C O\"]'", ""),
    "Annotated": ('a: Annotated[np.ndarray, "N C"], b: Annotated[np.ndarray, ("C", "O")]', ""),
    "unpacked": ("a, b", "N, C = a.shape; C, _ = b.shape"),
    "expressions": ("a, b", '"""a (N, C), b (C, 2O)"""'),
    "numbers": ("a, b", '"""a (4, 3), b (3, 2)"""'),
}  # fmt: skip


@pytest.mark.parametrize(("parameters", "said"), SHAPES.values(), ids=SHAPES)
def test_a_shape_is_read_wherever_readers_write_it(parameters, said, tmp_path):
    """Catches: a place that is not read, and letters of two inputs that are not the same size."""
    text = f"def product({parameters}):\n    {said or 'pass'}\n    return a @ b\n" + PRODUCT.split("\n\n\n")[1]
    report = check_pairs(written(tmp_path, "from typing import Annotated\n" + text))
    assert words(report) == {"product_backward": "right"}, str(report)
    wrong = text.replace("dy @ b.T", "2 * dy @ b.T")
    assert words(check_pairs(written(tmp_path, "from typing import Annotated\n" + wrong))) == {"product_backward": "WRONG"}


def test_what_is_no_shape_is_not_read():
    def f(a, b):  # (N, O)
        """Computes f(a, b), the sum of a and b (a cheap one), in a (see below); a[n, o] is (b) -> a (N, N).

        b (N, O, O), which is later made one of b (N, O)
        """
        a = a.sum((0, 1))  # (N, N, N)
        return a  # (a, b)

    assert [each.shape for each in parameters_of(f)] == [None, ("N", "O", "O")]  # the first that is said of b


def test_kinds_follow_from_words_names_and_defaults():
    def f(x, ids, labels, mask, n_head: int, eps, note=print, bias=None):
        """x (N, V), ids (N,), labels (N, V) one-hot rows, mask (N,), bias (V,)"""
        return x

    found = {each.name: each.kind for each in parameters_of(f)}
    assert list(found.values()) == ["floats", "ids", "labels", "booleans", "count", "number", "", "floats"]
    x, ids, labels, mask, n_head, eps = drawn_inputs(f, np.random.default_rng(0)).values  # note keeps its default
    assert x.dtype == float and mask.dtype == bool and n_head == 2 and eps == 1e-5
    assert ids.dtype.kind == "i" and 0 <= ids.min() and ids.max() < x.shape[1] and (labels.sum(-1) == 1).all()


def test_an_id_comes_twice_so_that_assigned_gradients_show(tmp_path):
    """Catches: ids that all differ, with which `dw[ids] = dy` is right."""
    text = """
    def embedding(ids, w):
        "ids (N,), w (V, C)"
        return w[ids], (ids, w.shape)


    def embedding_backward(dy, cache):
        dw = np.zeros(cache[1])
        dw[cache[0]] = dy
        return dw
    """
    for seed in range(5):
        assert words(check_pairs(written(tmp_path, text), seed=seed)) == {"embedding_backward": "WRONG"}
        right = text.replace("dw[cache[0]] = dy", "np.add.at(dw, cache[0], dy)")
        assert words(check_pairs(written(tmp_path, right), seed=seed)) == {"embedding_backward": "right"}


FILES = {  # what readers write -> a right one; a line of it and that line made wrong
    "cross-entropy with ids": (
        """
        def cross_entropy(logits, targets):
            "logits (N, V), targets (N,), 0 <= targets[n] < V"
            p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
            return -np.log(p[np.arange(len(targets)), targets]).mean(), [p, targets]

        def cross_entropy_backward(dloss, cache):
            p, targets = cache
            return dloss * (p - np.eye(p.shape[1])[targets]) / len(targets)
        """,
        " / len(targets)", "",
    ),
    "LayerNorm with parameters": (
        """
        def layer_norm(x, gamma, beta, eps=1e-5):
            B, T, C = x.shape  # gamma (C,), beta (C,)
            c = x - x.mean(-1, keepdims=True)
            rstd = 1 / np.sqrt((c * c).mean(-1, keepdims=True) + eps)
            return gamma * c * rstd + beta, {"xhat": c * rstd, "rstd": rstd, "gamma": gamma}

        def layer_norm_backward(dy, cache):
            xhat, d = cache["xhat"], dy * cache["gamma"]
            dx = cache["rstd"] * (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True))
            return dx, (dy * xhat).sum((0, 1)), dy.sum((0, 1))
        """,
        "d - d.mean(-1, keepdims=True)", "d",
    ),
    "no cache": (
        """
        def mix(x, gate):
            "x, gate (B, C)"
            return x * np.tanh(gate)

        def mix_backward(dy, x, gate):
            return dy * np.tanh(gate), dy * x / np.cosh(gate) ** 2
        """,
        "** 2", "",
    ),
    "a target without a gradient": (
        """
        def mse_forward(pred, target):
            "pred (N, D), target (N, D)"
            return ((pred - target) ** 2).mean(), (pred, target)

        def mse_backward(dloss, cache):
            return dloss * 2 * (cache[0] - cache[1]) / cache[0].size
        """,
        " / cache[0].size", "",
    ),
    "probabilities": (
        """
        def fwd(p, y):
            return -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum()  # p, y (N, C)

        bce_fwd = fwd

        def bce_bwd(dloss, p, y):
            return dloss * (-y / p + (1 - y) / (1 - p))
        """,
        "(1 - p)", "(1 + p)",
    ),
    "heads that divide the width": (
        """
        def forward_split(x, n_head):
            "x (B, T, C)"
            B, T, C = x.shape
            return x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2), None

        def backward_split(dy, cache):
            B, H, T, D = dy.shape
            return dy.swapaxes(1, 2).reshape(B, T, H * D)
        """,
        "dy.swapaxes(1, 2)", "dy",
    ),
    "a square matrix": (
        """
        def squared(x):
            "x (N, M)"
            return x @ x

        def squared_backward(dy, x):
            return dy @ x.T + x.T @ dy
        """,
        " + x.T @ dy", "",
    ),
    "a slope without a default": (
        """
        def leaky(x, slope):
            return np.where(x > 0, x, slope * x)  # x (N, C)

        def leaky_grad(dy, x, slope):
            return np.where(x > 0, dy, slope * dy)
        """,
        "slope * dy", "0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("text", "line", "bug"), FILES.values(), ids=FILES)
def test_what_readers_write_is_graded_without_a_wrapper(text, line, bug, seed, tmp_path):
    report = check_pairs(written(tmp_path, text), seed=seed)
    assert report and len(report.pairs) == 1, str(report)
    assert text.count(line) == 1 or line in ("(1 - p)", "dy.swapaxes(1, 2)")
    text = text[: text.rindex(line)] + bug + text[text.rindex(line) + len(line) :]
    assert check_pairs(written(tmp_path, text), seed=seed).exit_code == 1


def test_what_counts_as_a_constant_is_said_and_a_forgotten_gradient_does_not(tmp_path):
    """Catches: a backward that forgets a weight's gradient called right, since the weight was taken for a constant."""
    mse = written(tmp_path, FILES["a target without a gradient"][0])
    assert "no gradient of target" in str(check_pairs(mse))
    for forgotten in (
        PRODUCT.replace("dy @ b.T, a.T @ dy", "dy @ b.T").replace("(a, b):", "(a, b):  # a (N, C), b (C, O)"),
        PRODUCT.replace("dy @ b.T, a.T @ dy", "dy @ y.T").replace("b)", "y)").replace("@ b", "@ y # a (N, C), y (C, O)"),
    ):
        report = check_pairs(written(tmp_path, forgotten))
        assert "WRONG" in words(report).values() and "number of gradients" in str(report), str(report)


def test_an_optional_input_is_passed_where_its_shape_is_said(tmp_path):
    text = """
    def shifted(x, bias=None):
        "x (N, C), bias (C,)"
        return x if bias is None else x + bias

    def shifted_backward(dy, *inputs):
        return dy, dy.sum(0)
    """
    assert check_pairs(written(tmp_path, text))
    without = check_pairs(written(tmp_path, text.replace("dy, dy.sum(0)", "dy")))
    assert without and "bias left at None" in str(without)  # said: nobody may take it for graded


def test_a_gradient_forgotten_of_an_input_that_cannot_be_left_out_is_wrong(tmp_path):
    """Catches: a wrong backward called not graded, since the forward fails without that input."""
    text = """
    def shifted(x, bias=None):
        "x (N, C), bias (C,)"
        return x + 1.0 * bias

    def shifted_backward(dy, *inputs):
        return dy
    """
    assert words(check_pairs(written(tmp_path, text))) == {"shifted_backward": "WRONG"}


# --------------------------------------------------------------------------------------------------- what cannot be graded


UNGRADED = {
    "no shape of two inputs": (PRODUCT, "no shape of a, b is said"),
    "no shape of one of two": (PRODUCT.replace("a, b):", "a, b):  # b (N, C)", 1), "no shape of a is said"),
    "shapes that do not fit": (PRODUCT.replace("a, b):", "a, b):  # a (2, 3), b (2, 3)", 1), "takes no inputs of the shapes"),
    "a derivative": ("def f(x):\n    return x * x\n\ndef f_grad(x):\n    return 2 * x\n", r"but 2 were given \(called as"),
    "another call": (SOFTMAX.replace("(dp, p)", "(dp, p, more)"), "missing 1 required positional argument: 'more'"),
    "a real model's size": (PRODUCT.replace("a, b):", "a, b):  # a (9, 768), b (768, 50257)", 1), "no small sizes make these"),
    "any inputs": (PRODUCT.replace("(a, b):", "(*a):", 1), r"\*a may be anything"),
    "a keyword": (PRODUCT.replace("(a, b):", "(a, *, b):", 1), "b is passed by its keyword alone"),
    "random": (SOFTMAX.replace("p = ", "p = np.random.rand() * "), "another y when it runs again"),
    "three results": (SOFTMAX.replace("return p, p\n", "return p, p, x\n"), "got a tuple of 3"),
    "not smooth": ("def f(x):\n    return np.floor(x * 1e8) % 2\n\ndef f_backward(dy, x):\n    return dy\n", "can be measured"),
    "sys.exit": (SOFTMAX.replace("p = ", "raise SystemExit(0)\n    p = "), "ends Python"),
    "ids alone": ("def f(ids):\n    'ids (N,)'\n    return ids / 2\n\ndef f_grad(dy, ids):\n    return None\n", "hold floats"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), UNGRADED.values(), ids=UNGRADED)
def test_what_cannot_be_graded_is_never_called_right_and_says_what_it_needs(text, says, tmp_path):
    report = check_pairs(written(tmp_path, text))
    (found,) = report.pairs
    assert found.word == "not graded" and found.verdict is None and report.exit_code == 2 and not report, str(report)
    assert re.search(says, found.remark) and "\n" not in found.remark, found.remark
    mixed = check_pairs(written(tmp_path, text + SOFTMAX.replace("softmax", "another")))
    assert sorted(words(mixed).values()) == ["not graded", "right"] and mixed.exit_code == 0


def test_a_backward_that_is_not_written_yet_is_not_right(tmp_path):
    report = check_pairs(
        written(tmp_path, SOFTMAX.split("    return p * (")[0] + "    raise NotImplementedError('your turn')\n")
    )
    assert words(report) == {"softmax_backward": "not written"} and report.exit_code == 1


# ------------------------------------------------------------------------------------------------------- which are the pairs


def test_pairs_are_told_by_their_names():
    def f(*_):
        return 0

    names = "a a_backward b_forward b b_backward c_fwd c_bwd forward_d backward_d e e_grad forward backward"
    namespace = dict.fromkeys([*names.split(), "lonely_backward", "x_forward"], f) | {"z": 1, "z_grad": f, "q": f, "q_grad": 3}
    found = {pair.name: pair.forward_name for pair in pairs_in(namespace)}
    assert found == {
        "a_backward": "a",
        "b_backward": "b_forward",
        "c_bwd": "c_fwd",
        "backward_d": "forward_d",
        "e_grad": "e",
        "backward": "forward",
    }


def test_what_is_imported_is_not_the_readers_unless_cases_names_it(tmp_path):
    text = "from npgpt.ops.gelu import gelu, gelu_backward\n"
    assert words(check_pairs(written(tmp_path, text + SOFTMAX))) == {"softmax_backward": "right"}
    text += "\ndef cases():\n    return {'gelu': (np.ones(3),)}\n"
    assert words(check_pairs(written(tmp_path, text))) == {"gelu_backward": "right"}


def test_a_module_and_a_namespace_are_taken_too(tmp_path, monkeypatch):
    namespace = {"np": np, "__name__": "__main__"}
    exec(WRONG_SOFTMAX, namespace)
    namespace["gelu"], namespace["gelu_backward"] = npgpt.ops.gelu.gelu, npgpt.ops.gelu.gelu_backward
    assert words(check_pairs(namespace)) == {"softmax_backward": "WRONG"}
    written(tmp_path, SOFTMAX, "a_module_of_mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert check_pairs(importlib.import_module("a_module_of_mine"), only="softmax")
    with pytest.raises(TypeError, match="the path of a file, a module or a namespace such as globals"):
        check_pairs(3)
    with pytest.raises(ValueError, match="only names 'tanh', and the pairs are softmax_backward"):
        check_pairs(namespace, only="tanh")
    with pytest.raises(ValueError, match="no pair of a forward and a backward"):
        check_pairs({"np": np})


def test_a_file_is_read_afresh_and_leaves_nothing_behind(tmp_path):
    """Catches: a compiled copy of a file that was saved twice in a second (of one size: a sign differs), a path that stays."""
    path = written(tmp_path, SOFTMAX.replace("return p * (", "return +p * ("))
    path = path.rename(tmp_path / "read_afresh.py")  # a name that no other test has
    before = list(sys.path), set(sys.modules)
    for sign, word in [("+", "right"), ("-", "WRONG"), ("+", "right")]:
        path.write_text(path.read_text().replace("return +p", f"return {sign}p").replace("return -p", f"return {sign}p"))
        os.utime(path, (1e9, 1e9))
        assert words(check_pairs(path)) == {"softmax_backward": word}
    assert (list(sys.path), set(sys.modules)) == before and not (tmp_path / "__pycache__").exists()


def test_functions_that_change_their_inputs_are_found_and_spoil_no_other_verdict(tmp_path):
    text = SOFTMAX.replace("p = ", "x -= x.max()\n    p = ") + SOFTMAX.replace("softmax", "pure")
    text += SOFTMAX.replace("softmax", "rough").replace("    return p * (", "    dp *= 2; dp /= 4\n    return p * 2 * (")
    report = check_pairs(written(tmp_path, text))
    assert words(report) == {"softmax_backward": "WRONG", "pure_backward": "right", "rough_backward": "WRONG"}
    assert "the forward changes x" in str(report) and "the backward changes dy" in str(report)


def test_a_backward_that_takes_a_rate_raises_nothing(tmp_path):
    """Whether check_backward grades it or refuses it, the other pairs are graded."""
    report = check_pairs(written(tmp_path, SOFTMAX.replace("(dp, p)", "(dp, p, lr=0.1)") + SOFTMAX.replace("softmax", "other")))
    assert words(report)["other_backward"] == "right" and words(report)["softmax_backward"] in ("right", "not graded")


OPS = sorted(path.stem for path in (ROOT / "npgpt" / "ops").glob("*.py") if "def " + path.stem in path.read_text("utf-8"))
NOT_SAID = {"attention_in_tiles_backward", "dropout_backward", "memory_backward", "lstm_cell_backward"}  # shapes; (h, c) as y


@pytest.mark.parametrize("name", OPS)
def test_the_librarys_own_files_are_graded_as_they_stand(name):
    """Their docstrings are a reader's: every pair is right, or is known not to say enough."""
    found = words(check_pairs(ROOT / "npgpt" / "ops" / f"{name}.py", seed=1))
    assert found
    for pair, word in found.items():
        assert word == "right" or (word == "not graded" and pair in NOT_SAID)


# --------------------------------------------------------------------------------------------------------------- the command


def test_the_command_prints_the_table_and_its_exit_status_tells(tmp_path):
    text = SOFTMAX.replace("p = ", "print('in the forward')\n    p = ") + PRODUCT + "print('when imported')\n"
    path = written(tmp_path, text)
    done = command(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("when imported\nname ") and "in the forward" not in done.stdout
    assert done.stdout.endswith("\n\n1 right, 1 not graded\n")
    done = command(path, "--only", "product")
    assert done.returncode == 2 and done.stdout.endswith("1 not graded\n")
    done = command(written(tmp_path, WRONG_SOFTMAX), "--seed", 3)
    assert (done.returncode, done.stderr) == (1, "") and "softmax_backward is wrong." in done.stdout


def test_a_file_that_cannot_be_graded_is_one_line_of_error(tmp_path, capsys):
    from npgpt.check.__main__ import main

    for text, says in [
        ("1 / 0\n", "mine.py cannot be imported: ZeroDivisionError: division by zero (line 2)"),
        ("def f(:\n", "mine.py cannot be imported: SyntaxError: invalid syntax (mine.py, line 2)"),
        ("import sys; sys.exit('bye')\n", "mine.py cannot be imported: SystemExit: bye (line 2)"),
        ("from . import beside\n", "mine.py cannot be imported: ImportError"),
        (
            "import no_such_module\n",
            "mine.py cannot be imported: ModuleNotFoundError: No module named 'no_such_module' (line 2)",
        ),
        ("x = 1\n", "no pair of a forward and a backward"),
        (SOFTMAX + "cases = lambda: 1\n", "cases() must return a dict"),
    ]:
        assert main([str(written(tmp_path, text))]) == 2
        out, error = capsys.readouterr()
        assert out == "" and error.startswith(f"error: {says}") and error.count("\n") == 1, error
    assert main([str(written(tmp_path, SOFTMAX, "mine.txt"))]) == 2  # importlib gives such a file no loader
    assert capsys.readouterr().err == "error: mine.txt cannot be imported: it is no file of Python\n"
    assert main([str(tmp_path / "none.py")]) == main([str(tmp_path / "none.py"), "--watch"]) == 2
    assert capsys.readouterr().err == 2 * f"error: {tmp_path / 'none.py'}: no such file\n"
    with pytest.raises(SystemExit):
        main([str(written(tmp_path, SOFTMAX)), "--seed=-1"])
    assert capsys.readouterr().err.endswith("error: --seed must be at least 0, got -1\n")


def test_modules_beside_the_file_and_of_its_package_are_found(tmp_path):
    package = tmp_path / "a_package" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    written(package, "two = 2\n", "beside_it.py")
    path = written(package, "from .beside_it import two\n" + SOFTMAX.replace("np.exp(x)", "np.exp(two * x)"), "own.py")
    path.write_text(path.read_text().replace("return p * (", "return two * p * ("))
    try:
        assert check_pairs(path)
    finally:
        for name in [name for name in sys.modules if name.startswith("a_package")]:
            del sys.modules[name]
    assert command(path, cwd=package).returncode == 0
    written(tmp_path, "two = 2\n", "beside_that.py")
    assert command(written(tmp_path, "from beside_that import two\n" + SOFTMAX), cwd=ROOT).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_watch_grades_again_on_save_survives_a_syntax_error_and_ends_without_a_traceback(tmp_path):
    text = "from beside import factor\n" + SOFTMAX.replace("return p * (", "return factor * p * (")
    path = written(tmp_path, text + WRONG_SOFTMAX.replace("softmax", "not_asked"))
    written(tmp_path, "factor = 1\n", "beside.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(tmp_path / "out", "w+") as out:
        line = [sys.executable, "-m", "npgpt.check", str(path), "--watch", "--only", "softmax"]
        process = subprocess.Popen(line, stdout=out, stderr=subprocess.STDOUT, env=environment)

        def next_grading(number: int) -> str:
            until = time.monotonic() + 60
            while (text := (tmp_path / "out").read_text()).count("waiting for the next save") < number:
                assert time.monotonic() < until and process.poll() is None, text
                time.sleep(0.05)
            return text.split("waiting for the next save")[number - 1]

        try:
            assert "1 right" in next_grading(1)
            time.sleep(0.6)
            assert (
                next_grading(1).count("1 right") == 1 and (tmp_path / "out").read_text().count("----") == 2
            )  # waits for a save
            path.write_text(path.read_text() + "def (:\n")
            assert "error: mine.py cannot be imported: SyntaxError" in next_grading(2)
            (tmp_path / "beside.py").write_text("factor = -1\n# read afresh too\n")
            path.write_text(path.read_text().replace("def (:\n", ""))
            assert "1 wrong" in next_grading(3)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert "Traceback" not in (tmp_path / "out").read_text()


# ----------------------------------------------------------------------------------------------------------------- in pytest


pytest_plugins = ["pytester"]
PLUGIN = ("-p", "pytest_npgpt", "-p", "no:cacheprovider", "-W", "error", "--strict-config")


def run_pytest(pytester, *arguments) -> tuple[int, str]:
    """The exit status and the output of pytest on the files in its folder."""
    done = pytester.runpytest_inprocess(*PLUGIN, *arguments)
    return int(done.ret), done.stdout.str()


def test_the_plugin_makes_a_test_of_each_pair(pytester):
    """Catches: a pair that makes no test, a traceback of ours, an ungraded pair that passes."""
    written(pytester.path, WRONG_SOFTMAX + SOFTMAX.replace("softmax", "right") + PRODUCT + "\ndef test_own():\n    pass\n")
    code, out = run_pytest(pytester, "--check-backward", "mine.py", "-v")
    assert code == 1
    for line in ("softmax_backward FAILED", "right_backward PASSED", "product_backward SKIPPED", "test_own PASSED"):
        assert f"mine.py::{line}" in out
    assert "softmax_backward is wrong.\n  ok     forward runs" in out and "Likely mistake: missing term" in out
    assert "no shape of a, b is said" in out and "FAILED mine.py::softmax_backward - " in out
    assert "Traceback" not in out and "one_pair.py" not in out and "def runtest" not in out
    assert run_pytest(pytester, "--check-backward", "mine.py::right_backward")[0] == 0
    code, out = run_pytest(pytester, "--check-backward", "mine.py::product_backward")
    assert code == 5 and "1 skipped" in out


def test_the_plugin_names_a_bad_file_and_bad_cases(pytester):
    written(pytester.path, "1 / 0\n")
    code, out = run_pytest(pytester, "--check-backward", "mine.py")
    assert code == 2 and "ZeroDivisionError" in out
    written(pytester.path, SOFTMAX + "def cases():\n    return {'soft_max': ()}\n", "other.py")
    code, out = run_pytest(pytester, "--check-backward", "other.py")
    assert code == 2 and "cases() names 'soft_max'" in out and "files.py" not in out
    written(pytester.path, SOFTMAX + "def cases():\n    return {'softmax': (np.array([np.nan]),)}\n", "third.py")
    code, out = run_pytest(pytester, "--check-backward", "third.py")
    assert code == 1 and "case 1 of softmax_backward: x holds a nan" in out and "one_pair.py" not in out


def test_without_the_option_the_plugin_costs_and_changes_nothing(tmp_path):
    """Catches: NumPy imported before a conftest.py that sets its number of threads; pairs collected unasked."""
    (tmp_path / "conftest.py").write_text("import sys\nassert not {'numpy', 'npgpt'} & set(sys.modules)\n")
    written(tmp_path, WRONG_SOFTMAX + "\ndef test_own():\n    pass\n", "test_mine.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    line = [sys.executable, "-m", "pytest", *PLUGIN]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


READERS_TEST = """
from npgpt import check_backward


def test_softmax():
    check_backward(softmax, softmax_backward, np.arange(6.0).reshape(2, 3)).assert_right()
"""


def test_a_wrong_verdict_in_a_readers_test_is_the_assertions_message(pytester):
    """Catches: a report whose line ends are escaped, as pytest shows `assert check_backward(...)`, and frames of ours."""
    written(pytester.path, WRONG_SOFTMAX + READERS_TEST, "test_mine.py")
    code, out = run_pytest(pytester)
    assert code == 1 and "test_mine.py:" in out and "verdict.py" not in out
    assert re.search(r"AssertionError: softmax_backward is wrong\.\nE +ok     forward runs", out)
    assert "Likely mistake: missing term" in out


def test_assert_right_raises_where_a_check_failed_and_only_there():
    check_backward(np.sin, lambda dy, x: dy * np.cos(x), np.ones(3)).assert_right()
    with pytest.raises(AssertionError, match=r"the backward is wrong\.\n  ok"):
        check_backward(np.sin, lambda dy, x: dy * np.sin(x), np.ones(3)).assert_right()
