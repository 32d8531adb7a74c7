"""Exercises on the loss as a student may solve them, and the usual slips: (right, wrong text)."""

SOLUTIONS = {
    "cross_entropy_backward": (
        """
def cross_entropy_backward(dout, cache):
    log_probability, labels = cache
    one_hot = np.eye(log_probability.shape[-1], dtype=dout.dtype)[labels]
    return (np.exp(log_probability) - one_hot) * dout[..., None]
""",
        {
            "the one-hot forgotten": (" - one_hot", ""),
            "the sign turned round": (
                "np.exp(log_probability) - one_hot",
                "one_hot - np.exp(log_probability)",
            ),
            "the upstream gradient forgotten": (" * dout[..., None]", ""),
            "averaged over the rows": ("* dout[..., None]", "* dout[..., None] / labels.size"),
            "the logarithm taken for the probability": (
                "np.exp(log_probability)",
                "log_probability",
            ),
            "the gradient of the right class only": (
                "np.exp(log_probability) - one_hot",
                "(np.exp(log_probability) - 1) * one_hot",
            ),
        },
    ),
    "smooth_l1": (
        """
def smooth_l1_forward(pred, target, beta=1.0):
    d = pred - target
    size = np.abs(d)
    return np.where(size < beta, d * d / (2 * beta), size - beta / 2), (d, beta)

def smooth_l1_backward(dout, cache):
    d, beta = cache
    return dout * np.where(np.abs(d) < beta, d / beta, np.sign(d))
""",
        {
            "the half forgotten": ("d * d / (2 * beta)", "d * d / beta"),
            "the pieces do not meet": ("size - beta / 2", "size"),
            "beta forgotten in the square": ("d * d / (2 * beta)", "d * d / 2"),
            "target minus prediction": ("d = pred - target", "d = target - pred"),
            "plain L1's gradient": (
                "np.where(np.abs(d) < beta, d / beta, np.sign(d))",
                "np.sign(d)",
            ),
            "plain L2's gradient": ("np.where(np.abs(d) < beta, d / beta, np.sign(d))", "d / beta"),
            "the sign of the far piece forgotten": ("np.sign(d))", "1)"),
            "the upstream gradient forgotten": ("dout * np.where", "np.where"),
            "summed": (
                "np.where(size < beta, d * d / (2 * beta), size - beta / 2)",
                "np.where(size < beta, d * d / (2 * beta), size - beta / 2).sum()",
            ),
        },
    ),
    "mine_hard_negatives": (
        """
def mine_hard_negatives(confidence_loss, positive, negative, ratio=3, minimum=0, per="image"):
    shape = confidence_loss.shape
    rows = (1, -1) if per == "batch" else shape
    loss, positive, negative = (
        a.reshape(rows) for a in (confidence_loss, positive, negative)
    )
    mined = np.zeros(loss.shape, bool)
    for i in range(len(loss)):
        wanted = max(int(ratio * positive[i].sum()), minimum)
        candidates = np.flatnonzero(negative[i])
        cost = np.nan_to_num(loss[i, candidates], nan=np.inf)
        order = np.argsort(-cost, kind="stable")
        mined[i, candidates[order[:wanted]]] = True
    return mined.reshape(shape)
""",
        {
            "positives picked too": ("np.flatnonzero(negative[i])", "np.arange(loss.shape[1])"),
            "neutral boxes picked too": (
                "np.flatnonzero(negative[i])",
                "np.flatnonzero(~positive[i])",
            ),
            "the easiest negatives": ("np.argsort(-cost", "np.argsort(cost"),
            "as many as positives": ("int(ratio * positive[i].sum())", "int(positive[i].sum())"),
            "the images compete": ('per == "batch"', "True"),
            "the minimum forgotten": (
                "max(int(ratio * positive[i].sum()), minimum)",
                "int(ratio * positive[i].sum())",
            ),
            "the minimum on top": (
                "max(int(ratio * positive[i].sum()), minimum)",
                "int(ratio * positive[i].sum()) + minimum",
            ),
            "ties above the cut all picked": (
                "mined[i, candidates[order[:wanted]]] = True",
                "mined[i, candidates] = cost >= cost[order[:wanted]].min(initial=np.inf)",
            ),
            "at least one in every image": ("positive[i].sum())", "max(1, positive[i].sum()))"),
        },
    ),
    "multibox_loss": (
        """
def multibox_loss(logits, offsets, target_labels, target_offsets, ratio=3, alpha=1.0,
                  mining="image", minimum=0):
    positive, negative = target_labels > 0, target_labels == 0
    rank = -log_softmax_forward(logits)[0][..., 0]
    mined = mine_hard_negatives(rank, positive, negative, ratio, minimum, mining)
    chosen = positive | mined
    count = int(positive.sum())
    scale = 1 / max(1, count, mined.sum() / max(1, ratio))
    rows, cache = cross_entropy_forward(logits[chosen], target_labels[chosen])
    dlogits = np.zeros_like(logits)
    dlogits[chosen] = cross_entropy_backward(np.full_like(rows, scale), cache)
    target = target_offsets[positive].astype(offsets.dtype)
    sides, cache = smooth_l1_forward(offsets[positive], target)
    doffsets = np.zeros_like(offsets)
    doffsets[positive] = smooth_l1_backward(np.full_like(sides, alpha * scale), cache)
    confidence, location = float(rows.sum() * scale), float(sides.sum() * scale)
    total = confidence + alpha * location
    return MultiboxLoss(total, location, confidence, count, mined, dlogits, doffsets)
""",
        {
            "max(1, N) forgotten": (
                "1 / max(1, count, mined.sum() / max(1, ratio))",
                "1 / np.float64(count)",
            ),
            "negatives without an object not divided": (", mined.sum() / max(1, ratio))", ")"),
            "divided by the negatives, not by their share": (
                "mined.sum() / max(1, ratio)",
                "mined.sum()",
            ),
            "divided by the boxes that count": (
                "    rows, cache = cross",
                "    scale = 1 / max(1, int(chosen.sum()))\n    rows, cache = cross",
            ),
            "divided by the images": (
                "1 / max(1, count, mined.sum() / max(1, ratio))",
                "1 / len(logits)",
            ),
            "every negative counts": ("chosen = positive | mined", "chosen = positive | negative"),
            "neutral boxes taken for background": ("target_labels == 0", "target_labels <= 0"),
            "positives left out of the confidence": ("chosen = positive | mined", "chosen = mined"),
            "location of every chosen box": (
                "location = float(rows.sum() * scale), float(sides.sum() * scale)",
                "location = float(rows.sum() * scale), float(smooth_l1_forward(offsets[chosen], "
                "target_offsets[chosen].astype(offsets.dtype))[0].sum() * scale)",
            ),
            "alpha forgotten in the gradient": ("alpha * scale), cache)", "scale), cache)"),
            "alpha forgotten in the loss": (
                "confidence + alpha * location",
                "confidence + location",
            ),
            "gradients not divided": ("np.full_like(rows, scale)", "np.ones_like(rows)"),
            "ranked by the probability of background": (
                "rank = -log_softmax_forward(logits)[0][..., 0]",
                "rank = log_softmax_forward(logits)[0][..., 0]",
            ),
            "ranked by the logit alone": (
                "rank = -log_softmax_forward(logits)[0][..., 0]",
                "rank = -logits[..., 0]",
            ),
        },
    ),
    "focal_loss": (
        """
def focal_loss_forward(logits, labels, gamma=2.0):
    log_p, _ = log_softmax_forward(logits)
    right = np.take_along_axis(log_p, labels[..., None], -1)[..., 0]
    return -((-np.expm1(right)) ** gamma) * right, (log_p, right, labels, gamma)

def focal_loss_backward(dout, cache):
    log_p, right, labels, gamma = cache
    wrong = -np.expm1(right)
    ratio = np.divide(-right, wrong, out=np.ones_like(right), where=wrong != 0)
    factor = wrong**gamma * (1 + gamma * np.exp(right) * ratio)
    one_hot = np.eye(log_p.shape[-1], dtype=dout.dtype)[labels]
    return (dout * factor)[..., None] * (np.exp(log_p) - one_hot)
""",
        {
            "the minus forgotten": ("return -((-np", "return ((-np"),
            "p for 1 - p": ("-((-np.expm1(right)) ** gamma)", "-(np.exp(right) ** gamma)"),
            "the exponent forgotten": ("-((-np.expm1(right)) ** gamma)", "-(-np.expm1(right))"),
            "gamma always 2": ("-((-np.expm1(right)) ** gamma)", "-((-np.expm1(right)) ** 2)"),
            "averaged": ("* right, (log_p", "* right / labels.size, (log_p"),
            "the factor held constant": (" * (1 + gamma * np.exp(right) * ratio)", ""),
            "the second term subtracted": ("(1 + gamma", "(1 - gamma"),
            "p forgotten in the factor": ("gamma * np.exp(right) * ratio", "gamma * ratio"),
            "infinite where p is 1": (
                "wrong**gamma * (1 + gamma * np.exp(right) * ratio)",
                "wrong**gamma - gamma * np.exp(right) * wrong ** (gamma - 1) * right",
            ),
            "the one-hot forgotten": (" - one_hot", ""),
            "the upstream gradient forgotten": ("(dout * factor)", "factor"),
        },
    ),
    "average_precision": (
        """
def all_point_ap(recall, precision):
    area, last = 0.0, 0.0
    for i in range(len(recall)):
        area += (recall[i] - last) * precision[i:].max()
        last = recall[i]
    return float(area)

def eleven_point_ap(recall, precision):
    total = 0.0
    for k in range(11):
        reached = precision[recall >= k / 10]
        total += reached.max() if len(reached) else 0.0
    return float(total / 11)
""",
        {
            "precision without its envelope": ("precision[i:].max()", "precision[i]"),
            "the best precision so far": ("precision[i:].max()", "precision[: i + 1].max()"),
            "the mean precision": ("return float(area)", "return float(precision.mean())"),
            "recall beyond the level, not at it": ("recall >= k / 10", "recall > k / 10"),
            "levels as multiples of 0.1": ("recall >= k / 10", "recall >= k * 0.1"),
            "ten levels": ("range(11)", "range(10)"),
            "a mean over the levels that were reached": (
                "float(total / 11)",
                "float(total / max(1, sum(recall.max(initial=0) >= k / 10 for k in range(11))))",
            ),
            "the trapezoids of the raw curve": (
                "return float(area)",
                "return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))",
            ),
        },
    ),
    "precision_recall": (
        """
def _curve(rows, ignored, truths, iou_threshold):
    taken, right, counted, scores = set(), 0, 0, []
    recall, precision = [], []
    for row in rows[np.argsort(-rows["score"], kind="stable")]:
        hit = row["iou"] >= iou_threshold
        if hit and ignored[row["truth"]]:
            continue
        counted += 1
        if hit and row["truth"] not in taken:
            taken.add(row["truth"])
            right += 1
        recall.append(right / truths if truths else np.nan)
        precision.append(right / counted)
        scores.append(row["score"])
    return np.array(recall, float), np.array(precision, float), np.array(scores, float)
""",
        {
            "a duplicate is right": (' and row["truth"] not in taken', ""),
            "in the order of the images": (
                'rows[np.argsort(-rows["score"], kind="stable")]',
                "rows",
            ),
            "worst first": ('np.argsort(-rows["score"]', 'np.argsort(rows["score"]'),
            "above the threshold, not from it on": (
                'row["iou"] >= iou_threshold',
                'row["iou"] > iou_threshold',
            ),
            "difficult objects are wrong to find": (
                "            continue\n",
                "            hit = False\n",
            ),
            "difficult objects are right to find": ('if hit and ignored[row["truth"]]', "if False"),
            "recall over the detections": ("right / truths if", "right / len(rows) if"),
            "recall and precision swapped": (
                "return np.array(recall, float), np.array(precision, float)",
                "return np.array(precision, float), np.array(recall, float)",
            ),
        },
    ),
}
