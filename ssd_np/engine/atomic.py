"""Counters that several threads share, and giving way: what Numba has no words for."""

import os

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ssd_np.kernels import inlined

PATIENCE = 1000  # looks at a counter before another thread may have the core
POLITENESS = 20 * PATIENCE  # looks, about as long as it takes to wake a thread
TAKEN, UP, DOWN, DONE = range(4)  # counters of tiles


def _pointer(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _take(typing, counters, index):
    """counters[index] += 1, at once for all threads -> what it was before."""

    def generate(context, builder, signature, arguments):
        one = ir.IntType(64)(1)
        return builder.atomic_rmw(
            "add", _pointer(context, builder, signature, arguments), one, "acq_rel"
        )

    return types.int64(counters, types.intp), generate


def _look(typing, counters, index):
    """counters[index] as it is now, and with it all that was written before it was counted."""

    def generate(context, builder, signature, arguments):
        place = _pointer(context, builder, signature, arguments)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(counters, types.intp), generate


def _give_way(typing):
    """Another thread may have this core, if one waits for it."""

    def generate(context, builder, signature, arguments):
        name = "SwitchToThread" if os.name == "nt" else "sched_yield"
        function = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, function, name), [])
        return context.get_dummy_value()

    return types.void(), generate


take, look, give_way = intrinsic(_take), intrinsic(_look), intrinsic(_give_way)


@inlined
def watch(counters, index, enough):
    """Until counters[index] is `enough`."""
    looks = 0
    while look(counters, index) < enough:
        looks += 1
        if looks > PATIENCE:
            give_way()


@inlined
def leave_last(counters, index):
    """Soon after counters[index] is counted, by a thread that wants the interpreter back.

    Who comes first takes it; the other one sleeps and has to be woken, so the caller goes first. A
    caller that does not come, because it lost its core, is not waited for.
    """
    looks = 0
    while looks < POLITENESS:
        looks = max(looks + 1, POLITENESS - PATIENCE) if look(counters, index) else looks + 1


@inlined
def claim(counters, lane, tiles, middle, back):
    """A tile that nobody has taken, or -1; they are counted round from `middle`.

    Lane 0 takes them upwards from there, others downwards, and on the way `back` the other way
    round: so a second pass begins with what a thread's cache still holds of the first one.
    """
    if take(counters, TAKEN) >= tiles:
        return -1
    number = take(counters, DOWN if lane else UP)
    return (middle + (-1 - number if back == (lane == 0) else number)) % tiles
