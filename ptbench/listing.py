"""What there is to choose from, read off the YAML files alone, so that it is instant."""

import re
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.errors import ConfigError
from ptbench.paths import CONF, SWEEPS


def groups() -> dict[str, Path]:
    """Every config group and the sweeps, each with its folder."""
    folders = sorted(folder for folder in CONF.iterdir() if any(folder.glob("*.yaml")))
    return {folder.name: folder for folder in folders} | {"sweeps": SWEEPS}


def choices(group: str) -> dict[str, str]:
    """The names in a group ("method" or "methods"), each with its description."""
    known = groups()
    for name, folder in known.items():
        if name.removesuffix("s") == group.removesuffix("s"):
            return {file.stem: description(file) for file in sorted(folder.glob("*.yaml"))}
    raise ConfigError(f"no group '{group}'; there are: {', '.join(known)}")


def description(file: Path) -> str:
    """The first comment line at the head of a YAML file, without the command that may follow."""
    for line in file.read_text(encoding="utf-8").splitlines():
        said = line.removeprefix("#").strip()
        if said and not line.startswith("#"):
            break
        if said and not said.startswith("@package"):
            return re.split(r"\s{2,}", said)[0]
    return ""


def show(group: str | None, console: Console) -> None:
    """Print one group, or all of them under their names."""
    if group is not None:
        console.print(_table(choices(group)))
        return
    for name in groups():
        console.print(Text(name, style="bold"))
        console.print(_table(choices(name)))


def _table(found: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in found.items():
        table.add_row(Text(f"  {name}", style="cyan"), Text(said))
    return table
