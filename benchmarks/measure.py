"""Times of rival passes as ratios within one run, and the form in which results are kept."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from ptbench.cost import synchronize

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "accelerate", "peft")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def accelerator(precision: str = "no") -> Accelerator:
    """On the GPU where there is one; precision as accelerate says it, `no` or `bf16`."""
    AcceleratorState._reset_state()  # accelerate keeps the last one's precision in the process
    return Accelerator(mixed_precision=precision)


def now() -> float:
    """Seconds of a clock, once the device has done all it was asked for."""
    synchronize(DEVICE)
    return time.perf_counter()


def called(name: str, precision: str = "no") -> str:
    """A result's file: those on a GPU, or in another precision, stand beside the others."""
    parts = (name, "gpu" * (DEVICE.type == "cuda"), precision.removeprefix("no"))
    return "_".join(part for part in parts if part)


def in_turns(passes: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each pass, round after round: a slow moment of the machine hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(rounds):
        for name, measured in passes.items():
            seconds[name].append(measured())
    return seconds


def ratio(ours: Sequence[float], over: Sequence[float]) -> dict[str, float]:
    """The median of the rounds' ratios, with the lowest and the highest."""
    found = [one / two for one, two in zip(ours, over, strict=True)]
    low, middle, high = min(found), statistics.median(found), max(found)
    return {"median": round(middle, 4), "low": round(low, 4), "high": round(high, 4)}


def machine() -> dict[str, Any]:
    """What a time depends on: processor, threads, device and versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu",
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def keep(name: str, command: str, settings: Mapping[str, Any], results: Any) -> None:
    """Writes benchmarks/results/<name>.json and prints the results."""
    record = {"command": command, "machine": machine(), "settings": settings, "results": results}
    text = json.dumps(record, indent=1) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text)
    print(text)
