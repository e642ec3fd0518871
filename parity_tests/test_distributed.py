"""Several processes under torchrun: the same run as one process, whatever their number; and what happens when one dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import torchgpt
from npgpt.runs.checkpoint import read_checkpoint

from .strategies import EXAMPLES
from .test_train_text import SCRIPT, TINY, nothing_is_written_beside_the_bundled_text, records, run  # noqa: F401 (a fixture)

if not torch.distributed.is_available():
    pytest.skip("this build of torch has no torch.distributed", allow_module_level=True)

OPTIONS = ["--backend", "torch", "--device", "cpu", "--dtype", "float64", "--gradient-accumulation-steps", 2]


# The main thread keeps Python's lock from here on, and gloo's threads have just been left with tensors to delete.
LEAVING = """
import sys
import numpy as np
import torch
import torchgpt

ranks, device = torchgpt.join_ranks("cpu")
model = torchgpt.GPTModel(torchgpt.GPTConfig.article(), device)
torchgpt.distribute(model, ranks, shard=True)
ids = np.zeros((2, 4), dtype=int)
model.loss_and_grad(ids, ids)
sys.setswitchinterval(1000)
for _ in range(20):
    tensor = torch.zeros(1000)
    work = torch.distributed.all_reduce(tensor, async_op=True)
    work.wait()
    del tensor, work
torchgpt.leave_ranks()
"""


def launch(ranks: int, script: Path, *options) -> subprocess.Popen:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", str(script)]
    command += map(str, options)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def torchrun(ranks: int, *options) -> subprocess.Popen:
    return launch(ranks, SCRIPT, "--input-file", "text.txt", *TINY, *options)


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize("sharded", [[], ["--fsdp"]], ids=["whole", "sharded"])
def test_two_processes_make_the_run_of_one_and_other_numbers_go_on_with_it(monkeypatch, sharded):
    """Losses, gradient norms, validation losses and weights; with dropout and accumulated gradients. One process makes twelve
    steps; two make eight and save; then one process goes on for two steps, and two again to the end."""
    run(monkeypatch, *OPTIONS, "--max-iters", 12, "--out-dir", "one")
    two = [*OPTIONS, "--lr-decay-iters", 12, "--out-dir", "two"]
    output = finish(torchrun(2, *two, *sharded, "--max-iters", 8))
    assert output.count("validation loss: ") == 1 and output.count("wrote ") == 4  # the first process alone
    run(monkeypatch, *two, "--resume", "--no-fsdp", "--max-iters", 10)
    finish(torchrun(2, *two, *sharded, "--resume", "--max-iters", 12))
    assert len(records("two")) == 12
    for ours, theirs in zip(records("one"), records("two"), strict=True):
        for name in ("step", "loss", "grad_norm", "lr"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-12), name
    assert records("one")[4]["val_loss"] == pytest.approx(records("two")[4]["val_loss"], rel=1e-12)
    ours, theirs = (read_checkpoint(Path(folder) / "last.safetensors") for folder in ("one", "two"))
    assert ours.run["windows"] == theirs.run["windows"] and ours.run["dropout"] == theirs.run["dropout"]
    for name, value in ours.weights.items():
        assert np.abs(value - theirs.weights[name]).max() < 1e-10, name
    for name, pair in ours.moments.items():
        assert all(np.abs(m - n).max() < 1e-12 for m, n in zip(pair, theirs.moments[name], strict=True)), name


RUN_OF_EVERY_KIND = """
import dataclasses, sys
import numpy as np, npgpt, torchgpt
from torchgpt.machine.distributed import whole
process, device = torchgpt.join_ranks("cpu")
rank, ranks, _ = process
share = {"rank": rank, "ranks": ranks}
found = {}
for kind in CONFIGS:
    for sharded in (False, True) if ranks > 1 else (False,):
        config = npgpt.models.KINDS[kind].config_class.from_dict(CONFIGS[kind])
        model = torchgpt.make_model(config, seed=3, dtype="float64")
        if ranks > 1:
            torchgpt.distribute(model, process, shard=sharded)
        windows = npgpt.RandomWindows(np.arange(400) ** 2 % 23, 7, 4, 1, **share)
        optimizer = torchgpt.AdamW(torchgpt.parameter_groups(model, 0.1), 0.01)
        losses = torchgpt.train(model, windows, steps=6, learning_rate=0.01, accumulate=2, max_norm=0.5, optimizer=optimizer)
        found |= {f"{kind} {sharded} {name}": whole(p).detach().numpy().copy() for name, p in model.named_parameters()}
        found[f"{kind} {sharded} losses"] = np.array([model.mean_over_ranks(loss) for loss in losses])
if rank == 0:
    np.savez(f"found{ranks}.npz", **found)
torchgpt.wait_for_all()
torchgpt.leave_ranks()
"""


def test_so_they_do_with_models_of_other_kinds():
    """LSTM and Llama (with dropout) and Mamba, whole and sharded, in one job."""
    configs = {kind: EXAMPLES[kind].to_dict() for kind in ("lstm", "mamba", "llama")}
    configs["lstm"]["dropout"] = configs["llama"]["dropout"] = 0.2
    Path("run.py").write_text(f"CONFIGS = {configs}\n{RUN_OF_EVERY_KIND}")
    exec(compile(Path("run.py").read_text(), "run.py", "exec"), {})
    finish(launch(2, Path("run.py")))
    one, two = np.load("found1.npz"), np.load("found2.npz")
    assert len(two) == 2 * len(one)
    for name in two:
        ours, theirs = two[name], one[name.replace("True", "False")]
        assert np.abs(ours - theirs).max() < 1e-10, name
    assert all(len(set(one[f"{kind} False losses"])) == 6 for kind in configs)


def test_processes_that_have_done_their_work_end_with_status_0(tmp_path):
    """What else could become of them is told in leave_ranks; without its barrier 25 of 30 of these jobs fail."""
    script = tmp_path / "leaving.py"
    script.write_text(LEAVING)
    for _ in range(2):
        finish(launch(2, script))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes through /proc")
def test_a_killed_process_ends_the_job_and_the_last_save_goes_on(monkeypatch):
    job = torchrun(2, *OPTIONS, "--max-iters", 1_000_000, "--save-interval", 1, "--eval-interval", 1_000_000)
    saved = Path("out/text/last.safetensors")
    deadline = time.monotonic() + 120
    while not saved.exists():
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    workers = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    output, _ = job.communicate(timeout=120)
    assert job.returncode != 0 and "SIGKILL" in output
    step = read_checkpoint(saved).step
    run(monkeypatch, "--resume", *OPTIONS, "--max-iters", step + 2, "--eval-interval", 1)
    assert [record["step"] for record in records("out/text")] == list(range(1, step + 3))


def test_several_processes_with_numpy_are_a_clear_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="error: torchrun has started several processes, which --backend numpy cannot use"):
        run(monkeypatch, "--max-iters", 2)
    assert not Path("out").exists()


def test_a_sharded_model_needs_several_processes(monkeypatch):
    with pytest.raises(SystemExit, match="error: --fsdp needs several processes: torchrun"):
        run(monkeypatch, *OPTIONS, "--fsdp", "--max-iters", 2)


def test_without_torchrun_there_is_one_process():
    ranks, device = torchgpt.join_ranks("cpu")
    assert ranks == (0, 1, 0) and device.type == "cpu"
    model = torchgpt.GPTModel(torchgpt.GPTConfig.article())
    torchgpt.distribute(model, ranks)
    assert model.wrapper is None and model.mean_over_ranks(1.5) == 1.5
    torchgpt.wait_for_all()
    torchgpt.leave_ranks()


def test_a_process_goes_on_when_it_has_left_and_can_join_again(monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    for _ in range(2):
        ranks, _ = torchgpt.join_ranks("cpu")
        assert ranks == (0, 1, 0) and torch.distributed.is_initialized()
        torchgpt.leave_ranks()
        assert not torch.distributed.is_initialized()
