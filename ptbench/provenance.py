"""Where a record comes from, said without naming a machine, a user or a folder."""

import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ptbench.paths import ROOT

CODE = ("ptbench", "methods", "tasks", "conf", "sweeps")
# what decides no score
UNRECORDED = ("hydra", "tracking", "rerun", "save", "predictions", "fuse", "mean")
PACKAGES = ("accelerate", "datasets", "numpy", "tokenizers", "torch", "transformers")


def portable(config: DictConfig) -> dict[str, Any]:
    """The resolved config without what only this machine knows."""
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    for node in UNRECORDED:
        resolved.pop(node, None)
    if resolved["data"]["root"] is not None:
        resolved["data"]["root"] = "local"
    return _placeless(resolved)


def _placeless(value: Any) -> Any:
    """The value with every absolute path in it replaced by "local"."""
    if isinstance(value, dict):
        return {key: _placeless(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_placeless(inner) for inner in value]
    return "local" if isinstance(value, str) and value.startswith(("/", "~")) else value


def nameless(text: str, root: str | None) -> str:
    """The text without the folders of this machine, which may name its user."""
    folders = {str(ROOT): ".", sys.prefix: "<python>", str(Path.home()): "~"}
    if root is not None and Path(root).is_absolute():
        folders[root] = "<data.root>"
    for folder in sorted((f for f in folders if f != "/"), key=len, reverse=True):
        text = text.replace(folder, folders[folder])
    return text


def command() -> str:
    """The line that asked for the cell at hand, as a shell takes it, but without any folder."""
    overrides = [
        f"{key}=<folder>"
        if key.endswith("data.root") or value.strip("'\"").startswith(("/", "~"))
        else shlex.quote(whole)
        for whole in HydraConfig.get().overrides.task
        for key, _, value in [whole.partition("=")]
    ]
    return " ".join(["ptbench run", *overrides])


def provenance(command: str, identity: dict[str, str]) -> dict[str, Any]:
    """Where a record comes from, without naming a machine, a user or a folder."""
    changes = _git("status", "--porcelain", "--", *CODE)
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
        "command": command,
        "packages": _versions(),
        **identity,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@lru_cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def _git(*arguments: str) -> str | None:
    """What git says of the checkout; None where there is no git or no checkout."""
    try:
        found = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None
