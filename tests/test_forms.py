"""LaTeX that compiles: signs escaped, braces and cells balanced."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ptbench.forms import Best, Section, latex, latex_text, markdown, rich
from ptbench.paths import TABLES

KEPT = sorted(TABLES.glob("*.tex"))
ODD = r"5 % of a_b & c# {d} $e ~ ^ \ <f> | ± † ‡ §"


def test_signs_are_escaped() -> None:
    assert latex_text("a_b & 5 %") == r"a\_b \& 5 \%"
    assert latex_text("92.0 ± 2.0 †") == r"92.0 $\pm$ 2.0 \textsuperscript{\dag}"
    assert latex_text("\\") == r"\textbackslash{}"


MINUS = {
    **{"-1.5": "$-$1.5", "[-0.2, 1]": "[$-$0.2, 1]"},
    **{text: text for text in ("P-tuning v2", "0-100", "-", "BLEU-4")},
}


@pytest.mark.parametrize("text", MINUS)
def test_a_minus_is_one_only_before_a_number(text: str) -> None:
    assert latex_text(text) == MINUS[text]


def test_latex_is_the_table_worked_by_hand() -> None:
    section = Section(
        "Title", [["method", "cb"], ["a", Best("1.0")], ["[0]", "2 †"]], range(1, 2), ("50 %.",)
    )
    assert latex(section) == "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\caption{Title. 50 \%.}",
            r"\begin{tabular}{lr}",
            r"\toprule",
            r"method & cb \\",
            r"\midrule",
            r"a & \textbf{1.0} \\",
            r"{}[0] & 2 \textsuperscript{\dag} \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
    assert markdown(section).splitlines()[4] == "| a | **1.0** |"
    assert rich(section, "x").row_count == 2


def balanced(text: str) -> None:
    """Braces close, and every line of a tabular has as many cells as columns."""
    bare = re.sub(r"(?m)(?<!\\)%.*$", "", text).replace(r"\\", "")
    assert not re.findall(r"(?<!\\)[#^~<>|±†‡§]", bare)
    bare = re.sub(r"\\[{}&$]", "", bare)
    depth = 0
    for sign in re.sub(r"[^{}]", "", bare):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0 and bare.count("$") % 2 == 0
    tabulars = re.findall(r"\\begin{tabular}{([lr]+)}\n(.*?)\\end{tabular}", text, re.S)
    assert tabulars
    for columns, body in tabulars:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}


def test_odd_texts_are_balanced() -> None:
    balanced(latex(Section(ODD, [[ODD, "x"], [Best(ODD), "-1"]], range(1, 2), (ODD,))))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_kept_tables_are_balanced(file: Path) -> None:
    balanced(file.read_text(encoding="utf-8"))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_a_kept_table_compiles(tmp_path: Path) -> None:
    text = "\n".join(
        [r"\documentclass{article}\usepackage{booktabs}\begin{document}"]
        + [file.read_text(encoding="utf-8") for file in KEPT]
        + [latex(Section(ODD, [[ODD, "x"], [Best(ODD), "-1"]], range(1, 2), (ODD,)))]
        + [r"\end{document}"]
    )
    (tmp_path / "all.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
