"""How npgpt.check reads a layer, piece by piece: what it holds, where its gradients are, how it is copied, called and run."""

import random
import types

import numpy as np
import pytest

from npgpt.check import copies, parameters
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
    "grads without one yet": (Holder(params={"W": W}, grads={"W": None}, gradients={"W": B}), ("params", ("W",)), ("gradients", ("W",))),
    "its own dict": (Holder(grads={"W": W}), ("grads", ("W",)), None),
    "weights, dweights": (Holder(weights=[W, B], dweights=[like(W), like(B)]), ("weights", (1,)), ("dweights", (1,))),
    "weights, dbiases": (Holder(weights=[W, B], dbiases=[like(W), like(B)]), ("weights", (1,)), None),
    "grads of tensors": (Holder(params=[W], grads=[Holder(data=like(W))]), ("params", (0,)), ("grads", (0,), "data")),
    "dicts in a dict": ({"params": {"W": W}, "grads": {"W": like(W)}}, (("params",), ("W",)), (("grads",), ("W",))),
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
        ([("data",)], ["data"]),
        ([("cell", "w")], ["w"]),
        ([("params", ("W",)), ("b",)], ["W", "b"]),
        ([("cell", "Params_", ("W",)), ("head", "theta", ("W",))], ["cell.W", "head.W"]),
        ([("cell", "weights", (0,)), ("cell", "weights", (1,))], ["cell.weights[0]", "cell.weights[1]"]),
        ([("cell", "table", ("W",)), ("head", "table", ("W",))], ["cell.table.W", "head.table.W"]),
        ([(("W",),)], ["W"]),
        ([((0,),)], ["[0]"]),
    ]:
        assert parameters.short_names(paths) == [name.removeprefix(".") for name in names_of_them], paths


def test_what_is_told_is_a_path_a_place_or_a_function():
    layer = Holder(cells=[{"W": W}], dW=V, pair=(B,))
    ones = parameters.told(
        {
            "W": ("cells[0].W", "dW"),
            "b": ("pair.0", 1),
            "f": (lambda each: each.pair[0], lambda each: each.dW),
            "u": "cells.0.W",
            "v": ("dW",) + (None,),
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
    with pytest.raises(
        TypeError, match=r"^parameters\['W'\] must be \(parameter, gradient\), each a path or a function; got 3$"
    ):
        parameters.told({"W": (3, "dW")})


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
    assert copies.shared_memory(Holder(a=W.T, b=W.T[:2])) == []  # its owner is not there in one piece
    ((owner, views),) = copies.shared_memory(Holder(small=apart[2:4], large=apart, first=apart[0:2]))
    assert owner is apart and len(views) == 2
    (one,) = copies.shared_memory(Holder(interleaved=apart[1::2], even=apart[::2], owner=apart))[:1]
    assert one[0] is apart and len(one[1]) == 2


class Counting:
    """A layer that makes its weights and remembers what it saw."""

    def __init__(self):
        self.W, self.seen, self.steps, self.mean, self.deep, self.name = None, [], 0, np.zeros(2), {"n": 3}, "a"

    def forward(self, x):
        if self.W is None:
            self.W = np.ones(2)
            self.age, self.log, self.total = 5, [9], np.array([4.0])
        self.seen.append(x)
        self.steps += 1
        self.age += 2
        self.log += [1, 2]
        self.mean = self.mean + x
        self.deep["n"] += 1
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
    assert once.age == 5 and once.log == [9]  # they were not there before: back by as much as they moved on
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
    assert made.original is once and once.steps == 0 and np.array_equal(once.W, np.ones(2))


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
