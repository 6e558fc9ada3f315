"""Every choice in conf/ and every cell of sweeps/ composes and builds; found by listing them."""

import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from omegaconf import OmegaConf

import methods
import ptbench
import tasks
from ptbench import listing, sweeps
from ptbench.build import build, deciding
from ptbench.kinds import Kind
from ptbench.method import Method
from ptbench.paths import CONF, ROOT, SWEEPS
from ptbench.task import Task
from tests.runs import built, composed

METHODS, TASKS, MODELS = (list(listing.choices(group)) for group in ("method", "task", "model"))
TUNED = sorted((CONF / "tuned").glob("*/*.yaml"))
FIRST = "task=pocket_sentiment", "model=tiny"


@pytest.mark.parametrize("package", [ptbench, methods, tasks], ids=lambda package: package.__name__)
def test_the_packages_are_ours(package: ModuleType) -> None:
    assert Path(package.__path__[0]) == ROOT / package.__name__


def test_there_is_something_to_cross() -> None:
    assert {"finetune", "prefix_tuning", "ptuning_v1_frozen", "ptuning_v2"} <= set(METHODS)
    assert {"pocket_sentiment", "pocket_ner"} <= set(TASKS)
    assert "tiny" in MODELS


@pytest.mark.parametrize("method", METHODS)
def test_every_method_builds(method: str) -> None:
    cell = built(*FIRST, f"method={method}")
    assert isinstance(cell.method, Method)
    assert cell.training.learning_rate > 0


@pytest.mark.parametrize("task", TASKS)
def test_every_task_builds_and_says_what_it_is(task: str) -> None:
    cell = built(f"task={task}", "model=tiny")
    assert isinstance(cell.task, Task)
    for part in cell.task.members.values() or [cell.task]:
        kind: Kind = part.asks
        assert len(set(kind.labels)) == len(kind.labels)
        assert "{" in kind.text
        assert kind.template.fields
        assert part.reported != part.selected


@pytest.mark.parametrize("model", MODELS)
def test_every_model_builds_and_knows_what_fixes_it(model: str) -> None:
    cell = built("task=pocket_sentiment", f"model={model}")
    assert re.match(r"sha256:[0-9a-f]{64}$|random$|[\w./-]+@\w+$", cell.model.identity())


@pytest.mark.parametrize("group", ["method", "task", "model"])
def test_a_choice_reads_no_other_so_that_all_cross(group: str) -> None:
    """What the three tests above show of single choices then holds of every cell."""
    for file in (CONF / group).glob("*.yaml"):
        config = yaml.safe_load(file.read_text())
        assert "defaults" not in config, file
        assert "${" not in file.read_text(), file
        keys = {"method", "train"} if group == "method" else set(config)
        assert set(config) <= keys, f"{file} changes what is not its own"


CROSS = list(product(METHODS, TASKS, MODELS))[::101]  # all of them would take a quarter hour


@pytest.mark.parametrize("cell", CROSS, ids="-".join)
def test_cells_across_the_grid_build(cell: tuple[str, str, str]) -> None:
    method, task, model = cell
    config = composed(f"method={method}", f"task={task}", f"model={model}")
    assert config.cell == {"task": task, "model": model, "method": method, "seed": 0}
    assert isinstance(build(config.method, "method", Method), Method)
    assert isinstance(build(config.task, "task", Task), Task)


@pytest.mark.parametrize("file", TUNED, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_tuned_file_names_a_real_cell_and_its_source(file: Path) -> None:
    model, _, method = file.stem.partition("-")
    assert file.parent.name in TASKS
    assert model in MODELS
    assert method in METHODS
    overrides = (f"task={file.parent.name}", f"model={model}", f"method={method}")
    built(*overrides)
    config = composed(*overrides)
    assert OmegaConf.merge(config, OmegaConf.load(file)) == config, "its values did not arrive"
    assert re.search(r"(?i)source|sweep|paper|table", listing.description(file))


SWEPT = sorted(SWEEPS.glob("*.yaml"))


@pytest.mark.parametrize("file", SWEPT, ids=lambda file: file.stem)
def test_every_sweep_names_its_axes_and_itself(file: Path) -> None:
    sweep = sweeps.read(file.stem)  # refuses a sweep without one of the four axes
    assert set(sweep.axes["task"]) <= set(TASKS)
    assert set(sweep.axes["model"]) <= set(MODELS)
    assert set(sweep.axes["method"]) <= set(METHODS)
    config = composed(f"sweeps={file.stem}", *_overrides(sweep, next(_cells(sweep))))
    assert config.sweep == file.stem, "its records would go to another sweep's folder"


@pytest.mark.parametrize("file", SWEPT, ids=lambda file: file.stem)
def test_every_value_of_every_sweep_builds(file: Path) -> None:
    """Of a large sweep each value once, and not each cell."""
    sweep = sweeps.read(file.stem)
    cells = list(_cells(sweep))
    cells = cells if len(cells) <= MANY else list(_star(sweep))
    found = [built(f"sweeps={sweep.name}", *_overrides(sweep, cell)) for cell in cells]
    assert len(set(map(repr, found))) == len(found), "two cells are one"


@pytest.mark.parametrize("file", SWEPT, ids=lambda file: file.stem)
def test_every_sweep_says_in_one_line_what_it_is_and_which_table_it_redoes(file: Path) -> None:
    sweep = sweeps.read(file.stem)
    assert sweep.description
    paper = composed(f"sweeps={sweep.name}", *_overrides(sweep, next(_cells(sweep)))).paper
    assert paper is None or re.fullmatch(r"[a-z]\w+/(table|figure)?\w+(@\w+)?", paper)
    searched = "search" in OmegaConf.load(file)  # a space of settings, no table
    if sweep.name.startswith(("ptv1_", "ptv2_", "prefix_", "chatglm_")):
        assert (paper is None) == searched


def test_every_sweep_of_a_paper_has_a_twin_that_names_the_same_table() -> None:
    tables = {name: OmegaConf.load(SWEEPS / f"{name}.yaml").get("paper") for name in sweeps.names()}
    big = [name for name in tables if tables[name] and not name.endswith("_cpu")]
    assert big
    for name in big:
        if name != "prefix_infix":  # on a CPU the other half of prefix_ablations will do
            assert f"{name}_cpu" in tables
            twin = tables[f"{name}_cpu"]  # inherited, or on a backbone of the paper
            assert twin is None or twin.partition("@")[0] == tables[name].partition("@")[0]


MANY = 24


def _cells(sweep: sweeps.Sweep) -> Iterator[tuple[str, ...]]:
    """All cells but for the seeds, which change nothing of how a cell builds."""
    return product(*(values for axis, values in sweep.axes.items() if axis != "seed"))


def _star(sweep: sweeps.Sweep) -> Iterator[tuple[str, ...]]:
    """The first cell, and those that differ from it in one axis; the last cell too."""
    axes = [values for axis, values in sweep.axes.items() if axis != "seed"]
    yield (first := tuple(values[0] for values in axes))
    for place, values in enumerate(axes):
        yield from ((*first[:place], value, *first[place + 1 :]) for value in values[1:])
    yield tuple(values[-1] for values in axes)


def _overrides(sweep: sweeps.Sweep, cell: tuple[str, ...]) -> list[str]:
    axes = [axis for axis in sweep.axes if axis != "seed"]
    return [f"{axis}={value}" for axis, value in zip(axes, cell, strict=True)]


@pytest.mark.parametrize("package", [methods, tasks], ids=lambda package: package.__name__)
def test_every_module_of_methods_and_tasks_has_its_config(package: ModuleType) -> None:
    targets = "".join(file.read_text() for file in CONF.glob("*/*.yaml"))
    for module in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{module.name}"
        assert module.ispkg or f"_target_: {name}." in targets, f"{name} is in no file of conf/"


@dataclass(frozen=True)
class Grown:
    """A part to which a setting was added later."""

    old: int
    new: int = 7


def test_a_setting_added_later_leaves_the_identity_of_old_records() -> None:
    node = OmegaConf.create({"_target_": f"{__name__}.Grown", "old": 1})
    part = build(node, "part", Grown)
    assert part == Grown(1, 7)
    before = {"_target_": "x", "old": 1}
    assert deciding({**before, "new": 7}, part) == deciding(before, part) == before
    assert deciding({**before, "new": 8}, part) == {**before, "new": 8}
