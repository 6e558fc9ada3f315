"""What a sweep file holds, and which records belong to it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ptbench.errors import SweepError
from ptbench.listing import description
from ptbench.paths import RECORDS, SWEEPS
from ptbench.rivals import Stored, best_trials, refuse_rivals

CELL = ("task", "model", "method", "seed")


class Cell(NamedTuple):
    """One run of a sweep."""

    task: str
    model: str
    method: str
    seed: int


class Place(NamedTuple):
    """Where the seeds of a cell meet in a table: a task, and a row down to its settings."""

    task: str
    model: str
    method: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """A cross of named axes, each with its values in order."""

    name: str
    description: str
    axes: dict[str, tuple[str, ...]]
    paper: str | None = None  # the table beside it, `<paper>/<table>`; no heir has its sweep's
    mean: str | None = None  # the axis over which its tables and plots average, a macro mean
    trials: int = 0  # of a search: how many records each of its cells gets

    @property
    def settings(self) -> tuple[str, ...]:
        """Config keys beyond task, model, method and seed that the sweep varies."""
        return tuple(key for key, values in self.axes.items() if key not in CELL and values[1:])


def names(folder: Path = SWEEPS) -> list[str]:
    """All sweeps there are, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read(name: str, folder: Path = SWEEPS) -> Sweep:
    """The sweep of that name; SweepError if there is none or it lacks one of the four axes."""
    known = names(folder)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SweepError(f"no sweep {name!r}.{hint} There are: {', '.join(known) or 'none'}.")
    axes = {key: values_of(key, text) for key, text in _params(name, folder).items()}
    if missing := [axis for axis in CELL if axis not in axes]:
        raise SweepError(f"sweeps/{name}.yaml: add {', '.join(missing)} to hydra.sweeper.params")
    file = folder / f"{name}.yaml"
    own = OmegaConf.load(file)
    paper = OmegaConf.select(own, "paper")
    if (mean := _mean(name, folder)) not in {None, *axes} - {*CELL}:
        raise SweepError(f"sweeps/{name}.yaml: mean={mean} is no setting in hydra.sweeper.params")
    return Sweep(name, description(file).rstrip("."), axes, paper, mean, _trials(name, own))


def find(name: str, folder: Path = SWEEPS) -> Sweep | None:
    """The sweep file of that name, or None where only a folder of records has it.

    Raises SweepError where there is neither.
    """
    return None if name not in names(folder) and (RECORDS / name).is_dir() else read(name, folder)


def cells(sweep: Sweep) -> list[Cell]:
    """Every task x model x method x seed of a sweep, once, in the file's order."""
    axes = product(*(sweep.axes[axis] for axis in CELL))
    return [Cell(task, model, method, int(seed)) for task, model, method, seed in axes]


def observed(records: Sequence[Stored]) -> Sweep:
    """The sweep that the records themselves span, for runs that no sweep file describes."""
    axes = {axis: tuple(sorted({str(r["cell"][axis]) for r in records})) for axis in CELL}
    axes["start"] = tuple(sorted({canonical(r["config"].get("start")) for r in records}))
    name = records[0]["config"].get("sweep", "adhoc") if records else "adhoc"
    return Sweep(name, "", axes)


def gather(records: Sequence[Stored], sweep: Sweep) -> dict[Place, list[Stored]]:
    """As `places`. Raises SweepError where no record fits the sweep, too."""
    found = places(records, sweep)
    if not any(found.values()):
        raise no_records(sweep.name)
    return found


def places(records: Sequence[Stored], sweep: Sweep) -> dict[Place, list[Stored]]:
    """The sweep's records by place, in its order and empty where there are none.

    Of a search, each seed's best trial and those that did not finish. Raises SweepError where a
    seed has finished with two hashes otherwise.
    """
    found = sorted_in(records, sweep)
    if sweep.trials:
        return {place: best_trials(group) for place, group in found.items()}
    for group in found.values():
        refuse_rivals(group, sweep.name)
    return found


def sorted_in(records: Sequence[Stored], sweep: Sweep) -> dict[Place, list[Stored]]:
    """As `places`, with all trials of a search, and nothing refused."""
    tasks, models, methods = (sweep.axes[axis] for axis in ("task", "model", "method"))
    settings = product(*([canonical(v) for v in sweep.axes[key]] for key in sweep.settings))
    found: dict[Place, list[Stored]] = {
        Place(*row): [] for row in product(tasks, models, methods, list(settings))
    }
    for record in records:
        place = place_of(record, sweep)
        if place in found and str(record["cell"]["seed"]) in sweep.axes["seed"]:
            found[place].append(record)
    return found


def no_records(name: str) -> SweepError:
    """What to say where a sweep has none."""
    return SweepError(
        f"no records of {name}: `ptbench run sweeps={name}` makes them, `ptbench merge <folder>` "
        "brings in those of another checkout"
    )


def score(record: Stored, part: str = "scores") -> float:
    """A finished record's main score on the reported split, or that of its floor."""
    (split,) = record["scores"]
    return record[part][split][record["selection"]["metric"]]


def titles(records: Sequence[Stored], sweep: Sweep) -> dict[str, str]:
    """What to print for each method of the sweep: its title, or its name while no run has one."""
    known = {r["cell"]["method"]: r["adaptation"]["title"] for r in records if r.get("adaptation")}
    return {method: known.get(method, method) for method in sweep.axes["method"]}


def setting_text(sweep: Sweep, place: Place) -> str:
    """The place's values on the extra axes, such as 'learning rate 0.01', without those not set."""
    keys = (key.rpartition(".")[2].replace("_", " ") for key in sweep.settings)
    pairs = zip(keys, place.settings, strict=True)
    return ", ".join(f"{key} {value}" for key, value in pairs if value != "null")


def place_of(record: Stored, sweep: Sweep) -> Place:
    """Where a record belongs, whether or not the sweep's axes have that place."""
    cell = record["cell"]
    settings = tuple(setting(record, key) for key in sweep.settings)
    return Place(cell["task"], cell["model"], cell["method"], settings)


def setting(record: Stored, dotted: str) -> str:
    """A record's value of a config key, spelt as `canonical` spells it."""
    value: Any = record["config"]
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    # a group is one of its files
    return canonical(value.get("name") if isinstance(value, Mapping) else value)


def canonical(value: object) -> str:
    """One spelling for each value, as a sweep says 1e-3 where a record says 0.001."""
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    text = "null" if value is None else str(value)
    text = text.lower() if text in ("True", "False") else text
    text = text.replace(" ", "") if text.startswith("[") else text
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def values_of(key: str, text: object) -> tuple[str, ...]:
    """The values of an axis, split as Hydra itself splits them (ranges and quotes too)."""
    override = OverridesParser.create().parse_override(f"{key}={text}")
    if override.is_sweep_override():
        return tuple(dict.fromkeys(override.sweep_string_iterator()))
    return (override.get_value_element_as_str(),)


def _params(name: str, folder: Path) -> dict[str, Any]:
    """The sweeper's axes, those of the sweeps that it starts from included."""
    params: dict[str, Any] = {}
    for config in _lineage(name, folder):
        params |= dict(OmegaConf.select(config, "hydra.sweeper.params") or {})
    return params


def _trials(name: str, own: Any) -> int:
    if (search := OmegaConf.select(own, "search")) is None:
        return 0
    trials = OmegaConf.select(search, "trials")
    if type(trials) is not int or trials < 1:
        raise SweepError(f"sweeps/{name}.yaml: search.trials={trials} is no whole number from 1")
    return trials


def _mean(name: str, folder: Path) -> str | None:
    said = [OmegaConf.select(config, "mean") for config in _lineage(name, folder)]
    return next((mean for mean in reversed(said) if mean), None)


def _lineage(name: str, folder: Path) -> list[Any]:
    """The sweep's file behind those that it starts from."""
    config = OmegaConf.load(folder / f"{name}.yaml")
    defaults = OmegaConf.select(config, "defaults") or []
    parents = [entry for entry in defaults if isinstance(entry, str) and entry in names(folder)]
    return [*(one for entry in parents for one in _lineage(entry, folder)), config]
