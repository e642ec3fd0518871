"""Several processes under torchrun: the same run as one process, whatever their number; and what happens when one dies."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

import torchgpt
from npgpt.runs.checkpoint import read_checkpoint
from torchgpt.machine.distributed import Ranks, whole

from .strategies import EXAMPLES
from .test_train_text import SCRIPT, TINY, nothing_is_written_beside_the_bundled_text, records, run  # noqa: F401 (a fixture)
from .tolerances import eps

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
    assert ranks == (0, 1, 0) and device.type == "cpu" and torchgpt.join_ranks() == (ranks, torchgpt.pick_device())
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


# ---------------------------------------------------------- what several processes run, in a group that this process has alone


@pytest.fixture
def group_of_one():
    """Everything of a distributed run, within this process. (What processes agree on needs two: the tests above.)"""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torchgpt.leave_ranks()


FIRST, SECOND = Ranks(0, 2, 0), Ranks(1, 2, 1)
CONFIG = EXAMPLES["gpt"]
IDS, TARGETS = np.random.default_rng(0).integers(23, size=(2, 4, 7))


def two_models(ranks: Ranks, shard: bool) -> list[torchgpt.GPTModel]:
    """The same model twice: as it is in a run of one process, and as a rank has it."""
    plain, model = (torchgpt.GPTModel(CONFIG, seed=1, dtype="float64") for _ in range(2))
    torchgpt.distribute(model, ranks, **({"shard": True} if shard else {}))
    assert model.sharded is shard and not plain.sharded and model.ranks == ranks
    return [plain, model]


def assert_same(ours: dict, theirs: dict) -> None:
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert np.abs(value - theirs[name]).max() <= 8 * eps("float64") * np.abs(theirs[name]).max(), name


@pytest.mark.parametrize("shard", [False, True])
def test_alone_in_its_group_a_process_makes_the_plain_steps(group_of_one, shard):
    """Loss, gradients, accumulation, moments and weights."""
    plain, model = two_models(FIRST, shard)
    optimizers = [torchgpt.AdamW(each.parameters(), lr=0.1) for each in (plain, model)]
    for _ in range(2):
        for each in (plain, model):
            each.zero_grad()
            with each.no_sync():
                each.loss_and_grad(IDS[:2], TARGETS[:2], 0.5)
        halves = plain.gradients(), model.gradients()
        losses = [each.loss_and_grad(IDS[2:], TARGETS[2:], 0.5) for each in (plain, model)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-14)
        if shard:  # kept whole for now, beside the parts
            assert not any(gradient.any() for gradient in halves[1].values())
        else:
            assert_same(*halves)
        assert_same(plain.gradients(), model.gradients())
        norms = [torchgpt.clip_grad_norm(each.parameters(), 0.1) for each in (plain, model)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-14)
        moments = [o.get_moments(each.named_parameters()) for o, each in zip(optimizers, (plain, model), strict=True)]
        for each, optimizer in zip((plain, model), optimizers, strict=True):
            optimizer.set_moments(each.named_parameters(), moments[0], optimizer.steps)
            if shard and each is model:  # cut as the weights are
                assert all(optimizer.state[p]["exp_avg_sq"].placements == p.placements for p in model.parameters())
            optimizer.step()
    assert optimizers[1].steps == 2
    for place in (0, 1):
        assert_same(*({name: pair[place] for name, pair in each.items()} for each in moments))
    assert plain.loss(IDS, TARGETS) == pytest.approx(model.loss(IDS, TARGETS), rel=1e-14)


def test_a_blocks_weights_are_put_together_when_its_turn_comes(group_of_one, monkeypatch):
    """Each block is a unit of its own, and what is left another, on the model's device, over the one group. Would catch a model
    that is put together whole; and a CPU's model on a machine with GPUs, whose default is theirs."""
    sharded = []
    monkeypatch.setattr("torch.distributed.fsdp.fully_shard", lambda module, mesh: sharded.append((module, mesh)))
    model = torchgpt.GPTModel(CONFIG)
    torchgpt.distribute(model, FIRST, shard=True)
    assert [module for module, _ in sharded] == [*model.blocks, model]
    assert {(mesh.device_type, mesh.get_group()) for _, mesh in sharded} == {("cpu", torch.distributed.group.WORLD)}
    del model.blocks, sharded[:]
    torchgpt.distribute(model, FIRST, shard=True)  # a kind without blocks
    assert [module for module, _ in sharded] == [model]


@pytest.mark.parametrize("backend", ["gloo", "nccl"])
def test_the_last_operation_with_gloo_is_a_barrier_that_is_kept(monkeypatch, backend):
    """See `leave_ranks`. With stand-ins for the group and its barrier."""

    class Barrier:
        waited = False

        def wait(self):
            self.waited = True

    done = []

    def barrier(async_op):
        assert async_op
        done.append(weakref.ref(made := Barrier()))
        return made

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: backend)
    monkeypatch.setattr(torch.distributed, "barrier", barrier)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: done.append("the end"))
    torchgpt.leave_ranks()
    assert done[-1] == "the end"
    kept = [each() for each in done[:-1]]
    assert len(kept) == (1 if backend == "gloo" else 0) and all(each.waited for each in kept)


def test_a_gradient_is_what_the_ranks_agree_on(group_of_one):
    """Here, as if the other rank's were 0, half of one's own. Would catch a backward that goes past DistributedDataParallel;
    and ranks that ask one another before the last batch of a step, which costs time alone."""
    plain, model = two_models(FIRST, shard=False)
    asked = []

    def halved(state, bucket):
        asked.append(bucket)
        future = torch.futures.Future()
        future.set_result(bucket.buffer() / 2)
        return future

    model.wrapper.register_comm_hook(None, halved)
    plain.loss_and_grad(IDS, TARGETS, 0.5)
    with model.no_sync():
        model.loss_and_grad(IDS, TARGETS, 0.5)
    assert not asked
    assert_same(model.gradients(), plain.gradients())
    model.zero_grad()
    model.loss_and_grad(IDS, TARGETS)
    assert asked
    assert_same(model.gradients(), plain.gradients())


@pytest.mark.parametrize(("device", "dtype"), [("cpu", "float64"), ("cuda", "float64"), ("mps", "float32")])
def test_a_mean_over_ranks_is_the_sum_over_their_number(monkeypatch, device, dtype):
    """In float64 where the device has it. With stand-ins for it and for the sum, here three times one's own."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.mul_(3))
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    made, tensor = [], torch.tensor
    monkeypatch.setattr(
        torch, "tensor", lambda value, dtype, device: (made.append((dtype, device)), tensor(value, dtype=dtype))[1]
    )
    model = torchgpt.GPTModel(CONFIG)
    model.ranks, model.device = Ranks(1, 4, 1), torch.device(device)
    assert model.mean_over_ranks(0.1) == pytest.approx(0.075, rel=eps(dtype))
    assert made == [(getattr(torch, dtype), torch.device(device))]


def test_a_rank_takes_its_own_rows_of_the_whole_batchs_masks():
    """Would catch ranks that drop the same places, or others than one process would."""
    config = dataclasses.replace(CONFIG, dropout=0.4)
    whole = torchgpt.GPTModel(config, seed=1).dropout_masks()((6, 3, 5))
    for rank in range(3):
        model = torchgpt.GPTModel(config, seed=1)
        model.ranks = Ranks(rank, 3, rank)
        assert torch.equal(model.dropout_masks()((2, 3, 5)), whole[2 * rank : 2 * rank + 2])


@pytest.mark.parametrize("ranks", [FIRST, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("shard", [False, True])
def test_the_first_rank_writes_and_a_sharded_model_needs_them_all(group_of_one, monkeypatch, tmp_path, ranks, shard):
    """Would catch two ranks that write one file; one that writes none; and a rank that leaves the others waiting for its part
    of the weights."""
    config = EXAMPLES["llama"]
    model = torchgpt.make_model(config, seed=1)
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    torchgpt.distribute(model, ranks, shard=shard)
    gathered = []
    for module in ("runs.checkpoint", "pretrained"):
        monkeypatch.setattr(f"torchgpt.{module}.whole", lambda tensor: (gathered.append(tensor), whole(tensor))[1])
    torchgpt.save_checkpoint(model, tmp_path / "checkpoint")
    torchgpt.save_pretrained(model, tmp_path / "folder")
    writes = ranks.rank == 0
    assert len(gathered) == (2 * len(before) if shard or writes else 0)
    assert (tmp_path / "checkpoint").exists() is (tmp_path / "folder").exists() is writes
    if writes:
        for read in (torchgpt.load_checkpoint(tmp_path / "checkpoint"), torchgpt.load_pretrained(tmp_path / "folder")):
            assert all(np.array_equal(before[name], tensor.numpy()) for name, tensor in read.state_dict().items())


@pytest.mark.parametrize(
    ("asked", "device", "backend"),
    [
        ("auto", "cuda:3", "nccl"),
        ("cuda", "cuda:3", "nccl"),
        ("cuda:1", "cuda:1", "nccl"),
        ("mps", "cpu", "gloo"),
        ("cpu",) * 2 + ("gloo",),
    ],
)
def test_each_process_of_a_machine_gets_a_gpu_of_its_own(monkeypatch, asked, device, backend):
    """With stand-ins for the GPUs and for the group. Would catch processes that all compute on the first GPU."""
    for name, value in {"RANK": 11, "WORLD_SIZE": 16, "LOCAL_RANK": 3}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    began, set_to = [], []
    monkeypatch.setattr(torch.distributed, "init_process_group", began.append)
    monkeypatch.setattr(torch.cuda, "set_device", set_to.append)
    ranks, chosen = torchgpt.join_ranks(asked)
    assert ranks == (11, 16, 3) and (ranks.rank, ranks.ranks, ranks.local_rank) == (11, 16, 3)
    assert chosen == torch.device(device) and began == [backend]
    assert set_to == ([chosen] if asked in ("auto", "cuda") else [])
