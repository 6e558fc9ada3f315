import json
import logging
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from ptbench.build import build
from ptbench.paths import CONF, ROOT
from ptbench.tracking import Mode, NoTracking, RunInfo, Tracking, Wandb

wandb = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No login of the developer's is used, and the service process ends with the test."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    yield
    wandb.teardown()


def info(hash: str, **config: Any) -> RunInfo:
    return RunInfo(hash, f"cell {hash}", "smoke", ("ptuning_v2", "toy"), config)


def tracking(folder: Path, mode: Mode = Mode.offline) -> Wandb:
    return Wandb(project="ptbench", entity=None, mode=mode, folder=folder, timeout=20.0)


def records(file: Path) -> Iterator[Any]:
    """The records in a .wandb file, a LevelDB log: blocks of 32 KiB, pieces with a 7-byte head."""
    from wandb.proto import wandb_internal_pb2 as messages

    data, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        _, length, piece = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
        if piece in (1, 4):  # a whole record, or the last piece of one
            yield getattr(messages, "Record").FromString(whole)  # noqa: B009  # made at run time
            whole = b""


def written(folder: Path, hash: str) -> dict[str, Any]:
    """What the offline run with this id holds: its names, curves, summary and exit code."""
    wandb.teardown()  # the service may still be writing after finish; this waits for it
    (file,) = folder.glob(f"wandb/offline-run-*-{hash}/run-{hash}.wandb")
    found: dict[str, Any] = {"curve": [], "summary": {}}
    for record in records(file):
        match record.WhichOneof("record_type"):
            case "run":
                found["run"] = record.run
            case "history":
                found["curve"].append(read(record.history.item))
            case "summary":
                found["summary"] |= read(record.summary.update)
            case "exit":
                found["exit"] = record.exit.exit_code
    return found


def read(items: Any) -> dict[str, Any]:
    named = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
    return {key: value for key, value in named.items() if key == "_step" or key[0] != "_"}


def test_no_tracking_takes_everything() -> None:
    with NoTracking().start(info("a")) as log:
        log.log(0, loss=1.0)
        log.summary(score=0.5)


def test_each_cell_has_its_own_run(tmp_path: Path) -> None:
    for hash, loss in (("aaaa", 1.0), ("bbbb", 2.0)):
        with tracking(tmp_path).start(info(hash, train={"seed": 7})) as log:
            log.log(0, loss=loss)
            log.log(5, loss=loss / 2, **{"validation/accuracy": loss / 10})
            log.summary(best=loss * 10)
    for hash, loss in (("aaaa", 1.0), ("bbbb", 2.0)):
        found = written(tmp_path, hash)
        run = found["run"]
        assert (run.run_id, run.run_group, run.project) == (hash, "smoke", "ptbench")
        assert run.display_name == f"cell {hash}"
        assert list(run.tags) == ["ptuning_v2", "toy"]
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert config["train"] == {"seed": 7}
        assert found["curve"] == [
            {"_step": 0, "loss": loss},
            {"_step": 5, "loss": loss / 2, "validation/accuracy": loss / 10},
        ]
        assert found["summary"]["best"] == loss * 10
        assert found["exit"] == 0


def test_cells_that_are_open_at_once_do_not_mix(tmp_path: Path) -> None:
    wandb_here = tracking(tmp_path)
    with wandb_here.start(info("aaaa")) as first, wandb_here.start(info("bbbb")) as second:
        for step in range(3):
            first.log(step, loss=1.0)
            second.log(step, loss=2.0)
    for hash, loss in (("aaaa", 1.0), ("bbbb", 2.0)):
        assert [point["loss"] for point in written(tmp_path, hash)["curve"]] == [loss] * 3


def test_an_exception_of_the_body_is_raised_and_marks_the_run(tmp_path: Path) -> None:
    ours = ValueError("the model diverged")
    with pytest.raises(ValueError) as caught, tracking(tmp_path).start(info("aaaa")) as log:
        log.log(0, loss=1.0)
        raise ours
    assert caught.value is ours
    assert written(tmp_path, "aaaa")["exit"] == 1


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with tracking(tmp_path).start(info("aaaa")) as log:
        log.log(0, loss=1.0)
    assert capfd.readouterr() == ("", "")


def test_a_failing_start_only_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise wandb.errors.CommError("no such host")

    monkeypatch.setattr(wandb, "init", fail)
    with tracking(tmp_path).start(info("aaaa")) as log:
        log.log(0, loss=1.0)
        log.summary(best=1.0)
    (warning,) = warnings_of(caplog)
    assert "no such host" in warning
    assert "tracking=none" in warning and "tracking.mode=offline" in warning


def test_wandb_that_is_not_installed_only_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with tracking(tmp_path).start(info("aaaa")) as log:
        log.log(0, loss=1.0)
    (warning,) = warnings_of(caplog)
    assert "ModuleNotFoundError" in warning


def test_no_login_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with tracking(tmp_path, Mode.online).start(info("aaaa")) as log:
        log.log(0, loss=1.0)
    (warning,) = warnings_of(caplog)
    assert "wandb login" in warning


def test_a_failing_log_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise BrokenPipeError("the service is gone")

    with tracking(tmp_path).start(info("aaaa")) as log:
        log.log(0, loss=1.0)
        monkeypatch.setattr(wandb.Run, "log", fail)
        log.log(1, loss=1.0)
        log.log(2, loss=1.0)
        log.summary(best=1.0)
    (warning,) = warnings_of(caplog)
    assert "could not log" in warning
    found = written(tmp_path, "aaaa")
    assert (found["curve"], found["exit"]) == ([{"_step": 0, "loss": 1.0}], 0)


def test_wandb_is_imported_late() -> None:
    code = "import sys, ptbench.tracking; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", ["none", "wandb"])
def test_every_choice_builds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)
    node = OmegaConf.load(CONF / "tracking" / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    built = build(node, "tracking", Tracking)
    assert name == "none" or (isinstance(built, Wandb) and built.mode is Mode.online)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = (r for r in caplog.records if r.name == "ptbench.tracking")  # wandb has its own log
    return [r.getMessage() for r in ours if r.levelno >= logging.WARNING]
