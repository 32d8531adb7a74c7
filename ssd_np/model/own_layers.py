"""What a file would lose of a model: layers that its config does not describe.

A file holds the config and the tensors. So a layer that was put into a model by hand, taken out, or
given other settings comes back as the config has it, without a word; and a kind of a user's own
that has the name of one of the package as that one. Both are refused where they would be lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssd_np.config import KINDS, Config, config_from_json, config_to_json
from ssd_np.errors import ConfigError
from ssd_np.kinds.kind import LayerKind
from ssd_np.nn.layers import Module
from ssd_np.signatures import checked

if TYPE_CHECKING:
    from ssd_np.model.ssd import SSD

SETTINGS = (bool, int, float, str, tuple)  # what a layer keeps of its description, parameters apart


def check_described(model: SSD, allowed: Sequence[str] = ()) -> None:
    """ConfigError if a file would lose a layer: one that the config does not describe, unless it is
    among those `allowed`, or a kind that would come back as another."""
    if not hasattr(model, "undescribed"):
        raise ConfigError(f"is a {type(model).__name__}", "model", "expected an SSD")
    lost = {name: kind for name, kind in model.undescribed().items() if name not in allowed}
    if lost:
        name, kind = next(iter(lost.items()))
        raise ConfigError(
            f"is a {kind} that the config does not describe: a file would lose it",
            where=f"layer {name!r}",
            hint="describe it by a kind of your own (docs/extending.md), or name it in "
            f"model.own_layers = {tuple(lost)} and load into a model that has it",
        )
    config = model.config
    # the package's kinds win: a file is read without those of its writer
    again = config_from_json(config_to_json(config), kinds=(*kinds_of(config), *KINDS))
    for ours, theirs in zip(config.layers, again.layers, strict=True):
        if ours != theirs:
            what = f"is a {type(ours).__name__}; read from a file it would be {theirs}"
            hint = 'give the class a name of its own: kind: Literal["mine"] = "mine"'
            raise ConfigError(what, f"layer {ours.name!r}", hint)


@checked
def kinds_of(config: Config) -> list[type[LayerKind]]:
    """The kinds of a config's layers that do not come with the package."""
    return list({type(layer): None for layer in config.layers if type(layer) not in KINDS})


def as_they_are(config: Config, layers: Sequence[Module]) -> list[tuple[Module, dict[str, object]]]:
    """Layers, each with what it holds of the fields of its description."""
    fields = {layer.name: {f.name for f in dataclasses.fields(layer)} for layer in config.layers}
    found: list[tuple[Module, dict[str, object]]] = []
    for layer in layers:
        held = {key: vars(layer)[key] for key in fields.get(layer.name, set()) & vars(layer).keys()}
        found.append((layer, {k: v for k, v in held.items() if isinstance(v, SETTINGS)}))
    return found


def changed(
    before: list[tuple[Module, dict[str, object]]], now: list[tuple[Module, dict[str, object]]]
) -> dict[str, str]:
    """Name and class of layers that were put in or altered, else taken out, else put elsewhere."""
    if before == now:
        return {}
    altered = [layer for layer, settings in now if (layer, settings) not in before]
    left = {id(layer) for layer, _ in now}
    out = [layer for layer, _ in before if id(layer) not in left]
    return {layer.name: type(layer).__name__ for layer in altered or out or [p[0] for p in now]}
