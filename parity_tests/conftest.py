"""Threads pinned (bits are compared), hypothesis profiles, and the devices as fixtures.

python -m pytest                                     profile dev: 20 examples a test
HYPOTHESIS_PROFILE=ci python -m pytest               100 examples, the same ones every time
HYPOTHESIS_PROFILE=nightly python -m pytest          5,000 random examples, which also search for the worst error
python -m parity_tests.mutation                      profile mutation: 20 examples, always the same, no search for smaller ones
"""

import json
import logging
import os
import signal
import sys
import warnings
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported: float32 products differ in bits between thread counts

# Processes that the tests start are those of a user at a terminal: they hear Ctrl-C, which the workers of pytest-xdist and
# whatever a shell starts in the background ignore, and their pytest has no options of this one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("PYTEST_ADDOPTS", None)

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)

# As when a script is started: its folder is on the path. (The tests run the scripts with runpy, in this process.)
sys.path.append(str(Path(__file__).parents[1] / "examples"))

always = {"deadline": None, "print_blob": True}
hypothesis.settings.register_profile("dev", max_examples=20, **always)
hypothesis.settings.register_profile("ci", max_examples=100, derandomize=True, database=None, **always)
hypothesis.settings.register_profile("nightly", max_examples=5000, **always)
without_shrinking = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
hypothesis.settings.register_profile(
    "mutation", max_examples=20, derandomize=True, database=None, phases=without_shrinking, **always
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
hypothesis.settings.load_profile(PROFILE)  # by name: with CI set, hypothesis would otherwise load a profile of its own


def pytest_report_header(config):
    return f"torch {torch.__version__}, hypothesis profile {PROFILE}"


def begins_anew(draw):
    """A fixture for a module whose tests draw from one generator: each finds it as it is now, in whatever order they run."""
    start = draw.bit_generator.state

    @pytest.fixture(autouse=True)
    def the_same_numbers():
        draw.bit_generator.state = start

    return the_same_numbers


PRESENT = {
    "cpu": True,
    "cuda": torch.cuda.is_available(),
    "mps": torch.backends.mps.is_available(),
}


@pytest.fixture(scope="session", params=list(PRESENT))
def device(request) -> str:
    """Each device that torch may compute on; one that this machine lacks is skipped by name."""
    if not PRESENT[request.param]:
        pytest.skip(f"no {request.param} device on this machine")
    return request.param


@pytest.fixture(scope="session")
def transformers():
    """The package; its import takes seconds, so it waits until a test asks. Nothing here needs the net."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("HF_HUB_OFFLINE", "1")
        package = pytest.importorskip("transformers", minversion="5", reason="needs transformers 5")
        package.MambaForCausalLM  # noqa: B018 (it imports when it is asked)
        package.logging.set_verbosity_error()
        package.logging.disable_progress_bar()
        logging.getLogger("transformers").setLevel(logging.ERROR)
        yield package


def text_for_byte_pairs() -> str:
    """The bundled sentences, and what they lack: English, digits, apostrophes, runs of spaces, code."""
    sentences = Path(__file__).parents[1] / "examples/data/tr_sentences.txt"
    more = " The quick brown fox; it's 1999, isn't it? I'd've 'll 're  s   t\n\n\tdef f(x):\n        return x\n"
    return sentences.read_text(encoding="utf-8")[:20000] + 9 * more


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory) -> Path:
    """vocab.json and merges.txt of a small byte-level BPE, the mark between texts last, as GPT-2 has it."""
    pytest.importorskip("tokenizers")
    import npgpt

    folder = tmp_path_factory.mktemp("vocabulary")
    trained = npgpt.BPETokenizer.from_text(text_for_byte_pairs(), 600)
    trained.tokenizer.model.save(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps(vocab | {"<|endoftext|>": len(vocab)}))
    return folder
