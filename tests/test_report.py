"""The report: whole, safe, the same twice, and in a real browser sorted, filtered and opened."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ptbench import records, report, report_figures, sweeps
from ptbench.paths import ROOT
from ptbench.summary import Table
from ptbench.sweeps import Sweep, SweepError
from tests.recorded import whole

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
EVIL = "<script>alert(1)</script>"
SCORES = {("finetune", 0): 0.9, ("finetune", 1): 0.8, ("ptuning_v2", 0): 0.7}
ERROR = f"Traceback\n  {EVIL} & </script>\nout of <b>luck</b>"


def made_up() -> list[dict[str, Any]]:
    """Two methods, two seeds on a task with a nasty name; the last cell failed."""
    found = []
    for method, seed in [*SCORES, ("ptuning_v2", 1)]:
        cell = {"task": "<script>", "model": "tiny", "method": method, "seed": seed}
        record = whole(seed, SCORES.get((method, seed)), cell=cell)
        record["hash"] = f"{len(found):08x}"
        record["config"] |= {"method": {"name": method}, "train": {"epochs": 7}}
        record["adaptation"] = {**whole(0, 0.5)["adaptation"], "title": method}
        record["error"] = ERROR if record["status"] == "failed" else None
        found.append(record)
    return found


SWEEP = Sweep(
    "pair",
    "Two & two",
    {
        "task": ("<script>",),
        "model": ("tiny",),
        "method": ("finetune", "ptuning_v2"),
        "seed": ("0", "1", "2"),
    },
)


class Reader(HTMLParser):
    """What a page consists of: its tags, its ids, its JSON and whether every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.json = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.values += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"] and data.startswith("{"):
            self.json = data


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(made_up(), SWEEP, tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def page(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_it_is_well_formed_and_asks_nothing_of_the_network(page: str) -> None:
    read = Reader(page)
    assert read.open == []
    ids = [value for name, value in read.values if name == "id"]
    assert len(ids) == len(set(ids)), "ids of the drawings must not clash"
    links = [v for name, v in read.values if name in ("src", "href", "xlink:href", "action")]
    assert links and all(link.startswith("#") for link in links)
    assert {link.removeprefix("#") for link in links if "=" not in link} <= set(ids)
    assert not re.search(r"@import|url\((?!#)", page)
    assert read.tags.count("script") == 2  # the data and the code: names and errors add none


def test_what_others_wrote_is_shown_and_never_run(page: str) -> None:
    assert EVIL not in page
    details = json.loads(Reader(page).json)
    assert details["00000003"]["error"] == ERROR
    assert "&lt;script&gt;" in page and "Two &amp; two." in page
    assert "out of &lt;b&gt;luck&lt;/b&gt;" in page


def test_it_says_what_the_table_says_and_what_is_missing(page: str) -> None:
    assert "<b>85.0 ± 7.1 (n=2)</b>" in page
    assert "70.0 (n=1, 1 failed)" in page
    assert "Protocol fair" in page and "Records of commit c0ffee." in page
    assert "2 not run yet" in page and "1 failed" in page
    assert page.index("<h2>Failures") < page.index("<h2>Scores") < page.index("<h2>Cells")
    rows = re.findall(r'<tr data-hash="(\w+)"', page)
    assert rows == ["00000003", "00000000", "00000001", "00000002"], "failures come first"


def test_it_says_which_values_of_the_paper_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "tiny/table1 has no value for\n  task=<script>"
    assert "missing beside ours" not in report.page(made_up(), SWEEP)
    monkeypatch.setattr(Table, "gap", said)
    assert f"<pre>{html.escape(said)}</pre>" in report.page(made_up(), SWEEP)


def test_a_cell_tells_only_what_sets_it_apart(page: str) -> None:
    details = json.loads(Reader(page).json)
    assert details["00000000"]["settings"] == {"method.name": "finetune"}
    assert details["00000002"]["settings"] == {"method.name": "ptuning_v2"}
    assert "<dt>train.epochs</dt><dd>7</dd>" in page
    assert details["00000000"]["curve"] == [[4, 0.5, 90.0]]
    assert details["00000000"]["facts"]["floor.test.accuracy"] == 0.5


def test_the_same_records_give_the_same_page(page: str) -> None:
    assert report.page(made_up(), SWEEP) == page


def test_the_figures_of_a_real_sweep_are_all_in_its_page(tmp_path: Path) -> None:
    found = records.load("first_table", ROOT / "results" / "records")
    text = report.write(found, sweeps.find("first_table"), tmp_path).read_text(encoding="utf-8")
    read = Reader(text)
    assert read.open == []
    ids = [value for name, value in read.values if name == "id"]
    assert len(ids) == len(set(ids))
    assert {"plot-score", "plot-curves"} <= set(ids)
    assert len(re.findall("<tr data-hash=", text)) == len(found)


def test_of_very_many_records_it_draws_the_first_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = records.load("first_table", ROOT / "results" / "records")
    monkeypatch.setattr(report_figures, "MANY", len(found) - 1)
    monkeypatch.setattr(report_figures, "PANELS", 1)
    text = report.write(found, sweeps.find("first_table"), tmp_path).read_text(encoding="utf-8")
    assert "<code>ptbench plot first_table</code> draws the others too" in text
    assert "pocket_sentiment, minilm</text>" in text
    assert "pocket_ner, minilm</text>" not in text
    assert len(re.findall("<tr data-hash=", text)) == len(found), "no cell is left out"


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="ptbench run sweeps=pair"):
        report.write([], SWEEP, tmp_path)


def test_a_sweep_of_failures_alone_has_a_page(tmp_path: Path) -> None:
    lost = [record for record in made_up() if record["status"] == "failed"]
    text = report.write(lost, SWEEP, tmp_path).read_text(encoding="utf-8")
    assert text.count("<tr data-hash=") == 1 and "no finished run" not in Reader(text).json


def test_a_page_that_cannot_be_written_says_where_and_why(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    with pytest.raises(report.ReportError, match=r"taken/pair.html could not be written: .*mend"):
        report.write(made_up(), SWEEP, tmp_path / "taken")


def trial(number: int, score: float | None, **changes: Any) -> dict[str, Any]:
    made = made_up()[0] | whole(0, score, cell=made_up()[0]["cell"], **changes)
    made |= {"hash": f"{number:08x}", "adaptation": made_up()[0]["adaptation"]}
    made["config"] |= {"train": {"learning_rate": number / 100, "epochs": 7}}
    return made


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search: two trials that have finished, and one that was behind them."""
    curve = [{"step": 2, "epoch": 1.0, "loss": 0.9, "score": 0.25}]
    pruned = trial(3, None, status="pruned", error="behind the other trials", curve=curve)
    found = [trial(1, 0.8), trial(2, 0.9), pruned]
    return report.write(found, replace(SWEEP, trials=4), tmp_path_factory.mktemp("search"))


def test_of_a_search_every_trial_is_a_row_with_its_point(search: Path) -> None:
    page = search.read_text(encoding="utf-8")
    assert "Protocol <strong>fair</strong>; 3 trials, 5 cells not run yet." in page
    assert "best of a search&#39;s trials: 3 in all" in page and "<b>90.0 (n=1)</b>" in page
    rows = re.findall(r'<tr data-hash="\w+(\d)".*?<td>(learning rate [\d.]+)</td>', page)
    assert rows == [(n, f"learning rate 0.0{n}") for n in ("3", "1", "2")]
    assert 'id="failures"' not in page, "a trial that was pruned is no failure of its cell"
    details = json.loads(Reader(page).json)
    assert details["00000003"]["curve"] == [[2, 0.9, 25.0]]
    assert all("command" in cell and cell["settings"] for cell in details.values())


def test_a_cell_without_its_setting_fills_its_row(tmp_path: Path) -> None:
    sweep = replace(SWEEP, axes={**SWEEP.axes, "start": ("null", "multi")})
    text = report.write(made_up(), sweep, tmp_path).read_text(encoding="utf-8")
    head, *rows = (len(re.findall(r"<t[hd]\b", row)) for row in cells_table(text).split("<tr")[1:])
    assert set(rows) == {head}


def cells_table(page: str) -> str:
    return page[page.index('<table id="cells">') :].partition("</table>")[0]


def seen(file: Path, **view: str) -> str:
    """The page as a browser has it after its scripts ran, with that view in its fragment."""
    address = f"{file.as_uri()}#{urlencode({k.replace('_', '.'): v for k, v in view.items()})}"
    # a browser as root, as in a container, runs only without its sandbox
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def rows_of(dom: str) -> list[tuple[str, bool]]:
    """The cells' hashes in order, each with whether it is shown."""
    found = re.findall(r'<tr data-hash="(\w+)"([^>]*)>', dom)
    return [(name[-1], "hidden" not in attributes) for name, attributes in found]


browser = pytest.mark.skipif(
    not BROWSER, reason="no chromium, chromium-browser or google-chrome; apt-get install chromium"
)


@browser
@pytest.mark.parametrize(
    ("wanted", "order"), [("score", "2103"), ("-score", "0123"), ("-seed", "3102"), ("", "3012")]
)
def test_a_browser_sorts_the_cells(file: Path, wanted: str, order: str) -> None:
    dom = seen(file, cells_sort=wanted)
    assert "".join(name for name, _ in rows_of(dom)) == order  # no score comes last, either way
    said = re.findall(r'data-key="(\S+)"[^>]*aria-sort="(\w+)"', dom)
    way = "descending" if wanted.startswith("-") else "ascending"
    assert said == ([(wanted.strip("-"), way)] if wanted else [])


@browser
def test_a_browser_sorts_the_scores_as_numbers(file: Path) -> None:
    dom = seen(file, scores_sort="<script> (accuracy)")
    assert dom.index("<td>ptuning_v2</td>") < dom.index("<td>finetune</td>")


@browser
def test_a_browser_filters_the_cells_by_every_word(file: Path) -> None:
    dom = seen(file, cells_filter="PTUNING done")
    assert [name for name, shown in rows_of(dom) if shown] == ["2"]
    assert "1 of 4 rows" in dom


@browser
def test_a_browser_opens_a_cell_and_runs_nothing_of_its_text(file: Path) -> None:
    dom = seen(file, open="00000003,00000000", cells_sort="-score")
    opened = dom.split('<tr class="detail">')
    assert len(opened) == 3
    assert opened[0].rstrip().endswith("</tr>") and "00000000" in opened[0]
    assert "held out split (points)" in opened[1] and "method.name" in opened[1]
    assert "out of &lt;b&gt;luck&lt;/b&gt;" in opened[2] and EVIL not in dom
    assert len(re.findall(r'<\w+ [^>]*aria-expanded="true"', dom)) == 2  # the style names it too


@browser
def test_a_browser_draws_how_far_a_trial_came(search: Path) -> None:
    opened = seen(search, open="00000003").split('<tr class="detail">')[1]
    assert "Learning curve; it was ended here" in opened and "score (points): 25 at step" in opened
