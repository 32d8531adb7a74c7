"""`ssd-np import`: a published PyTorch file becomes a weights file of this package."""

import argparse

from ssd_np.config import load_config
from ssd_np.model.weights import load_torch, save


def run(arguments: argparse.Namespace) -> int:
    """Reads the file without PyTorch."""
    config = load_config(arguments.config) if arguments.config else None
    model = load_torch(arguments.file, config)
    save(arguments.out, model)
    names = model.config.class_names
    count = sum(parameter.value.size for parameter in model.parameters.values())
    print(f"{model.config.name}: {count:,} parameters, {len(names)} classes: "
          f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")  # fmt: skip
    print(f"weights: {arguments.out}\nuse: ssd-np detect --weights {arguments.out} photo.jpg")
    return 0
