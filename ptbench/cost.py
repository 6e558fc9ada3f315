"""What a run costs: parameters, seconds and memory."""

import math
import resource
import sys
from pathlib import Path

import torch

from ptbench.method import Adapted


def parameters(model: Adapted) -> dict[str, int]:
    """Numbers of parameters: trained, kept after training (prompts folded), and in all."""
    encoder = model.prompt.encoder
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    unfolded = sum(p.numel() for p in encoder.parameters()) if encoder else 0
    folded = encoder.length * encoder.width if encoder else 0
    return {
        "trainable_parameters": trained,
        "stored_parameters": trained - unfolded + folded,
        "total_parameters": sum(p.numel() for p in model.parameters()),
    }


def out_of_memory(error: BaseException) -> bool:
    """Whether it is what torch or Python raises where memory is short, on a CPU too."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "can't allocate memory" in str(error)


def memory_limit(device: torch.device) -> float:
    """The most bytes that could be in use, counted as PeakMemory does; infinite if unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device))
    status, machine = Path("/proc/self/status"), Path("/proc/meminfo")
    if not (status.exists() and machine.exists()):
        return math.inf
    return float(_proc(status, "VmRSS") + _proc(machine, "MemAvailable"))


def _proc(file: Path, name: str) -> int:
    """A number of bytes that Linux tells in kB."""
    lines = dict(line.split(":", 1) for line in file.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was asked for, so that a clock tells its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class PeakMemory:
    """The most memory in use since `start`, in bytes: the device's, or the process's on a CPU."""

    def __init__(self, device: torch.device):
        self.device = device

    def start(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif (peak := Path("/proc/self/clear_refs")).exists():
            peak.write_text("5")

    def bytes(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        status = Path("/proc/self/status")
        if status.exists():
            return _proc(status, "VmHWM")
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
