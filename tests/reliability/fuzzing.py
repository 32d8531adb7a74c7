"""Makers of bad input: real files changed byte by byte and value by value, and made-up values."""

import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def damaged(original: bytes):
    """Makers of copies with one to four bytes, bits or pieces changed, copied, lost or inserted."""

    def make(rng) -> bytes:
        raw = bytearray(original)
        for _ in range(rng.integers(1, 5)):
            i, j = sorted(rng.integers(0, len(raw) + 1, 2))
            kind = rng.integers(0, 6)
            if kind == 0:
                raw[i : i + 1] = rng.bytes(1)
            elif kind == 1 and i < len(raw):
                raw[i] ^= 1 << rng.integers(0, 8)
            elif kind == 2:
                raw[j:j] = raw[i : i + rng.integers(1, 40)]
            elif kind == 3:
                del raw[i : i + rng.integers(1, 40)]
            elif kind == 4:
                raw[i:i] = rng.choice([b"\0", b"\xff", b"9" * 400, b"-1e999", b"<", b"&a;", b"{["])
            elif rng.random() < 0.2:
                del raw[i:]
        return bytes(raw)

    return make


STRANGE = (None, True, False, 0, -1, 2, 10**400, -(10**18), 2**31, 1.5, -0.0, 1e308, 1e-320,
           float("nan"), float("inf"), "", "x", "1", "\ud800", "a/../../b", "\0", "../" * 9,
           [], [[]], {}, {"a": 1}, [1, 2, 3, 4], [0, 0, 10**400, 1], [None] * 4,
           "N" * 5000)  # fmt: skip


def put_something_strange(value, rng):
    """A copy of a JSON value in which one place, chosen at random, is changed or lost."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        keys = list(value)
        key = keys[rng.integers(len(keys))]
        copy = {k: v for k, v in value.items() if k != key or rng.random() < 0.9}
        if key in copy:
            copy[key] = put_something_strange(value[key], rng)
        return copy
    if isinstance(value, list | tuple) and value and rng.random() < 0.9:
        copy = list(value)
        place = rng.integers(len(copy))
        copy[place] = put_something_strange(copy[place], rng)
        return copy if rng.random() < 0.9 else copy + copy
    return STRANGE[rng.integers(len(STRANGE))]


def strange_json(original):
    return lambda rng: json.dumps(put_something_strange(original, rng)).encode()


def cycling(*makers):
    """One maker after the other."""
    turn = iter(range(10**9))
    return lambda rng: makers[next(turn) % len(makers)](rng)


def of_hypothesis(strategy, count, read, error):
    """Reads `count` examples of a strategy, always the same ones; an `error` is a right answer."""

    @settings(max_examples=count, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def run(example):
        with contextlib.suppress(error):
            read(example)

    run()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
