import io
import logging
import re

import pytest
from rich.console import Console

from ptbench.progress import Progress


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def drawn(console: Console) -> str:
    """What the console got, without its escape sequences."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_a_terminal_shows_loss_score_speed_and_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    terminal = console(terminal=True)
    with Progress(10, "boolq [tiny]", quiet=False, console=terminal) as bar:
        for loss in (0.9, 0.75, 0.5):
            bar.advance(loss=loss)
        bar.evaluated(1, loss=0.5, score=0.8125)
        bar.advance(7)
    last = drawn(terminal).splitlines()[-1]
    assert "boolq [tiny]" in last and "10/10" in last
    assert "loss 0.5000" in last and "score 0.8125" in last
    assert "steps/s" in last and re.search(r"\d:\d\d:\d\d", last)
    assert caplog.messages == []


@pytest.mark.parametrize(("terminal", "quiet"), [(False, False), (True, True)])
def test_a_log_gets_one_line_per_evaluation(
    terminal: bool, quiet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log = console(terminal)
    with Progress(100, "boolq", quiet, log) as bar:
        for epoch in (1, 2):
            for _ in range(50):
                bar.advance(loss=0.5)
            bar.evaluated(epoch, loss=0.5, score=0.75)
    assert drawn(log) == ""
    assert caplog.messages == [
        "boolq: epoch 1, loss 0.5000, score 0.7500",
        "boolq: epoch 2, loss 0.5000, score 0.7500",
    ]


def test_an_exception_takes_the_bar_down() -> None:
    terminal = console(terminal=True)
    with (
        pytest.raises(RuntimeError, match="ours"),
        Progress(10, "boolq", quiet=False, console=terminal),
    ):
        raise RuntimeError("ours")
    assert isinstance(terminal.file, io.StringIO)
    assert terminal.file.getvalue().endswith("\x1b[?25h")  # the cursor is back
