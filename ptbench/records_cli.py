"""The subcommands that deal with records; what is heavy is imported by what needs it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(pretty_exceptions_enable=False)


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
