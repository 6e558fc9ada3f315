"""The subcommands that deal with records; what is heavy is imported by what needs it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

Sweep = Annotated[str, typer.Argument(help="Name of a file in sweeps/, or of a folder of records.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="As after `ptbench run`, such as task=trec seed=0.")
]
app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def plan(sweep: Sweep, overrides: Overrides = None) -> None:
    """List what of a sweep is done, failed or missing, and what the rest will take.

    Cells are told by the sweep's axes; estimates are medians over finished cells that are alike.
    """
    from ptbench import plan_view, planning

    shown, cells = planning.of(sweep, overrides or [])
    Console().print(plan_view.view(shown, cells))


@app.command()
def status(
    sweep: Sweep,
    overrides: Overrides = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
) -> None:
    """Watch a sweep that runs: cells by state, time left, last scores, failures; Ctrl-C ends it."""
    from ptbench import status as watching

    try:
        watching.show(sweep, overrides or [], Console(), once)
    except KeyboardInterrupt:
        return


@app.command()
def rerun(
    sweep: Sweep,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="An axis chooses cells (task=trec); the rest is Hydra's (data.root=...)."
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The cells that failed.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="All that have a record.")] = False,
) -> None:
    """Run cells of a sweep again with the overrides that their records tell.

    Exit 1 where one fails again.
    """
    from ptbench import rerun as again

    lines = again.lines(sweep, overrides or [], failed, all_)
    for line in lines:
        _say(f"ptbench run {shlex.join(line)}")
    raise typer.Exit(bool(again.run(lines)))


@app.command()
def merge(
    folders: Annotated[
        list[Path], typer.Argument(help="Other checkouts, or copies of their results.")
    ],
    dry_run: Annotated[
        bool, typer.Option(help="Say what would come in, and copy nothing.")
    ] = False,
) -> None:
    """Bring in the records of other machines; exit 1 where two contradict each other.

    A finished record replaces a failed one, and predictions come with their record.
    """
    from ptbench import merge as merging

    merged = merging.merge(folders, dry_run)
    for name in merged.taken:
        _say(f"{'would take' if dry_run else 'took'} {name}")
    for reason in merged.refused:
        _say(f"refused: {reason}")
    for note in merged.notes:
        _say(f"note: {note}")
    taken, refused = len(merged.taken), len(merged.refused)
    _say(f"taken {taken}, the same {merged.same}, ours kept {merged.kept}, refused {refused}")
    raise typer.Exit(bool(merged.refused))


@app.command()
def check() -> None:
    """Compare all tables in results/tables with what the records give; exit 1 at a difference."""
    from ptbench import check as checking

    report = checking.check()
    for note in report.notes:
        _say(f"note: {note}")
    for fault in report.faults:
        _say(f"fault: {fault}")
    left_out = f"; no sweep's table: {', '.join(report.left_out)}" if report.left_out else ""
    sound = f"{len(report.tables)} tables as their {report.records} records have them"
    _say(f"{sound}{left_out}; faults: {len(report.faults)}")
    raise typer.Exit(bool(report.faults))


def _say(line: str) -> None:
    Console().print(line, markup=False, highlight=False, soft_wrap=True)
