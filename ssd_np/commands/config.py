"""`ssd-np config`: a config as JSON, one fitted to data, a network as a table, or the presets."""

import argparse

from ssd_np.commands import options as kinds
from ssd_np.errors import ConfigError
from ssd_np.files import write_atomically
from ssd_np.terminal import note, say

HELP = "print a config, to read or to start one's own from"
EXAMPLE = "ssd-np config small > mine.json"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("config", metavar="CONFIG", nargs="?", type=kinds.Input,
        help="preset or .json file; without one, the presets")
    what = parser.add_mutually_exclusive_group().add_argument
    what("--trace", action="store_true",
         help="print each layer's output, parameters, multiply-adds and receptive field instead")
    what("--dialects", action="store_true",
         help="print what the published implementations disagree about, and the keys that say so")
    what("--fit", metavar="DATA", type=kinds.stored_data,
         help="print a config whose input, boxes and augmentation fit this data, and why")
    add("--split", type=kinds.split, help="of the data to fit to (default: what there is)")
    start = parser.add_mutually_exclusive_group().add_argument
    start("--base-weights", metavar="FILE", type=kinds.Input, help="fit a network for this base")
    start("--from-scratch", action="store_true",
          help="fit a network that begins with random weights")
    add("--out", metavar="FILE", type=kinds.output_file, help="write the fitted config here")
    add("--draw", metavar="PNG", type=kinds.output_file,
        help="draw the objects, the boxes of small and the fitted ones")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints to stdout; of a fitted config the reasons to stderr, so that it can be redirected."""
    from ssd_np.config import config_to_json, load_config, preset_names
    from ssd_np.dialects import dialect_table
    from ssd_np.model.trace import trace_table

    of_fit = ("split", "base_weights", "from_scratch", "out", "draw")
    given = {name: getattr(arguments, name) or None for name in of_fit}
    if arguments.fit:
        if arguments.config:
            raise ConfigError("--fit makes its own config", hint=f"leave {arguments.config} out")
        return _fit(arguments)
    for name, value in given.items():
        if value is not None:
            raise ConfigError("belongs to --fit DATA", where=f"--{name.replace('_', '-')}")
    if arguments.dialects:
        say(dialect_table())
        return 0
    if arguments.config is None:
        if arguments.trace:
            raise ConfigError("which config?", hint="example: ssd-np config ssd300_voc --trace")
        for name in preset_names():
            config = load_config(name)
            height, width = config.input.shape
            say(f"{name:12} {width} x {height} px, {len(config.feature_maps)} feature maps, "
                  f"{config.num_boxes} default boxes, {config.num_classes} classes")  # fmt: skip
        return 0
    config = load_config(arguments.config)
    say(trace_table(config) if arguments.trace else config_to_json(config).rstrip("\n"))
    return 0


def _fit(arguments: argparse.Namespace) -> int:
    from ssd_np.commands.datasets import training_data
    from ssd_np.config import config_to_json, load_config
    from ssd_np.data.sources import usual_splits
    from ssd_np.fit.config import fit
    from ssd_np.fit.fingerprint import fingerprint
    from ssd_np.model.pretrained import network_of

    split = arguments.split or usual_splits(arguments.fit)[0]
    found = fingerprint(training_data(arguments.fit, split, seed=0))
    base = arguments.base_weights
    network = network_of(base) if base else None
    fitted = fit(found, network, from_scratch=arguments.from_scratch)
    if arguments.draw:
        from ssd_np.viz.fitting import boxes_figure

        boxes_figure(found.boxes, [load_config("small"), fitted.config], arguments.draw)
    drawn = [f"drawn in {arguments.draw}"] if arguments.draw else []
    told = "\n".join([f"split {split}", *found.lines(), *fitted.reasons, *drawn])
    if arguments.out:
        write_atomically(arguments.out, config_to_json(fitted.config))
        say(f"{told}\nconfig: {arguments.out}")
    else:
        note(told)
        say(config_to_json(fitted.config).rstrip("\n"))
    return 0
