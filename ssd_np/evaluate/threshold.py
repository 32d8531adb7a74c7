"""The score from which on a detection is worth drawing.

F1, the harmonic mean of precision and recall, is 2 TP / (detections + objects). The threshold with
the highest mean F1 of the classes is taken; of several that are as good, the one in the middle.
"""

import numpy as np

from ssd_np.evaluate.average_precision import VocResult

LEVELS = np.arange(5, 96) / 100


def best_threshold(result: VocResult, otherwise: float) -> float:
    """From 0.05 to 0.95; `otherwise` where nothing is found, or there is nothing to find."""
    curves = []
    for c in result.classes:
        if c.truths:
            count = (c.scores >= LEVELS[:, None]).sum(axis=1)  # (levels,) detections
            hits = np.append(0.0, c.recall * c.truths)[count]
            curves.append(2 * hits / (count + c.truths))
    f1 = np.mean(curves, axis=0) if curves else np.zeros(len(LEVELS))
    best = LEVELS[f1 >= f1.max() - 1e-9]
    return float(best[len(best) // 2]) if f1.max() > 0 else otherwise
