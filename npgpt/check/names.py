"""What readers call things: the gradient of W is dW, dLdW, grad_W or W_grad; a learning rate is lr.

All names here are plain ones (see below), but those of methods.
"""

import re

FORWARDS = (
    *("forward", "forward_pass", "forward_propagation", "forward_prop", "forward_step"),
    *("fwd", "feed_forward", "feedforward"),
)
BACKWARDS = (
    *("backward", "backward_pass", "backward_propagation", "backward_prop", "backward_step"),
    *("bwd", "backprop", "back_propagation", "backpropagate"),
)
DERIVATIVES = ("derivative", "deriv", "gradient", "grad", "prime", "df")  # f'(x), which the caller multiplies by dy
FUNCTIONS = ("loss", "fn", "function", "f", "activate", "calculate", "__call__")  # what has such a derivative

GRADIENTS = (
    *("d{0}", "dl{0}", "dld{0}", "dj{0}", "djd{0}", "dloss{0}", "dlossd{0}", "g{0}", "delta{0}", "nabla{0}"),
    *("grad{0}", "grads{0}", "gradient{0}", "gradients{0}", "{0}grad", "{0}grads", "{0}gradient", "{0}gradients", "{0}delta"),
)
DERIVATIVE_FLAGS = {"derivative", "deriv", "derivate", "prime", "grad", "gradient"}
FLAGS = {"training", "train", "istraining", "istrain", "trainmode"}
TARGETS = {"target", "targets", "label", "labels", "ytrue", "truth", "groundtruth", "y", "t"}
RATES = {"lr", "learningrate", "learnrate", "eta", "stepsize"}
CACHES = {"cache", "caches", "ctx", "context", "saved"}
STORED_OUTPUTS = ("output", "outputs", "out", "y", "a", "z", "activation", "activations", "result", "h")
STORED_GRADIENTS = (
    "dinputs",
    "dinput",
    "dx",
    "dxs",
    "dinputdata",
    "gradinput",
    "inputgrad",
    "inputgradient",
    "dprev",
    "daprev",
)

COTANGENT = re.compile("d(?!ata)|grad|g$|upstream|error|out|.*(grad|gradient|error)$")  # the first argument of a backward


def plain(name: str) -> str:
    """W_grad and wgrad are one name."""
    return name.lower().replace("_", "")


def is_gradient_of(name: str, value: str) -> bool:
    """Whether a reader who calls the value `value` may call its gradient `name`."""
    return plain(name) in {pattern.format(plain(value)) for pattern in GRADIENTS}


def is_cotangent(name: str) -> bool:
    """Whether an argument after the first is one too: dc, after dh."""
    return re.match("d(?!ata)|grad", plain(name)) is not None
