"""What it costs: fast versions of the concepts in boxes, nn and loss, and which of them runs."""

from ssd_np.engine.table import NAMES, TABLE, Engine, select

__all__ = ["NAMES", "TABLE", "Engine", "select"]
