"""From a file to the array a network sees: read, resize, normalise.

Every image becomes (H, W, 3) uint8 RGB, the right way up. What is not a readable picture gives one
`DataError` that names the file, whatever the decoder made of it. Few formats are opened, those of
photographs and drawings: Pillow knows forty more, some of which a small file can make huge.
"""

import contextlib
import errno
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from ssd_np.boxes.checks import check_window
from ssd_np.checks import check_kind
from ssd_np.config import Config, InputConfig
from ssd_np.data.reading import PICTURE, check_regular
from ssd_np.errors import DataError, ShapeError
from ssd_np.files import as_path

# a small file can claim to be a huge picture and fill the memory: 8 bytes a pixel, MOST at most
MAX_PIXELS, MAX_SIDE, MOST = 50_000_000, 30_000, 20
STRIP = 4_000_000  # pixels of a large picture that are converted at once
LARGE = 12_000_000  # pixels; a data set shows no more of a picture, see `read_image`
FORMATS = {  # as Pillow calls them, the usual ones first, and the endings of their names
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "PNG": (".png",), "BMP": (".bmp", ".dib"),
    "GIF": (".gif",), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"), "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"), "TGA": (".tga",), "JPEG2000": (".jp2", ".j2k", ".jpx"),
}  # fmt: skip
KNOWN = f"known: {', '.join(FORMATS)}"
ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
_ORIENTATION_TAG = 0x0112  # EXIF; 5 to 8 exchange height and width


def read_image(path: str | Path | bytes, large: int | None = None) -> np.ndarray:
    """The picture in a file, or in the bytes of one, as (H, W, 3) uint8 RGB.

    `large`: a picture of so many pixels or more is read at 1/2, 1/4 or 1/8 of its sides, so that it
    has fewer. Of a JPEG that is the decoder's own reduction, in a third of the time.

    A camera's EXIF rotation is applied. Grey, palette and CMYK pictures are converted to RGB.
    16-bit grey is scaled by value, 65535 to 255. Where a picture is transparent, white shows
    through, as on a web page: the colour stored under full transparency is arbitrary, often black.
    Raises DataError naming the file if it is missing, empty, damaged, too large or no picture;
    MemoryError where a sound one does not fit.
    """
    with _opened(path) as picture:
        whole = picture.size
        _limit(picture, large)
        halved = halvings(whole, large) if picture.size == whole else 0  # the decoder did not
        ImageOps.exif_transpose(picture, in_place=True)
        image = _to_rgb(picture)
        return np.asarray(Image.fromarray(image).reduce(1 << halved)) if halved else image


def halvings(size: tuple[int, int], large: int | None) -> int:
    """How often the sides of a picture are halved, so that it has fewer pixels than `large`; at
    most three times.

    >>> halvings((3000, 4000), 12_000_000), halvings((3000, 4000), None)
    (1, 0)
    """
    pixels = math.prod(size)
    return next((k for k in range(4) if pixels >> (2 * k) < large), 3) if large else 0


@dataclass(frozen=True)
class Header:
    """Of a picture's file: (height, width) as `read_image` gives it, and EXIF's orientation."""

    size: tuple[int, int]
    orientation: int  # 1: as stored; 2 to 8: turned or mirrored, see exif.py


def read_header(path: str | Path) -> Header:
    """The size and orientation of a picture, without its pixels where the format allows it."""
    with _opened(path) as picture:
        orientation = picture.getexif().get(_ORIENTATION_TAG, 1)
        width, height = picture.size
        _limit(picture, LARGE)
        if orientation not in range(1, 9):  # nonsense; Pillow, too, leaves the picture as it is
            orientation = 1
        return Header((width, height) if orientation > 4 else (height, width), orientation)


@contextlib.contextmanager
def _opened(path: str | Path | bytes) -> Iterator[Image.Image]:
    """The file with its header read, its pixels not yet decoded. What is wrong with it, found here
    or by who decodes it, becomes a DataError that names it. What the system lacks is no fault of
    the picture: MemoryError, or OSError where no file more can be opened."""
    where = f"{len(path)} bytes" if isinstance(path, bytes) else str(path)
    source: io.BytesIO | str | Path
    if isinstance(path, bytes):
        size, source = len(path), io.BytesIO(path)
    else:
        size, source = check_regular(as_path(path), "image file", PICTURE), path
    pixels = MAX_PIXELS // 2  # until it is known: WebP is decoded as it is opened
    try:
        if size == 0:
            raise DataError("the image file is empty (0 bytes)")
        with Image.open(source, formats=tuple(FORMATS)) as picture:
            pixels = min(math.prod(picture.size), MAX_PIXELS)
            yield picture
    except DataError as error:
        raise DataError(error.what, where, error.hint) from error
    except Image.UnidentifiedImageError as error:
        raise DataError("not an image, or of another format", where, KNOWN) from error
    except MemoryError:
        raise
    except Exception as error:  # each format's decoder raises errors of its own
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        if "out of memory" in str(error):
            raise MemoryError(f"{where}: {error}") from error
        np.empty((pixels, MOST), np.uint8)  # most decoders without memory call the file broken
        raise DataError(f"image can not be read: {error}", where) from error


def _limit(picture: Image.Image, large: int | None) -> None:
    """Has a JPEG of `large` pixels decoded smaller; DataError for what remains too large."""
    width, height = picture.size
    jpeg = picture.format in ("JPEG", "MPO")  # MPO: with a second picture behind
    halved = halvings(picture.size, large) if jpeg else 0
    if halved:
        picture.draft("RGB", (max(1, width >> halved), max(1, height >> halved)))
    # a JPEG that comes in passes is kept whole while it is decoded, however small it becomes
    most = 2 * MAX_PIXELS if halved else MAX_PIXELS
    if picture.format == "JPEG2000":  # decoded at 4 bytes a number
        most //= 2
    if width * height > most or max(width, height) > MAX_SIDE:
        raise DataError(
            f"image of {width} x {height} pixels is too large",
            hint=f"at most {most:,} pixels and {MAX_SIDE:,} a side; make it smaller first",
        )


def _to_rgb(picture: Image.Image) -> np.ndarray:
    """Strip by strip, so that a large picture is not converted, composed and copied as a whole."""
    width, height = picture.size
    rows = max(1, STRIP // width)
    if rows >= height:
        return _strip_to_rgb(picture)
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        out[top:bottom] = _strip_to_rgb(picture.crop((0, top, width, bottom)))
    return out


def _strip_to_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I"):  # "I;16", "I;16B", or "I", which older Pillow makes of 16 bits
        values = np.asarray(picture, np.int32)  # (H, W)
        if values.min() < 0 or values.max() > 65535:
            raise DataError("has more than 16 bits per pixel", hint="convert it to 8 bits first")
        grey = ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode == "F":
        raise DataError("has floating-point pixels", hint="convert it to 8 bits first")
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def resize(
    image: np.ndarray,
    height: int,
    width: int,
    method: Literal["antialias", "half_pixel"] = "antialias",
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Bilinear resizing of an image (H, W, 3) to (height, width, 3), or of a grey one (H, W, 1).

    `box` (left, top, right, bottom) in pixels, fractions of them too: the part that becomes the
    result; pixels beside it still weigh in at its border. Default: the whole image.

    "antialias"   Pillow: when shrinking, the filter widens and averages all pixels. uint8 to uint8.
    "half_pixel"  torchvision's and OpenCV's rule: the four nearest pixels only. uint8 or float,
                  to float32.
    """
    image = as_array(image)
    whole = all(type(side) is int or isinstance(side, np.integer) for side in (height, width))
    if not whole or not 0 < min(height, width) <= max(height, width) < 1 << 20:
        raise ShapeError(f"can not resize to {width} x {height} pixels", hint="at least 1 x 1")
    if box is not None:
        check_window(box)
    if image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        channels_first = image.ndim == 3 and image.shape[0] == 3
        hint = "it looks like (3, H, W); use image.transpose(1, 2, 0)" if channels_first else ""
        raise ShapeError(f"expected an image (H, W, 3), got {image.shape}", hint=hint)
    if method == "half_pixel":
        return _resize_half_pixel(image, height, width, box)
    if image.dtype != np.uint8:
        raise ShapeError(f'"antialias" resizes uint8 images, got {image.dtype}')
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box))
    return small.reshape(height, width, image.shape[2])


def _resize_half_pixel(
    image: np.ndarray, height: int, width: int, box: tuple[float, float, float, float] | None
) -> np.ndarray:
    """Bilinear interpolation between pixel centres, which lie at half pixels: no antialiasing.

    Output pixel i samples the input at (i + 1/2) * in / out - 1/2 (PyTorch: align_corners=False).
    """
    x0, y0, x1, y1 = box or (0, 0, image.shape[1], image.shape[0])
    top, bottom, down = _neighbours(image.shape[0], y0, y1, height)
    left, right, across = _neighbours(image.shape[1], x0, x1, width)
    down, across = down[:, None, None], across[:, None]
    upper, lower = image[top].astype(np.float32), image[bottom].astype(np.float32)
    rows = upper + (lower - upper) * down  # (height, W, 3)
    before, after = rows.take(left, axis=1), rows.take(right, axis=1)
    return before + (after - before) * across  # (height, width, 3)


def _neighbours(
    size: int, low: float, high: float, new_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each output pixel along an axis, the outputs lying in [low, high) of the `size` inputs:
    its two input pixels, and the share of the second."""
    position = low + (np.arange(new_size) + 0.5) * ((high - low) / new_size) - 0.5
    position = np.clip(position, 0, size - 1)  # beyond the last centre its value continues
    first = position.astype(np.int64)
    second = np.minimum(first + 1, size - 1)
    return first, second, (position - first).astype(np.float32)


def normalise(image: np.ndarray, config: InputConfig) -> np.ndarray:
    """(x - mean) / std per channel, on the 0..255 scale, to float32."""
    check_kind(config, InputConfig, "config")
    channels = len(config.mean)
    image = as_array(image)
    numbers = image.dtype.kind in "fiu" and image.size > 0
    if image.ndim != 3 or image.shape[2] != channels or not numbers:
        what = f"the image is {image.shape} {image.dtype}"
        raise ShapeError(what, hint=f"expected (H, W, {channels})")
    height, width = image.shape[:2]
    # whole rows of repeated numbers: NumPy is four times slower with three at a time
    mean, std = (np.tile(np.array(v, np.float32), width) for v in (config.mean, config.std))
    rows = np.subtract(image.reshape(height, -1), mean, dtype=np.float32)
    return np.divide(rows, std, out=rows).reshape(image.shape)


def as_array(image: np.ndarray | Image.Image) -> np.ndarray:
    """A picture of Pillow as (H, W, 3) uint8 RGB, the right way up; an array as it is."""
    if isinstance(image, Image.Image):
        return _to_rgb(ImageOps.exif_transpose(image))
    if not isinstance(image, np.ndarray):
        raise ShapeError(
            f"the image is a {type(image).__name__}",
            hint="expected an array (H, W, 3) uint8, or a picture of Pillow; "
            "data.image.read_image reads a file",
        )
    return image


def to_grey(image: np.ndarray) -> np.ndarray:
    """(H, W, 3), (H, W, 1) or (H, W) uint8 -> (H, W, 1), by Pillow's weights (ITU-R 601)."""
    image = as_array(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ShapeError(f"the image is {image.shape} {image.dtype}", hint="expected uint8")
    if image.ndim == 3 and image.shape[2] == 3 and image.size:
        return np.asarray(Image.fromarray(image).convert("L"))[..., None]
    return image[..., None] if image.ndim == 2 else image


def preprocess(image: np.ndarray | Image.Image, config: Config) -> np.ndarray:
    """An RGB image (H, W, 3) uint8 as the network sees it: (height, width, channels) float32.

    For a network of one channel it becomes grey first. The image is warped to the config's size,
    then normalised. torchvision normalises first; since both steps are linear and the bilinear
    weights of a pixel sum to 1, the result is the same.
    """
    check_kind(config, Config, "config")
    image = as_array(image)
    if image.dtype != np.uint8:
        raise ShapeError(
            f"the image is {image.dtype}, expected uint8 from 0 to 255",
            hint="of values from 0 to 1 make (image * 255).astype(np.uint8)",
        )
    if config.input.channels == 1:
        image = to_grey(image)
    return normalise(resize(image, *config.input.shape, config.input.resize), config.input)
