"""Cases of the rooms nn and train for test_equals_concepts.py."""

from drawing import array


def softmax(ops, rng, dtype):
    shape = (*rng.integers(1, 9, rng.integers(0, 3)), rng.integers(1, 30))
    logits = 20 * array(rng, shape, dtype)
    return [ops.softmax(logits), *ops.log_softmax_forward(logits)]


def sgd(ops, rng, dtype):
    shape = tuple(rng.integers(1, 6, rng.integers(1, 5)))
    w, v = (rng.standard_normal(shape).astype(dtype) for _ in range(2))  # an optimiser's own
    results = []
    for _ in range(3):
        g = array(rng, shape, dtype)
        results.append(ops.square_sum(g))
        w, v = ops.sgd_update(w, v, g, 0.1, 0.9, float(rng.choice([0, 5e-4])), 0.3)
    return [*results, w, v]


CASES = [softmax, sgd]
