"""Where things are in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
SWEEPS = ROOT / "sweeps"
RECORDS = ROOT / "results" / "records"
RUNS = ROOT / "results" / "runs"
PREDICTIONS = ROOT / "results" / "predictions"
TABLES = ROOT / "results" / "tables"
PLOTS = ROOT / "results" / "plots"
REPORTS = ROOT / "results" / "reports"
PAPER = ROOT / "results" / "paper"
