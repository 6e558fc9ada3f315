"""A table with its caption as Markdown, as LaTeX and in the terminal."""

import re
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table as RichTable

Lines = list[list[str]]  # the first is the header
SIGNS = {  # in text, of characters that LaTeX reads otherwise or lacks
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$"},
    **{"†": r"\textsuperscript{\dag}", "‡": r"\textsuperscript{\ddag}", "§": r"\S{}"},
}
MINUS = re.compile(r"(?<![\w.])-(?=\d)")


class Best(str):
    """A text to be set in bold."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """Lines with a caption; `numbers` are the columns set to the right."""

    title: str
    lines: Lines
    numbers: range
    caption: tuple[str, ...] = ()


def markdown(section: Section) -> str:
    """Pipes with the caption as a list beneath; without a title, no heading."""
    header, *body = section.lines
    rule = ["---:" if place in section.numbers else "---" for place in range(len(header))]
    rows = [[f"**{c}**" if isinstance(c, Best) else c for c in line] for line in body]
    pipes = "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *rows])
    caption = "\n".join(f"- {line}" for line in section.caption)
    return "\n\n".join(filter(None, [section.title and f"## {section.title}", pipes, caption]))


def rich(section: Section, title: str) -> RichTable:
    """The lines without their caption."""
    header, *body = section.lines
    shown = RichTable(title=title)
    for place, name in enumerate(header):
        shown.add_column(escape(name), justify="right" if place in section.numbers else "left")
    for line in body:
        shown.add_row(
            *(f"[bold]{escape(c)}[/]" if isinstance(c, Best) else escape(c) for c in line)
        )
    return shown


def latex(section: Section) -> str:
    """A `table` with its caption; it needs booktabs."""
    header, *body = section.lines
    columns = "".join("r" if place in section.numbers else "l" for place in range(len(header)))
    rows = [
        [rf"\textbf{{{latex_text(c)}}}" if isinstance(c, Best) else latex_text(c) for c in line]
        for line in body
    ]
    told = " ".join(filter(None, [section.title and f"{section.title}.", *section.caption]))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(told)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _row([latex_text(name) for name in header]),
            r"\midrule",
            *map(_row, rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def latex_text(text: str) -> str:
    """The text as LaTeX shows it: signs escaped, a minus before a number."""
    return MINUS.sub("$-$", "".join(SIGNS.get(sign, sign) for sign in text))


def _row(cells: list[str]) -> str:
    # a cell that begins with [ would be read as the length after \\
    return " & ".join(f"{{}}{c}" if c.startswith("[") else c for c in cells) + r" \\"
