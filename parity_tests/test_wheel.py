"""The wheel is whole. The other tests run in a clone, where a package or data file that pyproject.toml forgets is there all the
same; here the wheel is built, unpacked and used with no clone in reach."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("npgpt", "torchgpt")

BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2])"

USE = """
import importlib, json, pkgutil, sys
from importlib.resources import files
packages, data = json.loads(sys.argv[1])
tops = [importlib.import_module(name) for name in packages]
walked = [m.name for top in tops for m in pkgutil.walk_packages(top.__path__, top.__name__ + ".", onerror=lambda name: 1 / 0)]
for name in walked:
    importlib.import_module(name)
import npgpt
losses = {}
for name in ("numpy", "torch"):
    if npgpt.backends.BACKENDS[name] in packages:
        model = npgpt.backend(name).make_model(npgpt.GPTConfig.article(), seed=0)
        ids, targets = [npgpt.tokenize("ali ata bak")], [npgpt.tokenize("li ata bak.")]
        npgpt.backend(name).train(model, iter([(ids, targets)]), steps=1, learning_rate=0.01)
        losses[name] = model.loss(ids, targets)
lost = [name for name in data if not files(name.partition("/")[0]).joinpath(name.partition("/")[2]).is_file()]
print(json.dumps({"from": [top.__file__ for top in tops], "walked": walked, "losses": losses, "lost": lost}))
"""


def need_setuptools() -> None:
    """A build needs nothing else, and nothing from the net; where setuptools is missing or too old these tests are skipped."""
    needed = Requirement(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"][0])
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        version = "0"
    if version not in needed.specifier:
        pytest.skip(f"building a wheel needs {needed}")


def clean_copy(folder: Path) -> Path:
    """The repository without what .gitignore names. (Git is not asked: CI runs in a copy without .git.)"""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    return shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored))


def shipped(copy: Path) -> set[str]:
    """What must be in a wheel of that copy: every file of the packages, and modules that stand beside them."""
    inside = {path for package in PACKAGES for path in (copy / package).rglob("*") if path.is_file()}
    return {path.relative_to(copy).as_posix() for path in inside | set(copy.glob("*.py"))}


def build(what: str, copy: Path, folder: Path) -> Path:
    """The "wheel" or "sdist" of that copy, made as pip makes it: by the two functions that pyproject.toml's backend has."""
    folder.mkdir()
    done = subprocess.run([sys.executable, "-I", "-c", BUILD, what, folder], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


def contents(wheel: Path) -> set[str]:
    """The wheel's files, without what describes it."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path, set[str]]:
    """The wheel of a clean copy, the wheel of that copy's sdist, and what must be in both."""
    need_setuptools()
    folder = tmp_path_factory.mktemp("built")
    copy = clean_copy(folder / "copy")
    expected = shipped(copy)
    with tarfile.open(build("sdist", copy, folder / "sdist")) as sdist:
        sdist.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", copy, folder / "wheel"), build("wheel", unpacked, folder / "from_sdist"), expected


@pytest.fixture(scope="module")
def run_installed(built, tmp_path_factory):
    """Runs Python with the wheel and what it depends on: without the clone, with no site-packages whose .pth files might lead
    to it, and in an empty folder."""
    installed = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(built[0]).extractall(installed)
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), *dependencies])}

    def run(*arguments: str) -> str:
        command, elsewhere = [sys.executable, "-S", "-P", *arguments], tmp_path_factory.mktemp("elsewhere")
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder = installed
    return run


def test_every_file_of_the_packages_is_in_the_wheel_and_no_other(built):
    """Would catch a package outside of packages.find, a data file outside of package-data, and tests that slip in."""
    wheel, _, expected = built
    assert {"npgpt/py.typed", "npgpt/ops/linear.py", "torchgpt/models/gpt.py"} <= expected
    assert contents(wheel) == expected


def test_the_wheel_made_from_the_sdist_is_the_same(built):
    wheel, from_sdist, expected = built
    assert contents(from_sdist) == expected
    assert all(zipfile.ZipFile(wheel).read(name) == zipfile.ZipFile(from_sdist).read(name) for name in expected)


def test_installed_without_the_clone_it_imports_trains_and_finds_its_data(built, run_installed):
    """Would catch a folder without __init__.py, an import from the clone (examples, parity_tests), and a file that is looked
    for beside the repository."""
    packages = [name for name in PACKAGES if name == "npgpt" or find_spec("torch")]
    ours = sorted(name for name in built[2] if name.partition("/")[0] in packages)
    data = [name for name in ours if not name.endswith(".py")]
    found = json.loads(run_installed("-c", USE, json.dumps([packages, data])))
    assert all(Path(path).is_relative_to(run_installed.folder) for path in found["from"])
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in ours if name not in data}
    assert set(found["walked"]) == modules - set(packages)
    assert found["lost"] == [] and len(data) >= len(packages)
    assert len(found["losses"]) == len(packages)
    assert all(loss == pytest.approx(found["losses"]["numpy"], rel=1e-5) for loss in found["losses"].values())
    assert found["losses"]["numpy"] < 3.46  # ln 32 = 3.4657 before the step


def test_what_is_forgotten_is_noticed(tmp_path):
    """The first test can fail: a data file that package-data does not name, and a package that packages.find leaves out."""
    need_setuptools()
    copy = clean_copy(tmp_path / "copy")
    (copy / "npgpt" / "ops" / "table.json").write_text("{}")
    options = copy / "pyproject.toml"
    text = options.read_text(encoding="utf-8")
    assert 'include = ["npgpt*", ' in text
    options.write_text(text.replace('include = ["npgpt*", ', 'include = ["npgpt", "npgpt.ops", '), encoding="utf-8")
    missing = shipped(copy) - contents(build("wheel", copy, tmp_path / "wheel"))
    assert {"npgpt/ops/table.json", "npgpt/models/gpt.py"} <= missing and "npgpt/ops/linear.py" not in missing


def test_python_m_npgpt_says_what_one_can_do(run_installed):
    """In a clone, with commands whose files and modules are there; and from a wheel, which has no scripts and says so."""

    def in_the_clone(folder: Path) -> str:
        command, environment = [sys.executable, "-m", "npgpt"], os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout

    commands = in_the_clone(ROOT)
    assert len(commands.splitlines()) == 10 and "In this folder:" in commands
    assert f"In {ROOT}:" in in_the_clone(ROOT / "examples")
    files = re.findall(r"examples/[\w.]+", commands)
    assert len(files) == 4 and all((ROOT / file).is_file() for file in files)
    modules = re.findall(r"python -m ([\w.]+)", commands)
    assert len(modules) == 2 and all(find_spec(module + ".__main__") for module in modules)
    installed = run_installed("-m", "npgpt")
    assert installed.splitlines()[:6] == commands.splitlines()[:6]
    assert "python examples" not in installed and "stand in\na clone of the project's repository" in installed
