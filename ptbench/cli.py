"""The command `ptbench` and its subcommands; what is heavy is imported by what needs it."""

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ptbench import data_cli, records_cli
from ptbench.errors import PtbenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Prompt tuning methods and fine-tuning, compared on equal terms.",
)
app.add_typer(data_cli.app, name="data")
app.add_typer(records_cli.app)


class Format(StrEnum):
    """What `ptbench table` prints."""

    terminal = "terminal"
    md = "md"
    tex = "tex"
    csv = "csv"


Sweep = Annotated[str, typer.Argument(help="Name of a file in sweeps/, or of a folder of records.")]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """Train cells: `run method=ptuning_v2 task=sst2`, or a sweep: `run sweeps=first_table`.

    Everything after `run` is Hydra's: overrides, `-m` for a multirun, `--help` for all settings.
    """
    from ptbench.launch import launch

    launch(context.args)


@app.command()
def table(
    sweep: Sweep,
    form: Annotated[
        Format, typer.Option("--format", help="What to print; all but terminal are files, too.")
    ] = Format.terminal,
) -> None:
    """Print a sweep's table and write it to results/tables as Markdown, LaTeX and CSV."""
    from ptbench import records, sweeps, tables

    made = tables.table(records.load(sweep), sweeps.find(sweep))
    files = tables.write(made)
    if form is Format.terminal:
        tables.to_terminal(made, Console())
        _say(files)
    else:
        typer.echo(tables.render(made)[f"{sweep}.{form.value}"], nl=False)
    _warn([made.gap] if made.gap else [])


@app.command()
def compare(
    sweep: Sweep,
    first: Annotated[str, typer.Option(help="A method of the sweep.")],
    second: Annotated[str, typer.Option(help="The method that it is compared with.")],
    draws: Annotated[int, typer.Option(min=100, help="Of bootstrap and randomisation.")] = 1000,
) -> None:
    """Test two methods of a sweep on the predictions that their runs kept, pair by pair."""
    from ptbench import comparison, records, sweeps

    found = records.load(sweep), sweeps.find(sweep)
    with Console(stderr=True).status(f"{draws} draws for each test"):
        lines = comparison.compare(*found, first, second, draws)
    comparison.show(lines, first, second, Console())
    _warn(records.uncommitted(found[0]))


@app.command()
def plot(sweep: Sweep) -> None:
    """Draw a sweep's scores over parameters and its learning curves, as PNG and SVG."""
    from ptbench import plots, records, sweeps

    found = records.load(sweep)
    _say(plots.plot(found, sweeps.find(sweep)))
    _warn(records.uncommitted(found))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def search(sweep: Sweep, context: typer.Context) -> None:
    """Search a sweep's space (its `search` node) by Optuna, and write the best to conf/tuned.

    What follows the sweep is Hydra's, such as data.root=<folder>. A search cut off goes on.
    """
    from ptbench.search import search as searched

    _say(searched(sweep, context.args))


@app.command()
def report(sweep: Sweep) -> None:
    """Write a sweep's page: its table, plots and cells, to sort, filter and open offline."""
    from ptbench import records, report, sweeps

    _say([report.write(records.load(sweep), sweeps.find(sweep))])


@app.command()
def tune(
    sweep: Sweep,
    also: Annotated[
        list[str] | None, typer.Option(help="task=other: give a task what was found for another.")
    ] = None,
) -> None:
    """Write the best learning rates of a search to conf/tuned, where its cells find them."""
    from ptbench import tuning

    pairs = dict(pair.split("=", 1) for pair in also or [])
    _say(tuning.write(sweep, pairs))


@app.command()
def predict(
    prompts: Annotated[Path, typer.Option(help="A folder of saved prompts.")],
    texts: Annotated[
        Path,
        typer.Option("--input", help="JSON lines: a task's columns, and `prompt`, a file's name."),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where the rows go; else to the screen.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows a pass, of any prompts.")] = 32,
    backbone: Annotated[
        Path | None, typer.Option(help="The backbone's folder, where it was a local one.")
    ] = None,
) -> None:
    """Answer texts with saved prompts, those of many tasks in one pass over one backbone."""
    from ptbench.predict import predict_file

    predict_file(prompts, texts, output, batch_size, backbone)
    if output is not None:
        _say([output])


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A saved prompt (*.safetensors).")],
    folder: Annotated[Path, typer.Argument(help="Where the adapter goes.")],
    backbone: Annotated[
        Path | None, typer.Option(help="The backbone's folder, where it was a local one.")
    ] = None,
) -> None:
    """Write a saved prompt as an adapter folder that PEFT loads, where PEFT can hold it."""
    from ptbench import peft_export

    made = peft_export.export(checkpoint, folder, backbone)
    _say([folder])
    Console().print(made.note, highlight=False, soft_wrap=True)


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


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        Console(stderr=True).print(f"[bold yellow]warning:[/] {_escaped(line)}", soft_wrap=True)


def main() -> None:
    """Runs the command; a fault that the user can mend ends it with one message and status 1."""
    try:
        app()
    except PtbenchError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {_escaped(error)}", soft_wrap=True)
        sys.exit(1)


def _escaped(error: Exception | str) -> str:
    from rich.markup import escape

    return escape(str(error))
