"""Made-up records that have the form of real ones."""

from typing import Any

ROWS = ("train", "select", "report")


def whole(seed: int, score: float | None, **changes: Any) -> dict[str, Any]:
    """A record of today's form: finished with that accuracy, or failed."""
    config = {key: {} for key in ("data", "train", "method", "task", "model")}
    done: dict[str, Any] = {
        "adaptation": dict.fromkeys(("title", "prompt", "encoder", "head", "backbone"), "-"),
        "scores": {"test": {"accuracy": score}},
        "floor": {"test": {"accuracy": 0.5}},
        **dict.fromkeys(("random_floor", "jackknife", "left_out")),
        "selection": {"split": "held out", "metric": "accuracy", "step": 4, "score": score},
        "rows": dict.fromkeys(ROWS, 8),
        "curve": [{"step": 4, "epoch": 1.0, "loss": 0.5, "score": score}],
        "cost": {
            **dict.fromkeys(("trainable_parameters", "stored_parameters", "total_parameters"), 9),
            **{"train_seconds": 2.0, "seconds_per_step": 0.5, "peak_memory_bytes": 1000},
        },
    }
    return {
        "hash": f"{seed:08x}",
        "cell": {"task": "red", "model": "tiny", "method": "finetune", "seed": seed},
        "config": {"sweep": "pair", "seed": seed, "protocol": {"name": "fair"}, **config},
        "status": "failed" if score is None else "done",
        "error": "out of luck" if score is None else None,
        **({} if score is None else done),
        "provenance": {
            **dict.fromkeys(("command", "model", "data", "time"), "-"),
            **{"commit": "c0ffee", "dirty": False, "packages": {}, "device": "cpu", "seconds": 3.0},
        },
        **changes,
    }
