"""SSD (Single Shot MultiBox Detector) in NumPy and Numba, with every gradient written by hand.

The names below are imported when first used (PEP 562), so that `import ssd_np` costs neither
Numba nor matplotlib.
"""

import os
import sys
from typing import TYPE_CHECKING

from ssd_np.contents import contents

__version__ = "0.2.0"

if TYPE_CHECKING:
    from ssd_np.config import Config as Config
    from ssd_np.config import load_config as load_config
    from ssd_np.data.promises import check_dataset as check_dataset
    from ssd_np.data.shapes import ShapesDataset as ShapesDataset
    from ssd_np.data.voc import VOCDataset as VOCDataset
    from ssd_np.errors import ConfigError as ConfigError
    from ssd_np.errors import SsdError as SsdError
    from ssd_np.evaluate.average_precision import evaluate_voc as evaluate_voc
    from ssd_np.infer.detect import Detector as Detector
    from ssd_np.model.ssd import SSD as SSD
    from ssd_np.model.weights import load as load
    from ssd_np.model.weights import save as save
    from ssd_np.records import Detections as Detections
    from ssd_np.records import Sample as Sample
    from ssd_np.records import Truth as Truth
    from ssd_np.train.trainer import Trainer as Trainer
else:
    __getattr__, __dir__ = contents(__name__, __file__)


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
