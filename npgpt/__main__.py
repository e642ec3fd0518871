"""What one can do here: python -m npgpt"""

from importlib.util import find_spec
from pathlib import Path

ABOVE = Path(__file__).parents[1]  # the clone of the repository; where a wheel was installed, a folder without our scripts

EVERYWHERE = """\
npgpt: a GPT, an LSTM, a Mamba, a Llama in plain NumPy, every backward written by hand. In Python:
  backend = npgpt.backend("numpy")                       or "torch", the twin for a GPU{missing}
  model = backend.make_model(npgpt.GPTConfig.article())  then model.trace(ids, targets)
In a terminal:
  python -m npgpt.inspector "ali ata bak" --at logits    a tensor: its equation, code and numbers
  python -m npgpt.check FILE.py                          are the backward passes in it right?
"""

IN_A_CLONE = """\
In {folder}:
  python examples/train.py                               trains 248 parameters; pictures in out/train/
  python examples/train_text.py -h                       your own text; examples/sample.py lets it write
  examples/README.md                                     the gallery: every script and its pictures
"""

IN_A_WHEEL = """\
The scripts and their pictures (examples/README.md, the gallery) and the tests (parity_tests/) stand in
a clone of the project's repository: pip installs the packages npgpt and torchgpt alone.
"""


def main() -> None:
    """Prints the commands that there are where npgpt was imported from."""
    missing = "" if find_spec("torch") else " (missing: pip install torch)"
    print(EVERYWHERE.format(missing=missing), end="")
    if (ABOVE / "examples" / "train.py").is_file():
        print(IN_A_CLONE.format(folder="this folder" if Path.cwd() == ABOVE else ABOVE), end="")
    else:
        print(IN_A_WHEEL, end="")


if __name__ == "__main__":
    main()
