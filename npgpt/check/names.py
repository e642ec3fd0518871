"""What readers call things: the gradient of W is dW, dLdW, grad_W or W_grad; a learning rate is lr."""

_GRADIENTS = (
    "d{0} dl{0} dld{0} dj{0} djd{0} dloss{0} dlossd{0} g{0} grad{0} grads{0} gradient{0} gradients{0} delta{0} nabla{0} "
    "{0}grad {0}grads {0}gradient {0}gradients {0}delta"
).split()
TARGETS = {"target", "targets", "label", "labels", "ytrue", "truth", "groundtruth", "y", "t"}
RATES = {"lr", "learningrate", "learnrate", "eta", "stepsize"}
FLAGS = {"training", "train", "istraining", "istrain", "trainmode"}
DERIVATIVE_FLAGS = {"derivative", "deriv", "derivate", "prime", "grad", "gradient", "diff"}
CACHES = {"cache", "caches", "ctx", "context", "saved"}


def plain(name: str) -> str:
    """W_grad and wgrad are one name."""
    return name.lower().replace("_", "")


def is_gradient_of(name: str, value: str) -> bool:
    """Whether a reader who calls the value `value` may call its gradient `name`."""
    return plain(name) in {pattern.format(plain(value)) for pattern in _GRADIENTS}
