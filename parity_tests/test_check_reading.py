"""How npgpt.check reads the code of others, piece by piece: names, signatures, shapes, values, and the words of a report.

What is expected is written out by hand, as a reader of these texts would say it.
"""

import ast
import functools
import sys
import types
import typing

import numpy as np
import pytest

from npgpt import check_backward
from npgpt.check import (
    calling,
    draws,
    files,
    importing,
    inputs,
    names,
    one_pair,
    pairs,
    report,
    signature,
    tensors,
    verdict,
    wording,
)
from npgpt.check.diagnose import Mistake
from npgpt.check.signature import Parameter, Said

# ------------------------------------------------------------------------------------------------------------------- names


def test_underscores_and_capitals_make_no_other_name():
    assert {names.plain(name) for name in ("W_grad", "wgrad", "w_GRAD", "_W_gr_ad_")} == {"wgrad"}


def test_a_gradient_is_told_by_the_name_of_its_value():
    """Catches: the gradient of another weight, and the weight itself, taken for its gradient."""
    for name in ("dW", "d_W", "dLdW", "dL_dW", "dloss_dW", "grad_W", "W_grad", "gradW", "delta_W", "W_gradient", "GRADS_W"):
        assert names.is_gradient_of(name, "W") and names.is_gradient_of(name, "w_"), name
        assert not names.is_gradient_of(name, "V") and not names.is_gradient_of(name, "W1"), name
    assert not names.is_gradient_of("W", "W") and not names.is_gradient_of("grad", "W")


def test_a_second_cotangent_is_told_by_its_first_letters():
    assert all(map(names.is_cotangent, ("dc", "d_c", "Dc", "grad_c", "GRAD")))
    assert not any(map(names.is_cotangent, ("data", "Data_c", "cd", "c", "cache", "upgrad")))


# --------------------------------------------------------------------------------------------------------- one size, one shape


AXES = {
    **{text: text for text in ("B", "HW", "Tq", "C_in", "batch", "3", "K-1+T", "4*H", "H//2", "H/2", "2 * T", "...")},
    "4H": "4*H",
    "4 H": "4*H",
    "12x": "12*x",
    **dict.fromkeys(
        ("", "Array", "array", "float", "Optional", "C%2", "C**2", "-C", "True", "a b", "C,", "1.5", "f(x)", "C.D")
    ),
    **dict.fromkeys(("'C'", "1 2", "*", "[C]", "C < 3", "B if C else D", "C\x00")),
}


@pytest.mark.parametrize(("text", "axis"), AXES.items())
def test_a_size_is_a_letter_a_number_or_made_of_these(text, axis):
    assert signature.axis_of(text) == axis


def test_a_shape_is_a_tuple_of_sizes():
    for parts, shape in [
        (["B", " 2T "], ("B", "2*T")),
        (["C", ""], ("C",)),  # (C,)
        (["C", " "], ("C",)),
        ([""], ()),  # ()
        ([], ()),
        (["", "C"], None),
        (["C", "", ""], None),
        (["B", "float"], None),
        (["...", "C"], ("...", "C")),
    ]:
        assert signature.shape_of(parts) == shape, parts


def test_a_shape_in_a_text_stands_in_brackets_of_its_own():
    """Catches: a call or a place in an array that is read as a shape, and words in brackets."""
    for text, found in [
        ("x (B, T) and y [C,]", [(2, 8, ("B", "T")), (15, 19, ("C",))]),
        ("(B)", [(0, 3, ("B",))]),
        ("a (Tq)", [(2, 6, ("Tq",))]),
        ("a (2C)", [(2, 6, ("2*C",))]),
        ("a ( C )", [(2, 7, ("C",))]),
        ("a (...)", [(2, 7, ("...",))]),
        ("a (..., C)", [(2, 10, ("...", "C"))]),
        ("a ()", [(2, 4, ())]),
        ("a ( )", [(2, 5, ())]),
        ("a []", [(2, 4, ())]),
        ("f(x, y), x[n, m], f(x)(C,), a[0](C,), a_(B,)", []),
        ("(see below), (c), (float, optional), (Context), (B, or C), (3)", []),
        ("((B, C), [D, E])", [(1, 7, ("B", "C")), (9, 15, ("D", "E"))]),
    ]:
        assert list(signature.shapes_in(text)) == found, text


def test_a_shape_alone_has_commas_spaces_or_brackets():
    for text, shape in [
        ("(B, T, C)", ("B", "T", "C")),
        ("  B, T, C ", ("B", "T", "C")),
        ("B T C", ("B", "T", "C")),
        ("B,", ("B",)),
        ("[B, 2T] of floats", ("B", "2*T")),
        ("*batch C", ("...", "C")),
        ("batch time", ("batch", "time")),
        ("B", ("B",)),
        ("T1", ("T1",)),
        ("12", ("12",)),
        ("()", ()),
        *[(text, None) for text in ("", "x", "batch", "*batch", "HW2", "np.ndarray", "an array", ",", "B, array", "B array")],
    ]:
        assert signature.shape_alone(text) == shape, text


# ---------------------------------------------------------------------------------------------------------------- annotations


class Evaluated:
    """As jaxtyping's: Float[Array, "B C"] is a class that knows its text."""

    dim_str = "B C"
    __name__ = "Float[ndarray, 'B C']"

    def __repr__(self):  # its test's name: the same in every process
        return self.__name__


ANNOTATIONS = [
    (signature.inspect.Parameter.empty, None, ""),
    (Evaluated(), ("B", "C"), "Float"),
    (typing.Annotated[np.ndarray, "N C"], ("N", "C"), ""),
    (typing.Annotated[np.ndarray, "an array", ("C", 3), "D"], ("C", "3"), ""),
    (typing.Annotated[np.ndarray, 1.5], None, ""),
    (int, None, "int"),
    (np.ndarray, None, "ndarray"),
    ('Float[Array, "B T C"]', ("B", "T", "C"), "Float"),
    ("jaxtyping.Int[np.ndarray, 'N']", ("N",), "Int"),
    ("Float[Array, 'batch']", None, "Float"),
    ("float32[B, T, C]", ("B", "T", "C"), "float32"),
    ("int[N]", ("N",), "int"),
    ("uint8[N]", ("N",), "uint8"),
    ("i32[N]", ("N",), "i32"),
    ("bool[N, M]", ("N", "M"), "bool"),
    ("list[N, M]", None, "list[N, M]"),
    ("(N, ids)", ("N", "ids"), "(N, ids)"),
    ("int", None, "int"),
    (np.ndarray | None, None, "numpy.ndarray | None"),
]


@pytest.mark.parametrize(("annotation", "shape", "words"), ANNOTATIONS, ids=[str(each[0]) for each in ANNOTATIONS])
def test_an_annotation_gives_a_shape_and_words(annotation, shape, words):
    assert signature.annotated(annotation) == (shape, words)


def test_a_kind_is_told_by_words_then_by_the_name():
    """Catches: a word about another thing that decides, an order that lets a name win over what is said of it."""
    shape = ("N",)
    for name, shape_said, annotation, words, kind in [
        ("x", shape, "", "", "floats"),
        ("x", shape, "", "int64 ids", "ids"),
        ("x", shape, "", "whole Integers", "ids"),
        ("x", shape, "", "points of ints", "floats"),
        ("token_ids", shape, "", "", "ids"),
        ("idx", shape, "", "", "ids"),
        ("fluids", shape, "", "", "floats"),
        ("y", shape, "", "", "labels"),
        ("soft_labels", shape, "", "", "labels"),
        ("x", shape, "", "one-hot rows", "labels"),
        ("y", shape, "", "int", "ids"),
        ("causal_mask", shape, "", "", "booleans"),
        ("x", shape, "", "of bools", "booleans"),
        ("mask", shape, "", "int", "booleans"),
        ("x", (), "", "", "floats"),  # a number, since its shape is said
        ("x", None, "", "ids", ""),
        ("x", None, "int", "", "count"),
        ("n_head", None, "", "", "count"),
        ("kv_heads", None, "", "", "count"),
        ("n_head", None, "float", "", "count"),
        ("x", None, "float", "", "number"),
        ("eps", None, "", "", "number"),
        ("epsilons", None, "", "", ""),
        ("mask", None, "", "", ""),
    ]:
        assert signature.kind_of(name, shape_said, annotation, words) == kind, (name, shape_said, annotation, words)


# ------------------------------------------------------------------------------------------------------- the text of a function


def test_comments_are_found_by_their_lines():
    assert signature.comments_of("x = '# no'  # (N,) # two\n\n##  three\n") == {1: "(N,) # two", 3: "three"}


def test_of_what_has_no_text_nothing_is_read():
    def f(x):  # (N,)
        return x

    tree, comments = signature.source_of(f)
    assert tree.name == "f" and comments == {1: "(N,)"}
    of_no_file = types.FunctionType(compile("def g(x): pass", "nowhere", "exec").co_consts[0], {})
    for function in (np.sin, len, lambda x: x, of_no_file, type("C", (), {"method": 3})):
        assert signature.source_of(function) == (None, {}), function


def parsed(text: str):
    """A function as behind() gets it."""
    return ast.parse(text).body[0], signature.comments_of(text)


def test_a_comment_belongs_to_the_parameters_of_its_line():
    for text, found in [
        ("def f(\n    a,  # (N, C)\n    b,\n    c,  # each (C,)\n): pass", {"a": ("N", "C"), "c": ("C",)}),
        ("def f(\n    a, b,  # (N, C)\n): pass", {"a": ("N", "C"), "b": ("N", "C")}),
        ("def f(\n    a, /, b,  # (N, C), (C,)\n): pass", {"a": ("N", "C"), "b": ("C",)}),
        ("def f(a, b): # (N, C), (C,)\n    pass", {"a": ("N", "C"), "b": ("C",)}),
        ("def f(a): # (N, C)\n    pass", {"a": ("N", "C")}),
        ("def f(a, b): # (N, C)\n    pass", {}),  # it may be what comes out
        ("def f(\n    a, b, c,  # (N, C), (C,)\n): pass", {}),
        ("def f(\n    a,  # that b (N, C)\n    b: 'a\\\n b',  # [C, D]\n): pass", {"b": ("C", "D")}),
        ("def f(\n    a: tuple[\n    int],  # [C, D]\n): pass", {"a": ("C", "D")}),
    ]:
        assert {name: said.shape for name, said in signature.behind(*parsed(text))} == found, text
    assert list(signature.behind(*parsed("def f(\n    a,  # (N,), ids\n): pass"))) == [("a", Said(("N",), "(N,), ids"))]
    both = [("a", Said(("N",), "(N,) ids")), ("b", Said(("N",), "(N,) ids"))]
    assert list(signature.behind(*parsed("def f(\n    a, b,  # (N,) ids\n): pass"))) == both


def test_a_text_gives_shapes_to_the_names_that_stand_before_them():
    for text, found in [
        ("a (N, C), b (C,)", {"a": ("N", "C"), "b": ("C",)}),
        ("a and b (N, C)", {"a": ("N", "C"), "b": ("N", "C")}),
        ("a, b, and bias_x (N,)", {"a": ("N",), "b": ("N",), "bias_x": ("N",)}),
        ("a.shape = (N,), b.shape == (C,)", {"a": ("N",), "b": ("C",)}),
        ("a: (N,). b is (C,)", {"a": ("N",), "b": ("C",)}),
        ("a, b each (N,)", {"a": ("N",), "b": ("N",)}),
        ("a (array): floats of size (N, C)", {"a": ("N", "C")}),
        ("b: weights; they go with (C,)", {}),
        ("b comes in the shape (C, O)", {"b": ("C", "O")}),
        ("b comes. The shape is (C, O)", {}),
        ("biases (H,)", {"bias_x": ("H",), "bias_y": ("H",)}),
        ("ab (N,), x.a (C,), b_ (N,), the_a (N,)", {}),
        ("a: of rows; b (C,) of them", {"b": ("C",)}),
        ("a :\n    of the shape\n    (N, C)\n\nb\n\n(C,)", {"a": ("N", "C")}),
        ("a and one (N,)", {}),
        ("a, then (N,) b (C,)", {"b": ("C",)}),
        ("a: rows (N, C) or (M, D)", {"a": ("N", "C")}),
    ]:
        read = {name: said.shape for name, said in signature.in_text(text, ["a", "b", "bias_x", "bias_y"])}
        assert read == found, text
    assert list(signature.in_text("(N, C)", [])) == []


def test_the_words_beside_a_shape_come_with_it():
    ((name, said),) = signature.in_text("a: integers (N, C) in 0..9 and so on, further on", ["a"])
    assert (name, said.shape) == ("a", ("N", "C")) and said.words.split() == ": integers in 0..9".replace("..9", "").split()
    ((_, said),) = signature.in_text("a (N,) one-hot rows; ids elsewhere", ["a"])
    assert said.words.split() == ["one-hot", "rows"]
    ((_, said),) = signature.in_text("a (N,) " + 40 * "w", ["a"])
    assert said.words.split() == [29 * "w"]  # 30 characters after the shape, a space among them


def test_a_plural_stands_for_all_that_begin_so():
    assert signature.plurals(["bias_x", "bias_y", "w_q", "w_k", "x", "h_0"]) == {
        "biases": ["bias_x", "bias_y"],
        "ws": ["w_q", "w_k"],
    }


def test_what_is_returned_is_not_read_as_an_input():
    for text, left in [
        ("a (N,)\n  Returns:\n  b (C,)\n", "a (N,)\n"),
        ("a (N,)\nReturn\nb (C,)\nOutputs:\nc", "a (N,)\n"),
        ("a (N,)\nYields a tuple of:\nb (C,)", "a (N,)\n"),
        ("a (N,)\nReturns b (C,)", "a (N,)\nReturns b (C,)"),  # a sentence
        ("a (N,) -> b (C,). c (D,)", "a (N,) . c (D,)"),
        ("a (N,) → b\n(C,)\n\nc (D,)", "a (N,) \n\nc (D,)"),
        ("a (N,) -> b (C,)", "a (N,) "),
    ]:
        assert signature.without_results(text) == left, text


def test_first_lines_that_take_a_shape_apart_say_it():
    text = """
def f(x, y, z):
    B, T, C = x.shape
    T, D = y.shape[-2:]
    N, = z.shape
    h, w = z.size
    E = x.shape
    F, G = x.shape[:2]
    (F, G)[0], H = x.shape
    """
    assert list(signature.unpacked(ast.parse(text).body[0])) == [
        ("x", ("B", "T", "C")),
        ("y", ("...", "T", "D")),
        ("z", ("N",)),
    ]


def test_of_several_places_the_one_nearest_to_the_parameter_counts():
    # b (N, N), and a number that comes with it
    def f(
        a: "B C",  # noqa: F722 (a shape)
        b,  # (C, D)
        c,
        d,
        e=3,
        g=None,
        n: int = 1,
        s: float = 1.0,
    ):
        """a (N, N), b (N, N), c (C,) ids, 0 <= c[i] < V

        c (D,), d (C, one_hot) one-hot rows
        """
        C, D = b.shape
        (E,) = e.shape  # e.shape is (F,)
        (G,) = g.shape[-1:]
        (local,) = C.shape
        return C, D, E, G, local

    assert signature.parameters_of(f) == [
        Parameter("a", "floats", ("B", "C"), "V"),
        Parameter("b", "floats", ("C", "D"), "V"),
        Parameter("c", "ids", ("C",), "V"),
        Parameter("d", "labels", ("C", "one_hot"), "V", True),
        Parameter("e", "floats", ("F",), "V", default=3),
        Parameter("g", "floats", ("...", "G"), "V", default=None),
        Parameter("n", "count", None, "V", default=1),
        Parameter("s", "number", None, "V", default=1.0),
    ]
    assert [each.required for each in signature.parameters_of(f)] == 4 * [True] + 4 * [False]


def test_a_wrapped_function_and_a_partial_one_are_read_in_their_own_text():
    def f(a, b):
        """a (N,), b (C,)"""
        return a

    @functools.wraps(f)
    def wrapped(*arguments):
        return f(*arguments)

    for function in (f, wrapped, functools.partial(f), functools.partial(wrapped)):
        assert signature.parameters_of(function) == [Parameter("a", "floats", ("N",)), Parameter("b", "floats", ("C",))]


def test_the_comment_above_a_function_is_read():
    # q and
    ##  k (T, D), ids (N,) < V
    def f(q, k, ids):
        return q @ k.T

    shapes = [("T", "D"), ("T", "D"), ("N",)]
    assert [(each.shape, each.below) for each in signature.parameters_of(f)] == [(shape, "V") for shape in shapes]

    def g(ids):
        """ids (N,) < V"""

    assert signature.parameters_of(g) == [Parameter("ids", "ids", ("N",), "V")]


def test_inputs_that_cannot_be_told_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^\*rest may be anything$"):
        signature.parameters_of(lambda x, *rest: x)
    with pytest.raises(ValueError, match=r"^axis is passed by its keyword alone$"):
        signature.parameters_of(lambda x, *, axis: x)
    assert [each.name for each in signature.parameters_of(lambda x, /, y, *, axis=0, **rest: x)] == ["x", "y"]


# ---------------------------------------------------------------------------------------------------------------- drawn inputs


def test_a_size_is_drawn_for_each_letter():
    assert draws.letters_of("4*H") == ["H"] and sorted(draws.letters_of("K-1+T")) == ["K", "T"] and draws.letters_of("3") == []
    assert draws.letters_of("...") == ["...1", "...2"]


def test_a_shape_in_numbers_has_whole_axes_and_is_not_large():
    sizes = {"B": 2, "H": 3, "...1": 4, "...2": 5, "W": 100}
    for shape, leading, expected in [
        (("B", "4*H", "H-2", "7"), 2, (2, 12, 1, 7)),
        (("...", "H"), 2, (4, 5, 3)),
        (("...", "H"), 1, (4, 3)),
        ((), 2, ()),
        (("H/2",), 2, None),
        (("H//2", "B/2"), 2, (1, 1)),
        (("B-2",), 2, None),
        (("B-H",), 2, None),
        (("W", "2*W"), 2, (100, 200)),  # 20,000 elements
        (("W", "2*W+1"), 2, None),
    ]:
        made = draws.shape_with(shape, sizes, leading)
        assert made == expected and all(type(axis) is int for axis in made or ()), shape


def test_values_are_of_the_kind_that_a_parameter_has():
    """Catches: ids beyond what they point into, rows that are not one-hot, floats that are all positive or never."""
    kinds = [
        Parameter("x", "floats", ("N", "C")),
        Parameter("ids", "ids", ("N",), "V"),
        Parameter("k", "ids", ("N",)),
        Parameter("p", "one-hot", ("N", "C")),
        Parameter("keep", "booleans", ("N",)),
        Parameter("n", "count", None),
        Parameter("heads", "count", None),
        Parameter("eps", "number", None),
        Parameter("slope", "number", None),
    ]
    shapes = [(50, 40), (999,), (999,), (2, 60, 5), (999,), (), (), (), ()]
    rng = np.random.default_rng(0)
    for sizes, below_ids, below_k in [
        ({"V": 9, "n": 4}, 9, 9),
        ({"n": 4}, 40, 40),  # the smallest size of the floats
    ]:
        for positive in (False, True):
            values = draws.values_of(kinds, shapes, sizes, positive, rng)
            x, ids, k, p, keep, *numbers = values
            assert x.shape == (50, 40) and x.dtype == np.float64
            if positive:
                assert 0.1 <= x.min() < 0.11 and 0.89 < x.max() < 0.9
            else:
                assert abs(x.mean()) < 0.1 and abs(x.std() - 1) < 0.1
            assert ids.shape == (999,) and set(ids) == set(range(below_ids)) and ids[-1] == ids[0]
            assert k.shape == (999,) and set(k) == set(range(below_k)) and k[-1] == k[0]
            assert (
                p.shape == (2, 60, 5) and (np.sort(p, axis=-1) == [0, 0, 0, 0, 1]).all() and len(np.unique(p.argmax(-1))) == 5
            )
            assert keep.dtype == bool and abs(keep.mean() - 0.7) < 0.06  # 4 standard errors
            assert numbers == [4, 2, 1e-5, 0.5]
    (ids,) = draws.values_of(kinds[2:3], [(99,)], {}, False, rng)
    assert set(ids) == {0, 1}  # two, where nothing says how many
    own = Parameter("k", "ids", ("N",), "W")
    (ids,) = draws.values_of([own], [(99,)], {"W": 3, "V": 9}, False, rng)
    assert set(ids) == {0, 1, 2}
    (ids,) = draws.values_of(kinds[2:3], [(999,)], {"V": 10**12}, False, rng)
    assert ids[0] == ids[-1] and len(set(ids)) == 998  # one comes twice, no other
    number = draws.values_of([Parameter("k", "ids", ())], [()], {"V": 9}, False, rng)[0]
    assert number.shape == () and 0 <= number < 9


def test_what_was_not_said_is_refused_by_name():
    floats, unknown = Parameter("x", "floats", ("N", "C")), Parameter("w", "", None)
    with pytest.raises(draws.Unknown) as refused:
        draws.passed([floats, unknown, unknown._replace(name="b")])
    assert str(refused.value) == "no shape of w, b is said; write it in the docstring, as in `w (B, C)`, or write cases()"
    assert draws.passed([unknown]) == [Parameter("w", "floats", ("N", "C"))]
    assert draws.passed([floats._replace(kind="ids")]) == [floats._replace(kind="ids")]
    assert draws.passed([]) == []


def test_inputs_from_the_first_that_keeps_its_default_are_left_out():
    floats = Parameter("x", "floats", ("N", "C"))
    bias = Parameter("bias", "floats", ("C",), default=None)
    eps = Parameter("eps", "number", None, default=1e-5)
    unsaid = Parameter("state", "", None, default=None)
    for given, kept in [
        ([floats, bias, eps, bias], 2),
        ([floats, eps, bias], 1),
        ([floats, unsaid, bias], 1),
        ([bias, bias], 2),
    ]:
        assert draws.passed(given) == given[:kept]


def test_labels_are_ids_rows_or_floats_as_the_scores_and_the_name_say():
    """Catches: ids for a target of the scores' own shape, one-hot rows for a squared error."""

    def cross_entropy(): ...
    def mse(): ...

    scores, ids = Parameter("x", "floats", ("N", "C")), Parameter("k", "ids", ("A", "B", "C"))
    column, rows = Parameter("y", "labels", ("N",)), Parameter("y", "labels", ("N", "C"))
    for labels, others, forward, are_ids, kind in [
        (column, [scores], mse, True, "ids"),
        (column, [scores], mse, False, "floats"),
        (column, [ids, scores], cross_entropy, True, "ids"),
        (column, [column._replace(kind="floats")], cross_entropy, True, "floats"),
        (column, [ids], cross_entropy, True, "floats"),  # nothing that it is compared with
        (column._replace(one_hot=True), [], mse, True, "floats"),
        (rows, [scores], cross_entropy, True, "one-hot"),
        (rows, [scores], cross_entropy, False, "one-hot"),
        (rows, [scores], mse, True, "floats"),
        (rows._replace(one_hot=True), [scores], mse, True, "one-hot"),
        (rows, [scores], functools.partial(mse), True, "floats"),
        (ids, [scores], mse, True, "ids"),
        (scores, [ids], cross_entropy, True, "floats"),
    ]:
        assert draws.settled(labels, [*others, labels], forward, are_ids) == labels._replace(kind=kind), (labels, others)
    for name in ("CrossEntropy", "softmax_loss", "NLL", "xent"):
        forward = types.SimpleNamespace(__name__=name)
        assert draws.settled(rows, [scores, rows], forward, True).kind == "one-hot"
    assert draws.settled(column._replace(shape=None), [scores], mse, True).kind == "ids"


def test_sizes_differ_at_first_then_may_be_equal_then_are_even():
    """Catches: equal sizes too early, which hide a transpose; numbers that stay negative; too few tries."""
    parameters = [Parameter(name, "floats", ("...", name.upper())) for name in "abc"]
    tried = list(draws.attempts(parameters, np.random.default_rng(0)))
    assert len(tried) == 6 * 8
    sizes = [[*values[0].shape, values[1].shape[-1], values[2].shape[-1]] for values in tried]
    assert all(len(set(each)) == len(each) and set(each) <= {2, 3, 4, 5, 6} for each in sizes[:16])
    assert {size for each in sizes[:16] for size in each} == {2, 3, 4, 5, 6}
    assert {size for each in sizes[16:32] for size in each} == {2, 3, 4}
    assert any(len(set(each)) < len(each) for each in sizes[16:32])
    assert {size for each in sizes[32:] for size in each} == {2, 4}
    assert [values[0].ndim for values in tried] == 6 * (4 * [3] + 4 * [2])
    positive = [all((x > 0).all() and (x < 1).all() for x in values) for values in tried]
    assert positive == 3 * (8 * [False] + 8 * [True])


def test_few_letters_have_four_sizes_and_many_have_as_many_as_they_are():
    (one,) = {frozenset(x.size for (x,) in draws.attempts([Parameter("x", "floats", ("N",))], np.random.default_rng(0)))}
    assert one <= {2, 3, 4, 5} and 5 in {
        x.size
        for seed in range(9)
        for (x,) in list(draws.attempts([Parameter("x", "floats", ("N",))], np.random.default_rng(seed)))[:16]
    }
    six = Parameter("x", "floats", tuple("ABCDEF"))
    assert {tuple(sorted(x.shape)) for (x,) in list(draws.attempts([six], np.random.default_rng(0)))[:16]} == {
        (2, 3, 4, 5, 6, 7)
    }


def test_sizes_that_make_no_shape_are_left_out():
    half = Parameter("x", "floats", ("N/2",))
    assert {x.size for (x,) in draws.attempts([half], np.random.default_rng(0))} <= {1, 2}
    assert list(draws.attempts([Parameter("x", "floats", ("N-9",))], np.random.default_rng(0))) == []
    (number,) = next(draws.attempts([Parameter("eps", "number", None)], np.random.default_rng(0)))
    assert number == 1e-5


def test_a_problem_is_said_in_a_line_and_the_values_are_left_alone():
    def changes(x):
        x += 1
        return x, "the cache"

    x = np.ones(3)
    assert draws.problem_on(changes, [x]) == "" and (x == 1).all()
    assert draws.problem_on(lambda x, n: x * n, [x, 3]) == ""
    assert draws.problem_on(lambda x: {}["a\nb"], [x]) == "KeyError: 'a\\nb'"

    def raises(x):
        raise ValueError("two\n   lines")

    assert draws.problem_on(raises, [x]) == "ValueError: two lines"
    said = "its output holds a nan or an infinity"
    assert draws.problem_on(lambda x: x / 0, [x]) == draws.problem_on(lambda x: float("nan"), [x]) == said
    assert draws.problem_on(lambda x: (np.log(-x), x), [x]) == draws.problem_on(lambda x: np.float32("nan"), [x]) == said
    assert draws.problem_on(lambda x: np.array(["a"]), [x]) == ""
    assert draws.problem_on(lambda x: "no array", [x]) == draws.problem_on(lambda x: np.arange(3), [x]) == ""
    assert draws.problem_on(lambda x: None, [x]) == draws.problem_on(lambda x: 3.0, [x]) == ""


def test_inputs_are_drawn_until_the_forward_takes_them():
    def needs_even(x, w, v, bias=None, scale=None, last=2):
        """x (N, C), w (C, D), v (D,), bias (D,), scale (D,)"""
        assert x.shape[1] % 2 == 0 and (x > 0).all(), f"got {x.shape}"
        return x @ w + bias

    drawn = draws.drawn_inputs(needs_even, np.random.default_rng(0))
    x, w, _, bias, scale = drawn.values
    assert drawn.optional == 2 and x.shape[1] == w.shape[0] and bias.shape == scale.shape == w.shape[1:]

    def never(x):
        raise AssertionError("not this")

    def of_labels(scores, target):
        """scores (N, C), target (N,)"""
        return scores

    def cross_entropy(scores, target):
        """scores, target (N, C)"""
        return scores

    with pytest.raises(draws.Unknown) as refused:
        draws.drawn_inputs(never, np.random.default_rng(0))
    said = "its forward takes no inputs of the shapes that it says (AssertionError: not this"
    assert str(refused.value).startswith(said) and str(refused.value).endswith("); write cases()")
    with pytest.raises(draws.Unknown, match=r"^\*a may be anything; write cases\(\)$"):
        draws.drawn_inputs(lambda *a: a, np.random.default_rng(0))
    with pytest.raises(draws.Unknown, match="no small sizes make these shapes"):
        draws.drawn_inputs(parsed_function("def f(x, y):\n    'x (N-9,), y (N,)'\n"), np.random.default_rng(0))
    assert draws.drawn_inputs(of_labels, np.random.default_rng(0)).values[1].dtype.kind == "i"
    assert draws.drawn_inputs(of_labels, np.random.default_rng(0), labels_are_ids=False).values[1].dtype.kind == "f"
    assert (draws.drawn_inputs(cross_entropy, np.random.default_rng(0)).values[1].sum(-1) == 1).all()


def parsed_function(text: str):
    namespace: dict = {}
    exec(text, namespace)
    return namespace["f"]


# ------------------------------------------------------------------------------------------------------- verdicts and reports

RIGHT = verdict.Check("derivative", True, "dx is right\nto 15 digits", verdict.Worst("dx[1]", 2e-16))
WRONG = verdict.Check(
    "derivative", False, "dx[0] is 1\nLikely mistake: twice. Halve it.\nRight: dw", verdict.Worst("dx[0]", 0.5)
)
RUNS = verdict.Check("forward runs", True, "x (2,) float64")


def test_what_stops_the_checks_carries_the_failed_one():
    stopped = verdict.Stopped("output", "y is empty", "later")
    assert str(stopped) == "y is empty" and stopped.check == verdict.Check(
        "output", False, "y is empty", verdict.Worst("", 0.0)
    )
    assert stopped.unwritten == "later" and verdict.Stopped("output", "").unwritten is None


def test_a_verdict_is_printed_with_a_line_for_each_check_and_its_further_lines_below():
    right, wrong = verdict.Verdict("f_backward", (RUNS, RIGHT)), verdict.Verdict("g_backward", (RUNS, WRONG), Mistake("a", "b"))
    indent = 32 * " "
    assert (
        str(right)
        == repr(right)
        == (
            "f_backward is right.\n"
            "  ok     forward runs           x (2,) float64\n"
            f"  ok     derivative             dx is right\n{indent}to 15 digits"
        )
    )
    assert str(wrong) == (
        "g_backward is wrong.\n"
        "  ok     forward runs           x (2,) float64\n"
        f"  WRONG  derivative             dx[0] is 1\n{indent}Likely mistake: twice. Halve it.\n{indent}Right: dw"
    )
    assert right and right.ok and not wrong and not wrong.ok
    assert "g_backward" in wrong._repr_html_() and "Halve it" in wrong._repr_html_()
    unwritten = verdict.Verdict("h", (WRONG,), None, "")
    assert str(unwritten) == "h is not written yet: your turn"
    assert str(verdict.Verdict("h", (WRONG,), None, "soon")) == "h is not written yet: soon"


def test_a_failed_assertion_ends_at_the_readers_line():
    verdict.Verdict("f", (RIGHT,)).assert_right()
    with pytest.raises(AssertionError) as raised:
        verdict.Verdict("f", (RUNS, WRONG)).assert_right()
    assert str(raised.value) == str(verdict.Verdict("f", (RUNS, WRONG))) and raised.traceback[-1].ishidden(raised)


def graded(name: str, *checks, unwritten=None, **options) -> report.Graded:
    return report.Graded(name, verdict.Verdict(name, checks, None, unwritten), **options)


NOTE = verdict.Check("derivative", True, "dx is right\nNote: dx is small\nmore\nNote: so is dw", verdict.Worst("dw", 3e-17))
GRADED = (
    graded("f_backward", RUNS, RIGHT),
    graded("g_backward", RUNS, WRONG, remark="no gradient of y", drawn=True),
    graded("of_a_long_name_backward", RUNS, verdict.Check("output", False, "y is empty.\nmore")),
    graded("h", WRONG, unwritten="later"),
    graded("i", RUNS, NOTE, remark="x left at None"),
    report.Graded("j", None, "no shape of a is said"),
    graded("k", verdict.Check("derivative", False, "dx[0] is 1\nLikely mistake: lacks X.\nLikely mistake: another")),
)


def test_a_report_is_a_table_a_count_and_the_wrong_ones_in_full():
    lines = [
        "name                     verdict      worst gradient  likely mistake",
        "f_backward               right        dx[1] 2.0e-16",
        "g_backward               WRONG        dx[0] 5.0e-01   twice. Halve it; no gradient of y",
        "of_a_long_name_backward  WRONG                        output: y is empty",
        "h                        not written  dx[0] 5.0e-01",
        "i                        right        dw 3.0e-17      x left at None; Note: dx is small; Note: so is dw",
        "j                        not graded                   no shape of a is said",
        "k                        WRONG                        lacks X",
    ]
    assert report.table(GRADED).split("\n") == lines
    whole = str(report.Report(GRADED))
    assert whole == repr(report.Report(GRADED))
    counts, wrong = "2 right, 3 wrong, 1 not written, 1 not graded", [str(GRADED[i]) for i in (1, 2, 6)]
    assert whole.split("\n\n") == ["\n".join(lines), counts, *wrong]
    assert str(report.Report(GRADED[:1])).endswith("\n\n1 right")


def test_a_pair_in_full_says_how_far_its_verdict_reaches():
    drawn = "  (the inputs were drawn from what the forward says; cases() may give others)"
    assert str(GRADED[0]) == str(GRADED[0].verdict)
    assert str(GRADED[1]) == "\n".join([str(GRADED[1].verdict), "  (no gradient of y)", drawn])
    notes = ["  (x left at None)", "  (Note: dx is small)", "  (Note: so is dw)"]
    assert str(GRADED[4]) == "\n".join([str(GRADED[4].verdict), *notes])
    assert str(GRADED[5]) == "j could not be graded: no shape of a is said"
    assert str(report.Graded("f", GRADED[0].verdict)) == str(GRADED[0].verdict)  # it was not drawn unless that is said


def test_a_report_is_true_where_all_that_could_be_graded_are_right():
    for places, code in [((0, 4, 5), 0), ((0, 1), 1), ((3,), 1), ((5,), 2), ((), 2), ((5, 1), 1)]:
        found = report.Report(tuple(GRADED[i] for i in places))
        assert found.exit_code == code and bool(found) == (code == 0), places


# ------------------------------------------------------------------------------------------------------------------- tensors


class Tensor:
    """A learner's own: x * y of two tensors, sum, and the backward of a number."""

    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents = np.asarray(data, dtype=float), None, parents

    def __mul__(self, other):
        return type(self)(self.data * other.data, [(self, other.data), (other, self.data)])

    def sum(self):
        assert self.data.ndim > 0
        return type(self)(self.data.sum(), [(self, np.ones_like(self.data))])

    def backward(self):
        assert self.data.ndim == 0
        self.receive(1.0)

    def receive(self, dy):
        self.grad = dy if self.grad is None else self.grad + dy
        for parent, derivative in self.parents:
            parent.receive(dy * derivative)


class Strict(Tensor):
    def __mul__(self, other):
        if not isinstance(other, Tensor):
            raise TypeError("tensors only")
        return super().__mul__(other)


class Scaled(Tensor):
    """It multiplies arrays and numbers."""

    def __mul__(self, other):
        return Scaled(self.data * other, [(self, other)])


class Made(Scaled):
    """Nobody makes one from an array alone."""

    def __init__(self, data, parents):
        super().__init__(data, parents)


class Taking(Tensor):
    def backward(self, upstream=None):
        self.grad = ("taken", upstream)


def test_a_tensor_has_an_array_a_gradient_and_a_backward():
    assert tensors.is_tensor(Tensor([1.0]))
    one = {"data": np.ones(2), "grad": None, "backward": print}
    assert tensors.is_tensor(types.SimpleNamespace(**one))
    for lacking in ({"data": [1.0]}, {"backward": 3}):
        assert not tensors.is_tensor(types.SimpleNamespace(**(one | lacking)))
    for name in one:
        assert not tensors.is_tensor(types.SimpleNamespace(**{key: value for key, value in one.items() if key != name}))

    class Array(np.ndarray):
        grad, backward = None, print

        @property
        def data(self):
            return np.ones(2)

    assert not tensors.is_tensor(np.ones(2).view(Array)) and not tensors.is_tensor(3)


def test_a_tensor_like_another_has_the_very_array_and_a_gradient_of_zeros():
    """Catches: a gradient that is left over from the reader's own run, and one of another shape or dtype."""
    template, array = Tensor(np.ones((2, 3))), np.ones(4, np.float32)
    template.name = "x"
    made = tensors.tensor_of(template, array)
    assert made.data is array and made.grad is None and made.name == "x" and type(made) is Tensor and made is not template
    template.grad = np.full((2, 3), 7.0)
    made = tensors.tensor_of(template, array)
    assert made.grad.shape == (4,) and made.grad.dtype == np.float32 and not made.grad.any() and (template.grad == 7).all()
    template.grad = Tensor(np.full((2, 3), 7.0))  # a gradient that is a tensor too
    made = tensors.tensor_of(template, array)
    assert type(made.grad) is Tensor and made.grad.data.shape == (4,) and not made.grad.data.any()


def test_a_gradient_that_is_a_number_is_0_and_no_other_attribute_changes():
    """Catches: every 0 of a tensor exchanged for an array, since its gradient is the number 0 before any run."""
    for number in (0, 0.0, 7.0, np.float64(7)):
        template = Tensor(np.ones(2))
        template.grad = template.label = number
        made = tensors.tensor_of(template, np.ones(2))
        assert type(made.label) is type(number) and made.label == number and np.ndim(made.grad) == 0 and made.grad == 0


def test_a_gradient_is_an_array_that_of_a_tensor_or_none():
    x = Tensor([1.0])
    assert tensors.gradient_of(x) is None
    x.grad = np.ones(1)
    assert tensors.gradient_of(x) is x.grad
    x.grad = Tensor([2.0])
    assert tensors.gradient_of(x) is x.grad.data


@pytest.mark.parametrize("kind", [Tensor, Strict, Scaled, Made])
def test_a_backward_without_a_gradient_runs_from_the_loss(kind):
    """Catches: a right backward called wrong, since a tensor was multiplied by an array of which it read the attribute data."""
    dy = np.array([2.0, -3.0])
    y = kind([5.0, 7.0], [])
    tensors.run_backward(y, dy)
    assert np.array_equal(y.grad, dy)
    number = kind(4.0, [])
    tensors.run_backward(number, np.asarray(3.0))
    assert number.grad == 3.0


def test_a_backward_that_takes_a_gradient_gets_it():
    for name in ("upstream", "grad", "grad_output", "dy", "dout", "seed", "_Grad"):
        y = Tensor([1.0])
        y.backward = parsed_function(f"def f({name}): got.append({name})")
        y.backward.__globals__["got"] = []
        tensors.run_backward(y, "the gradient")
        assert y.backward.__globals__["got"] == ["the gradient"]
    y = Taking([1.0])
    tensors.run_backward(y, "dy")
    assert y.grad == ("taken", "dy")


# -------------------------------------------------------------------------------------------------------------------- inputs


class Point(typing.NamedTuple):
    x: object
    y: object


W, B = np.arange(6.0).reshape(2, 3), np.arange(3.0)


def test_a_number_or_an_array_is_taken_and_all_else_left_or_refused():
    """Catches: an array of another dtype than the reader's, a nan that is let in, a string that is refused."""
    for x, dtype, shape in [
        ([1.0, 2.0], np.float64, (2,)),
        ((1, 2), np.int64, (2,)),
        (3.0, np.float64, ()),
        (np.float64(3), np.float64, ()),
        (np.float32(3), np.float32, ()),
        (np.float16([3]), np.float16, (1,)),
        (np.array([True]), np.bool_, (1,)),
        (np.array([3], np.uint8), np.uint8, (1,)),
        (np.array([3.0], ">f4"), np.float32, (1,)),
    ]:
        taken = inputs.checked_input(x, "x")
        assert isinstance(taken, np.ndarray) and taken.dtype == dtype and taken.dtype.isnative and taken.shape == shape
        assert np.array_equal(taken, x)
    for x in (W, 3, "mean", None, True, len):
        assert inputs.checked_input(x, "x") is x
    for x, error, message in [
        (1j, TypeError, "x must be a real NumPy array, got complex"),
        (np.complex64(1j), TypeError, "x must be a real NumPy array, got complex64"),
        (types.SimpleNamespace(detach=3), TypeError, "x must be a real NumPy array, got SimpleNamespace"),
        (np.array([1j]), TypeError, "x must hold real numbers, got dtype complex128"),
        (["a"], TypeError, "x must hold real numbers, got dtype <U1"),
        (np.ones((2, 0)), ValueError, "x is empty, of shape (2, 0)"),
        (
            [np.inf, 1.0],
            ValueError,
            "x holds a nan or an infinity, where no derivative exists (make a mask of -inf in the forward)",
        ),
    ]:
        with pytest.raises(error) as refused:
            inputs.checked_input(x, "x")
        assert str(refused.value) == message


def test_names_are_those_of_a_function_as_far_as_it_tells():
    def f(a, /, b, *rest, c=3, **others): ...
    def g(a, /, b, c=3, *, d, e=4): ...

    assert inputs.parameter_names(f) == ["a", "b", "c"]
    assert inputs.input_names(f, 2) == ["a", "b"] and inputs.input_names(f, 5) == ["a", "b", "c", "input 3", "input 4"]
    assert inputs.required_names(g) == ["a", "b"] and inputs.required_names(f) is None
    for unknown in (dict, 3):  # ValueError, TypeError of inspect.signature
        assert inputs.parameters_of(unknown) == inputs.parameter_names(unknown) == [] and inputs.required_names(unknown) is None
        assert inputs.input_names(unknown, 1) == ["input 0"]


def test_what_holds_arrays_inside_is_told_from_an_array_that_is_written_out():
    for tree in (
        {"W": W}, {"W": 1.0}, {"n": 3, "s": np.float32(1)}, {"deep": {"W": W}}, [W, B], (W, B), [W, None], [{"W": W}],
        [1, [W, B]], Point(W, B),
    ):  # fmt: skip
        assert inputs.is_tree(tree), tree
    for whole in ({"n": 3}, {}, [W, W], [1.0, 2.0], [[1.0], [2.0]], [], W, 1.0, "W", None, (3, "a"), {"W": np.arange(3)}, [W]):
        assert not inputs.is_tree(whole), whole


def test_a_tree_is_taken_apart_and_put_together_in_its_order():
    tree = {"W": W, "cells": [B, {"n": 3, "b": W}], "two": Point(W, B), "pair": (W, B)}
    leaves = list(inputs.leaves_of(tree, "p"))
    assert [name for name, _ in leaves] == [
        *("p.W", "p.cells[0]", "p.cells[1].n", "p.cells[1].b"),
        *("p.two[0]", "p.two[1]", "p.pair[0]", "p.pair[1]"),
    ]
    assert list(inputs.leaves_of(W, "x")) == [("x", W)]
    made = inputs.put_together(tree, iter("abcdefgh"))
    assert made == {"W": "a", "cells": ["b", {"n": "c", "b": "d"}], "two": Point("e", "f"), "pair": ("g", "h")}
    assert type(made["two"]) is Point and type(made["pair"]) is tuple


def test_a_place_is_told_by_a_name_a_number_or_a_leafs_name():
    arguments, leaves = ["x", "params", "t"], ["x", "params.W", "params.b[0]", "t"]
    for told, places in [
        ("x", [0]),
        (0, [0]),
        ("params", [1, 2]),
        (1, [1, 2]),
        (-1, [3]),
        (2, [3]),
        (-3, [0]),
        ("params.b", [2]),
    ]:
        assert inputs.places_of(told, arguments, leaves) == places, told
    for told in ("param", 3, -4, "W"):
        with pytest.raises(ValueError) as refused:
            inputs.places_of(told, arguments, leaves)
        assert str(refused.value) == f"without_gradient names {told!r}, which is none of the inputs: x, params, t"


def test_inputs_have_names_places_and_gradients():
    def f(x, p, t, eps, n): ...

    given = inputs.checked_inputs(f, ([1.0, 2.0], {"W": W, "b": B}, W, 1e-5, 3), ("t", 3))
    assert (
        given.names == ["x", "p.W", "p.b", "t", "eps", "n"] and given.places == [0, 1, 2] and given.without_gradient == {3, 4}
    )
    assert given.wanted == ["dx", "p.dW", "p.db"] and type(given.values[4]) is float and given.values[5] == 3
    assert given.arguments("abcdef") == ("a", {"W": "b", "b": "c"}, "d", "e", "f")
    assert given.spans() == [range(1), range(1, 3), range(3, 4), range(4, 5), range(5, 6)]
    with pytest.raises(ValueError, match=r"^p\.b holds a nan"):
        inputs.checked_inputs(f, (W, {"W": W, "b": np.array([np.nan])}))
    flat = inputs.checked_inputs(f, (W, W, W, 1e-5), ())
    assert flat.given is None and flat.arguments(["a", 1]) == ("a", 1) and flat.spans() == [] and flat.places == [0, 1, 2, 3]
    with pytest.raises(ValueError) as refused:
        inputs.checked_inputs(f, (W, 3), ("x",))
    assert str(refused.value) == "no input holds floating-point numbers, so there is no gradient to check"


def test_copies_keep_the_order_in_memory_and_float64_is_of_floats_alone():
    given = inputs.Inputs([np.asfortranarray(W), np.arange(3), "a", B.astype(np.float32)], ["x", "i", "s", "b"], frozenset({0}))
    x, i, s, _ = given.copies()
    assert x is not given.values[0] and x.flags.f_contiguous and np.array_equal(x, W) and i is not given.values[1] and s == "a"
    wide = given.in_float64()
    assert [getattr(each, "dtype", each) for each in wide.values] == [np.float64, np.int64, "a", np.float64]
    assert wide.names == given.names and wide.without_gradient == {0} and given.values[3].dtype == np.float32


# ------------------------------------------------------------------------------------------------------------------- wording


def test_functions_are_called_by_their_names():
    def f(): ...

    assert wording.function_name(f) == wording.function_name(functools.partial(functools.partial(f))) == "f"
    assert wording.function_name(lambda: 0) == "the backward" and wording.function_name(Point(1, 2)) == "Point"
    assert wording.without_partial(functools.partial(functools.partial(f, 1), 2)) is f


def test_a_gradients_name_is_that_of_its_value_with_a_d():
    for name, gradient in [("x", "dx"), ("input 2", "d(input 2)"), ("layers[0].W", "layers[0].dW"), ("p.q.W", "p.q.dW")]:
        assert wording.gradient_name(name) == gradient


def test_an_input_is_described_by_its_shape_or_its_value():
    assert wording.described_input("x", W.astype(np.float32)) == "x (2, 3) float32"
    assert wording.described_input("n", 3) == "n = 3" and wording.described_input("s", "a" * 30) == "s = '" + "a" * 19


def test_a_place_is_written_with_an_index_for_each_axis():
    assert (
        wording.subscript(7, (2, 3, 2)) == "[1, 0, 1]"
        and wording.subscript(2, (5,)) == "[2]"
        and wording.subscript(0, ()) == ""
    )
    assert wording.element("dW", W > 3.5) == "dW[1, 1]"


def test_two_numbers_have_as_many_digits_as_tell_them_apart():
    for got, right, text in [
        (1.0, 2.0, "1 and should be 2"),
        (-0.0, 1.0, "0 and should be 1"),
        (1.0, -0.0, "1 and should be 0"),
        (1 / 3, 1.0, "0.333333 and should be 1"),
        (1.0000001, 1.0, "1.0000001 and should be 1"),
        (1 + 2**-52, 1.0, "1.0000000000000002 and should be 1"),
        (1.0, 1.0, "1.0 and should be 1.0"),
        (1.00000012345678, 1.0, "1.000000123 and should be 1"),
        (1.000001, 1.0, "1.000001 and should be 1"),
    ]:
        assert wording.shown(got, right) == text
    assert wording.two(W, 2 * W, W > 3.5) == "4 and should be 8" and wording.two(W, [[0, 1, 2], [3, 5, 5]], W == 4.0) == (
        "4 and should be 5"
    )


# ------------------------------------------------------------------------------------------------------------------- calling


def pair_of(forward, backward, *given) -> calling.Pair:
    return calling.Pair(forward, backward, inputs.checked_inputs(forward, given))


def test_the_backward_gets_the_cache_or_else_the_inputs():
    def f(x, n):
        return n * x

    def cached(x, n):
        return n * x, ("the", "cache")

    def taking(dy, *handed):
        taken.append((dy, *handed))
        return dy

    taken: list = []
    x = np.arange(2.0)
    for forward, rest in [(f, (x, 3)), (cached, (("the", "cache"),))]:
        pair = pair_of(forward, taking, x, 3)
        values = pair.inputs.copies()
        y, handed = pair.run_forward(values)
        assert np.array_equal(y, 3 * x) and handed.together is False and len(handed.rest) == len(rest)
        assert handed.rest[0] is values[0] if forward is f else handed.rest == rest
        assert pair.shapes == [(2,)]
        (gradient,) = pair.run_backward(np.ones(2), handed)
        assert taken[-1][0].shape == (2,) and taken[-1][1:] == handed.rest and np.array_equal(gradient, np.ones(2))
        dy = np.ones(2)
        assert np.array_equal(pair.gradients(dy)[0], dy) and taken[-1][0] is not dy


def test_several_outputs_have_several_cotangents_apart_or_together():
    def f(x, h):
        return (x + 1, 2 * h[:1]), "cache"

    def apart(dx, dh, cache):
        got.append((dx, dh, cache))
        return dx, np.append(dh, 0.0)

    def together(dxh, cache):
        got.append((*dxh, cache))
        assert type(dxh) is tuple
        return dxh[0], np.append(dxh[1], 0.0)

    got: list = []
    for backward in (apart, together):
        pair = pair_of(f, backward, np.zeros(3), np.zeros(2))
        y, handed = pair.run_forward(pair.inputs.copies())
        assert np.array_equal(y, [1, 1, 1, 0]) and handed.together is (backward is together)
        dx, dh = pair.run_backward(np.arange(4.0), handed)
        assert np.array_equal(dx, [0, 1, 2]) and np.array_equal(dh, [3, 0])
        assert [each.shape for each in got[-1][:2]] == [(3,), (1,)] and got[-1][2] == "cache"


def test_what_raises_inside_of_a_pair_is_said_of_the_one_that_did():
    def raises(*_):
        raise KeyError("a")

    pair = pair_of(raises, raises, np.ones(2))
    for run in (lambda: pair.run_forward(pair.inputs.copies()), lambda: pair.y(np.ones(2))):
        with pytest.raises(verdict.Stopped) as stopped:
            run()
        assert stopped.value.check.name == "forward runs"
    pair.shapes = [(2,)]
    with pytest.raises(verdict.Stopped) as stopped:
        pair.run_backward(np.ones(2), calling.Handed((), False))
    assert stopped.value.check.name == "backward runs"


def test_an_output_that_is_a_python_float_has_the_inputs_dtype():
    for dtype in (np.float32, np.float64):
        pair = pair_of(lambda x: float(x.sum()), lambda dy, x: dy, np.ones(2, dtype))
        y, _ = pair.run_forward(pair.inputs.copies())
        assert y.dtype == dtype and y == 2


def test_a_number_is_handed_to_the_backward_as_a_number():
    pair = pair_of(lambda x: (x * x).sum(), lambda dy, x: got.append(dy) or 2 * dy * x, np.ones(2))
    got: list = []
    y, handed = pair.run_forward(pair.inputs.copies())
    assert y.shape == () and y == 2 and np.array_equal(pair.run_backward(np.asarray(3.0), handed)[0], [6, 6])
    assert isinstance(got[0], np.float64)


def test_the_output_alone_may_be_complex_and_has_the_shape_of_before():
    def f(x):
        return x[x.real > 0] * 2, x

    pair = pair_of(f, lambda dy, x: dy, np.array([1.0, 2.0]))
    assert np.array_equal(pair.y(np.array([1j + 1, 2])), [2 + 2j, 4])
    with pytest.raises(verdict.Stopped) as stopped:
        pair.y(np.array([-1.0, 2.0]))
    assert stopped.value.check == verdict.Check("output", False, "y has the shape (2,), and (1,) when the forward runs again")

    def two(x):
        return (x[x > 0], x), None

    pair = pair_of(two, lambda da, db, cache: da, np.array([1.0, 2.0]))
    pair.y(np.ones(2))
    with pytest.raises(verdict.Stopped, match=r"y has the shape \[\(2,\), \(2,\)\], and \[\(1,\), \(2,\)\] when"):
        pair.y(np.array([-1.0, 2.0]))


def test_a_pair_in_float64_is_the_pair_in_longer_numbers():
    pair = pair_of(lambda x: x, lambda dy, x: dy, np.ones(2, np.float32))
    pair.shapes = [(2,)]
    wide = pair.in_float64()
    assert wide.inputs.dtype == np.float64 and pair.inputs.dtype == np.float32 and wide.forward is pair.forward
    assert wide.shapes == [(2,)]


def test_an_exception_names_the_deepest_line_in_the_readers_own_file():
    """Catches: a line of ours or of NumPy's in the place of the reader's."""

    def inner(x):
        return x.reshape(-1, 7)

    def f(x, n=1):
        return inner(x) if n == 1 else np.linalg.inv(x)  # it raises inside of NumPy

    for options, text in [({}, "return x.reshape(-1, 7)"), ({"n": 2}, "return inner(x) if n == 1 else np.linalg.inv(x)")]:
        with pytest.raises(verdict.Stopped) as stopped:
            calling.called(functools.partial(f), "forward", np.ones(3), **options)
        assert stopped.value.check.name == "forward runs" and stopped.value.unwritten is None
        raised, line = str(stopped.value).split("\n")
        assert raised.startswith("it raised ") and "Error: " in raised and f" of {__file__}: {text}" in line
        assert line.startswith("in line ") and "called as" not in str(stopped.value)
        assert isinstance(stopped.value.__cause__, Exception)


def test_a_call_that_python_refuses_says_how_it_was_made():
    def f(x): ...

    with pytest.raises(verdict.Stopped) as stopped:
        calling.called(f, "backward", 1, 2)
    raised, how = str(stopped.value).split("\n")
    assert (
        raised.startswith("it raised TypeError: ")
        and how == f"({calling.A_PAIR})"
        and stopped.value.check.name == "backward runs"
    )
    with pytest.raises(verdict.Stopped) as stopped:
        calling.called(f, "backward", 1, 2, how="by hand")
    assert str(stopped.value).endswith("\n(by hand)")
    with pytest.raises(verdict.Stopped) as stopped:
        calling.called(f, "backward", 1, 2, how="")
    assert "\n" not in str(stopped.value)
    with pytest.raises(verdict.Stopped) as stopped:
        calling.called(int, "backward", "a")  # it has no text of its own
    assert str(stopped.value).startswith("it raised ValueError: invalid literal")
    assert calling.called(lambda *a, **b: (a, b), "forward", 1, 2, c=3) == ((1, 2), {"c": 3})


def test_what_is_not_written_yet_is_told_of_a_backward_alone():
    def f():
        raise NotImplementedError("soon")

    def stops():
        raise verdict.Stopped("output", "its own")

    for role, unwritten in (("backward", "soon"), ("forward", None)):
        with pytest.raises(verdict.Stopped) as stopped:
            calling.called(f, role)
        assert stopped.value.unwritten == unwritten and "it raised NotImplementedError: soon" in str(stopped.value)
    with pytest.raises(verdict.Stopped) as stopped:
        calling.called(stops, "backward")
    assert stopped.value.check == verdict.Check("output", False, "its own")


# --------------------------------------------------------------------------------------------------------------- pairs, files


def test_the_forwards_names_follow_from_the_backwards():
    for name, forwards in [
        ("softmax_backward", ["softmax_forward", "softmax"]),
        ("softmax_bwd", ["softmax_fwd", "softmax"]),
        ("backward_softmax", ["forward_softmax", "softmax"]),
        ("softmax_grad", ["softmax"]),
        ("backward", ["forward"]),
        *[(name, []) for name in ("softmax", "_backward", "backward_", "_grad", "_bwd", "forward", "softmax_backwards", "")],
    ]:
        assert pairs.forward_names(name) == forwards, name


def test_a_pair_is_two_functions_of_the_namespace_that_was_given():
    def f(): ...
    def g(): ...

    def imported(): ...

    imported.__module__ = "elsewhere"
    space = {"__name__": __name__, "f": f, "f_backward": g, "i": f, "i_backward": imported, "p_backward": functools.partial(g)}
    space |= {"p": f, "p_forward": Point, "q": Point, "q_grad": g, "r": f, "r_grad": Point, "s": None, "s_grad": g}
    found = pairs.pairs_in(space)
    assert found == [pairs.NamedPair("f_backward", "f", f, g), pairs.NamedPair("p_backward", "p", f, space["p_backward"])]
    for asked in ("i", "i_backward"):
        assert [pair.name for pair in pairs.pairs_in(space, also=[asked])] == ["f_backward", "i_backward", "p_backward"]
    space.pop("__name__")
    assert len(pairs.pairs_in(space)) == 3
    assert pairs.home(functools.partial(f)) == __name__ and pairs.home(3) is None
    assert pairs.is_function(f) and pairs.is_function(functools.partial(f)) and not pairs.is_function(Point)
    assert list(pairs.pair_of("f", space)) == list(pairs.pair_of("s_grad", space)) == []


def test_cases_are_listed_and_may_be_checked():
    def cases():
        print("not shown")
        return {"f": (1,), "g": [(2,), (3,)]}

    assert files.cases_of({"cases": cases}) == {"f": [(1,)], "g": [(2,), (3,)]}
    assert files.cases_of({}) == files.cases_of({"cases": 3}) == files.cases_of({"cases": Point}) == {}
    for returned, message in [
        (3, "cases() must return a dict, name -> inputs, got int"),
        ({"f": 3}, "cases() must give a tuple of inputs for 'f', or a list of such tuples"),
        ({"g": (1,), "f": [(1,), 2]}, "cases() must give a tuple of inputs for 'f', or a list of such tuples"),
        ({"f": []}, "cases() must give a tuple of inputs for 'f', or a list of such tuples"),
    ]:
        with pytest.raises(ValueError) as refused:
            files.cases_of({"cases": parsed_function(f"def f(): return {returned!r}")})
        assert str(refused.value) == message
    with pytest.raises(ValueError, match=r"^cases\(\) raised ZeroDivisionError: division by zero$") as refused:
        files.cases_of({"cases": lambda: 1 / 0})
    assert isinstance(refused.value.__cause__, ZeroDivisionError)


def test_who_asks_for_a_pair_that_is_not_there_is_told_which_are():
    def f(): ...

    two = [pairs.NamedPair("f_backward", "f", f, f), pairs.NamedPair("g_grad", "g", f, f)]
    files.check_named("only", ["f", "g_grad"], two)
    for among, listed in ((two, "f_backward, g_grad"), ([], "none")):
        with pytest.raises(ValueError) as refused:
            files.check_named("only", ["h"], among)
        assert str(refused.value) == f"only names 'h', and the pairs are {listed}"


def sine(x):
    return np.sin(x)


def sine_backward(dy, x):
    return dy * np.cos(x)


def test_the_pairs_of_a_namespace_are_graded_on_their_cases_with_the_seed():
    space = {"sine": sine, "sine_backward": sine_backward, "tanh": np.tanh, "tanh_backward": lambda dy, x: dy, "n": 3}
    found = files.check_pairs(space | {"cases": lambda: {"sine": (np.ones(3),)}})
    assert [each.name for each in found.pairs] == ["sine_backward", "tanh_backward"] and found.exit_code == 1
    assert found.pairs[0].verdict and "x (3,)" in found.pairs[0].verdict.checks[0].message
    assert [each.name for each in files.check_pairs(space, only="sine").pairs] == ["sine_backward"]
    seen: list = []

    def spying(x):
        seen.append(x.copy())
        return np.sin(x)

    firsts = []
    for options in ({"seed": 0}, {}, {"seed": 2}):
        seen.clear()
        assert files.check_pairs({"s": spying, "s_backward": sine_backward}, **options)
        firsts.append(seen[0])
    assert np.array_equal(firsts[0], firsts[1]) and not np.array_equal(firsts[0], firsts[2])
    with pytest.raises(ValueError, match=r"^only names 'cosine', and the pairs are sine_backward, tanh_backward$"):
        files.check_pairs(space, only="cosine")
    imported = {"__name__": "elsewhere", "sine": sine, "sine_backward": sine_backward}
    assert files.check_pairs(imported | {"cases": parsed_function("def f(): return {'sine': ([1.0, 2.0],)}")})
    with pytest.raises(ValueError, match=r"^no pair of a forward and a backward \(f and f_backward, f_fwd and f_bwd, ...\) is"):
        files.check_pairs({"sine": sine})
    with pytest.raises(ValueError, match=r"^cases\(\) names 'x', and the pairs are none$"):
        files.check_pairs({"cases": lambda: {"x": (1,)}})


# ------------------------------------------------------------------------------------------------------------------ one pair


def named(forward, backward) -> pairs.NamedPair:
    return pairs.NamedPair("f_backward", "f", forward, backward)


def product(a, t):
    """a, t (N, C)"""
    return a * t


def product_backward(dy, a, t):
    return dy * t, dy * a


SINE = named(sine, sine_backward)
WRONG_SINE = named(sine, lambda dy, x: dy * np.sin(x))


def test_cases_are_used_that_have_either_name_else_inputs_are_drawn():
    one, two = (np.ones(3),), (np.ones((2, 2)),)
    for cases, shape in [({"f": [one]}, "(3,)"), ({"g": [one], "f_backward": [two]}, "(2, 2)")]:
        found = one_pair.graded(SINE, cases, 0)
        assert (
            found.verdict and f"x {shape} float64" in found.verdict.checks[0].message and not found.drawn and found.remark == ""
        )
        assert found.verdict.name == found.name == "f_backward"
    drawn = one_pair.graded(SINE, {"g": [one]}, 0)
    assert drawn.verdict and drawn.drawn and drawn.remark == "" and "x (" in drawn.verdict.checks[0].message


def test_of_cases_the_first_wrong_one_is_told_by_its_number():
    wrong_on_squares = named(sine, lambda dy, x: dy * np.cos(x) * (2 if x.ndim == 2 else 1))
    right, wrong, other = (np.ones(3),), (np.ones((2, 2)),), (np.ones((3, 3)),)
    assert one_pair.on_cases(wrong_on_squares, [right, wrong, other], 0).remark == "case 2 of 3"
    assert one_pair.on_cases(wrong_on_squares, [wrong], 0).remark == ""
    assert one_pair.on_cases(SINE, [right, wrong], 0).remark == ""

    def target(x, y_true):
        return np.sin(x) * y_true

    forgotten = named(target, lambda dy, x, y_true: dy * np.cos(x) * y_true * 2)
    assert one_pair.on_cases(forgotten, [2 * right, 2 * right], 0).remark == "case 1 of 2; no gradient of y_true"
    for bad in (np.array([np.nan]), np.array([1j])):  # ValueError, TypeError
        with pytest.raises(ValueError, match=r"^cases\(\): case 2 of f_backward: x (holds|must hold)") as refused:
            one_pair.on_cases(SINE, [right, (bad,)], 0)
        assert refused.value.__cause__ is not None


def test_of_right_cases_the_one_with_the_largest_error_is_kept(monkeypatch):
    errors = iter([1e-16, 3e-16, 2e-16])

    def right(pair, given, seed):
        check = verdict.Check("derivative", True, "", verdict.Worst("dx", next(errors)))
        return verdict.Verdict("f", (check,)), f"of {given[0]}, {seed}"

    monkeypatch.setattr(one_pair, "on_inputs", right)
    found = one_pair.on_cases(SINE, [(1,), (2,), (3,)], 7)
    assert found.verdict.worst.error == 3e-16 and found.remark == "of 2, 7" and found.name == "f_backward"


def test_what_cannot_be_graded_says_why():
    def ends(x):
        raise SystemExit(3)

    for forward, backward, says in [
        (product, lambda dy: dy, "takes 1 positional argument but 3 were given"),
        (lambda a, b: a, product_backward, "no shape of a, b is said"),
        (ends, sine_backward, "it ends Python (sys.exit)"),
        (sine, lambda *, dy: dy, "positional argument"),
        (
            parsed_function("def f(ids):\n    'ids (N,)'\n    return ids"),
            sine_backward,
            "none of its inputs seems to hold floats",
        ),
    ]:
        found = one_pair.graded(named(forward, backward), {}, 0)
        assert found.verdict is None and says in found.remark and found.name == "f_backward", found.remark


def test_what_check_backward_does_not_take_is_said_in_its_words():
    with pytest.raises(TypeError) as told:
        check_backward(sine, 3, np.ones(3))
    with pytest.raises(draws.Unknown) as refused:
        one_pair.on_drawn_inputs(named(sine, 3), 0)
    assert str(refused.value) == str(told.value)


def test_a_gradient_that_no_reading_explains_is_missing():
    found = one_pair.graded(named(product, lambda dy, a, t: dy * t), {}, 0)
    assert found.word == "WRONG" and found.verdict.first_failure == "number of gradients" and found.drawn


def test_floats_for_labels_are_tried_too():
    def weighted(target, scores=None):
        """target (N,), scores (N, C)"""
        return scores * target[:, None]

    found = one_pair.graded(named(weighted, lambda dy, t, s: ((dy * s).sum(axis=1), dy * t[:, None])), {}, 0)
    assert found.verdict and found.remark == "" and "target" in found.verdict.checks[0].message


def test_everything_that_is_drawn_is_drawn_by_the_seed():
    got: list = []
    spying = named(sine, lambda dy, x: got.append(np.array(dy)) or dy * np.cos(x))
    for cases in ({}, {"f": [(np.ones(3),)]}):
        seen = []
        for seed in (4, 4, 5):
            got.clear()
            assert one_pair.graded(spying, cases, seed).verdict
            seen.append(got[0])
        assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0].flat[0], seen[2].flat[0])


def checked(*checks) -> verdict.Verdict:
    return verdict.Verdict("f", tuple(verdict.Check(*each) for each in checks))


def test_on_drawn_inputs_a_failure_may_say_nothing_about_the_backward():
    ran = ("forward runs", True, "")
    for checks, says in [
        ([("forward runs", False, "it\nraised")], "it raised; or write cases()"),
        ([ran, ("output", False, "y is empty")], "y is empty; or write cases()"),
        ([ran, ("backward runs", False, "it raised TypeError: a\n(b)")], "it raised TypeError: a (b)"),
        (
            [ran, ("derivative", False, "none")],
            "no gradient can be measured: the forward is not smooth at the inputs that were drawn; write cases()",
        ),
    ]:
        with pytest.raises(draws.Unknown) as refused:
            one_pair.refuse_what_says_nothing(checked(*checks))
        assert str(refused.value) == says
    for checks in [
        [ran, ("output", False, "y changes"), ("derivative", True, "")],
        [ran, ("backward runs", False, "it raised TypeError: a\nin line 3 of f")],
        [ran, ("backward runs", False, "it raised KeyError: a")],
        [ran, ("derivative", False, "dx", verdict.Worst("dx[0]", 1.0))],
        [ran, ("derivative", True, "")],
        [ran, ("shapes", False, "TypeError")],
    ]:
        one_pair.refuse_what_says_nothing(checked(*checks))


def test_a_signature_may_be_read_in_several_ways():
    def loss(scores, labels, weight=None, bias=None):
        """scores (N, C), labels (N,), weight (C,), bias (C,)"""
        return scores

    (whole, a), (without, b), (floats, c) = one_pair.readings(named(loss, None), 5)
    assert len(whole) == len(floats) == 4 and len(without) == 2 and (a, b, c) == ("", "weight, bias left at None", "")
    assert whole[1].dtype.kind == "i" and floats[1].dtype.kind == "f" and np.array_equal(whole[0], without[0])
    assert np.array_equal(whole[0], next(one_pair.readings(named(loss, None), 5))[0][0])
    assert not np.array_equal(whole[0].flat[0], next(one_pair.readings(named(loss, None), 6))[0][0].flat[0])
    *_, (again, _) = one_pair.readings(named(loss, None), 5)
    assert all(np.array_equal(one, other) for one, other in zip(floats, again, strict=True))
    assert [said for _, said in one_pair.readings(SINE, 0)] == ["", ""]

    def strict(scores, labels):
        """scores (N, C), labels (N,)"""
        return scores[np.arange(len(labels)), labels]

    assert len(list(one_pair.readings(named(strict, None), 0))) == 1  # no floats are taken for labels


def test_an_input_that_is_left_out_is_said_with_what_counts_as_a_constant():
    def f(x, target, bias=None):
        """x (N, C), target (N, C), bias (C,)"""
        return x * target if bias is None else x * target + bias

    found = one_pair.graded(named(f, lambda dy, x, target, bias=None: dy * target), {}, 0)
    assert found.verdict and found.remark == "bias left at None; no gradient of target"
    found = one_pair.graded(named(f, lambda dy, x, target, bias=None: (dy * target, dy.sum(0))), {}, 0)
    assert found.verdict and found.remark == "no gradient of target" and found.drawn


def test_numbers_and_what_is_called_a_target_may_be_constants():
    def of(loss, *names):
        text = f"def f({', '.join(names)}): return {loss}"
        return named(parsed_function(text), None)

    x, whole = np.ones((2, 3)), np.arange(3)
    for pair, given, places in [
        (of("x", "x", "cos", "sin", "y_true", "gold", "my_target", "labels"), 7 * (x,), [1, 2, 3, 4, 5, 6]),
        (of("x", "x", "cosine", "y", "t"), 4 * (x,), []),
        (of("x.sum()", "x", "y", "t"), 3 * (x,), [1, 2]),
        (of("(x.sum(-1), 'cache')", "x", "y"), (x, x), [1]),
        (of("x", "x", "y", "labels"), (x[0], x, whole), [1]),  # y has fewer axes than the largest input
        (of("x", "x", "eps", "n"), (x, 1e-5, 3), [1]),
        (of("3.0", "n"), (3,), []),
    ]:
        assert one_pair.constants_among(pair, given) == places, pair
    changed = x.copy()
    one_pair.constants_among(named(lambda x: np.multiply(x, 2, out=x), None), (changed,))
    assert np.array_equal(changed, x)


def test_a_constant_is_tried_where_a_gradient_is_missing_alone():
    missing = named(product, lambda dy, a, t: dy * t)
    given = (np.ones((2, 3)), np.full((2, 3), 2.0))
    found, remark = one_pair.on_inputs(missing, given, 0)
    assert found.first_failure == "number of gradients" and remark == ""  # t is no target where y is as large
    targets = named(lambda a, target: a * target, lambda dy, a, target: dy * target)
    found, remark = one_pair.on_inputs(targets, given, 0)
    assert found and remark == "no gradient of target"
    both = named(lambda a, target: a * target, lambda dy, a, target: (dy * target, dy * a))
    assert one_pair.on_inputs(both, given, 0)[1] == ""
    alone = named(lambda target: 2 * target, lambda dy, target: ())
    found, remark = one_pair.on_inputs(alone, given[:1], 0)
    assert not found and remark == ""
    none = named(lambda a, target: a * target, lambda dy, a, target: ())
    found, remark = one_pair.on_inputs(none, given, 0)
    assert found.first_failure == "number of gradients" and remark == ""


def test_where_a_constant_is_tried_the_seed_is_the_same():
    got: list = []
    spying = named(lambda a, target: a * target, lambda dy, a, target: got.append(np.array(dy)) or dy * target)
    seen = []
    for seed in (0, 0, 1):
        got.clear()
        assert one_pair.on_inputs(spying, (np.ones((2, 3)), np.ones((2, 3))), seed)[0]
        seen.append(got[-1])
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[2])


def test_the_seed_reaches_the_verdict_and_the_inputs_are_left_alone():
    got: list = []
    spying = named(sine, lambda dy, x: got.append(np.array(dy)) or dy * np.cos(x))
    firsts = []
    for seed in (0, 0, 1):
        got.clear()
        assert one_pair.verdict_on(spying, (np.ones(3),), (), seed).name == "f_backward"
        firsts.append(got[0])
    assert np.array_equal(firsts[0], firsts[1]) and not np.array_equal(firsts[0], firsts[2])
    x = np.ones(2)
    (copied, n) = one_pair.copies((x, 3))
    assert copied is not x and np.array_equal(copied, x) and n == 3


def test_what_is_printed_meanwhile_is_not_seen(capsys):
    def f(x):
        print("in the forward")
        return np.sin(x)

    assert one_pair.graded(named(f, sine_backward), {"f": [(np.ones(2),)]}, 0).verdict
    print("after")
    assert capsys.readouterr().out == "after\n"


# ----------------------------------------------------------------------------------------------------------------- importing


def test_a_package_is_as_many_folders_up_as_say_so(tmp_path):
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    path = inner / "file.py"
    assert importing.package_of(path) == ("", inner)
    (inner / "__init__.py").touch()
    assert importing.package_of(path) == ("two", tmp_path / "one")
    (tmp_path / "one" / "__init__.py").touch()
    assert importing.package_of(path) == ("one.two", tmp_path)
    (tmp_path / "__init__.py").touch()
    odd = tmp_path / "not-a-name"
    odd.mkdir()
    (odd / "__init__.py").touch()
    assert importing.package_of(odd / "file.py") == ("", odd)


def test_a_file_is_a_module_of_its_own_for_as_long_as_it_is_used(tmp_path, monkeypatch):
    path = tmp_path / "its_own.py"
    path.write_text("import sys\nname, here, found = __name__, __file__, sys.modules[__name__]\nfirst = sys.path[0]\n")
    before = list(sys.path)
    monkeypatch.chdir(tmp_path)
    for source in (path, str(path), "its_own.py"):
        with importing.namespace_of(source) as space:
            assert space["name"] == "checked_its_own" and space["here"] == str(path) and space["first"] == str(tmp_path)
            assert vars(space["found"]) is space and "checked_its_own" in sys.modules and sys.path[0] == str(tmp_path)
        assert sys.path == before and "checked_its_own" not in sys.modules
    package = tmp_path / "a_package_of_one"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inside.py").write_text("name, package = __name__, __package__\n")
    with importing.namespace_of(package / "inside.py") as space:
        assert space["name"] == "a_package_of_one.checked_inside" and space["package"] == "a_package_of_one"
    sys.modules.pop("a_package_of_one")
    assert sys.path == before


def test_a_file_that_changes_the_path_or_its_own_name_is_taken_all_the_same(tmp_path):
    path = tmp_path / "forgetful.py"
    path.write_text("import sys\ndel sys.modules[__name__]\n")
    with importing.namespace_of(path) as space:
        assert "sys" in space


def test_modules_and_namespaces_are_taken_as_they_are():
    with importing.namespace_of(types) as space:
        assert space is vars(types)
    for given in ({"a": 1}, types.MappingProxyType({"a": 1})):
        with importing.namespace_of(given) as space:
            assert space is given
    with pytest.raises(TypeError) as refused, importing.namespace_of(3):
        pass
    message = "expected the path of a file, a module or a namespace such as globals(), got int"
    assert str(refused.value) == message


def test_why_a_file_cannot_be_imported_is_said_in_a_line(tmp_path):
    path = tmp_path / "broken.py"
    for text, says in [
        ("\n\nraise ValueError('two\\n  lines')\n", "ValueError: two lines (line 3)"),
        ("def f():\n    1 / 0\n\nf()\n", "ZeroDivisionError: division by zero (line 2)"),
        ("import json\njson.loads('{')\n", "(line 2)"),
        ("raise SystemExit(3)\n", "SystemExit: 3 (line 1)"),
        ("\ndef f(:\n", "SyntaxError: invalid syntax (broken.py, line 2)"),
    ]:
        path.write_text(text)
        with pytest.raises(ImportError) as refused, importing.namespace_of(path):
            pass
        said = str(refused.value)
        assert said.startswith("broken.py cannot be imported: ") and said.endswith(says) and "\n" not in said
        assert refused.value.__cause__ is not None and "checked_broken" not in sys.modules
    path.write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt), importing.namespace_of(path):
        pass
    with pytest.raises(FileNotFoundError) as missing, importing.namespace_of(tmp_path / "none.py"):
        pass
    assert str(missing.value) == f"{tmp_path / 'none.py'}: no such file"
    (tmp_path / "text.txt").touch()
    with pytest.raises(ImportError) as refused, importing.namespace_of(tmp_path / "text.txt"):
        pass
    assert str(refused.value) == "text.txt cannot be imported: it is no file of Python"
