"""Imports flow one way, and files and functions stay small; read off the syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptbench.paths import ROOT

PACKAGES = ("ptbench", "methods", "tasks")
FILES = sorted(file for package in PACKAGES for file in ROOT.glob(f"{package}/**/*.py"))
HEAVY = {"torch", "transformers", "datasets", "accelerate", "evaluate"}
LIGHT = (
    "sweeps",
    "summary",
    "tables",
    "layout",
    "across",
    "comparison",
    "latex",
    "paper",
    "plots",
    "listing",
    "records",
    "cli",
    "doctor",
    "progress",
    "statistics",
    "paired",
    "separable",
    "predictions",
    "schema",
    "merge",
    "check",
    "planning",
    "plan_view",
    "status",
)


def name_of(file: Path) -> str:
    """The dotted name of a module."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


TREES = {name_of(file): ast.parse(file.read_text()) for file in FILES}


def imported(tree: ast.AST) -> Iterator[str]:
    """What is imported anywhere in a module, in functions and under conditions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "say whole names"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_the_top(tree: ast.Module) -> Iterator[str]:
    """What is imported when the module is."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)


@pytest.mark.parametrize("name", TREES)
def test_imports_flow_one_way(name: str) -> None:
    package = name.partition(".")[0]
    forbidden = {*PACKAGES, "tests"} - {"ptbench", package}
    if package == "ptbench":
        assert not [i for i in imported(TREES[name]) if i.partition(".")[0] in forbidden]
        return
    own = [*name.split("."), ""][1]
    for target in imported(TREES[name]):
        first, second, *_ = [*target.split("."), ""]
        assert first not in forbidden
        if first == package:  # a folder serves its own files and those that begin with its name
            served = (ROOT / package / second).is_dir() and own.startswith(f"{second}_")
            assert own == second or served, f"{name} imports {target}"


def test_engine_modules_import_each_other_without_cycles() -> None:
    edges: dict[str, set[str]] = {}
    for name, tree in TREES.items():
        targets = {part for i in at_the_top(tree) for part in (i, i.rpartition(".")[0])}
        edges[name] = (targets & set(TREES)) - {name}
    done: list[str] = []
    while ready := [n for n in edges if n not in done and edges[n] <= set(done)]:
        done += ready
    assert sorted(set(edges) - set(done)) == [], "these import each other in a circle"


def test_light_modules_import_nothing_heavy_even_through_others() -> None:
    code = f"import sys\nfrom ptbench import {', '.join(LIGHT)}\nprint(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & {module.partition(".")[0] for module in found.stdout.split()} == set()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_stays_under_250_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 250, "look for the second idea in it"


@pytest.mark.parametrize("name", TREES)
def test_a_function_stays_under_40_lines(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 40, f"{name}.{node.name} has {lines} lines"


@pytest.mark.parametrize("name", TREES)
def test_every_module_class_and_public_function_of_the_engine_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(TREES[name]), name
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}.{node.name}"


def test_wandb_is_imported_in_tracking_alone() -> None:
    users = [name for name, tree in TREES.items() if "wandb" in " ".join(imported(tree))]
    assert users == ["ptbench.tracking"]
