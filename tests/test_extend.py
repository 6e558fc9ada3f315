"""A method and a task of one's own: one Python file and one YAML each, and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ptbench import records
from ptbench.paths import ROOT
from tests.runs import write_rows

GUIDE = ROOT / "CONTRIBUTING.md"
RUN = "import sys; from ptbench.cli import main; sys.argv[0] = 'ptbench'; main()"
PARTS = ("ptbench", "methods", "tasks", "conf", "sweeps")


def written(checkout: Path) -> list[str]:
    """The files that CONTRIBUTING.md shows whole, put where it says."""
    pattern = r"^\d\. `([\w/]+\.(?:py|yaml))`:.*?```\w+\n(.*?)```"
    found = re.findall(pattern, GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for name, text in found:
        lines = text.rstrip(" ").splitlines()
        (checkout / name).write_text("".join(f"{line.removeprefix('   ')}\n" for line in lines))
    return [name for name, _ in found]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    return folder


def ptbench(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=checkout,
        env={"PYTHONPATH": str(checkout), "PATH": "", "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_guide_s_method_and_task_run_as_they_stand(checkout: Path) -> None:
    assert written(checkout) == [
        "methods/prompt_mlp.py",
        "conf/method/prompt_mlp.yaml",
        "tasks/imdb.py",
        "conf/task/imdb.yaml",
    ]
    assert "prompt_mlp" in ptbench(checkout, "list", "method").stdout
    assert "imdb" in ptbench(checkout, "list", "task").stdout

    rows = [{"text": f"film {n}", "label": n % 2} for n in range(16)]
    for split in ("train", "test"):
        write_rows(checkout / "data" / "imdb" / f"{split}.jsonl", rows)
    checked = ptbench(checkout, "data", "check", "imdb", "--root", "data").stdout
    assert "fail imdb train: 16 rows, officially 25,000" in checked
    shown = ptbench(checkout, "data", "show", "imdb", "--root", "data").stdout
    assert "[CLS] film 1 [SEP]" in shown and "answer: pos" in shown

    cell = ("method=prompt_mlp", "task=imdb", "model=tiny", "train.epochs=1", "data.root=data")
    done = ptbench(checkout, "run", *cell)
    assert done.returncode == 0, done.stderr
    (record,) = records.load("adhoc", checkout / "results" / "records")
    assert record["status"] == "done"
    assert record["adaptation"]["title"] == "prompt tuning, MLP"
    assert set(record["scores"]) == {"test"}
