"""`ssd-np config`: a config as JSON, or the list of presets."""

import argparse

from ssd_np.config import config_to_json, load_config, preset_names


def run(arguments: argparse.Namespace) -> int:
    """Prints to stdout."""
    if arguments.config is None:
        for name in preset_names():
            config = load_config(name)
            boxes = sum(m.size**2 * m.boxes_per_cell for m in config.feature_maps)
            print(f"{name:12} {config.input.size} px, {len(config.feature_maps)} feature maps, "
                  f"{boxes} default boxes, {len(config.class_names)} classes")  # fmt: skip
        return 0
    print(config_to_json(load_config(arguments.config)), end="")
    return 0
