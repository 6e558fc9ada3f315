import io
from pathlib import Path

import pytest
from rich.console import Console

from ptbench import listing
from ptbench.errors import ConfigError
from ptbench.paths import CONF, SWEEPS

FILES = {
    "conf/config.yaml": "# Not a choice of any group.\n",
    "conf/method/ptuning_v2.yaml": "# Prefixes in every layer.\n# More of it.\n_target_: a.B\n",
    "conf/method/finetune.yaml": "_target_: a.B\n# Too late to describe the file.\n",
    "conf/model/tiny.yaml": "# @package _global_\n\n# Random [weights].  ptbench run model=tiny\n",
    "conf/tuned/boolq/tiny-finetune.yaml": "# Not a choice either.\n",
    "sweeps/smoke.yaml": "# @package _global_\n# One cell of each.   ptbench run sweeps=smoke\n",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(listing, "CONF", tmp_path / "conf")
    monkeypatch.setattr(listing, "SWEEPS", tmp_path / "sweeps")
    return tmp_path


def shown(group: str | None) -> str:
    console = Console(file=io.StringIO(), width=80)
    listing.show(group, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.usefixtures("checkout")
def test_choices_are_the_files_of_the_group() -> None:
    assert listing.choices("method") == {"finetune": "", "ptuning_v2": "Prefixes in every layer."}
    assert listing.choices("model") == {"tiny": "Random [weights]."}
    assert listing.choices("sweeps") == {"smoke": "One cell of each."}


@pytest.mark.usefixtures("checkout")
def test_singular_and_plural_are_one_group() -> None:
    assert listing.choices("methods") == listing.choices("method")
    assert listing.choices("sweep") == listing.choices("sweeps")


@pytest.mark.usefixtures("checkout")
def test_an_unknown_group_names_the_real_ones() -> None:
    with pytest.raises(ConfigError, match=r"'optimizer'; there are: method, model, sweeps$"):
        listing.choices("optimizer")


@pytest.mark.usefixtures("checkout")
def test_show_prints_a_line_per_choice() -> None:
    assert [line.rstrip() for line in shown("model").splitlines()] == ["  tiny  Random [weights]."]
    every = [line.split()[0] for line in shown(None).splitlines()]
    assert every == ["method", "finetune", "ptuning_v2", "model", "tiny", "sweeps", "smoke"]


REAL = sorted([*CONF.glob("*/*.yaml"), *SWEEPS.glob("*.yaml")])


@pytest.mark.parametrize("file", REAL, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_file_describes_itself(file: Path) -> None:
    said = listing.description(file)
    assert said, f"begin {file.name} with a comment: one sentence that says what it is"
