"""SSD (Single Shot MultiBox Detector) in NumPy and Numba, with every gradient written by hand.

The names below are imported when first used (PEP 562), so that `import ssd_np` costs neither
Numba nor matplotlib.
"""

import importlib
import os
import sys

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
    own_home = os.path.join(os.path.expanduser("~"), ".cache")
    home = os.environ.get("XDG_CACHE_HOME", own_home)
    in_package = os.path.join(os.path.dirname(__file__), "__pycache__")
    if any(map(_can_be_written, (os.environ.get("NUMBA_CACHE_DIR"), in_package, home))):
        return
    import atexit
    import shutil
    import tempfile

    folder = os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="ssd_np-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if "numba" in sys.modules:  # it has read its environment already
        sys.modules["numba"].config.CACHE_DIR = folder


def _can_be_written(folder: str | None) -> bool:
    """Whether a folder can be written to, or made."""
    if not folder:
        return False
    folder = os.path.abspath(folder)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK)


_have_a_compile_cache()


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'ssd_np' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
