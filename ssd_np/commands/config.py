"""`ssd-np config`: a config as JSON, its network as a table, or the list of presets."""

import argparse

from ssd_np.config import config_to_json, load_config, preset_names
from ssd_np.dialects import dialect_table
from ssd_np.errors import ConfigError
from ssd_np.model.trace import trace_table


def run(arguments: argparse.Namespace) -> int:
    """Prints to stdout."""
    if arguments.dialects:
        print(dialect_table())
        return 0
    if arguments.config is None:
        if arguments.trace:
            raise ConfigError("which config?", hint="example: ssd-np config ssd300_voc --trace")
        for name in preset_names():
            config = load_config(name)
            height, width = config.input.shape
            print(f"{name:12} {width} x {height} px, {len(config.feature_maps)} feature maps, "
                  f"{config.num_boxes} default boxes, {config.num_classes} classes")  # fmt: skip
        return 0
    config = load_config(arguments.config)
    print(trace_table(config) if arguments.trace else config_to_json(config).rstrip("\n"))
    return 0
