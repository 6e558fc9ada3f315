"""The subcommands of `ptbench data`; what is heavy is imported by what needs it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ptbench.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True, help="Check, show and convert data sets.", pretty_exceptions_enable=False
)
Root = Annotated[
    Path | None, typer.Option(help="A folder of local data, as data.root; without it the hub.")
]
Changes = Annotated[
    list[str] | None, typer.Argument(help="The task's settings, such as task.relation=P138.")
]
Model = Annotated[str, typer.Option(help="Whose pieces and positions are counted.")]


@app.command()
def check(
    task: Annotated[str, typer.Argument(help="A task, or `all` that are there.")],
    changes: Changes = None,
    root: Root = None,
    model: Model = "minilm",
) -> None:
    """Compare columns, labels and row counts with what the task declares; exit 1 for a fault.

    Also told: repeated texts, texts that two splits share, label shares, lengths in pieces.
    """
    from ptbench import data_check, data_report, listing, models
    from ptbench.build import chosen
    from ptbench.task import Task

    names = list(listing.choices("task")) if task == "all" else [task]
    named = {name: chosen("task", name, Task, changes or []) for name in names}
    tasks: dict[str, Task] = {}
    for name, one in named.items():
        tasks |= one.members or {name: one}
    outline = chosen("model", model, models.Model).outline()
    report = data_check.check(tasks, root, outline, strict=task != "all")
    raise typer.Exit(data_report.show(report, root, Console()))


@app.command()
def show(
    task: Annotated[str, typer.Argument(help="A task.")],
    changes: Changes = None,
    root: Root = None,
    model: Model = "minilm",
    split: Annotated[str, typer.Option(help="Whose examples.")] = "train",
    pattern: Annotated[
        int, typer.Option(min=0, help="Read as P-tuning v1 does, so many pseudo tokens a [P].")
    ] = 0,
) -> None:
    """Print three examples as a model reads them, with labels under their pieces."""
    from ptbench import data_show, models
    from ptbench.build import chosen
    from ptbench.task import Task

    asked = chosen("task", task, Task, changes or [])
    if asked.members:
        raise ConfigError(f"{task} is made of {', '.join(asked.members)}; show one of them")
    outline = chosen("model", model, models.Model).outline()
    kind = asked.asks.fitted(outline)
    kind = kind.patterned(pattern) if pattern else kind
    data_show.show(asked, outline, root, split, kind, Console())


@app.command()
def convert(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="`list` names them all.")],
    source: Annotated[Path | None, typer.Argument(help="The file, or a folder of such.")] = None,
    target: Annotated[Path | None, typer.Argument(help="The .jsonl to write.")] = None,
    words: Annotated[
        int | None, typer.Option(help="conll: the column of the words, from 0; else the first.")
    ] = None,
    column: Annotated[
        int | None, typer.Option(help="conll: the column of the tags; else the last, -1.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="conll: what the task calls them (ner_tags, chunk_tags).")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
) -> None:
    """Write official raw files as the rows that tasks read."""
    from ptbench.convert import FORMATS, convert, describe

    if form == "list":
        describe(Console())
        return
    if source is None or target is None:
        raise typer.BadParameter(f"say FORMAT, SOURCE and TARGET; formats: {', '.join(FORMATS)}")
    given = {"words": words, "column": column, "name": name}
    options = {key: value for key, value in given.items() if value is not None}
    rows = convert(form, source, target, force, **options)
    Console().print(f"wrote {rows:,} rows to {target}", highlight=False, soft_wrap=True)
