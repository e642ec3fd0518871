"""How npgpt.check reads a layer, piece by piece: what it holds, where its gradients are, how it is copied, called and run."""

import functools
import random
import types
from collections.abc import Mapping

import numpy as np
import pytest

from npgpt import check_layer
from npgpt.check import copies, parameters, probing, reading, runs, verdict
from npgpt.check.layer import instance_of
from npgpt.check.parameters import at, gradient_path, put, walk, written

W, B, V = np.arange(6.0).reshape(2, 3), np.arange(3.0), np.arange(4.0)


class Holder(types.SimpleNamespace):
    """A layer of the attributes that it is given."""


def like(x):
    return np.zeros_like(x)


# ------------------------------------------------------------------------------------------------------------------- the walk


def test_what_a_thing_holds_comes_with_the_step_to_it():
    """Catches: a function's or a module's own attributes taken for the layer's, which would be walked without an end."""
    held = Holder(W=W, layers=[B])
    assert list(parameters.inside(held)) == [("W", W), ("layers", held.layers)]
    assert list(parameters.inside({"W": 1, 2: 3})) == [(("W",), 1), ((2,), 3)]
    assert list(parameters.inside(types.MappingProxyType({"W": 1}))) == [(("W",), 1)]
    assert list(parameters.inside([5, 6])) == list(parameters.inside((5, 6))) == [((0,), 5), ((1,), 6)]

    class Array(np.ndarray):
        pass

    array = W.view(Array)
    array.note = "n"

    def function(): ...

    function.note = "n"
    for nothing in (array, function, Holder, types, held.__eq__, len, 3, "text", None, np.random.default_rng(0), W):
        assert list(parameters.inside(nothing)) == [], nothing


def test_a_walk_goes_as_deep_as_it_can_and_into_each_thing_once():
    inner = Holder(W=W)
    layer = Holder(cells=[inner, inner], table={"b": B})
    layer.itself, inner.owner = layer, layer
    assert [(path, holder) for path, _, holder in walk(layer)] == [
        (("cells",), layer),
        (("cells", (0,)), layer.cells),
        (("cells", (0,), "W"), inner),
        (("cells", (0,), "owner"), inner),
        (("cells", (1,)), layer.cells),
        (("table",), layer),
        (("table", ("b",)), layer.table),
        (("itself",), layer),
    ]
    assert all(at(layer, path) is value for path, value, _ in walk(layer))
    assert at(layer, ()) is layer
    with pytest.raises(AttributeError):
        at(layer, ("cells", (0,), "V"))


def test_what_is_made_as_it_is_walked_is_walked_too():
    """Catches: a thing that stands in memory where another one has stood, taken for that one."""

    class Making(Mapping):
        def __getitem__(self, key):
            return Holder(W=W)

        def __iter__(self):
            return iter("abcdef")

        def __len__(self):
            return 6

    assert [path for path, _, _ in walk(Making())] == [path for key in "abcdef" for path in (((key,),), ((key,), "W"))]


def test_a_value_is_put_where_it_belongs():
    class Frozen(Holder):
        def __setattr__(self, name, value):
            raise AttributeError("frozen")

    layer = Holder(cells=[Frozen(W=W)], table={"b": B}, pair=(W, B))
    put(layer, ("cells", (0,), "W"), V)
    put(layer, ("table", ("b",)), V)
    put(layer, ("pair", (0,)), V)
    assert layer.cells[0].W is V and layer.table == {"b": V} and layer.pair == (W, B)
    put(layer, ("cells", (0,)), 3)
    assert layer.cells == [3]


def test_a_path_is_written_as_readers_write_it():
    for path, text in [
        (("W",), "W"),
        (("layers", (0,), "W"), "layers[0].W"),
        (("params", ("W",)), "params.W"),
        (((1,),), "[1]"),
        (((1,), ("b",), (2,)), "[1].b[2]"),
        ((), ""),
    ]:
        assert written(path) == text


def test_arrays_of_floats_are_told_from_all_else():
    layer = Holder(W=W, ids=np.arange(3), none=np.zeros((0, 2)), number=1.5, short=B.astype(np.float32), name="W")
    assert list(parameters.floats_in(layer)) == [("W",), ("short",)]
    assert parameters.array_of(W) is W and parameters.array_of(Holder(data=W)) is W
    for nothing in (3.0, np.arange(3), Holder(data=np.arange(3)), Holder(data=[1.0]), None):
        assert parameters.array_of(nothing) is None


# ------------------------------------------------------------------------------------------------------------- found by name

HOMES = {  # a layer, the path of a parameter, where its gradient is
    "dW": (Holder(W=W, dW=like(W)), ("W",), ("dW",)),
    "another's": (Holder(W=W, dV=like(W)), ("W",), None),
    "none yet": (Holder(W=W, dW=None), ("W",), None),
    "the second of that name": (Holder(W=W, dW=None, grad_W=like(W)), ("W",), ("grad_W",)),
    "deeper": (Holder(cell=Holder(W=W, W_grad=like(W))), ("cell", "W"), ("cell", "W_grad")),
    "not beside it": (Holder(dW=like(W), cell=Holder(W=W)), ("cell", "W"), None),
    "a tensor": (Holder(W=W, dW=Holder(data=like(W))), ("W",), ("dW", "data")),
    "in one dict": (Holder(params={"W": W, "dW": like(W)}), ("params", ("W",)), ("params", ("dW",))),
    "data and grad": (Holder(p=Holder(data=W, grad=like(W))), ("p", "data"), ("p", "grad")),
    "a dict of value and gradient": (Holder(p={"value": W, "g": like(W)}), ("p", ("value",)), ("p", ("g",))),
    "grad of no data": (Holder(W=W, grad=like(W)), ("W",), None),
    "of w alone": (Holder(w=W, diff=like(W)), ("w",), ("diff",)),
    "a number beside it": (Holder(p={"value": W, 3: like(W)}), ("p", ("value",)), None),
    "params, grads": (Holder(params={"W": W}, grads={"b": B, "W": like(W)}), ("params", ("W",)), ("grads", ("W",))),
    "params, grads of d": (Holder(params={"W": W}, Grads={"dW": like(W)}), ("params", ("W",)), ("Grads", ("dW",))),
    "grads of others": (Holder(params={"W": W}, grads={"V": like(W), 0: like(W)}), ("params", ("W",)), None),
    "none in the first": (Holder(params={"b": B}, grads={"b": None}, grad={"b": B}), ("params", ("b",)), ("grad", ("b",))),
    "its own dict": (Holder(grads={"W": W}), ("grads", ("W",)), None),
    "weights, dweights": (Holder(weights=[W, B], dweights=[like(W), like(B)]), ("weights", (1,)), ("dweights", (1,))),
    "weights, dbiases": (Holder(weights=[W, B], dbiases=[like(W), like(B)]), ("weights", (1,)), None),
    "grads of tensors": (Holder(params=[W], grads=[Holder(data=like(W))]), ("params", (0,)), ("grads", (0,), "data")),
    "dicts in a dict": ({"params": {"W": W}, "grads": {"W": like(W)}}, (("params",), ("W",)), (("grads",), ("W",))),
    "weights, dweights in a dict": ({"weights": [W], "dweights": [like(W)]}, (("weights",), (0,)), (("dweights",), (0,))),
    "deeper params, grads": (
        Holder(cell=Holder(params={"W": W}, grads={"W": like(W)})), ("cell", "params", ("W",)), ("cell", "grads", ("W",)),
    ),
    "attributes in two holders": (Holder(params=Holder(W=W), grads=Holder(W=like(W))), ("params", "W"), None),
    "a pair": (Holder(W=(W, like(W))), ("W", (0,)), ("W", (1,))),
    "the second of a pair": (Holder(W=(W, like(W))), ("W", (1,)), None),
    "a pair in a list": (Holder(all=[["W", W, like(W)]]), ("all", (0,), (1,)), ("all", (0,), (2,))),
    "a list alone": (Holder(all=[W, like(W)]), ("all", (0,)), None),
    "a list under a key": (Holder(all={"W": [W, like(W)]}), ("all", ("W",), (0,)), None),
    "a pair of two shapes": (Holder(all=[(W, like(B))]), ("all", (0,), (0,)), None),
    "three arrays": (Holder(all=[(W, like(W), like(W))]), ("all", (0,), (0,)), None),
    "a pair and a number": (Holder(all=[(3, W, like(W))]), ("all", (0,), (1,)), None),
    "a layer that is a list": ([W, like(W)], ((0,),), None),
    "a layer that is a dict": ({"W": W, "dW": like(W)}, (("W",),), (("dW",),)),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "path", "gradient"), HOMES.values(), ids=HOMES)
def test_a_gradient_stands_beside_its_array_under_a_name_that_says_so(layer, path, gradient):
    assert gradient_path(layer, path) == gradient


def test_found_are_the_arrays_that_stay_and_have_a_gradient_each_once():
    """Catches: a gradient called a parameter, one that a forward changes, one weight twice, another layer's gradient."""
    layer = Holder(W=W, dW=like(W), ddW=like(W), b=B, db=like(B), x=V, dx=like(V), lone=V, cells=[Holder(W=V, dW=like(V))])
    layer.tied = Holder(W=W, dW=layer.dW)
    stable = {("W",), ("dW",), ("b",), ("cells", (0,), "W"), ("tied", "W"), ("lone",)}
    ones = parameters.found(layer, stable)
    assert [(p.name, p.path, p.where) for p in ones] == [
        ("W", ("W",), "dW"),
        ("b", ("b",), "db"),
        ("cells[0].W", ("cells", (0,), "W"), "cells[0].dW"),
    ]
    assert ones[0].find(layer) is W and ones[0].gradient(layer, "returned") is layer.dW
    assert ones[2].find(layer) is V and ones[2].gradient(layer, None) is layer.cells[0].dW


def test_a_name_is_as_short_as_it_can_be():
    for paths, names_of_them in [
        ([("W",), ("b",)], ["W", "b"]),
        ([("cell", "W"), ("cell", "b")], ["W", "b"]),
        ([("one", "W"), ("two", "W"), ("two", "b")], ["one.W", "two.W", "b"]),
        ([("weight", "data"), ("bias", "value")], ["weight", "bias"]),
        ([("cell", "weight", "val"), ("cell", "bias", "array")], ["weight", "bias"]),
        ([("params", ("W",)), ("cell", "W")], ["W", "cell.W"]),
        ([("a", "parameters", ("W",)), ("b", "weights", ("W",))], ["a.W", "b.W"]),
        ([("data",)], ["data"]),
        ([("cell", "w")], ["w"]),
        ([("params", ("W",)), ("b",)], ["W", "b"]),
        ([("cell", "Params_", ("W",)), ("head", "theta", ("W",))], ["cell.W", "head.W"]),
        ([("cell", "weights", (0,)), ("cell", "weights", (1,))], ["cell.weights[0]", "cell.weights[1]"]),
        ([("cell", "table", ("W",)), ("head", "table", ("W",))], ["cell.table.W", "head.table.W"]),
        ([(("W",),)], ["W"]),
        ([((0,),)], ["[0]"]),
    ]:
        assert parameters.short_names(paths) == names_of_them, paths


def test_what_is_told_is_a_path_a_place_or_a_function():
    layer = Holder(cells=[{"W": W}], dW=V, pair=(B,))
    ones = parameters.told(
        {
            "W": ("cells[0].W", "dW"),
            "b": ("pair.0", 1),
            "f": (lambda each: each.pair[0], lambda each: each.dW),
            "u": "cells.0.W",
            "v": ("dW", None),
        }
    )
    assert [(p.name, p.path, p.where) for p in ones] == [
        ("W", None, "dW"),
        ("b", None, "place 1 of what the backward returns"),
        ("f", None, "f's function"),
        ("u", None, "its update"),
        ("v", None, "its update"),
    ]
    assert all(p.find(layer) is x for p, x in zip(ones, (W, B, B, W, V), strict=True))
    assert ones[0].gradient(layer, None) is V and ones[1].gradient(None, (5, 6)) == 6 and ones[2].gradient(layer, None) is V
    assert ones[3].gradient is ones[4].gradient is None
    with pytest.raises(TypeError) as refused:
        parameters.told({"W": (3, "dW")})
    assert str(refused.value) == "parameters['W'] must be (parameter, gradient), each a path or a function; got 3"


# --------------------------------------------------------------------------------------------------------------------- copies


def test_views_stay_views_of_the_array_that_took_the_owners_place():
    """Catches: a copy in which the views are arrays of their own, or begin elsewhere, or run the other way; and a W.T that
    the layer holds before W left out."""
    owner = np.arange(24.0).reshape(4, 6)
    layer = Holder(part=owner[1:3, ::2], turned=owner.T, row=owner[2], whole=owner, other=B, back=owner[::-1])
    shared = copies.shared_memory(layer)
    ((held, views),) = shared
    assert held is owner and {id(x) for x in views} == {id(x) for x in (layer.part, layer.turned, layer.row, layer.back)}
    new = np.arange(24.0, 48.0).reshape(4, 6).astype(np.float32)
    exchanged = copies.with_views(shared, {id(owner): new})
    assert exchanged[id(owner)] is new and id(B) not in exchanged
    for view, expected in [
        (layer.part, new[1:3, ::2]), (layer.turned, new.T), (layer.row, new[2]), (layer.back, new[::-1]),
    ]:  # fmt: skip
        made = exchanged[id(view)]
        assert np.array_equal(made, expected) and made.dtype == np.float32 and np.shares_memory(made, new)
    new[...] = 0
    assert not exchanged[id(layer.part)].any() and owner.any()


def test_a_new_view_is_written_into_a_copy_of_its_owner():
    owner = np.zeros((2, 4), np.float32)
    layer = Holder(whole=owner, left=owner[:, :2], right=owner[:, 2:])
    new = np.arange(4.0).reshape(2, 2)
    exchanged = copies.with_views(copies.shared_memory(layer), {id(layer.right): new})
    made = exchanged[id(owner)]
    assert made.dtype == np.float64 and np.array_equal(made, [[0, 0, 0, 1], [0, 0, 2, 3]]) and not owner.any()
    assert np.shares_memory(exchanged[id(layer.left)], made) and np.array_equal(exchanged[id(layer.right)], new)
    assert copies.with_views(copies.shared_memory(layer), {})[id(owner)].dtype == np.float32
    fortran = copies.with_views(copies.shared_memory(layer), {id(owner): np.asfortranarray(np.arange(8.0).reshape(2, 4))})
    assert np.array_equal(fortran[id(layer.right)], [[2, 3], [6, 7]])


def test_only_arrays_with_views_of_theirs_are_shared():
    apart = np.arange(8.0)
    assert copies.shared_memory(Holder(a=W, b=B, c=W)) == []  # one array in two places is no view
    assert copies.shared_memory(Holder(a=apart[:4], b=apart[4:])) == []
    assert copies.shared_memory(Holder(a=apart[::2], b=apart[1::2])) == []
    table = np.zeros((4, 4))
    assert copies.shared_memory(Holder(a=table[1], b=table[::2, 0])) == []  # on both sides of it, and apart
    assert copies.shared_memory(Holder(a=W.T, b=W.T[:2])) == []  # its owner is not there in one piece
    ((owner, views),) = copies.shared_memory(Holder(small=apart[2:4], large=apart, first=apart[0:2]))
    assert owner is apart and len(views) == 2
    (one,) = copies.shared_memory(Holder(interleaved=apart[1::2], even=apart[::2], owner=apart))[:1]
    assert one[0] is apart and len(one[1]) == 2


class Counting:
    """A layer that makes its weights and remembers what it saw."""

    def __init__(self):
        self.W, self.seen, self.steps, self.mean, self.deep, self.name = None, [], 0, np.zeros(2), {"n": 3}, "a"
        self.doubled, self.lists = 1, [[9]]

    def forward(self, x):
        if self.W is None:
            self.W = np.ones(2)
            self.age, self.log, self.total, self.short = 5, [9], np.array([4.0]), []
        self.seen.append(x)
        self.steps += 1
        self.age += 2
        self.log += [1, 2]
        self.mean = self.mean + x
        self.deep["n"] *= 2
        self.doubled *= 2
        self.lists = self.lists + self.lists
        self.short.append(x)
        self.total = self.total + 1
        self.name = self.name + "b"


def test_what_a_second_forward_changes_is_set_back():
    """Catches: what is reached on two ways (itself, a part that two hold) set back twice."""
    before, once, twice = Counting(), Counting(), Counting()
    for layer, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            layer.forward(np.ones(2))
        layer.itself, layer.part = layer, Holder(age=times)
        layer.same_part = layer.part
    copies.set_back(before, once, twice)
    assert np.array_equal(once.W, np.ones(2)) and once.seen == [] and once.steps == 0 and once.deep == {"n": 3}
    assert np.array_equal(once.mean, np.zeros(2)) and once.mean is not before.mean and once.seen is not before.seen
    assert once.doubled == 1 and once.lists == [[9]] and once.lists[0] is not before.lists[0]
    assert (
        once.age == 5 and once.log == [9] and once.short == []
    )  # they were not there before: back by as much as they moved on
    assert np.array_equal(once.total, [5.0]) and once.name == "ab" and once.part.age == 0


def test_a_copy_is_of_the_layer_before_any_run_and_has_the_flag_that_is_told():
    layer = Holder(W=W, Training_=False, inner=Holder(is_train=True, train="yes"), rate=1)
    made = copies.Copies(layer, True)
    assert made.original.W is not W and np.array_equal(made.original.W, W)
    assert made.original.Training_ is True and made.original.inner.is_train is True and made.original.inner.train == "yes"
    assert layer.Training_ is False
    assert copies.Copies(layer, False).original.inner.is_train is False
    untold = copies.Copies(layer, None).original
    assert untold.Training_ is False and untold.inner.is_train is True
    new = np.ones((2, 3))
    fresh = made.fresh({id(made.original.W): new})
    assert fresh.W is new and fresh is not made.original and np.array_equal(made.original.W, W)


def test_views_are_kept_from_copy_to_copy():
    layer = Holder(W=W, half=W[:, :1])
    made = copies.Copies(layer, None)
    assert np.shares_memory(made.original.W, made.original.half) and not np.shares_memory(made.original.W, W)
    fresh = made.fresh({})
    fresh.W[...] = 7
    assert (fresh.half == 7).all() and not (made.original.half == 7).any()
    once, twice = made.fresh({}), made.fresh({})
    made.keep_what_the_first_forward_made(once, twice)
    assert made.original is once and np.shares_memory(made.fresh({}).W, made.fresh({}).W) is False
    fresh = made.fresh({})
    assert np.shares_memory(fresh.W, fresh.half)


def test_what_the_second_forward_changes_goes_from_the_original_too():
    made = copies.Copies(Counting(), None)
    once, twice = made.fresh({}), made.fresh({})
    for layer, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            layer.forward(np.ones(2))
    made.keep_what_the_first_forward_made(once, twice)
    assert made.original is once and once.steps == 0 and once.doubled == 1 and np.array_equal(once.W, np.ones(2))


def test_a_layer_that_cannot_be_copied_says_so():
    with open(__file__, encoding="utf-8") as file, pytest.raises(TypeError) as refused:
        copies.Copies(Holder(file=file), None)
    message = str(refused.value)
    assert message.startswith("Holder cannot be copied (TypeError: cannot pickle") and "and every run needs a copy" in message
    assert isinstance(refused.value.__cause__, TypeError)


def test_random_numbers_are_the_same_inside_and_untouched_outside():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    inside = []
    for _ in range(2):
        with copies.the_same_random_numbers():
            inside.append((random.random(), np.random.rand()))  # noqa: NPY002
    assert inside[0] == inside[1] != expected
    with pytest.raises(KeyError), copies.the_same_random_numbers():
        raise KeyError
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


# -------------------------------------------------------------------------------------------------------------------- reading


def function(text: str):
    """A function of these parameters."""
    namespace: dict = {}
    exec(f"def f({text}): ...", namespace)
    return namespace["f"]


def calls(backward="backward", by_place=1, options=None, **sources) -> reading.Calls:
    return reading.Calls("forward", backward, sources, by_place, options or {})


def test_a_call_is_written_with_what_each_argument_gets():
    one = calls(dy=("dy", 0), c=("cache",), x=("input", 1), y=("output", 0), lr=("rate",), n=("as told", 3), dc=("dy", 1))
    words = "backward(dy = dy, c = the cache, x = the second, y = y, lr = a learning rate, n = as told, dc = dy)"
    assert one.in_words(["the first", "the second"]) == words
    assert one.dys == 2 and calls(x=("input", 0)).dys == 0
    assert one.takes("cache") and one.takes("rate") and not calls(dy=("dy", 0)).takes("cache")


def methods(*names):
    return Holder(**dict.fromkeys(names, len))


def test_the_two_methods_are_told_or_known_by_their_names():
    """Catches: the derivative's function taken beside a backward, and a name that is no method."""
    for layer, told, found in [
        (methods("forward", "backward"), (None, None), ("forward", "backward")),
        (methods("forward_pass", "fwd", "bwd"), (None, None), ("forward_pass", "bwd")),
        (methods("fn", "grad"), (None, None), ("fn", "grad")),
        (methods("forward", "fn", "grad", "backward"), (None, None), ("forward", "backward")),
        (methods("f", "run", "prime"), ("run", None), ("run", "prime")),
        (methods("forward", "undo", "backward"), (None, "undo"), ("forward", "undo")),
        (methods("loss"), (None, None), ("loss", None)),
        (Holder(forward=len, backward=3), (None, None), ("forward", None)),
        (methods("fn", "grad"), (None, "grad"), ("fn", "grad")),
    ]:
        assert reading.methods_of(layer, *told) == found, (layer, told)

    class Callable:
        def __call__(self): ...
        def backward(self): ...

    assert reading.methods_of(Callable(), None, None) == ("__call__", "backward")
    for layer, told, message in [
        (methods("forward"), ("run", None), "forward='run': Holder has no such method"),
        (Holder(forward=len, undo=3), (None, "undo"), "backward='undo': Holder has no such method"),
        (
            methods("fn", "backward"),
            (None, None),
            "Holder has no method that is known as a forward (forward, forward_pass, forward_propagation, ...): "
            "name it, forward='...'",
        ),
    ]:
        with pytest.raises(TypeError) as refused:
            reading.methods_of(layer, *told)
        assert str(refused.value) == message
    assert str(reading.no_backward(Holder())) == (
        "Holder has no method that is known as a backward (backward, backward_pass, backward_propagation, ...; "
        "derivative, deriv, ...): name it, backward='...'"
    )
    assert reading.first_method(methods("b", "a"), ("c", "a", "b")) == "a" and reading.first_method(3, ("c",)) is None


def test_the_training_flag_is_given_where_it_is_told_or_has_no_default():
    for text, given, training, options in [
        ("x", 1, None, {}),
        ("x, training", 1, None, {"training": True}),
        ("x, training", 1, False, {"training": False}),
        ("x, is_train=False", 1, None, {}),
        ("x, is_train=False", 1, True, {"is_train": True}),
        ("x, *, Train_Mode=True", 1, False, {"Train_Mode": False}),
        ("train, training", 1, True, {"training": True}),  # the first is an input
        ("training", 1, None, {}),
    ]:
        assert reading.forward_options(Holder(run=function(text)), "run", given, training) == options, text
    assert reading.forward_options(Holder(run=function("x"), training_=True), "run", 1, False) == {}
    with pytest.raises(TypeError) as refused:
        reading.forward_options(Holder(run=function("x"), mode=True), "run", 1, False)
    assert str(refused.value) == "training=False was told, but Holder has no training flag"


class Tensor:
    def __init__(self, data):
        self.data, self.grad = np.asarray(data), None

    def backward(self): ...


def test_outputs_and_a_cache_are_told_apart():
    taking, two, three = calls(dy=("dy", 0), c=("cache",)), calls(a=("dy", 0), b=("dy", 1)), calls(a=("dy", 0))
    both = calls(a=("dy", 0), b=("dy", 1), c=("cache",))
    for returned, how, outputs, cache in [
        (W, taking, (W,), reading.NOTHING),
        ((W, B), three, (W,), B),
        ((W, B), two, (W, B), reading.NOTHING),
        ((W, V), taking, (W,), V),
        ((W, B, V), both, (W, B), V),
        ((W, B, V), taking, (W,), V),
        ((W, B), both, (W,), B),  # the last is the cache, whatever else the backward takes
        ((W, B, V), three, (W,), V),
        (((W, B), V), two, (W, B), V),
        (([W, B], None), two, (W, B), None),
        ([W, B], two, (W, B), reading.NOTHING),
        (([W, 3], B, V), three, ([W, 3],), V),
        ((W, B), calls(), (W,), B),
        ((W,), three, (W,), reading.NOTHING),
    ]:
        found, left = reading.outputs_of(returned, Holder(), {}, how)
        assert len(found) == len(outputs) and all(a is b or a == b for a, b in zip(found, outputs, strict=True)), returned
        assert left is cache
    for whole in ([], [W, "a"], 3.0):
        assert reading.outputs_of(whole, Holder(), {}, two) == ((whole,), reading.NOTHING)
    one = Tensor([1.0])
    assert reading.outputs_of([one], Holder(), {}, two) == ((one,), reading.NOTHING)
    assert reading.may_be_output(one) and reading.may_be_output(1.0) and not reading.may_be_output(3)


def test_an_output_that_is_stored_is_a_new_array_under_a_known_name():
    """Catches: an array of the forward before (or a weight that is called a) taken for the output."""
    layer = Holder(a=W, out="no array", Output_=B, z=V)
    found = lambda before: reading.outputs_of(None, layer, before, calls(dy=("dy", 0)))  # noqa: E731
    (output,), cache = found({"a": W})
    assert output is B and cache is reading.NOTHING
    (output,), _ = found({"x": B, "a": W})
    assert output is V  # the first of those that are new
    (output,), _ = found({"a": W, "Output_": B, "z": V})
    assert output is B  # it writes into the array of before
    assert reading.outputs_of(None, Holder(x=W), {}, calls()) == ((), reading.NOTHING)
    assert reading.attributes(layer, ("z", "out_put", "A")) == ["z", "Output_", "a"] and reading.attributes(3, ("a",)) == []


SOURCES = {  # what a backward takes, and of which inputs -> where each argument comes from
    "dy": ("dy", ["x"], {"dy": ("dy", 0)}),
    "whatever": ("whatever", ["x"], {"whatever": ("dy", 0)}),
    "cache": ("dout, cache", ["x"], {"dout": ("dy", 0), "cache": ("cache",)}),
    "another cache": ("dout, stuff", ["x"], {"dout": ("dy", 0), "stuff": ("cache",)}),
    "two and another": ("dh, dc, stuff", ["x", "h"], {"dh": ("dy", 0), "dc": ("dy", 1), "stuff": ("cache",)}),
    "a rate": ("dy, learning_rate", ["x"], {"dy": ("dy", 0), "learning_rate": ("rate",)}),
    "a rate with a default": ("dy, lr=0.1", ["x"], {"dy": ("dy", 0), "lr": ("rate",)}),
    "x again": ("grad, x", ["x"], {"grad": ("dy", 0), "x": ("input", 0)}),
    "the second again": ("grad, h", ["x", "h"], {"grad": ("dy", 0), "h": ("input", 1)}),
    "y": ("dy, output", ["z"], {"dy": ("dy", 0), "output": ("output", 0)}),
    "input": ("dy, inputs", ["z"], {"dy": ("dy", 0), "inputs": ("input", 0)}),
    "a loss": ("p, t", ["p", "t"], {"p": ("input", 0), "t": ("input", 1)}),
    "one of a loss": ("p", ["p", "t"], {"p": ("dy", 0)}),
    "a default that says nothing": ("dy, n=3", ["x"], {"dy": ("dy", 0)}),
    "dy with a default": ("dy=1", ["x"], {"dy": ("dy", 0)}),
    "upstream with a default": ("upstream=None", ["x"], {"upstream": ("dy", 0)}),
    "a second with a default": ("dh, dc=0", ["x", "c"], {"dh": ("dy", 0)}),
    "nothing": ("", ["x"], {}),
    "data": ("data=1", ["x"], {}),
    "rest": ("*rest", ["x"], {"*": ("dy", 0)}),
    "dy and rest": ("dy, *rest", ["x"], {"dy": ("dy", 0)}),
    "keyword": ("dy, *, cache", ["x"], {"dy": ("dy", 0), "cache": ("cache",)}),
    "keywords": ("dy, **rest", ["x"], {"dy": ("dy", 0)}),
    "before dy": ("cache, dy", ["x"], {"cache": ("cache",), "dy": None}),
}


@pytest.mark.parametrize(("text", "given", "expected"), SOURCES.values(), ids=SOURCES)
def test_where_an_argument_comes_from_is_told_by_its_name(text, given, expected):
    if None in expected.values():
        with pytest.raises(TypeError, match="which may be anything"):
            reading.sources_of(function(text), "backward", given, {})
    else:
        found = reading.sources_of(function(text), "backward", given, {})
        assert found == expected and list(found) == list(expected)


def test_the_one_input_and_the_output_have_names_that_are_known():
    dy = [("dy", 0)]
    for name in ("x", "X", "input", "inputs", "inp"):
        assert reading.source_of(name, True, dy, ["z"], False) == ("input", 0)
        assert reading.source_of(name, True, dy, ["z", "h"], False) is None
    for name in ("out", "Output", "outputs"):
        assert reading.source_of(name, True, dy, ["z", "h"], False) == ("output", 0)


def test_a_derivative_gets_the_forwards_inputs():
    for text, given, expected in [
        ("z", ["x"], {"z": ("input", 0)}),
        ("x", ["x"], {"x": ("input", 0)}),
        ("a, b", ["x", "y"], {"a": ("input", 0), "b": ("input", 1)}),
        ("y, x", ["x", "y"], {"y": ("input", 1), "x": ("input", 0)}),
        ("x, dy", ["x"], {"x": ("input", 0), "dy": None}),
        ("dy, x", ["x"], {"dy": ("dy", 0), "x": ("input", 0)}),
        ("n=1", ["x"], {}),
    ]:
        if None in expected.values():
            with pytest.raises(TypeError, match="which may be anything"):
                reading.sources_of(function(text), "derivative", given, {})
        else:
            assert reading.sources_of(function(text), "derivative", given, {}) == expected, text


def test_what_is_told_of_an_argument_counts_first():
    takes = {"a": "dy", "b": "y", "c": "cache", "d": "lr", "e": "x", "f": 3, "g": "mean", "h": None}
    found = reading.sources_of(function("a, b, c, d, e, f, g, h=1"), "backward", ["z", "x"], takes)
    assert list(found.values()) == [
        *(("dy", 0), ("output", 0), ("cache",), ("rate",), ("input", 1)),
        *(("as told", 3), ("as told", "mean"), ("as told", None)),
    ]
    assert reading.told_source("y", ["y"]) == ("input", 0)
    with pytest.raises(TypeError) as refused:
        reading.sources_of(function("dy"), "bwd", ["x"], {"b": "dy", "a": "dy", "dy": "dy"})
    assert str(refused.value) == "takes names a, b, which bwd does not take"
    with pytest.raises(TypeError) as refused:
        reading.sources_of(function("dy, a, b"), "bwd", ["x", "h"], {})
    assert str(refused.value) == (
        "bwd takes a, which may be anything: say it, takes={'a': ...} ('dy', 'y', 'cache', 'lr' or an input: 'x', 'h')"
    )


def test_arguments_go_by_their_places_up_to_the_first_that_is_left_out():
    for text, sources, count in [
        ("dy, cache", ("dy", "cache"), 2),
        ("dy, n=1, cache=2", ("dy", "cache"), 1),
        ("dy, *, cache", ("dy", "cache"), 1),
        ("*rest", ("*",), 1),
        ("dy, /, x", ("dy", "x"), 2),
        ("n=1", (), 0),
    ]:
        assert reading.by_place(function(text), dict.fromkeys(sources)) == count, text


def test_a_stored_gradient_has_the_inputs_name_or_that_of_the_one_input():
    layer = Holder(dX=W, d_inputs=B, dprev=V, dh=None, d_h="no array")
    assert reading.stored_gradient(layer, "x", False) is W and reading.stored_gradient(layer, "x", True) is W
    assert reading.stored_gradient(layer, "h", False) is None
    assert reading.stored_gradient(layer, "z", True) is B and reading.stored_gradient(layer, "z", False) is None
    assert reading.stored_gradient(Holder(dprev=V, dx=3), "z", True) is V
    inner_tensor = Tensor([1.0])
    assert reading.stored_gradient(Holder(dz=inner_tensor), "z", False) is inner_tensor


# --------------------------------------------------------------------------------------------------------------- runs, probing


class Dense:
    """y = x W + b; the gradients are stored."""

    def __init__(self):
        self.W, self.b = W.T.copy(), np.ones(2)
        self.dW, self.db = np.full_like(self.W, 9), np.full_like(self.b, 9)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T


def runs_of(layer, *values, options=None, names=("x",), **changes) -> runs.Runs:
    """As check_layer makes them of a layer, the parameters found by name."""
    backward = getattr(layer, "backward", None)
    sources = reading.sources_of(backward, "backward", list(names), {}) if backward else {"dy": ("dy", 0)}
    by_place = reading.by_place(backward, sources) if backward else 1
    one = reading.Calls("forward", backward and "backward", sources, by_place, options or {})
    made = runs.Runs(copies.Copies(layer, None), one, list(values), list(names))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


X = np.arange(1.0, 7.0).reshape(2, 3)
TWO = {"W": ("W", "dW"), "b": ("b", "db")}


def test_a_run_is_on_a_fresh_copy_with_the_arrays_that_are_given_and_gradients_of_zeros():
    layer = Dense()
    one = runs_of(layer, X, parameters=parameters.told(TWO))
    w, b = np.full((3, 2), 2.0), np.zeros(2)
    run = one.start([X, w, b])
    assert run.layer is not layer and run.layer.W is w and run.layer.b is b and run.parameters[0] is w
    assert np.array_equal(run.arrays()[0], X @ w) and run.arguments[0] is X and run.cache is reading.NOTHING
    assert not run.layer.dW.any() and run.layer.dW.shape == (3, 2) and not run.layer.db.any()
    assert (layer.dW == 9).all() and not hasattr(layer, "x")
    one.updates = True
    seen: list = []
    run = one.start([X, w, b], lambda each: seen.append((each, hasattr(each, "x"))))
    assert run.layer.W is not w and np.array_equal(run.layer.W, w) and seen == [(run.layer, False)]
    run.layer.W += 1
    assert np.array_equal(run.parameters[0], w)
    lacking = runs_of(Dense(), X, parameters=parameters.told({"W": ("W", "none"), "u": "W", "b": ("b", "db")}))
    assert [x.shape for x in lacking.zeros([w, w, b]).values()] == [(2,)]
    short = one.zeros([w.astype(np.float32), b])
    assert sorted(x.dtype.itemsize for x in short.values()) == [4, 8]


def test_a_learning_rate_of_the_layers_own_is_set_to_the_one_that_is_asked_for():
    layer = Dense()
    layer.optimiser = Holder(lr=0.1)
    run = runs_of(layer, X, rates=[("optimiser", "lr")], rate=3.0).start([X])
    assert run.layer.optimiser.lr == 3.0 and layer.optimiser.lr == 0.1


def test_inputs_are_those_of_the_reader_then_the_parameters():
    layer = Dense()
    one = runs_of(layer, np.asfortranarray(X), 3, parameters=parameters.told(TWO), names=("x", "n"))
    both = one.inputs()
    assert both.names == ["x", "n", "W", "b"] and both.places == [0, 2, 3] and both.values[0].flags.f_contiguous
    assert both.values[0] is not one.templates[0] and both.values[2] is not one.originals()[0]
    assert np.array_equal(both.values[2], layer.W) and both.dtype == np.float64
    one.without_gradient = frozenset({0})
    assert one.inputs().places == [2, 3] and one.graded() == []
    short = runs_of(layer, X.astype(np.float32), parameters=parameters.told(TWO))
    assert [x.dtype for x in short.inputs().floats] == 3 * [np.float64]
    short = runs_of(layer, X.astype(np.float32))
    assert [x.dtype for x in short.inputs().floats] == [np.float32]


def test_gradients_come_from_what_is_returned_stored_or_subtracted():
    dy = np.array([[1.0, 0.0], [2.0, 3.0]])
    of_x, of_w, of_b = dy @ Dense().W.T, X.T @ dy, dy.sum(axis=0)
    one = runs_of(Dense(), X, parameters=parameters.told(TWO))

    class Updating(Dense):
        def backward(self, dy, lr):
            x_gradient = super().backward(dy)
            self.W = self.W - lr * self.dW
            self.b -= lr * self.db
            return x_gradient

    two = runs_of(Updating(), X, parameters=parameters.told({"W": "W", "b": "b"}), updates=True, rate=8.0)
    for each in (one, two):
        inputs = each.inputs()
        found = each.gradients(each.start(inputs.copies()), None, (dy,), inputs)
        assert all(np.allclose(a, b, rtol=1e-13) for a, b in zip(found, (of_x, of_w, of_b), strict=True))
    pair = one.pair("Dense.backward")
    assert pair.forward.__name__ == pair.backward.__name__ == "Dense.backward"
    y, handed = pair.run_forward(pair.inputs.copies())
    assert np.array_equal(y, X @ Dense().W + 1)
    assert all(np.array_equal(a, b) for a, b in zip(pair.run_backward(dy, handed), (of_x, of_w, of_b), strict=True))


def test_where_the_update_comes_first_the_inputs_gradients_are_those_at_rate_0():
    class Early(Dense):
        def backward(self, dy, lr):
            self.W = self.W - lr * self.x.T @ dy
            return dy @ self.W.T

    dy = np.ones((2, 2))
    one = runs_of(Early(), X, parameters=parameters.told({"W": "W"}), updates=True, rate=4.0, late=True)
    inputs = one.inputs()
    start = lambda: one.start(inputs.copies())  # noqa: E731
    of_x, of_w = one.gradients(start(), start, (dy,), inputs)
    assert np.array_equal(of_x, dy @ Dense().W.T) and np.allclose(of_w, X.T @ dy, rtol=1e-13) and one.rate == 4.0
    pair = one.pair("f")
    _, handed = pair.run_forward(pair.inputs.copies())
    assert np.array_equal(pair.run_backward(dy, handed)[0], of_x)

    class ByItsOwn(Early):
        lr = None

        def backward(self, dy):
            return super().backward(dy, self.lr)

    layer = ByItsOwn()
    layer.lr = 3.0
    one = runs_of(layer, X, parameters=parameters.told({"W": "W"}), updates=True, rate=4.0, late=True, rates=[("lr",)])
    of_x, of_w = one.gradients(start(), start, (dy,), inputs)
    assert np.array_equal(of_x, dy @ Dense().W.T) and np.allclose(of_w, X.T @ dy, rtol=1e-13)


def test_a_derivative_is_multiplied_by_the_cotangent_of_the_first_output():
    layer = Holder(forward=lambda x: x**3, backward=lambda x: 3 * x**2)
    one = runs_of(layer, X)
    one.calls = one.calls._replace(sources={"x": ("input", 0)})
    dy = np.arange(6.0).reshape(2, 3)
    (of_x,) = one.gradients(one.start([X]), None, (dy,), one.inputs())
    assert np.array_equal(of_x, 3 * X**2 * dy)
    layer.backward = lambda x: 3.0  # a number of Python's
    (of_x,) = one.gradients(runs.Run(layer, [X], (X,), None, []), None, (np.asarray(2.0),), one.inputs())
    assert of_x == 6.0


def squared(x):
    y = Tensor(x.data**2)

    def backward(grad):
        x.grad = Tensor(2 * x.data * grad)

    y.backward = backward
    return y


def test_on_tensors_the_output_has_the_backward_and_the_inputs_have_the_gradients():
    template = Tensor(np.ones((2, 3)))
    one = runs_of(Holder(forward=squared), template)
    assert one.arrays()[0] is not template.data and np.array_equal(one.arrays()[0], template.data)
    run = one.start([X])
    assert run.arguments[0].data is X and np.array_equal(run.arrays()[0], X**2)
    dy = np.arange(6.0).reshape(2, 3)
    (of_x,) = one.gradients(run, None, (dy,), one.inputs())
    assert np.array_equal(of_x, 2 * X * dy) and template.grad is None
    pair = one.pair("f")
    assert pair.blocked == {}
    y, handed = pair.run_forward([X])
    assert np.array_equal(y, X**2) and np.array_equal(pair.run_backward(dy, handed)[0], 2 * X * dy)
    lines, _, one = probed(Holder(forward=squared), template)
    assert lines == ["no parameters with a gradient were found"] and one.without_gradient == frozenset()


def test_an_array_beside_tensors_has_no_gradient():
    class Scaled:
        def forward(self, x, scale, n):
            return squared(x)

    lines, _, one = probed(Scaled(), Tensor(np.ones((2, 3))), np.ones(3), 3, names=("x", "scale", "n"))
    assert lines[1:] == ["scale is an array and no tensor, so it has no gradient"] and one.without_gradient == {1}
    _, _, one = probed(Scaled(), Tensor(np.ones(3)), np.ones(3), 3, names=("x", "scale", "n"), without=("x",))
    assert one.without_gradient == {0, 1}


def test_a_gradient_that_is_nowhere_is_named():
    class Silent(Dense):
        def backward(self, dy): ...

    one = runs_of(Silent(), X)
    with pytest.raises(verdict.Stopped) as stopped:
        one.gradients(one.start([X]), None, (np.ones((2, 2)),), one.inputs())
    message = "the backward neither returns dx nor stores it; where an input has none, say so: without_gradient=(...)"
    assert stopped.value.check == verdict.Check("number of gradients", False, message)


def test_an_inputs_gradient_is_where_the_backward_leaves_it():
    layer = Holder(forward=function("x, t, n"), backward=function("dy"))
    one = runs_of(layer, X, X, 3, names=("x", "t", "n"))
    run = runs.Run(Holder(dx=W, dt=B), [], (), None, [])
    assert one.of_input(0, run, None) is W and one.of_input(1, run, None) is B
    assert one.of_input(0, run, (V, B)) is V and one.of_input(1, run, [V, B]) is B and one.of_input(1, run, V) is None
    assert one.of_input(1, run, {"dt": V, "x": W}) is V and one.of_input(0, run, W) is W
    one.without_gradient = frozenset({0})
    assert one.of_input(1, run, V) is V and one.of_input(1, run, (None, B, None)) is B  # one for each input
    alone = runs.Run(Holder(dprev=W), [], (), None, [])
    assert one.of_input(1, alone, None) is W
    one.without_gradient = frozenset()
    assert one.of_input(1, alone, None) is None  # two have gradients


def test_a_parameters_gradient_may_be_a_tensor_or_a_number():
    one = runs_of(Holder(forward=len, backward=function("dy")), X, rate=2.0)
    run = runs.Run(Holder(W=W, g=None), [], (), None, [W + 6])
    for stored, found in [(B, B), (None, None), (Tensor(B), B), (3.0, 3.0), (np.float32(2), 2.0), ("text", None)]:
        run.layer.g = stored
        one.parameters = parameters.told({"W": ("W", "g")})
        assert one.of_parameter(0, run, None) is found or one.of_parameter(0, run, None) == found
    one.parameters = parameters.told({"W": "W"})
    assert np.array_equal(one.of_parameter(0, run, None), np.full((2, 3), 3.0))


def test_arguments_of_the_backward_are_handed_over_as_they_are_read():
    def backward(dy, cache, x, y, lr, n, m=7):
        got.append((dy, cache, x, y, lr, n, m))
        return "returned"

    got: list = []
    one = runs_of(Holder(forward=len, backward=function("dy")), X)
    sources = reading.sources_of(backward, "backward", ["x"], {"n": 5, "y": "y"})
    one.calls = one.calls._replace(sources=sources, by_place=reading.by_place(backward, sources))
    run = runs.Run(Holder(backward=backward), [X], (W,), B, [])
    assert one.run_backward(run, (V,), 0.5) == "returned"
    ((dy, cache, x, y, lr, n, m),) = got
    assert dy is V and cache is B and x is X and y is W and (lr, n, m) == (0.5, 5, 7)


def test_arguments_that_have_no_place_are_handed_over_by_name():
    got: list = []

    def backward(dy, *, cache):
        got.append((dy, cache))

    one = runs_of(Holder(forward=len, backward=backward), X)
    one.run_backward(runs.Run(Holder(backward=backward), [X], (W,), B, []), (V,), 1.0)
    assert got[0][0] is V and got[0][1] is B


def test_one_argument_gets_all_cotangents_together():
    got: list = []
    one = runs_of(Holder(forward=len, backward=lambda dy: got.append(dy)), X)
    run = runs.Run(Holder(backward=lambda dy: got.append(dy)), [X], (W, B), None, [])
    one.run_backward(run, (W, B), 1.0)
    assert got[0][0] is W and got[0][1] is B
    one.run_backward(run, (W,), 1.0)
    assert got[1] is W


def test_a_backward_that_fails_says_how_it_was_called():
    def backward(dy):
        raise NotImplementedError("soon")

    one = runs_of(Holder(forward=len, backward=backward), X)
    with pytest.raises(verdict.Stopped) as stopped:
        one.run_backward(runs.Run(Holder(backward=backward), [X], (W,), None, []), (V,), 1.0)
    assert stopped.value.check.name == "backward runs" and stopped.value.unwritten == "soon"
    text = str(stopped.value)
    assert "it raised NotImplementedError: soon\nin line" in text
    assert text.endswith("\n(called as backward(dy = dy); takes={...} says otherwise)") and text.count("called as") == 1


def test_a_backward_that_python_cannot_call_so_says_how_it_was_called():
    one = runs_of(Holder(forward=len, backward=function("dy")), X)
    with pytest.raises(verdict.Stopped) as stopped:
        one.run_backward(runs.Run(Holder(backward=function("dy, more")), [X], (W,), None, []), (V,), 1.0)
    raised, how = str(stopped.value).split("\n")
    assert raised.startswith("it raised TypeError") and how == "(called as backward(dy = dy); takes={...} says otherwise)"
    broken = Tensor([1.0])
    broken.backward = None
    one = runs_of(Holder(forward=squared), broken)
    with pytest.raises(verdict.Stopped) as stopped:
        one.run_backward(runs.Run(Holder(), [], (broken,), None, []), (V,), 1.0)
    assert stopped.value.check.name == "backward runs"


def test_a_forward_without_an_output_is_stopped_and_gets_its_options():
    one = runs_of(Holder(forward=lambda x, flag: None, backward=function("dy")), X, options={"flag": True})
    with pytest.raises(verdict.Stopped) as stopped:
        one.start([X])
    message = "the forward returns nothing, and leaves no new array in an attribute output, out, y, ..."
    assert stopped.value.check == verdict.Check("output", False, message)
    with pytest.raises(verdict.Stopped) as stopped:
        runs_of(Holder(forward=function("x, y"), backward=function("dy")), X).start([X])
    assert stopped.value.check.name == "forward runs" and "\n" not in str(stopped.value)


def test_an_output_that_the_forward_stores_is_not_an_array_that_was_there():
    class Storing:
        def __init__(self):
            self.a = W.T.copy()

        def forward(self, x):
            self.z = x @ self.a

        def backward(self, dy): ...

    run = runs_of(Storing(), X).start([X])
    assert run.outputs == (run.layer.z,) and np.array_equal(run.layer.z, X @ W.T)

    class Slotted:
        __slots__ = ("x",)

        def forward(self, x):
            return 2 * x

        def backward(self, dy): ...

    assert np.array_equal(runs_of(Slotted(), X).start([X]).arrays()[0], 2 * X)


def test_every_forward_and_backward_draws_the_same_random_numbers():
    class Dropout:
        def forward(self, x):
            return x * np.random.rand(*x.shape)  # noqa: NPY002

        def backward(self, dy):
            return dy * np.random.rand(*dy.shape)  # noqa: NPY002

    one = runs_of(Dropout(), X)
    run = one.start([X])
    assert np.array_equal(run.arrays()[0], one.start([X]).arrays()[0])
    assert np.array_equal(one.run_backward(run, (X,), 1.0), run.arrays()[0])


def test_a_derivative_is_multiplied_by_dy():
    a = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(runs.times(2 * np.ones((2, 3)), a), 2 * a)
    assert np.array_equal(runs.times(np.asarray(3.0), a), 3 * a)
    assert np.array_equal(runs.times(np.array([2.0]), a), 2 * a)
    assert np.array_equal(runs.times(np.array([1.0, 2.0]), a), [[0, 1, 2], [6, 8, 10]])  # of a loss for each row
    with pytest.raises(verdict.Stopped) as stopped:
        runs.times(np.ones(3), a)
    message = "the derivative has the shape (2, 3), y has (3,): no product of the two is a gradient"
    assert stopped.value.check == verdict.Check("shapes", False, message)
    with pytest.raises(verdict.Stopped, match="no product of the two is a gradient"):
        runs.times(np.ones(2), np.ones((3, 2)))
    assert runs.one_or_all([W]) is W and runs.one_or_all([W, B]) == (W, B)


class Squares:
    def forward(self, x, scale, power=2):
        return scale * x**power


class Outer(Holder):
    """y = x + a + 5 a**2, a = 3 (2 x)**4: of two layers inside; one stands in two places, is called
    twice, the second time on what it gave, and gets a buffer that is used again.
    """

    def forward(self, x):
        buffer = 2 * x
        a = self.square.forward(buffer, 3, power=4)
        buffer[...] = 0
        return x + self.square.forward(a, 1, power=1) + self.second.forward(a, 5)

    def backward(self, dy):
        return dy


def test_a_path_is_cut_where_a_layer_inside_gets_the_same_input_always():
    square = Squares()
    one = runs_of(Outer(square=square, again=[square], second=Squares(), other=Holder(forward=3)), X)
    pair = one.pair("Outer.backward")
    assert list(pair.blocked) == ["square", "second"]
    z, a = X + 1, 48 * X**4
    y, _ = pair.blocked["square"](X)
    assert np.array_equal(y, X + a + 5 * a**2)
    y, nothing = pair.blocked["square"](z)
    assert np.array_equal(y, z + a + 5 * a**2) and nothing is None
    y, _ = pair.blocked["second"](z)
    assert np.array_equal(y, z + 48 * z**4 + 5 * a**2)


def test_what_a_forward_left_may_be_changed_and_run_again():
    """Catches: a change that reaches the parameters or the reader's arrays, and a run that is used twice."""
    one = runs_of(Dense(), X, parameters=parameters.told(TWO))
    inputs = one.inputs()
    values = inputs.copies()
    left = runs.Left(one, values, one.start(values))
    dy = np.ones((2, 2))
    first = left.gradients((dy,), inputs)
    assert left.run is None
    assert all(np.array_equal(a, b) for a, b in zip(first, left.gradients((dy,), inputs), strict=True))
    nudged = left.nudged(lambda x: 2 * x)
    again = nudged.again()
    assert np.array_equal(again.layer.W, Dense().W) and np.array_equal(values[0], X) and again.layer.x is again.arguments[0]
    assert again.arguments[0] is not values[0] and not again.layer.dW.any()

    class Keeping(Dense):
        def forward(self, x):
            self.kept = 3 * x
            return x @ self.W

    one = runs_of(Keeping(), X, parameters=parameters.told({"W": ("W", "dW")}))
    again = runs.Left(one, one.inputs().values, None, lambda x: 2 * x).again()
    assert np.array_equal(again.layer.kept, 6 * X) and np.array_equal(again.layer.W, Dense().W)
    left = runs.Left(one, one.inputs().values, None, None)
    nudged = left.nudged(lambda x: 3 * x)
    assert nudged.run is None and nudged.values is left.values and np.array_equal(nudged.again().layer.kept, 9 * X)
    numbers = runs.Left(
        runs_of(Holder(forward=lambda x, n: n * x, backward=function("dy")), X, 3, names=("x", "n")), [X, 3], None
    )
    assert np.array_equal(numbers.again().arrays()[0], 3 * X)


def test_a_pair_runs_one_forward_for_one_backward_and_again_for_the_next():
    count = []

    class Counted(Dense):
        def forward(self, x):
            count.append(1)
            return super().forward(x)

    pair = runs_of(Counted(), X[:1], parameters=parameters.told(TWO)).pair("f")
    _, handed = pair.run_forward(pair.inputs.copies())
    dy = np.array([[1.0, 2.0]])
    first = pair.run_backward(dy, handed)
    assert len(count) == 1
    second = pair.run_backward(dy, handed)
    assert len(count) == 2 and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert np.array_equal(first[0], dy @ Dense().W.T)


def test_a_pair_of_two_outputs_hands_both_cotangents_over():
    class Two(Holder):
        def forward(self, x):
            return 2 * x, 3 * x

        def backward(self, dy, dz):
            return 2 * dy + 3 * dz

    pair = runs_of(Two(), X).pair("f")
    y, handed = pair.run_forward(pair.inputs.copies())
    assert np.array_equal(y, np.concatenate([2 * X.ravel(), 3 * X.ravel()]))
    (of_x,) = pair.run_backward(np.arange(12.0), handed)
    assert np.array_equal(of_x, 2 * np.arange(6.0).reshape(2, 3) + 3 * np.arange(6.0, 12.0).reshape(2, 3))


def test_a_layer_is_an_instance_a_class_or_a_function_that_makes_one():
    def derivative(x, deriv=False): ...

    def tensors_function(x): ...

    one = Dense()
    assert instance_of(one) == (one, "Dense")
    for maker in (Dense, lambda: Dense(), functools.partial(Dense)):
        made, name = instance_of(maker)
        assert type(made) is Dense and name == "Dense"
    made, name = instance_of(derivative)
    assert name == "derivative" and made.forward is derivative and made.derivative.keywords == {"deriv": True}
    assert instance_of(functools.partial(derivative))[1] == "the function"
    assert instance_of(tensors_function) == (tensors_function, "tensors_function")
    method = instance_of(one.forward)
    assert method == (one.forward, "forward")

    class Needing:
        def __init__(self, size, derivative=3):
            self.size = size

    with pytest.raises(TypeError) as refused:
        instance_of(Needing)
    assert str(refused.value) == "Needing cannot be made without arguments: give an instance, or lambda: Needing(...)"

    def failing():
        return {}["a"]

    with pytest.raises(verdict.Stopped) as stopped:
        instance_of(failing)
    assert stopped.value.check.name == "layer runs" and "KeyError" in str(stopped.value)


def probed(layer, *values, told=None, without=(), rate=None, names=("x",)):
    """What is said of a layer: the lines of the first check, the further checks, and how it is run from then on."""
    one = runs_of(layer, *values, names=names)
    first, *others = probing.probe(one, told, without, rate, np.random.default_rng(0))
    assert first.name == "layer" and first.passed
    return first.message.split("\n"), others, one


IN_DW = "parameters, each with its gradient: W (3, 2) in dW, b (2,) in db"
BY_UPDATE = "the backward updates the weights: each gradient is (before - after) / learning rate, at a rate of "


class ByRate(Dense):
    def __init__(self):
        super().__init__()
        del self.dW, self.db

    def backward(self, dy, lr):
        dw, db, dx = self.x.T @ dy, dy.sum(axis=0), dy @ self.W.T
        self.W = self.W - lr * dw
        self.b -= lr * db
        return dx


class ByItsOwnRate(ByRate):
    def __init__(self, rate=0.1):
        super().__init__()
        self.optimiser = Holder(Learning_Rate=rate, eta="none", lr=True)

    def backward(self, dy):
        return super().backward(dy, self.optimiser.Learning_Rate)


class ByAHiddenRate(ByRate):
    def backward(self, dy):
        return super().backward(dy, 0.5)


def test_of_a_plain_layer_its_parameters_are_said():
    lines, others, one = probed(Dense(), X)
    assert lines == [IN_DW] and others == [] and not one.updates and one.rates == [] and one.without_gradient == frozenset()
    lines, _, one = probed(Dense(), X, told={"b": ("b", "db")})
    note = "Note: y depends on W too, and no gradient was found: not graded (tell it, "
    note += "parameters={'W': ('W', 'where its gradient is')})"
    assert lines == ["parameters, each with its gradient: b (2,) in db", note] and len(one.parameters) == 1
    lines, _, _ = probed(Dense(), X, told={})
    assert lines[0] == "no parameters with a gradient were found" and "y depends on W, b too" in lines[1]


def test_arrays_that_y_does_not_see_are_not_mentioned():
    layer = Dense()
    layer.unused, layer._own, layer.tied, layer.view = np.ones(3), layer.b, layer.W, layer.W[:1]
    assert probed(layer, X)[0] == [IN_DW]

    class Scaled(Dense):
        scale = None

        def forward(self, x):
            return super().forward(x) * self.scale * self._hidden * self.inner._too

    layer = Scaled()
    layer.scale, layer._hidden = np.full(2, 2.0), np.full(2, 3.0)
    layer.inner = Holder(_too=np.full(2, 4.0))
    assert [line.partition(" too")[0] for line in probed(layer, X)[0]] == [IN_DW, "Note: y depends on scale"]


def test_an_update_is_read_with_the_rate_that_is_passed_set_or_told():
    """Catches: an update by another rate than the one that the gradient is divided by."""
    words = "parameters, each with its gradient: W (3, 2) in its update, b (2,) in its update"
    for layer, rate, said, rates in [
        (ByRate(), None, "1024", []),
        (ByRate(), 8.0, "8", []),
        (ByItsOwnRate(), None, "1024", [("optimiser", "Learning_Rate")]),
        (ByItsOwnRate(1), None, "1024", [("optimiser", "Learning_Rate")]),
        (ByItsOwnRate(), 0.1, "0.1", []),
        (ByAHiddenRate(), 0.5, "0.5", []),
    ]:
        lines, others, one = probed(layer, X, rate=rate)
        assert lines == [words, BY_UPDATE + said] and others == [] and one.updates and not one.late and one.rates == rates
        assert one.rate == float(said)
    rates: list = []

    class Telling(ByRate):
        def backward(self, dy, lr):
            rates.append(lr)
            return super().backward(dy, lr)

    probed(Telling(), X)
    assert set(rates) == {1024.0, 512.0}  # by powers of two nothing is rounded
    assert len(probed(ByRate(), 1e8 * X)[0]) == 2  # large gradients are rounded by more
    with pytest.raises(TypeError) as refused:
        probed(ByAHiddenRate(), X)
    message = "the backward updates the weights, and no learning rate was found: pass its value, learning_rate=..."
    assert str(refused.value) == message


def test_gradients_of_the_weights_before_the_update_are_used_where_they_are_stored():
    class Both(ByRate):
        def backward(self, dy, lr):
            self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
            return super().backward(dy, lr)

    lines, others, one = probed(Both(), X)
    assert lines == [IN_DW, "the backward updates the weights too"] and others == [] and one.updates
    lines, _, _ = probed(Both(), X, told={"W": "W", "b": ("b", "db")})
    assert lines[0] == "parameters, each with its gradient: W (3, 2) in its update, b (2,) in db"
    assert lines[1] == BY_UPDATE + "1024"

    class Stale(Both):
        """It has arrays for gradients, which its backward leaves alone."""

        def __init__(self):
            super().__init__()
            self.dW, self.db = np.ones((3, 2)), np.ones(2)

        def backward(self, dy, lr):
            return ByRate.backward(self, dy, lr)

    lines, _, _ = probed(Stale(), X)
    assert lines[0] == "parameters, each with its gradient: W (3, 2) in its update, b (2,) in its update"


def test_an_update_that_is_no_rate_times_a_gradient_is_refused_by_name():
    class Decaying(ByRate):
        def backward(self, dy, lr):
            before, gradient = self.b.copy(), super().backward(dy, lr)
            self.b = self.b - 1e-3 * lr * before
            return gradient

    class Normalised(ByRate):
        def backward(self, dy, lr):
            before, gradient = self.b.copy(), super().backward(dy, lr)
            self.b = before - np.sqrt(lr) * dy.sum(axis=0)
            return gradient

    class Still(ByRate):
        def backward(self, dy, lr):
            before, gradient = self.b.copy(), super().backward(dy, lr)
            self.b = before
            return gradient

    assert len(probed(Still(), X, told={"W": "W", "b": "b"})[0]) == 2  # a gradient of 0: wrong, which the derivative shows
    for kind in (Decaying, Normalised):
        with pytest.raises(TypeError) as refused:
            probed(kind(), X)
        assert str(refused.value) == (
            "the backward changes b by something else than learning rate times gradient (momentum, Adam, decay): switch that "
            "off, or say where the gradient is, parameters=..."
        )


def test_gradients_that_are_returned_beside_an_update_count():
    class Returning(ByRate):
        def backward(self, dy, lr):
            return super().backward(dy, lr), self.x.T @ dy, dy.sum(axis=0)

    lines, _, one = probed(Returning(), X)
    assert lines[0].endswith(": W (3, 2) in what is returned, [1], b (2,) in what is returned, [2]") and one.updates
    assert lines[1:] == ["the backward updates the weights too"]


def test_a_gradient_that_the_next_forward_uses_is_no_parameter():
    class Later(Dense):
        def forward(self, x):
            self.x = x
            return x @ (self.W - 0.1 * self.dW) + self.b

    lines, _, one = probed(Later(), X, rate=1.0)
    assert lines[:2] == [IN_DW, "the backward updates the weights too"] and [p.name for p in one.parameters] == ["W", "b"]


def test_a_buffer_that_the_backward_keeps_is_no_parameter():
    class Velocity(ByRate):
        def __init__(self):
            super().__init__()
            self.velocity = np.zeros((3, 2))

        def backward(self, dy, lr):
            self.velocity = self.velocity + 1
            return super().backward(dy, lr)

    assert [p.name for p in probed(Velocity(), X)[2].parameters] == ["W", "b"]


def test_an_update_that_comes_too_early_is_a_failed_check():
    class Early(ByRate):
        def backward(self, dy, lr):
            self.W = self.W - lr * self.x.T @ dy
            return dy @ self.W.T

    small = Early()
    small.W = np.zeros((3, 2))
    assert len(probed(small, 1e-12 * X)[1]) == 1  # however small the gradients are

    class Nought(ByRate):
        def backward(self, dy, lr):
            return 0 * super().backward(dy, lr)

    assert probed(Nought(), X)[1] == []
    lines, (late,), one = probed(Early(), X)
    assert lines[:2] == ["parameters, each with its gradient: W (3, 2) in its update", BY_UPDATE + "1024"] and one.late
    assert late == verdict.Check(
        "learning rate",
        False,
        "the gradient of x changes with the learning rate: it is made of weights that were updated before."
        "\nLikely mistake: the update comes first. Compute all gradients, then update.",
    )


def test_gradients_that_add_up_are_said_of_those_that_do():
    class Adding(Dense):
        def backward(self, dy):
            self.dW = self.dW + self.x.T @ dy
            self.db = dy.sum(axis=0)
            return dy @ self.W.T

    class Once(Adding):
        done = False

        def backward(self, dy):
            assert not self.done
            self.done = True
            return super().backward(dy)

    adds = "the gradients of W add up from one backward to the next: graded from zeros"

    class ByRateToo(Adding):
        def backward(self, dy, lr):
            self.b = self.b + 0 * lr
            return super().backward(dy)

    assert probed(Adding(), X)[0] == probed(ByRateToo(), X)[0] == [IN_DW, adds]
    assert probed(Dense(), 1e-9 * X)[0] == [IN_DW]  # gradients as small as that
    assert probed(Once(), X)[0] == [IN_DW]


class Lazy(Dense):
    def __init__(self):
        self.W = self.b = None
        self.calls = 0

    def forward(self, x):
        if self.W is None:
            self.W, self.b = np.ones((3, 2)), np.ones(2)
        self.calls += 1
        return super().forward(x)


def test_weights_that_the_first_forward_makes_are_said_and_kept():
    lines, _, one = probed(Lazy(), X)
    assert lines == [IN_DW, "weights are made in the first forward, and graded as they are then"]
    assert np.array_equal(one.copies.original.W, np.ones((3, 2))) and one.copies.original.calls == 0

    class Drifting(Lazy):
        def forward(self, x):
            made = self.W is None
            y = super().forward(x)
            self.shift = Hidden(0) if made else Hidden(self.shift.number() + 1)
            return y + self.shift.number()

    class LazyByRate(Lazy):
        def backward(self, dy, lr):
            return ByRate.backward(self, dy, lr)

    lines, _, one = probed(LazyByRate(), X)
    assert lines[1:] == ["weights are made in the first forward, and graded as they are then", BY_UPDATE + "1024"]
    assert [p.path for p in one.parameters] == [("W",), ("b",)]
    with pytest.raises(TypeError) as refused:
        probed(Drifting(), X)
    assert str(refused.value) == (
        "the layer makes its weights in its first forward, and with them a state that cannot be told apart: give it after a "
        "forward, with its state reset"
    )


class Hidden:
    """A number that nobody can set."""

    __slots__ = ("held",)

    def __init__(self, number):
        self.held = number

    def number(self):
        return self.held


def test_a_forward_that_takes_one_call_before_each_backward_is_graded():
    class Strict(Dense):
        waiting = False

        def forward(self, x):
            assert not self.waiting
            self.waiting = True
            return super().forward(x)

        def backward(self, dy):
            self.waiting = False
            return super().backward(dy)

    assert probed(Strict(), X)[0] == [IN_DW]


def test_arrays_that_a_forward_writes_are_told_from_those_that_stay():
    """Catches: a buffer that gets the input each time taken for a parameter: two forwards on one input leave it the same."""

    class Buffered(Dense):
        def __init__(self):
            super().__init__()
            self.h, self.dh, self.table = np.zeros((2, 3)), np.zeros((2, 3)), np.array([np.nan, 1.0])

        def forward(self, x):
            seen.append((x.copy(), x.dtype))
            self.h[...] = x
            self.made = x + 0
            return super().forward(x)

    seen: list = []
    one = runs_of(Buffered(), X.astype(np.float32))
    stable, made = probing.stable_arrays(one, np.random.default_rng(0))
    assert stable == {("W",), ("b",), ("dW",), ("db",), ("dh",), ("table",)} and made == set()
    assert [dtype for _, dtype in seen] == 3 * [np.float32]
    apart = np.abs(seen[2][0] / X - 1)
    assert (apart > 0).all() and (apart < 0.01).all() and np.array_equal(seen[0][0], seen[1][0])

    class LazyMean(Lazy):
        mean = None

        def forward(self, x):
            self.mean = x.mean(axis=0) if self.mean is None else 0.5 * self.mean
            return super().forward(x)

    stable, made = probing.stable_arrays(runs_of(LazyMean(), X), np.random.default_rng(0))
    assert stable == made == {("W",), ("b",)}


def test_targets_are_told_or_known_where_gradients_are_missing():
    class Loss(Holder):
        def forward(self, p, target, n):
            return ((p - target) ** 2).sum()

        def backward(self, dy):
            return dy

    names = ("p", "target", "n")
    none = "no parameters with a gradient were found"
    for without, said, places in [
        ((), [none, "target is taken for a target, without a gradient"], {1}),
        (("p",), [none], {0}),
        ((-1, "p"), [none], {0, 2}),
    ]:
        lines, _, one = probed(Loss(), X, X + 1, 3, without=without, names=names)
        assert lines == said and one.without_gradient == places

    class Whole(Loss):
        def backward(self, dy):
            return dy, dy

    assert probed(Whole(), X, X + 1, 3, names=names)[2].without_gradient == frozenset()
    assert probed(Loss(), X, X + 1, 3, names=("p", "q", "n"))[2].without_gradient == frozenset()

    class Three(Loss):
        def backward(self, dy):
            return dy, dy

    assert probed(Three(), X, X, X, names=("p", "n", "target"))[2].without_gradient == {2}

    class Nothing(Loss):
        def backward(self, dy): ...

    assert probed(Nothing(), X, X + 1, 3, names=names)[2].without_gradient == frozenset()  # two are missing, one is called so


def test_outputs_and_cotangents_are_counted():
    class Two(Dense):
        def forward(self, x):
            return super().forward(x), 2 * x

        def backward(self, dy, dz):
            return super().backward(dy) + 2 * dz

    class One(Two):
        def backward(self, dy):
            return Dense.backward(self, dy)

    assert probed(Two(), X)[0] == [IN_DW, "2 outputs, each with a cotangent"]
    one = "the forward returns more than one array, and the backward takes one cotangent: that of the first"
    assert probed(One(), X)[0] == [IN_DW, one]

    class Cached(One):
        def backward(self, dy, cache):
            return Dense.backward(self, dy)

    assert probed(Cached(), X)[0] == [IN_DW]


def test_what_cannot_be_run_is_refused():
    class NoCache(Dense):
        def backward(self, dy, cache): ...

    class Silent(Dense):
        backward = None

    class Whole(Dense):
        def forward(self, x):
            return np.arange(3)

    with pytest.raises(TypeError) as refused:
        probed(NoCache(), X)
    assert str(refused.value) == (
        "backward takes something beside dy, and the forward returns no cache: say what it takes, takes={...}"
    )
    with pytest.raises(TypeError) as refused:
        probed(Silent(), X)
    assert str(refused.value).startswith("Silent has no method that is known as a backward")
    with pytest.raises(verdict.Stopped, match="y is of dtype int64"):
        probed(Whole(), X)
    for told, message in [
        ({"W": ("V", "dW")}, "parameters['W'] is not in the layer (AttributeError: 'Dense' object has no attribute 'V')"),
        ({"W": (lambda layer: [][0], "dW")}, "parameters['W'] is not in the layer (IndexError: list index out of range)"),
        ({"W": (lambda layer: int("a"), "dW")}, "parameters['W'] is not in the layer (ValueError: invalid literal for int()"),
        ({"W": ("note", "dW")}, "parameters['W'] must be an array of floats, got str"),
    ]:
        layer = Dense()
        layer.note = "a"
        with pytest.raises(TypeError) as refused:
            probed(layer, X, told=told)
        assert str(refused.value).startswith(message)


def test_gradients_that_are_returned_are_told_by_their_names_or_their_order():
    class Returning(Dense):
        def __init__(self):
            super().__init__()
            del self.dW, self.db
            self.unused = np.ones(3)

        def backward(self, dy):
            return dy @ self.W.T, self.x.T @ dy, dy.sum(axis=0)

    class LastADict(Returning):
        def backward(self, dy):
            dx, dw, db = super().backward(dy)
            return dx, {"dW": dw, "b": db, "more": 3}

    class AllInADict(Returning):
        def backward(self, dy):
            return dict(zip(("dx", "W", "db"), super().backward(dy), strict=True))

    class Other(Returning):
        def backward(self, dy):
            dx, dw, db = super().backward(dy)
            return dx, db, dw

    class NoArrays(Returning):
        def backward(self, dy):
            return super().backward(dy)[0], "dw", "db"

    dy = np.ones((2, 2))
    places = "W (3, 2) in what is returned, [1], b (2,) in what is returned, [2]"
    anywhere = "W (3, 2) in what is returned, b (2,) in what is returned"
    for kind, said in [(Returning, places), (LastADict, anywhere), (AllInADict, anywhere)]:
        lines, _, one = probed(kind(), X)
        assert lines == [f"parameters, each with its gradient: {said}"] and [p.path for p in one.parameters] == [("W",), ("b",)]
        inputs = one.inputs()
        of_x, of_w, of_b = one.gradients(one.start(inputs.copies()), None, (dy,), inputs)
        assert np.array_equal(of_w, X.T @ dy) and np.array_equal(of_b, [2, 2]) and of_x.shape == (2, 3)
    with pytest.raises(TypeError) as refused:
        probed(Other(), X)
    assert str(refused.value) == (
        "the backward returns 3 arrays, 2 more than there are inputs, and not of which parameters: say it, "
        "parameters={'W': ('W', 1)}, an array and the place of its gradient"
    )
    assert probed(NoArrays(), X)[0][0] == "no parameters with a gradient were found"


def test_an_array_of_the_layer_moves_y_or_not():
    layer = Dense()
    layer.unused, layer.masked = np.ones(3), np.zeros(2)
    one = runs_of(layer, X)
    assert probing.moves_y(one, ("W",)) and probing.moves_y(one, ("b",)) and not probing.moves_y(one, ("unused",))

    class Checking(Dense):
        def forward(self, x):
            assert (self.b == 1).all()
            return super().forward(x)

    assert probing.moves_y(runs_of(Checking(), X), ("b",))  # it takes no other numbers

    class FromZero(Dense):
        def forward(self, x):
            return x @ self.W * self.zero

    layer = FromZero()
    layer.zero = np.zeros(2, np.float32)
    assert probing.moves_y(runs_of(layer, X), ("zero",))

    class Ignoring(Dense):
        def forward(self, x):
            seen.append(self.extra)
            return super().forward(x) + 0 * self.extra.sum()

    seen: list = []
    layer = Ignoring()
    layer.extra = np.array([0.0, 100.0, 100.0], np.float32)
    for _ in range(2):
        assert not probing.moves_y(runs_of(layer, X), ("extra",))
    as_it_is, moved, _, again = seen
    assert np.array_equal(as_it_is, layer.extra) and np.array_equal(moved, again) and moved.dtype == np.float32
    apart = np.abs(moved - layer.extra)
    assert (
        (apart > 0).all() and (apart < 0.01 * (1 + layer.extra)).all() and moved[1] != moved[2]
    )  # by a little, each by its own


# ------------------------------------------------------------------------------------------------------------- check_layer


def test_what_is_told_of_a_layer_reaches_its_runs():
    """Catches: an option that is taken and not used."""

    class Named(Dense):
        def run(self, x, training=False):
            flags.append(training)
            return super().forward(x)

        def undo(self, stuff, signal, x):
            assert stuff == "stuff"
            self.x = x
            return super().backward(signal)

        forward = backward = None

    flags: list = []
    options = {"forward": "run", "backward": "undo", "takes": {"stuff": "stuff", "signal": "dy"}}
    found = check_layer(Named(), X, **options)
    assert found.ok and found.name == "Named.undo" and found.checks[0] == verdict.Check("layer", True, IN_DW) and not any(flags)
    flags.clear()
    assert check_layer(Named(), X, training=True, **options).ok and all(flags)
    (first, *_) = check_layer(Named(), X, parameters={"b": ("b", "db")}, **options).checks
    assert first.message.startswith("parameters, each with its gradient: b (2,) in db\nNote: y depends on W too")
    (first, *_) = check_layer(ByAHiddenRate(), X, learning_rate=0.5).checks
    assert first.message.endswith(BY_UPDATE + "0.5")
    assert "dx" not in str(check_layer(Dense(), X, without_gradient=["x"]))


def test_a_layers_verdict_has_its_name():
    def failing():
        return {}["a"]

    def soon(x):
        return 2 * x

    for layer, name in [(failing, "failing"), (functools.partial(failing), "the layer")]:
        found = check_layer(layer, X)
        assert found.name == name and [check.name for check in found.checks] == ["layer runs"]

    class Unwritten(Dense):
        def backward(self, dy):
            raise NotImplementedError("your turn")

    found = check_layer(Unwritten(), X)
    assert (found.name, found.unwritten, found.mistake) == ("Unwritten.backward", "your turn", None)
    assert [check.name for check in found.checks] == ["backward runs"]
    template = Tensor(np.ones((2, 3)))
    found = check_layer(squared, template)
    assert found.ok and found.name == "squared.backward", str(found)
    with pytest.raises(ValueError) as refused:
        check_layer(Holder(forward=lambda n: np.ones(3) * n, backward=lambda dy: None), 3)
    assert str(refused.value) == (
        "Holder.backward has no input of floats, and no parameters were found: tell where they are, parameters=..."
    )
    with pytest.raises(ValueError, match=r"^x holds a nan"):
        check_layer(Dense(), np.full((2, 3), np.nan))


def test_arguments_go_by_name_or_by_place_as_they_must():
    class ByName(Dense):
        def forward(self, x):
            return super().forward(x), (x,)

        def backward(self, dy, *, cache):
            (self.x,) = cache
            return super().backward(dy)

    class ByPlace(Dense):
        def backward(self, dy, x, /):
            self.x = x
            return super().backward(dy)

    assert check_layer(ByName(), X).ok and check_layer(ByPlace(), X).ok


def test_a_training_flag_is_an_attribute_an_argument_or_an_input():
    class Attribute(Dense):
        training = None

        def __init__(self):
            super().__init__()
            self.training = False

        def forward(self, x):
            flags.append(self.training)
            return super().forward(x)

    class Input(Dense):
        def forward(self, x, training):
            flags.append(training)
            return super().forward(x)

    flags: list = []
    assert check_layer(Attribute(), X, training=True).ok and all(flags)
    flags.clear()
    assert check_layer(Input(), X, False).ok and not any(flags)


def test_a_tensor_may_have_a_method_that_torchs_have():
    class Detaching(Tensor):
        def detach(self): ...

    assert check_layer(squared, Detaching(np.ones((2, 3)))).ok


def test_a_derivative_is_called_on_the_forwards_input_whatever_it_calls_it():
    assert check_layer(Holder(fn=lambda x: x**3, derivative=lambda z: 3 * z**2), X).ok


def test_a_list_is_an_array_to_a_layer_too():
    assert check_layer(Dense(), X.tolist()).ok


def test_a_reference_and_the_seed_are_those_of_check_backward():
    assert check_layer(Dense(), X, reference=lambda x, w, b: x @ w + b).ok
    apart = check_layer(Dense(), X, reference=lambda x, w, b: x @ w + b + x.sum())
    assert not apart and "reference" in str(apart.first_failure)
    with pytest.raises(TypeError):
        check_layer(Dense(), X, reference=3)
    cotangents: list = []

    class Telling(Dense):
        def backward(self, dy):
            cotangents.append(dy.copy())
            return super().backward(dy)

    seen = []
    for options in ({"seed": 0}, {}, {"seed": 1}):
        cotangents.clear()
        assert check_layer(Telling(), X, **options).ok
        seen.append(np.array(cotangents))
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0][0], seen[2][0])
    assert not np.array_equal(seen[0][-1], seen[2][-1])  # of the probe and of the checks


def test_what_a_backward_does_too_early_stands_among_the_checks():
    class Early(ByRate):
        def backward(self, dy, lr):
            self.W = self.W - lr * self.x.T @ dy
            return dy @ self.W.T

    found = check_layer(Early(), X)
    assert [check.name for check in found.checks if not check.passed] == ["learning rate"]
