"""A table as LaTeX with the rules of booktabs, to be put into a paper."""

from ptbench.layout import INSEPARABLE, UNVERIFIED, Lines, caption, filled, main, numbers
from ptbench.summary import Table

SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "≥": r"$\geq$",
        INSEPARABLE: r"$^{\dagger}$",
        UNVERIFIED: r"$^{\ddagger}$",
    }
)
START = r"% for \input; the preamble needs \usepackage{booktabs,graphicx}"
FIT = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"  # only what is too wide


def to_latex(table: Table) -> str:
    """The scores with their caption, as `table*`; the same text for the same records."""
    what = f"{table.sweep.description}. " if table.sweep.description else ""
    return "\n".join(
        [
            START,
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{escaped(what + ' '.join(caption(table)))}}}",
            rf"\label{{tab:{table.sweep.name.replace('_', '-')}}}",
            FIT,
            *_tabular(main(table), numbers(table)),
            "}",
            r"\end{table*}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """The text as LaTeX prints it."""
    return text.translate(SPECIAL)


def _tabular(lines: Lines, numbers: range) -> list[str]:
    texts = filled(lines, lambda text: rf"\textbf{{{text}}}", escaped)
    marked = [[text.replace(" $^{", "$^{") for text in line] for line in texts]
    header, floor, *body = [rf"{' & '.join(line)} \\" for line in marked]
    form = "".join("r" if place in numbers else "l" for place in range(len(lines[0])))
    return [
        rf"\begin{{tabular}}{{{form}}}",
        r"\toprule",
        header,
        r"\midrule",
        floor,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
