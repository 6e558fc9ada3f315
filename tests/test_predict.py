"""`ptbench predict` from a file to a file, and README's example of it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from ptbench import cli, predict
from ptbench.checkpoints import CheckpointError
from ptbench.errors import DataError, PtbenchError
from ptbench.paths import ROOT
from ptbench.run import main
from ptbench.serve import Served
from tests.runs import composed, redirected, write_rows
from tests.saved import PROMPTS, ROWS, put, served

KINDS = ("sentiment/v2", "entities/prefix")
SOME = [row for row in ROWS if row["prompt"] in KINDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One saved prompt of each kind."""
    made = tmp_path_factory.mktemp("prompts")
    for name in KINDS:
        put(made / f"{name}.safetensors", *PROMPTS[name])
    return made


def command(*arguments: str | Path) -> str:
    """Runs `ptbench predict`; what it prints. Raises what it raises."""
    torch.manual_seed(0)
    result = CliRunner().invoke(cli.app, ["predict", *map(str, arguments)])
    if isinstance(result.exception, PtbenchError):
        raise result.exception
    return result.output


def test_the_rows_come_back_in_order_with_their_predictions(folder: Path, tmp_path: Path) -> None:
    texts, output = tmp_path / "texts.jsonl", tmp_path / "answers.jsonl"
    write_rows(texts, [{**row, "note": "Zoë"} for row in SOME])
    said = command("--prompts", folder, "--input", texts, "--output", output, "--batch-size", "4")
    assert said.startswith("wrote ")
    expected = served(folder).predict(SOME)
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert found == [
        {**row, "note": "Zoë", "prediction": answer}
        for row, answer in zip(SOME, expected, strict=True)
    ]
    assert found[0]["prediction"] in ("negative", "positive")
    assert len(found[1]["prediction"]) == len(SOME[1]["tokens"])
    assert command("--prompts", folder, "--input", texts) == output.read_text(encoding="utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["answers.jsonl", "texts.jsonl"]


FILES = {
    "": "texts.jsonl has no rows; give it one JSON object a line",
    '{"prompt": "v2", "sentence": "a"}\n{"prompt"\n': "texts.jsonl, line 2: not JSON",
    '["v2"]\n': "texts.jsonl, line 1: a row must be an object",
    '{"prompt": "v2", "sentence": "a"}\n{"sentence": "a"}\n': "texts.jsonl, row 2: column 'prompt'",
    "\udcff": "texts.jsonl, line 1: not JSON ('utf-8' codec can't decode byte 0xff",
}


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_a_wrong_file_of_texts_is_named_with_its_line(
    text: str, folder: Path, tmp_path: Path
) -> None:
    texts, output = tmp_path / "texts.jsonl", tmp_path / "answers.jsonl"
    texts.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=re.escape(FILES[text])):
        command("--prompts", folder, "--input", texts, "--output", output)
    assert list(tmp_path.iterdir()) == [texts]


def test_a_missing_file_or_folder_is_named(folder: Path, tmp_path: Path) -> None:
    texts, absent = tmp_path / "texts.jsonl", tmp_path / "absent"
    write_rows(texts, SOME)
    with pytest.raises(DataError, match=r"absent cannot be read: .*No such file"):
        command("--prompts", folder, "--input", absent)
    with pytest.raises(CheckpointError, match=r"absent holds no saved prompt"):
        command("--prompts", absent, "--input", texts)


def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts.jsonl"
    write_rows(texts, SOME)
    monkeypatch.setattr(Served, "load", None)
    for output in (tmp_path / "no" / "answers.jsonl", texts / "answers.jsonl", tmp_path):
        with pytest.raises(DataError, match=f"{output} cannot be written; give --output a file"):
            command("--prompts", folder, "--input", texts, "--output", output)


def test_a_disk_that_fills_leaves_the_old_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_text("old\n")

    def replace(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(DataError, match=r"could not be written: No space left on device"):
        predict._write(output, "new\n")
    assert output.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [output]


def test_readme_s_example_runs_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Use what was trained")[1]
    commands, texts, python = re.findall(r"```\w*\n(.*?)```", section.split("\n## ")[0], re.S)
    monkeypatch.chdir(tmp_path)
    Path("texts.jsonl").write_text(texts)
    few = ("model=tiny", "task.train=8", "task.validation=4", "task.test=4", "train.epochs=1")
    for line in commands.splitlines():
        program, name, *arguments = line.split()
        if (program, name) == ("ptbench", "run"):
            assert arguments.pop(0) == "-m"
            (tasks,) = (a for a in arguments if a.startswith("task="))
            for task in tasks.removeprefix("task=").split(","):
                with redirected(tmp_path / "results"):
                    main(composed(*(a for a in arguments if a != tasks), f"task={task}", *few))
        elif (program, name) == ("ptbench", "predict"):
            command(*arguments)
        else:
            subprocess.run(line, shell=True, check=True)
    answers = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert [type(answer["prediction"]) for answer in answers] == [str, list]
    scope: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(python, scope)
    assert scope["answers"] == [answers[0]["prediction"]]
