"""Where weights come from, in their own file: a line for each training or import, the newest first.

The same training writes the same lines: they hold no time of day and no name of a machine. Of a
path they tell its last name alone: a file is passed on, and its maker's folders are nobody's
business. What a file says of itself anybody may have written: it is read by the rules of a config,
and refused where a text is too long or holds control characters.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ssd_np import __version__
from ssd_np.config import TrainConfig
from ssd_np.config_json import Section, read, require
from ssd_np.errors import ConfigError, WeightsError
from ssd_np.model.weights_file import opened
from ssd_np.signatures import checked
from ssd_np.terminal import LONGEST, UNSAFE, last_names

MOST = 20  # lines that are kept


class _Texts(Section):
    """A section whose texts may be shown."""

    def check(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # of those derived from it
            value = getattr(self, field.name)
            if isinstance(value, str):
                fits = len(value) <= LONGEST and "\n" not in value and not UNSAFE.search(value)
                require(fits, field.name, f"a line of at most {LONGEST:,} characters", value)


@dataclass(frozen=True)
class Used(_Texts):
    """Data: its name, its split, how many images, and what these come to (data/digest.py)."""

    name: str
    split: str = ""
    images: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Measured(_Texts):
    """What was measured, and on which images."""

    metric: str
    value: float
    on: str


@dataclass(frozen=True)
class Origin(_Texts):
    """One line.

    command  as it was given, without what it wrote to; none for a training from Python
    data     what was learned from, then what the weights were chosen by
    file     of an import, with its SHA-256 and who made it
    note     what else was done
    licence  what they are under, or what they began with is
    """

    how: Literal["trained", "pretrained", "imported", "made"] = "trained"
    version: str = __version__
    command: str = ""
    training: TrainConfig | None = None
    data: tuple[Used, ...] = ()
    metric: Measured | None = None
    file: str = ""
    sha256: str = ""
    maker: str = ""
    licence: str = ""
    note: str = ""

    def check(self) -> None:
        super().check()
        require(len(self.data) <= MOST, "data", f"at most {MOST} of them", len(self.data))

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.how} by ssd_np {self.version}: {self.command or 'from Python'}"
        if self.file:
            maker = f", made by {self.maker}" if self.maker else ""
            yield f"  file      {self.file}{maker}, SHA-256 {self.sha256}"
        for i, used in enumerate(self.data):
            title = "chosen by" if i else "data"
            split = f", split {used.split}" if used.split else ""
            count = f"{used.images:,} images, digest {used.digest[:16]}"
            yield f"  {title:9} {used.name}{split}: {count}"
        if (rule := self.training) is not None:
            how = f"learning rate {rule.learning_rate:g}, {rule.schedule}, seed {rule.seed}"
            yield f"  training  {rule.steps:,} steps of {rule.batch_size} images, {how}"
        if self.metric is not None:
            yield f"  metric    {self.metric.metric} {self.metric.value:.4f} on {self.metric.on}"
        if self.note:
            yield f"  note      {self.note}"
        yield f"  licence   {self.licence or 'none is told'}"


Provenance = tuple[Origin, ...]


@checked
def written(provenance: Provenance) -> list[dict[str, Any]]:
    """For the header of a file."""
    return [dataclasses.asdict(origin) for origin in provenance[:MOST]]


@checked
def with_command(provenance: Provenance, command: str) -> Provenance:
    """The same, the newest line with the command that an import was; a file that told before where
    it comes from stays what it was."""
    if not provenance:
        return ()
    first, *before = provenance
    is_new = first.how == "imported" and not first.command
    return (dataclasses.replace(first, command=command) if is_new else first, *before)


@checked
def provenance_in(header: Mapping[str, Any], where: str) -> Provenance:
    """The lines in the header of a file; none of a file that has none."""
    values = header.get("provenance", [])
    if not isinstance(values, list) or len(values) > MOST:
        raise WeightsError("its provenance is no list", where, f"of at most {MOST} lines")
    try:
        return tuple(read(Origin, value, f"provenance[{i}]", {}) for i, value in enumerate(values))
    except ConfigError as error:
        raise WeightsError(f"its provenance is refused: {error}", where=where) from error


@checked
def imported(path: str | Path, maker: str = "", licence: str = "") -> Origin:
    """The line of a file that somebody else made."""
    with opened(path) as (file, _):
        digest = hashlib.sha256(file.read()).hexdigest()
    name = last_names(str(path))
    return Origin("imported", file=name, sha256=digest, maker=maker, licence=licence)
