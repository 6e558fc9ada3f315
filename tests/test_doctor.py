import io
from collections.abc import Callable, Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub import utils as hub_calls
from rich.console import Console

from ptbench import doctor
from ptbench.doctor import Check, Status

Declare = Callable[..., None]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Say what ptbench's own metadata hold."""

    def declare(*requires: str, python: str = ">=3.11") -> None:
        ours = Message()
        ours["Requires-Python"] = python
        monkeypatch.setattr(metadata, "metadata", lambda name: ours)
        monkeypatch.setattr(metadata, "requires", lambda name: list(requires))

    return declare


def only(checks: Iterator[Check]) -> Check:
    (check,) = checks
    return check


def test_a_package_within_its_bounds_is_ok(declare: Declare) -> None:
    declare("torch>=2", "pytest")
    python, torch, pytest_ = doctor.packages()
    assert [check.status for check in (python, torch, pytest_)] == [Status.OK] * 3
    assert metadata.version("torch") in torch.detail and ">=2" in torch.detail


@pytest.mark.parametrize("requirement", ["torch>=99", "no-such-package>=1"])
def test_an_old_or_missing_package_fails(declare: Declare, requirement: str) -> None:
    declare(requirement)
    _, check = doctor.packages()
    assert check.status is Status.FAIL
    assert check.remedy == f"pip install '{requirement}'"


def test_an_extra_and_another_system_do_not_count(declare: Declare) -> None:
    declare("no-such-package; extra == 'more'", "no-such-package; sys_platform == 'amiga'")
    assert only(doctor.packages()).name == "Python"


def test_an_old_python_fails(declare: Declare) -> None:
    declare(python=">=99")
    assert only(doctor.packages()).status is Status.FAIL


def test_a_suite_that_is_not_installed_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert only(doctor.packages()).remedy == doctor.INSTALL


class Session:
    """A stand-in for the hub's HTTP client."""

    def __init__(self, answer: Exception | None):
        self.answer = answer

    def head(self, url: str, timeout: float) -> None:
        if self.answer:
            raise self.answer


@pytest.mark.parametrize(
    ("answer", "status"), [(None, Status.OK), (OSError("no such host"), Status.WARN)]
)
def test_the_hub_is_asked(
    answer: Exception | None, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_calls, "get_session", lambda: Session(answer))
    assert only(doctor.hub()).status is status


def test_an_offline_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub_calls, "get_session", lambda: pytest.fail("it was asked"))
    assert "HF_HUB_OFFLINE" in only(doctor.hub()).detail


def test_data_sets_are_counted(tmp_path: Path) -> None:
    for file in ("boolq/validation.jsonl", "lama/P19/train.jsonl"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    (tmp_path / "empty").mkdir()
    check = only(doctor.data(tmp_path))
    assert check.status is Status.OK
    assert check.detail.startswith("2 data sets") and check.detail.endswith("boolq, lama")


def test_a_data_root_without_data_fails(tmp_path: Path) -> None:
    assert only(doctor.data(tmp_path)).status is Status.FAIL
    assert only(doctor.data(tmp_path / "none")).status is Status.FAIL
    assert only(doctor.data(None)).status is Status.OK


def test_a_full_disk_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "RESULTS", tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("", (), {"free": 1e9}))
    writable, disk = doctor.results()
    assert (writable.status, disk.status) == (Status.OK, Status.WARN)


def test_a_results_folder_that_cannot_be_written_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "RESULTS", tmp_path / "none")
    checks = {check.name: check for check in doctor.report(None)}
    assert checks["results"].status is Status.FAIL
    assert checks["git"]  # later checks are still done


def test_a_folder_without_git_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert only(doctor.git()).status is Status.WARN


def test_this_machine_gets_a_whole_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    checks = doctor.report(None)
    assert {"device", "hub", "data", "results", "disk", "MiniLM", "git"} <= {c.name for c in checks}
    assert all(check.remedy for check in checks if check.status is not Status.OK)


@pytest.mark.parametrize(("status", "exit_status"), [(Status.WARN, 0), (Status.FAIL, 1)])
def test_show_prints_all_and_returns_the_exit_status(status: Status, exit_status: int) -> None:
    console = Console(file=io.StringIO(), width=80)
    checks = [Check("a", Status.OK, "fine"), Check("b", status, "[x] is off", "mend [x]")]
    assert doctor.show(checks, console) == exit_status
    assert isinstance(console.file, io.StringIO)
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert lines == ["ok    a  fine", f"{status}  b  [x] is off", "-> mend [x]"]
