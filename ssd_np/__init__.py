"""SSD (Single Shot MultiBox Detector) in NumPy and Numba, with every gradient written by hand.

The names below are imported when first used (PEP 562), so that `import ssd_np` costs neither
Numba nor matplotlib.
"""

import importlib
import os

__version__ = "0.1.0"

_HOME = {
    "Config": "ssd_np.config",
    "load_config": "ssd_np.config",
    "Truth": "ssd_np.records",
    "Sample": "ssd_np.records",
    "Detections": "ssd_np.records",
    "SsdError": "ssd_np.errors",
    "SSD": "ssd_np.model.ssd",
    "load": "ssd_np.model.weights",
    "save": "ssd_np.model.weights",
    "Detector": "ssd_np.infer.detect",
    "ShapesDataset": "ssd_np.data.shapes",
    "VOCDataset": "ssd_np.data.voc",
    "Trainer": "ssd_np.train.trainer",
    "evaluate_voc": "ssd_np.evaluate.average_precision",
}

__all__ = [*_HOME, "__version__"]


def _have_a_compile_cache() -> None:
    """Numba refuses to work where it can keep compiled kernels in no folder: a container without a
    home, a package that belongs to root. Then a temporary one, for this process, will do."""
    home = os.path.expanduser("~")
    folders = (os.environ.get("NUMBA_CACHE_DIR", ""), os.path.dirname(__file__), home,
               os.environ.get("XDG_CACHE_HOME", ""))  # fmt: skip
    if any(os.path.isdir(folder) and os.access(folder, os.W_OK) for folder in folders):
        return
    import atexit
    import shutil
    import tempfile

    own = os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="ssd_np-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)


_have_a_compile_cache()


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'ssd_np' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
