"""check_layer: layers as people write them are graded without a wrapper, or refused with a reason. And the mistakes by name."""

import functools
import random
import re
import types

import numpy as np
import pytest

from npgpt import check_backward, check_layer

from .wrong_backwards import MISTAKES, RIGHT, rnn, sigmoid

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))
W, B = rng.standard_normal((4, 5)), rng.standard_normal(5)
H0, C0 = rng.standard_normal((2, 3, 3))
P = rng.dirichlet(np.ones(4), 3)
TARGETS = np.array([0, 2, 1])


def message(verdict, check: str) -> str:
    """What the first failed check says; it must be that one."""
    assert not verdict and verdict.first_failure == check, str(verdict)
    return next(each.message for each in verdict.checks if each.name == check)


# -------------------------------------------------------------------------------------------------- layers as people write them
# Each computes y = x W + b and multiplies the gradient of W by `scale`: with 1 it is right, with 2 it is wrong, and so a grader
# that read another array than this gradient would see no difference.


class Linear:
    scale = 1

    def __init__(self):
        self.W, self.b = W.copy(), B.copy()

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def gradients(self, dy):
        return dy @ self.W.T, self.scale * self.x.T @ dy, dy.sum(axis=0)

    def backward(self, dy):
        dx, self.dW, self.db = self.gradients(dy)
        return dx


class Accumulating(Linear):
    def __init__(self):
        super().__init__()
        self.grad_W, self.b_grad = np.ones_like(self.W), np.ones_like(self.b)  # left over from some training

    def backward(self, dy):
        dx, dW, db = self.gradients(dy)
        self.grad_W += dW
        self.b_grad = self.b_grad + db
        return dx


class NNFS:
    """Stores everything, returns nothing."""

    scale = 1

    def __init__(self):
        self.weights, self.biases = W.copy(), B[None].copy()

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.scale * self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class Dicts(Linear):
    def __init__(self):
        self.params, self.grads = {"W": W.copy(), "b": B.copy()}, {}

    W, b = property(lambda self: self.params["W"]), property(lambda self: self.params["b"])

    def backward(self, dy):
        dx, self.grads["W"], self.grads["b"] = self.gradients(dy)
        return dx


class NamedInDict(Dicts):
    def backward(self, dy):
        dx, dW, db = self.gradients(dy)
        self.grads = {"dW": dW, "db": db}
        return dx


class TwoLists(Linear):
    def __init__(self):
        self.params, self.grads = [W.copy(), B.copy()], [None, None]

    W, b = property(lambda self: self.params[0]), property(lambda self: self.params[1])

    def backward(self, dy):
        dx, *self.grads = self.gradients(dy)
        return dx


class Pairs(Linear):
    def __init__(self):
        self.pairs = [("W", W.copy(), np.zeros_like(W)), ("b", B.copy(), np.zeros_like(B))]

    W, b = property(lambda self: self.pairs[0][1]), property(lambda self: self.pairs[1][1])

    def backward(self, dy):
        dx, self.pairs[0][2][...], self.pairs[1][2][...] = self.gradients(dy)
        return dx


class Parameters(Linear):
    def __init__(self):
        self.weight, self.bias = (types.SimpleNamespace(value=x.copy(), grad=None) for x in (W, B))

    W, b = property(lambda self: self.weight.value), property(lambda self: self.bias.value)

    def backward(self, dy):
        dx, self.weight.grad, self.bias.grad = self.gradients(dy)
        return dx


class Returning(Linear):
    def backward(self, dy):
        return self.gradients(dy)


class ReturningDict(Linear):
    def backward(self, dy):
        dx, dW, db = self.gradients(dy)
        return dx, {"W": dW, "b": db}


class ReturningOneDict(Linear):
    def backward(self, dy):
        return dict(zip(("dx", "dW", "db"), self.gradients(dy), strict=True))


class WithCache(Linear):
    def forward(self, x):
        return x @ self.W + self.b, (x,)

    def backward(self, dout, cache):
        (self.x,) = cache
        return super().backward(dout)


class WithX(Linear):
    def forward(self, x):
        return x @ self.W + self.b

    def backward(self, grad_output, x):
        self.x = x
        return super().backward(grad_output)


class ByRate(Linear):
    def backward(self, dy, lr):
        dx, dW, db = self.gradients(dy)
        self.W -= lr * dW
        self.b = self.b - lr * db
        return dx


class ByItsOwnRate(Linear):
    def __init__(self):
        super().__init__()
        self.learning_rate = 0.01

    def backward(self, dy):
        return ByRate.backward(self, dy, self.learning_rate)


class ByAHiddenRate(Linear):
    def backward(self, dy):
        return ByRate.backward(self, dy, 0.125)


class Lazy(Linear):
    """Makes its weights when it sees the first input, and remembers all inputs."""

    def __init__(self):
        self.W, self.seen, self.steps = None, [], 0

    def forward(self, x):
        if self.W is None:
            draw = np.random.RandomState(3)
            self.W, self.b = draw.normal(size=(x.shape[1], 5)), np.zeros(5)
        self.seen.append(x)
        self.steps += 1
        return self.seen[0] @ self.W + self.b

    def backward(self, dy):
        self.x = self.seen[0]
        return super().backward(dy)


class Views(Linear):
    """Computes with views of the array that has the gradient."""

    def __init__(self):
        super().__init__()
        self.halves = (self.W[:, :2], self.W[:, 2:])

    def forward(self, x):
        self.x = x
        return np.hstack([x @ half for half in self.halves]) + self.b


class Other(Linear):
    """No name that is known."""

    def __init__(self):
        self.kernel, self.offset, self.store = W.copy(), B.copy(), {}

    W, b = property(lambda self: self.kernel), property(lambda self: self.offset)

    def run(self, x):
        return self.forward(x) + 0

    def unrun(self, signal):
        dx, self.store["first"], self.store["second"] = self.gradients(signal)
        return dx

    backward = None


TOLD = {"kernel": ("kernel", "store.first"), "offset": (lambda layer: layer.offset, lambda layer: layer.store["second"])}
STYLES = {  # name: (class, keywords, what the report says)
    "dW, db": (Linear, {}, r"W \(4, 5\) in dW, b \(5,\) in db"),
    "gradients that accumulate": (
        Accumulating,
        {},
        r"in grad_W, .* in b_grad\n.*gradients of W, b add up .* graded from zeros",
    ),
    "everything stored": (NNFS, {}, r"weights \(4, 5\) in dweights, biases \(1, 5\) in dbiases"),
    "params, grads": (Dicts, {}, r"W \(4, 5\) in grads\.W, b \(5,\) in grads\.b"),
    "params, grads with d": (NamedInDict, {}, r"W \(4, 5\) in grads\.dW"),
    "two lists": (TwoLists, {}, r"params\[0\] \(4, 5\) in grads\[0\]"),
    "a list of pairs": (Pairs, {}, r"pairs\[0\]\[1\] \(4, 5\) in pairs\[0\]\[2\]"),
    "parameter objects": (Parameters, {}, r"weight \(4, 5\) in weight\.grad"),
    "gradients returned": (Returning, {}, r"W \(4, 5\) in what is returned, \[1\]"),
    "a dict returned": (ReturningDict, {}, r"W \(4, 5\) in what is returned"),
    "all in a dict": (ReturningOneDict, {}, r"W \(4, 5\) in what is returned"),
    "a cache": (WithCache, {}, r"W \(4, 5\) in dW"),
    "x again": (WithX, {}, r"W \(4, 5\) in dW"),
    "a learning rate": (ByRate, {}, r"W \(4, 5\) in its update.*\n.*\(before - after\) / learning rate"),
    "its own learning rate": (ByItsOwnRate, {}, r"\(before - after\) / learning rate, at a rate of 1024"),
    "a hidden learning rate": (ByAHiddenRate, {"learning_rate": 0.125}, r"at a rate of 0\.125"),
    "weights made at first sight": (Lazy, {}, "weights are made in the first forward"),
    "views": (Views, {}, r"W \(4, 5\) in dW"),
    "told": (Other, {"parameters": TOLD, "forward": "run", "backward": "unrun"}, r"kernel \(4, 5\) in store\.first"),
}


@pytest.mark.parametrize(("kind", "options", "says"), STYLES.values(), ids=STYLES)
def test_a_layer_is_graded_however_it_is_written(kind, options, says):
    verdict = check_layer(kind(), X, **options)
    assert verdict.ok, str(verdict)
    assert re.search(says, str(verdict)) and "Note" not in str(verdict) and re.search(r"d\w*x|dinputs", str(verdict))
    wrong = kind()
    wrong.scale = 2
    text = message(check_layer(wrong, X, **options), "derivative")
    assert re.search("everything counts twice.*\nRight: .*,", text, re.DOTALL), text


def test_weights_in_another_dtype_than_the_input_are_graded_in_float64():
    layer = Linear()
    layer.W, layer.b = layer.W.astype(np.float32), layer.b.astype(np.float32)
    verdict = check_layer(layer, X)
    assert verdict.ok and "W (4, 5) float64" in str(verdict)
    verdict = check_layer(layer, X.astype(np.float32))
    assert verdict.ok and "W (4, 5) float32" in str(verdict)


def test_the_layer_itself_is_never_run():
    """A bug that this would catch: a copy that shares arrays with the reader's layer, which then trains while it is graded."""
    layer = ByRate()
    state, python_state = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    assert check_layer(layer, X).ok
    assert np.array_equal(layer.W, W) and np.array_equal(layer.b, B) and set(vars(layer)) == {"W", "b"}
    assert np.array_equal(np.random.get_state()[1], state) and random.getstate() == python_state  # noqa: NPY002


def test_a_class_or_a_function_that_makes_the_layer_will_do():
    assert check_layer(Linear, X).ok and check_layer(lambda: Linear(), X).ok and check_layer(functools.partial(Linear), X).ok

    def unmakable():
        return {}["none"]

    assert "KeyError" in str(check_layer(unmakable, X)) and not check_layer(unmakable, X)


# ------------------------------------------------------------------------------------------------------------- other protocols


class LSTMCell:
    def __init__(self):
        draw = np.random.default_rng(1)
        self.W, self.b = draw.standard_normal((7, 12)), draw.standard_normal(12)

    def forward(self, x, h, c):
        xh = np.hstack([x, h])
        z = np.split(xh @ self.W + self.b, 4, axis=1)
        i, f, o, g = *map(sigmoid, z[:3]), np.tanh(z[3])
        new = f * c + i * g
        self.cache = xh, c, i, f, o, g, new
        return o * np.tanh(new), new

    def backward(self, dh, dc):
        xh, c, i, f, o, g, new = self.cache
        t = np.tanh(new)
        dc = dc + dh * o * (1 - t * t)
        dz = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g)])
        self.dW, self.db = xh.T @ dz, dz.sum(axis=0)
        dxh = dz @ self.W.T
        return dxh[:, :4], dxh[:, 4:], dc * f


class Nested(LSTMCell):
    """((h, c), cache), and one pair of cotangents."""

    def forward(self, x, h, c):
        return super().forward(x, h, c), self.cache

    def backward(self, d, cache):
        self.cache = cache
        return super().backward(*d)


class Flat(LSTMCell):
    """h, c, cache, as in CS231n."""

    def forward(self, x, h, c):
        return *super().forward(x, h, c), self.cache

    def backward(self, dnext_h, dnext_c, cache):
        self.cache = cache
        return super().backward(dnext_h, dnext_c)


class OnlyH(LSTMCell):
    def backward(self, dh):
        return super().backward(dh, 0)


@pytest.mark.parametrize("cell", [LSTMCell, Nested, Flat, OnlyH])
def test_a_cell_has_two_outputs(cell):
    verdict = check_layer(cell(), X, H0, C0)
    assert verdict.ok, str(verdict)
    said = "takes one cotangent: that of the first" if cell is OnlyH else "2 outputs, each with a cotangent"
    assert said in str(verdict) and "dx 12, dh 9, dc 9, dW 84, db 12" in str(verdict)

    class WithoutC(cell):  # what comes in through c is dropped
        def backward(self, *arguments):
            return *super().backward(*arguments)[:2], np.zeros_like(C0)

    functools.update_wrapper(WithoutC.backward, cell.backward)  # the signature
    assert re.search(
        r"dc\[0, 0\] is 0 .*zero.*Right: dx, dh", message(check_layer(WithoutC(), X, H0, C0), "derivative"), re.DOTALL
    )


class MeanSquare:
    def forward(self, y_pred, y_true):
        self.off = y_pred - y_true
        return (self.off**2).mean()

    def backward(self):
        return 2 * self.off / self.off.size


class CrossEntropy:
    """A loss for each row and the gradient of their mean, which has to be told: the first argument is what the forward got."""

    def calculate(self, output, y):
        return np.mean(self.forward(output, y))

    def forward(self, y_pred, y_true):
        return -np.log(y_pred[np.arange(len(y_pred)), y_true])

    def backward(self, dvalues, y_true):
        self.dinputs = -np.eye(dvalues.shape[1])[y_true] / dvalues / len(dvalues)


class Derivative:
    def __call__(self, y_true, y_pred):
        return -(y_true * np.log(y_pred)).sum(axis=-1)

    def derivative(self, y_true, y_pred):
        return -y_true / y_pred


def test_losses_have_targets_and_no_cotangent():
    verdict = check_layer(MeanSquare(), X, X + 1)
    assert verdict.ok and "y_true is taken for a target" in str(verdict) and "dy_pred 12" in str(verdict)
    verdict = check_layer(CrossEntropy(), P, TARGETS, forward="calculate", takes={"dvalues": "output", "y_true": "y"})
    assert verdict.ok, str(verdict)
    assert check_layer(Derivative(), np.eye(4)[TARGETS], P).ok
    untold = message(check_layer(CrossEntropy(), P, TARGETS), "backward runs")
    assert "(called as backward(dvalues = dy, y_true = y_true); takes={...} says otherwise)" in untold


def test_floats_without_a_gradient_are_named_or_told():
    class Scaled:
        def forward(self, x, weights):
            self.weights = weights
            return x * weights

        def backward(self, dy):
            return dy * self.weights

    text = message(check_layer(Scaled(), X, X + 1), "number of gradients")
    assert "neither returns dweights nor stores it; where an input has none, say so: without_gradient=(...)" in text
    for told in ("weights", 1, -1):
        assert check_layer(Scaled(), X, X + 1, without_gradient=(told,)).ok
    with pytest.raises(ValueError, match="without_gradient names 'w', which is none of the inputs: x, weights"):
        check_layer(Scaled(), X, X + 1, without_gradient=("w",))


def squashing(x, derivative=False):
    return 1 - np.tanh(x) ** 2 if derivative else np.tanh(x)


class Activation:
    def fn(self, z):
        return np.tanh(z)

    def grad(self, x):
        return 1 - np.tanh(x) ** 2


def test_a_derivative_is_graded_as_one():
    assert check_layer(squashing, X).ok and check_layer(Activation(), X).ok
    wrong = check_layer(lambda x, derivative=False: squashing(np.tanh(x) if derivative else x, derivative), X)
    assert wrong.mistake.kind == "at the output"


class Norm:
    def __init__(self):
        self.gamma, self.beta, self.running = np.full(4, 1.5), np.zeros(4), np.zeros(4)
        self.training = True

    def forward(self, x):
        mean = x.mean(axis=0) if self.training else self.running
        self.std = np.sqrt(((x - mean) ** 2).mean(axis=0) + 1e-5) if self.training else 1.0
        self.running = 0.9 * self.running + 0.1 * mean if self.training else self.running
        self.xhat = (x - mean) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta, d = (dy * self.xhat).sum(axis=0), dy.sum(axis=0), dy * self.gamma
        return (d - d.mean(axis=0) - self.xhat * (d * self.xhat).mean(axis=0)) / self.std if self.training else d


class Dropout:
    def forward(self, x, training):
        self.mask = 2 * (np.random.rand(*x.shape) > 0.5) if training else np.ones(x.shape)  # noqa: NPY002
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


def test_training_flags_and_dropout():
    for layer in (Norm(), Dropout()):
        for training in (None, True, False):
            verdict = check_layer(layer, X, training=training)
            assert verdict.ok, str(verdict)
    assert "y depends on running too" in str(check_layer(Norm(), X, training=False))
    with pytest.raises(TypeError, match="Linear has no training flag"):
        check_layer(Linear(), X, training=True)


# ------------------------------------------------------------------------------------------------------------------ autograd


class Tensor:
    """A learner's own autograd, whose backward takes the gradient."""

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad, self.parents, self.slopes = data, np.zeros_like(data), parents, slopes

    def backward(self, gradient):
        self.grad = self.grad + gradient
        for parent, slope in zip(self.parents, self.slopes, strict=True):
            parent.backward(slope(gradient))

    def __matmul__(self, other):
        slopes = (lambda g: g @ other.data.T, lambda g: self.data.T @ g)
        return type(self)(self.data @ other.data, (self, other), slopes)

    def tanh(self):
        return type(self)(np.tanh(self.data), (self,), (lambda g: g * (1 - np.tanh(self.data) ** 2),))


class Scalar(Tensor):
    """One whose backward starts at a scalar, with 1."""

    def backward(self):
        Tensor.backward(self, np.ones_like(self.data))

    def __mul__(self, other):
        return Started(self.data * other.data, (self,), (lambda g: g * other.data,))

    def sum(self):
        return Scalar(self.data.sum(), (self,), (lambda g: g * np.ones_like(self.data),))


class Started(Scalar):
    def __init__(self, data, parents, slopes):
        super().__init__(data, parents, [lambda g, slope=slope: slope(g) for slope in slopes])


class Layer:
    def __init__(self, kind, bug=1):
        self.weight, self.bug = kind(W.copy()), bug

    def __call__(self, x):
        y = (x @ self.weight).tanh()
        y.slopes = [lambda g, slope=slope: self.bug * slope(g) for slope in y.slopes]
        return y


def test_layers_on_a_learners_own_tensors():
    verdict = check_layer(Layer(Tensor), Tensor(X))
    assert verdict.ok and "weight (4, 5) in weight.grad" in str(verdict) and "dx 12, dweight 20" in str(verdict)
    assert check_layer(Layer(Tensor, bug=-1), Tensor(X)).mistake.kind == "sign"
    assert check_layer(Tensor.tanh, Tensor(X)).ok and check_layer(lambda x: x.tanh(), Tensor(X)).ok


# ------------------------------------------------------------------------------------------------------ what a layer does wrong


class Late(Linear):
    def backward(self, dy, lr):
        self.W -= lr * self.x.T @ dy
        self.b -= lr * dy.sum(axis=0)
        return dy @ self.W.T


def test_an_update_that_comes_too_early_is_told_apart_from_a_wrong_derivative():
    verdict = check_layer(Late(), X)
    assert "the gradient of x changes with the learning rate" in message(verdict, "learning rate")
    assert [check.name for check in verdict.checks if not check.passed] == ["learning rate"]


class TwoBranches:
    """y = tanh(x V) + tanh(x U), each branch a layer of its own."""

    def __init__(self):
        self.first, self.second = Branch(1), Branch(2)

    def forward(self, x):
        return self.first.forward(x) + self.second.forward(x)

    def backward(self, dy):
        self.second.backward(dy)
        return self.first.backward(dy)


class Branch:
    def __init__(self, seed):
        self.V = np.random.default_rng(seed).standard_normal((4, 5))

    def forward(self, x):
        self.x, self.t = x, np.tanh(x @ self.V)
        return self.t

    def backward(self, dy):
        dz = dy * (1 - self.t**2)
        self.dV = self.x.T @ dz
        return dz @ self.V.T


def test_the_path_through_a_layer_inside_is_missed_by_name():
    verdict = check_layer(TwoBranches(), X)
    text = message(verdict, "derivative")
    assert verdict.mistake.kind == "missing path" and "the path of x through second is missing" in text
    assert "Right: first.dV, second.dV." in text


class Raising(Linear):
    def backward(self, dy):
        return dy @ self.nothing


class InPlace(Linear):
    def backward(self, dy):
        dy *= 2
        return super().backward(dy)


class Careless(Linear):
    def forward(self, x):
        x -= x.mean()
        return super().forward(x)


class NothingStored(Linear):
    def __init__(self):
        super().__init__()
        self.dW, self.db = np.zeros_like(W), np.zeros_like(B)

    def backward(self, dy):
        return self.gradients(dy)[0]


FAULTS = [
    (Raising, "backward runs", r"AttributeError: .*'nothing'\nin line \d+ of .*test_check_layer.py: return dy @ self.nothing"),
    (InPlace, "nothing changed", "the backward changes dy"),
    (Careless, "nothing changed", "the forward changes x"),
    (NothingStored, "derivative", r"dW\[0, 0\] is 0 .*zero.*\nAlso wrong: db.\nRight: dx"),
    (type("Forward", (Linear,), {"forward": lambda self, x: x @ self.x}), "forward runs", "AttributeError"),
    (type("Silent", (Linear,), {"forward": lambda self, x: None}), "output", "leaves no new array in an attribute output"),
    (type("Words", (Linear,), {"forward": lambda self, x: "y"}), "output", "got str for y"),
    (type("NoDx", (Linear,), {"backward": lambda self, dy: None}), "number of gradients", "neither returns dx nor stores it"),
    (
        type("Fickle", (Linear,), {"forward": lambda s, x: Linear.forward(s, x) * np.random.default_rng().random()}),
        "output",
        "another y when it runs",
    ),
]


@pytest.mark.parametrize(("kind", "check", "says"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_what_a_layer_does_wrong_is_a_failed_check(kind, check, says):
    before = X.copy()
    assert re.search(says, message(check_layer(kind(), X), check), re.DOTALL)
    assert np.array_equal(X, before)


def test_arrays_without_a_gradient_are_mentioned():
    class Frozen(Linear):
        def backward(self, dy):
            self.dW = self.gradients(dy)[1]
            return dy @ self.W.T

    verdict = check_layer(Frozen(), X)
    assert verdict.ok and "y depends on b too, and no gradient was found" in str(verdict)


# ------------------------------------------------------------------------------------------------------------- what is refused


class Momentum(Linear):
    def __init__(self):
        super().__init__()
        self.lr, self.v = 0.1, np.ones_like(self.W)

    def backward(self, dy):
        dx, dW, _ = self.gradients(dy)
        self.v = 0.9 * self.v + dW
        self.W -= self.lr * self.v
        return dx


class Unfinished(Linear):
    def __init__(self):
        self.batches = (i for i in range(3))


def method(name, function):
    return type("Layer", (Linear,), {name: function})()


REFUSED = {  # name: (layer, keywords, what the error says)
    "a generator": (Unfinished(), {}, "Unfinished cannot be copied .*an open file, a lock, a generator"),
    "no backward": (types.SimpleNamespace(forward=lambda x: x), {}, "no method that is known as a backward .* backward='...'"),
    "no forward": (3, {}, "int has no method that is known as a forward .* forward='...'"),
    "no such method": (Linear(), {"backward": "undo"}, "backward='undo': Linear has no such method"),
    "an argument": (
        method("backward", lambda self, dy, s: dy),
        {"takes": {"t": "x"}},
        "takes names t, which backward does not",
    ),
    "anything": (
        method("backward", lambda self, dy, s, t: dy),
        {},
        r"takes s, which may be anything: say it, takes=\{'s': ...\}",
    ),
    "a cache": (
        method("backward", lambda self, dy, kept: dy),
        {},
        "takes something beside dy, and the forward returns no cache",
    ),
    "a hidden rate": (ByAHiddenRate(), {}, "no learning rate was found: pass its value, learning_rate=..."),
    "momentum": (Momentum(), {}, "changes W by something else than learning rate times gradient"),
    "too much": (
        method("backward", lambda s, dy: (dy @ s.W.T, s.W, s.W)),
        {},
        "3 arrays, 2 more than there are inputs.*say it, param",
    ),
    "no parameter": (Linear(), {"parameters": {"V": ("V", "dV")}}, r"parameters\['V'\] is not in the layer"),
    "a number": (Linear(), {"parameters": {"W": (3, "dW")}}, r"parameters\['W'\] must be \(parameter, gradient\)"),
    "no array": (Linear(), {"parameters": {"W": ("scale", "dW")}}, "must be an array of floats, got int"),
    "a reference": (Linear(), {"reference": X}, "reference must be a function or None"),
    "arguments": (
        type("L", (), {"__init__": lambda self, n: None}),
        {},
        "cannot be made without arguments: give an instance, or lambda",
    ),
}


@pytest.mark.parametrize(("layer", "options", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_and_says_what_to_pass(layer, options, says):
    with pytest.raises(TypeError, match=says):
        check_layer(layer, X, **options)


def test_a_layer_of_nothing_but_integers_is_refused():
    lookup = types.SimpleNamespace(forward=lambda ids: np.ones((2, 3)) * ids, backward=lambda dy: None)
    with pytest.raises(ValueError, match="no input of floats, and no parameters were found"):
        check_layer(lookup, np.arange(3))


def test_a_reference_gets_the_parameters_after_the_inputs():
    assert check_layer(Linear(), X, reference=lambda x, W, b: x @ W + b).ok
    assert "another function" in message(check_layer(Linear(), X, reference=lambda x, W, b: x @ W), "reference")


# ------------------------------------------------------------------------------------------------ what check_backward was told


def test_a_layer_in_place_of_a_function_is_sent_to_check_layer():
    for arguments in ((Linear(), X), (Linear, X)):
        with pytest.raises(TypeError, match=r"Linear is a layer.*npgpt.check_layer\(layer, x\) grades it"):
            check_backward(*arguments)
    for backward in (ByRate().backward, lambda dy, learning_rate: dy):
        with pytest.raises(TypeError, match=r"takes a learning rate .*check_layer"):
            check_backward(np.tanh, backward, X)


def test_methods_of_a_layer_are_graded_with_a_note_or_refused_with_a_hint():
    text = message(check_backward(Linear().forward, Linear().backward, X), "backward runs")
    assert "for a layer's methods there is npgpt.check_layer" in text
    layer = WithCache()
    verdict = check_backward(layer.forward, layer.backward, X)
    assert verdict.ok and "those of the layer's own parameters are not graded here" in str(verdict)


def cell(x, h, c):
    lstm = LSTMCell()
    return lstm.forward(x, h, c), lstm


def test_several_outputs_are_told_from_a_cache():
    """c was taken for the cache of h."""
    assert check_backward(cell, lambda d, lstm: lstm.backward(*d), X, H0, C0).ok
    assert check_backward(cell, lambda dh, dc, lstm: lstm.backward(dh, dc), X, H0, C0).ok
    assert check_backward(lambda *a: (*cell(*a)[0], cell(*a)[1]), lambda dh, dc, lstm: lstm.backward(dh, dc), X, H0, C0).ok

    def without_a_cache(dh, dc, x, h, c):
        return cell(x, h, c)[1].backward(dh, dc)

    assert check_backward(lambda x, h, c: cell(x, h, c)[0], without_a_cache, X, H0, C0).ok
    wrong = check_backward(cell, lambda d, lstm: lstm.backward(d[0], 0 * d[1]), X, H0, C0)
    assert "dx" in message(wrong, "derivative")


def net(x, params):
    return np.tanh(x @ params["W"] + params["b"]), (x, params)


def net_backward(dy, cache):
    x, params = cache
    dz = dy * (1 - net(x, params)[0] ** 2)
    return dz @ params["W"].T, {"dW": x.T @ dz, "db": dz.sum(axis=0)}


def test_a_dict_of_parameters_is_graded_in_its_leaves():
    """It was said to hold no floats."""
    params = {"W": W, "b": B, "heads": 2}
    verdict = check_backward(net, net_backward, X, params)
    assert verdict.ok and "dx 12, params.dW 20, params.db 5" in str(verdict)
    in_one = check_backward(net, lambda dy, c: {"dx": net_backward(dy, c)[0], **net_backward(dy, c)[1]}, X, params)
    assert in_one.ok
    without_b = check_backward(net, lambda dy, c: (net_backward(dy, c)[0], {"dW": net_backward(dy, c)[1]["dW"]}), X, params)
    assert "params.db is None" in message(without_b, "number of gradients")
    doubled = check_backward(
        net, lambda dy, c: (net_backward(dy, c)[0], {k: 2 * g for k, g in net_backward(dy, c)[1].items()}), X, params
    )
    assert "params.dW[0, 0]" in message(doubled, "derivative") and doubled.mistake.kind == "double count"


def in_float32(x):
    return np.tanh(x.astype(np.float32)).astype(float)


def test_a_forward_in_float32_is_said_so_and_graded_whole():
    """Its elements were taken for kinks and left out, and what was left was called right."""
    verdict = check_backward(in_float32, lambda dy, x: dy * (1 - np.tanh(x) ** 2), X)
    assert verdict.ok and "every element is right (dx 12)" in str(verdict) and "Note" not in str(verdict)
    assert "since the forward computes in float32" in str(verdict)
    off = check_backward(in_float32, lambda dy, x: 1.002 * dy * (1 - np.tanh(x) ** 2), X)
    assert "should be" in message(off, "derivative")
    for exact in (lambda x: 2 * x, lambda x: x[:, ::-1], lambda x: np.maximum(x, 0)):  # of float32 inputs, all fit into float32
        short = check_backward(exact, lambda dy, x: dy, X.astype(np.float32))
        assert "computes in float32" not in str(short)


def test_gradients_that_add_up_are_not_called_work_in_place():
    total = {}

    def backward(dy, x):
        total["dx"] = total.get("dx", 0) + dy * 2 * x
        return total["dx"]

    text = message(check_backward(lambda x: x * x, backward, X), "nothing changed")
    assert "twice as large when the backward runs again" in text and "in place" not in text


def test_a_target_of_floats_is_told():
    def backward(dy, x, t):
        return dy * 2 * (x - t) / x.size

    assert check_backward(lambda x, t: ((x - t) ** 2).mean(), backward, X, X + 1, without_gradient=["t"]).ok


def test_a_number_without_a_gradient_does_not_widen_the_result():
    """As an array of float64, eps made y float64, and a right backward in float32 was told that its dx has the wrong dtype."""
    x = X.astype(np.float32)
    right = check_backward(lambda x, eps: x * x + eps, lambda dy, x, eps: dy * 2 * x, x, 1e-5, without_gradient=["eps"])
    assert right.ok and "none asked for eps" in str(right), str(right)
    assert not check_backward(lambda x, eps: x * x + eps, lambda dy, x, eps: dy * x, x, 1e-5, without_gradient=["eps"])


# --------------------------------------------------------------------------------------------------------------- the mistakes


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_named_in_what_is_right(name):
    forward, backward, inputs = RIGHT[name]
    verdict = check_backward(forward, backward, *inputs)
    assert verdict.ok and verdict.mistake is None, str(verdict)


CASES = [(kind, name) for kind, pairs in MISTAKES.items() for name in pairs]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_each_mistake_is_named_in_its_own_code_and_in_no_other(kind, name):
    """A row of the confusion table: of the kinds, this code has this one and no other."""
    forward, backward, inputs = MISTAKES[kind][name]
    verdict = check_backward(forward, backward, *inputs)
    assert not verdict and verdict.mistake is not None, str(verdict)
    assert verdict.mistake.kind == kind, str(verdict)


def test_the_place_is_said_where_the_mistake_is_not_known():
    def half_of_what_comes_back():
        return rnn(carry=0.5)

    forward, backward, inputs = half_of_what_comes_back()
    text = message(check_backward(forward, backward, *inputs), "derivative")
    assert "dx is right in the last place along axis 1 only: look at what comes back from the next step" in text


def test_a_clip_is_named_and_the_rest_is_graded_without_it():
    forward, backward, inputs = rnn(clip=5.0)
    verdict = check_backward(forward, backward, *inputs)
    assert "something is clipped inside" in message(verdict, "linearity")
    assert [check.name for check in verdict.checks if not check.passed] == ["linearity"]
