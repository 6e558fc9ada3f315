"""The command `ptbench` and its subcommands; what is heavy is imported by what needs it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ptbench.errors import PtbenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Prompt tuning methods and fine-tuning, compared on equal terms.",
)
Sweep = Annotated[str, typer.Argument(help="Name of a file in sweeps/, or of a folder of records.")]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """Train cells: `run method=ptuning_v2 task=sst2`, or a sweep: `run sweeps=first_table`.

    Everything after `run` is Hydra's: overrides, `-m` for a multirun, `--help` for all settings.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # faults reach us whole; we say them in one line
    sys.argv = ["ptbench run", *context.args]
    from ptbench.run import main as hydra_main

    try:
        hydra_main()
    except (HydraException, OmegaConfBaseException) as error:
        raise PtbenchError(_plain(error)) from error


@app.command()
def table(sweep: Sweep) -> None:
    """Print a sweep's table and write it to results/tables as Markdown and CSV."""
    from ptbench import records, sweeps, tables

    made = tables.table(records.load(sweep), sweeps.find(sweep))
    tables.to_terminal(made, Console())
    _say(tables.write(made))


@app.command()
def plot(sweep: Sweep) -> None:
    """Draw a sweep's scores over parameters and its learning curves, as PNG and SVG."""
    from ptbench import plots, records, sweeps

    _say(plots.plot(records.load(sweep), sweeps.find(sweep)))


@app.command("list")
def list_(group: Annotated[str | None, typer.Argument()] = None) -> None:
    """Name all methods, tasks, models, sweeps and other choices, with one line each."""
    from ptbench import listing

    listing.show(group, Console())


@app.command()
def doctor(
    data_root: Annotated[Path | None, typer.Option(help="A folder of local data.")] = None,
) -> None:
    """Check versions, device, hub, data and disk."""
    from ptbench import doctor as checks

    raise typer.Exit(checks.show(checks.report(data_root), Console()))


def _say(files: list[Path]) -> None:
    for file in files:
        Console().print(f"wrote {os.path.relpath(file)}", highlight=False, soft_wrap=True)


def _plain(error: BaseException) -> str:
    """The message of an error and of what caused it, without frames."""
    parts = [str(error)]
    while (cause := error.__cause__ or error.__context__) is not None:
        if str(cause) not in " ".join(parts):
            parts.append(str(cause))
        error = cause
    return "\n".join(parts)


def main() -> None:
    """Runs the command; a fault that the user can mend ends it with one message and status 1."""
    try:
        app()
    except PtbenchError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {_escaped(error)}", soft_wrap=True)
        sys.exit(1)


def _escaped(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))
