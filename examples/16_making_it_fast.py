"""
16. Making it fast
==================

A detector that takes a minute for a picture teaches nothing to anybody. These ideas make the
convolutions of this library fast: cut the work into tiles that fit the cache, give the tiles to
threads, keep sums in registers, go through the whole network in one call, and (Winograd's idea)
compute the same numbers with fewer multiplications.

Exercise (of lesson 05): ``conv2d_forward``; begin with ``ssd-np exercise start conv2d_forward``.
Derivation: docs/derivations.md#winograds-convolution.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.engine.conv import TILE_BYTES
from ssd_np.engine.threads import thread_count
from ssd_np.engine.winograd import MATRICES
from ssd_np.gradcheck import relative_error
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace
from ssd_np.nn.blocks import Block
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.viz.screen import show

# %%
# Where the time goes
# -------------------
# Count the multiply-adds of every layer of SSD300: 31 billion in all. A core does some 30 to 100
# billion a second if it is well fed. The base has 95 % of the work, and more than half of that
# lies at its beginning, conv1 to conv3, where the maps are large.

rows = [row for row in trace(load_config("ssd300_voc")) if row.multiply_adds]
total = sum(row.multiply_adds for row in rows)
largest = sorted(rows, key=lambda row: -row.multiply_adds)[:12][::-1]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.barh(
    [row.name for row in largest], [row.multiply_adds / 1e9 for row in largest], color="#0072B2"
)
axes.set(
    xlabel="billions of multiply-adds",
    title=f"the 12 costliest layers; {total / 1e9:.0f} billion in all",
)
show()

# %%
# Tiles
# -----
# im2col (lesson 05) makes one matrix product of a convolution. But look at the size of that
# matrix for conv1_2: 300 * 300 pixels, each a row of 3 * 3 * 64 numbers of 4 bytes. 207
# megabytes, written to memory and read back, for an image of one.
#
# So never build it whole. Lay out some rows, about a megabyte of them, which the cache of a core
# can hold; multiply, throw them away, take the next. The numbers are the same; memory and time are
# not.

whole = 300 * 300 * 3 * 3 * 64 * 4
print(f"im2col of conv1_2: {whole / 1e6:.0f} MB, of one tile: {TILE_BYTES / 1e6:.0f} MB")
assert whole == 207_360_000 and TILE_BYTES == 2**20

rng = np.random.default_rng(0)
x = rng.standard_normal((1, 150, 150, 32), dtype=np.float32)
w = rng.standard_normal((3, 3, 32, 32), dtype=np.float32) * 0.1
b = np.zeros(32, np.float32)
results = {}
for name in ("plain", "fast"):
    ops = select(name)  # the concepts as lesson 05 has them, or their fast versions
    ops.conv2d_forward(x, w, b, pad=1)  # compiles, warms up
    start = time.perf_counter()
    results[name], cache = ops.conv2d_forward(x, w, b, pad=1)
    print(f"{name:5} {1000 * (time.perf_counter() - start):6.1f} ms")
difference = relative_error(results["plain"], results["fast"])
print(f"largest difference: {difference:.1e}")

# %%
# Threads
# -------
# Tiles do not depend on each other, so each thread takes the next one that nobody has: one that
# wakes late, which may last as long as a tile, then finds less to do. A sum over all pixels is
# another matter. If each thread kept one of the tiles it happened to take, this would spoil
# something: in floating point, the order of a sum matters.

order = (
    np.float32(1e8) + np.float32(1) - np.float32(1e8),
    np.float32(1e8) - np.float32(1e8) + np.float32(1),
)
print("1e8 + 1 - 1e8 =", order[0], " and 1e8 - 1e8 + 1 =", order[1])
assert order == (0, 1)

# %%
# So a sum belongs to fixed tiles, whoever computes them, and two runs of a training give the same
# bits. Test it on the gradient of a kernel, a sum over all pixels. (SSD_NP_THREADS=1 in the
# environment sets the number of threads.)

print("threads:", thread_count())
upstream = rng.standard_normal(results["fast"].shape, dtype=np.float32)
first, second = (ops.conv2d_backward(upstream, cache)[1] for _ in range(2))
assert np.array_equal(first, second)

# %%
# Registers
# ---------
# A core multiplies and adds vectors of 8 or 16 numbers, two vectors at a time, and also loads two
# at a time from the nearest cache. So a number that is loaded for one product alone keeps the
# multipliers waiting. A tile of p pixels by v vectors of output channels loads p numbers and v
# vectors for p v products, while its p v sums stay in registers, of which there are 16 or 32:

for pixels, vectors in ((1, 1), (8, 1), (8, 2), (8, 3)):
    loads, products = pixels + vectors, pixels * vectors
    print(f"{pixels} x {vectors}: {loads / products:.2f} loads a product, {products:2} sums")

# %%
# 8 x 1 is what 16 registers hold beside a vector of the kernel and one of the image; with 32 it is
# 8 x 2 (engine/microkernel.py). The compiler does not find such a loop, so it is written in the
# compiler's own language. A 1x1 convolution is one matrix product of pixels by channels; compare it
# with NumPy's, which has threads of its own:

wide, mix = rng.standard_normal((1, 64, 64, 256), np.float32), np.ones((1, 1, 256, 256), np.float32)
many, ops = np.zeros(256, np.float32), select("fast").for_model("im2col")
mix.setflags(write=False)
many.setflags(write=False)
ways = {
    "registers": lambda: ops.network_forward(wide, [(0, Block(mix, many, activation="none"))])[0],
    "matmul": lambda: (wide.reshape(-1, 256) @ mix[0, 0]).reshape(wide.shape),
}
for name, way in ways.items():
    way()  # compiles
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        product = way()
        seconds.append(time.perf_counter() - start)
    speed = 2 * product.size * 256 / min(seconds) / 1e9
    print(f"{name:9} {speed:5.0f} billion operations a second")
assert relative_error(product, ways["registers"]()) < 1e-5

# %%
# One call
# --------
# A layer of a small network takes less time than Python needs to call it and than a thread needs to
# wake. So an inference is one call: all threads go through all layers, each takes tiles that nobody
# has, and begins with a layer when those that it reads are done. Memory for all maps is planned
# before, and kernels are copied once into the order in which they are read (engine/plan.py,
# network.py). Training goes layer by layer, because backward needs what each gave.

tiny = SSD(load_config("tiny"))
picture = np.zeros((1, *tiny.config.input.shape, 3), np.float32)
for name, training in (("layer by layer", True), ("one call", False)):
    times = []
    for _ in range(10):
        start = time.perf_counter()
        logits, _ = tiny.forward(picture, training=training)
        times.append(time.perf_counter() - start)
    print(f"tiny, {name:14} {1000 * min(times):5.2f} ms")

# %%
# Winograd by hand: two answers, four multiplications
# ---------------------------------------------------
# A kernel of 3 over 4 numbers gives 2 answers with six multiplications:
#
# .. math::
#
#    y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 .
#
# Winograd (1980; for networks: Lavin and Gray 2016) needs four:
#
# .. math::
#
#    m_0 = (d_0 - d_2)\, g_0, \qquad m_1 = (d_1 + d_2)\, (g_0 + g_1 + g_2) / 2, \qquad
#    m_3 = (d_1 - d_3)\, g_2, \qquad m_2 = (d_2 - d_1)\, (g_0 - g_1 + g_2) / 2,
#
# .. math::
#
#    y_0 = m_0 + m_1 + m_2, \qquad y_1 = m_1 - m_2 - m_3 .
#
# With d = 1 2 3 4 and g = 1 0 2 the long way gives y0 = 1 + 0 + 6 = 7 and y1 = 2 + 0 + 8 = 10.
# The short way: m0 = -2, m1 = 5 * 1.5 = 7.5, m2 = 1 * 1.5 = 1.5, m3 = -2 * 2 = -4. So y0 = -2 +
# 7.5 + 1.5 = 7 and y1 = 7.5 - 1.5 + 4 = 10.
#
# The sums of g are made once for a kernel, those of d once for all output channels. What is left,
# again and again, are the four products. In matrices, with a product number by number,
#
# .. math::
#
#    y = A \, \big( (G g) \odot (B d) \big) .

B = np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1.0, 1, 1, 0], [0, 1, -1, -1]])
d, g = np.array([1.0, 2, 3, 4]), np.array([1.0, 0, 2])
products = (G @ g) * (B @ d)
print("products:", products, " answers:", A @ products)
assert products.tolist() == [-2, 7.5, 1.5, -4] and (A @ products).tolist() == [7, 10]

# %%
# In two dimensions, do it for rows and for columns: 4 x 4 pixels, 2 x 2 answers, 16 products
# instead of 36, that is 2.25 times fewer. Tiles of 6 x 6 give 4 x 4 answers with 36 products
# instead of 144: 4 times.

pixels, kernel = rng.standard_normal((4, 4)), rng.standard_normal((3, 3))
answers = A @ ((G @ kernel @ G.T) * (B @ pixels @ B.T)) @ A.T  # (2, 2)
expected, cache = conv2d_forward(pixels[None, :, :, None], kernel[:, :, None, None], np.zeros(1))
assert np.allclose(answers, expected[0, :, :, 0])

# %%
# The gradient
# ------------
# Each step is a matrix; going back, take them transposed and in reverse order: from the answers'
# gradient through A, through the products, and through B to the pixels, or through G to the
# kernel.

dy = rng.standard_normal((2, 2))
dproducts = A.T @ dy @ A  # (4, 4)
dpixels = B.T @ (dproducts * (G @ kernel @ G.T)) @ B
dkernel = G.T @ (dproducts * (B @ pixels @ B.T)) @ G
dx, dw, _ = conv2d_backward(dy[None, :, :, None], cache)
assert np.allclose(dpixels, dx[0, :, :, 0]) and np.allclose(dkernel, dw[:, :, 0, 0])

# %%
# The library's function
# ----------------------
# The fast engine of a model does this for all channels at once where its config's
# ``"convolution"`` says ``"winograd2"`` or ``"winograd4"``. Its matrices are the ones above.

assert all(np.array_equal(a, b) for a, b in zip((B, G, A), MATRICES[2], strict=True))

# %%
# A block of 16 patches goes through all three steps while it is in a core's cache
# (engine/filtering.py), and on the way back a block of 32 (engine/filter_gradient.py). In training
# the kernel is transformed at each step, in an inference once, when it is set: here are
# equal calls, straight from the map and by tiles; from the second on the kernel is there as it is
# needed. (An array that may still be written to would be transformed at each call.)

w.setflags(write=False)
b.setflags(write=False)
at_once = {}
for algorithm in ("im2col", "winograd2", "winograd4"):
    ops = select("fast").for_model(algorithm)
    ops.network_forward(x, [(0, Block(w + 1, b, pad=1))])  # compiles
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        (at_once[algorithm],) = ops.network_forward(x, [(0, Block(w, b, pad=1))])
        seconds.append(time.perf_counter() - start)
    print(f"{algorithm:9} {1000 * seconds[0]:6.1f} ms, then {1000 * min(seconds[1:]):6.1f} ms")
assert all(relative_error(out, at_once["im2col"]) < 1e-4 for out in at_once.values())

# %%
# Forward and back of one layer in training, each way:

for algorithm in ("im2col", "winograd2", "winograd4"):
    ops, there, back = select("fast").for_model(algorithm), [], []
    for _ in range(5):
        start = time.perf_counter()
        out, cache = ops.conv2d_forward(x, w, b, pad=1)
        middle = time.perf_counter()
        ops.conv2d_backward(upstream, cache)
        there.append(middle - start)
        back.append(time.perf_counter() - middle)
    print(f"{algorithm:9} {1000 * min(there):6.1f} ms, back {1000 * min(back):6.1f} ms")

# %%
# What goes wrong: cleverness costs digits
# ----------------------------------------
# Larger tiles, fewer products - why stop? Because their matrices hold larger numbers (4, 5 and 8
# for tiles of 6 x 6), and sums of large numbers with opposite signs lose digits. Here is the
# error of each way in float32, against a plain convolution in float64.

exact = conv2d_forward(*(v.astype(np.float64) for v in (x, w, b)), pad=1)[0]
error = {}
for algorithm in ("im2col", "winograd2", "winograd4"):
    ops = select("fast").for_model(algorithm)
    ops.conv2d_forward(x, w, b, pad=1)  # warms up
    start = time.perf_counter()
    quick = ops.conv2d_forward(x, w, b, pad=1)[0]
    seconds = time.perf_counter() - start
    error[algorithm] = relative_error(quick.astype(np.float64), exact)
    print(f"{algorithm:9} {1000 * seconds:6.1f} ms, error {error[algorithm]:.1e}")

# %%
# The other trap is too many helpers. NumPy's matrix product has threads of its own; eight of
# ours, each calling eight of those, are 64 on eight cores, and all wait for each other. The
# library holds NumPy's matrix product to one thread while its own are at work.

# %%
# What to remember
# ----------------

assert difference < 1e-5  # tiles change no result but in the last digits
assert error["winograd2"] < error["winograd4"] < 1e-4
assert total > 31e9
