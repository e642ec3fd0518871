"""A long run needs no more memory than a short one: nothing grows with the steps but a number or two a step."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PROFILE

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell a process's memory so")

# In a process of its own, so that no other test's memory is free for it, and without torch's 270 MB where it is not asked for:
# python -c ... backend kind steps folder
RUN = """
import resource, sys
from pathlib import Path
import numpy as np
import npgpt
from npgpt.runs.run import TrainingRun

CONFIGS = {
    "gpt": npgpt.GPTConfig(32, 1, 2, 8, 8, position="learned", dropout=0.2),
    "lstm": npgpt.LSTMConfig(32, 2, 6, 8, 8, dropout=0.2),
    "mamba": npgpt.MambaConfig(32, 1, 6, 8, d_state=3),
    "llama": npgpt.LlamaConfig(32, 1, 4, 8, 8, n_kv_head=2),
}

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

def look(record):
    if record["step"] in (200, steps):
        print(megabytes())

backend, steps = npgpt.backend(sys.argv[1]), int(sys.argv[3])
backend.set_num_threads(1)
model = backend.make_model(CONFIGS[sys.argv[2]], seed=3)
optimizer = backend.AdamW(backend.parameter_groups(model, 0.1))
text = np.random.default_rng(0).integers(32, size=1000)
windows, validation = npgpt.RandomWindows(text[:900], 8, 4, 3), lambda: npgpt.RandomWindows(text[900:], 8, 4)
run = TrainingRun(model, optimizer, windows, validation, sys.argv[4], tokenizer=npgpt.LetterTokenizer())
run.train(steps=steps, evaluate_every=steps // 20, evaluate_batches=2, save_every=steps // 40, on_step=look)
"""

KINDS = ["gpt", "lstm", "mamba", "llama"]
LONG = [("numpy", "gpt", 10_000), ("torch", "gpt", 3_000)]
if PROFILE == "nightly":  # minutes
    LONG = [(backend, kind, 20_000) for backend in ("numpy", "torch") for kind in KINDS]


@pytest.mark.parametrize(("backend", "kind", "steps"), LONG)
def test_memory_stays_within_five_percent_of_that_after_200_steps(backend, kind, steps, tmp_path):
    """With windows, evaluations, checkpoints and metrics. The metrics' records were kept until the run's end: 15 % after 20,000
    steps of a small model."""
    command = [sys.executable, "-c", RUN, backend, kind, str(steps), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    early, late = [float(line) for line in done.stdout.splitlines() if line.replace(".", "").isdigit()]
    assert late <= 1.05 * early, f"{early:.1f} MB after 200 steps, {late:.1f} MB after {steps:,}"
