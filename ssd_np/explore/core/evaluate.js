// From outputs to detections, and how right they are: infer/detect and evaluate of one picture.
"use strict";

/**
 * Logits (T * K) and offsets (T * 4) -> detections, best first, and what was dropped for whom.
 * rule: {score, iou, topKClass, topK, clip, maxExponent}. Each class is suppressed on its own.
 */
function detect(logits, offsets, defaults, classes, rule) {
  const scores = softmax(logits, classes), boxes = scores.length / classes;
  let corners = centerToCorner(decode(offsets, defaults, rule.maxExponent));
  if (rule.clip === "before_nms") corners = clip(corners);
  const kept = [], dropped = [];
  for (let label = 1; label < classes; label++) {
    const rows = [];
    for (let t = 0; t < boxes; t++) if (scores[t * classes + label] > rule.score) rows.push(t);
    const own = rows.map(t => scores[t * classes + label]);
    const taken = bestFirst(own, rule.topKClass).map(i => rows[i]);
    const part = suppress(taken.flatMap(t => [...corners.subarray(4 * t, 4 * t + 4)]),
                          taken.map(t => scores[t * classes + label]), rule.iou);
    for (const i of part.kept) kept.push(_found(taken[i], label, scores, classes, corners));
    for (const { index, by, iou } of part.dropped) {
      dropped.push({ ..._found(taken[index], label, scores, classes, corners), by: taken[by], iou });
    }
  }
  const order = bestFirst(kept.map(d => d.score), rule.topK);
  dropped.sort((a, b) => b.score - a.score);
  return { detections: order.map(i => kept[i]), dropped, scores, corners };
}

function _found(t, label, scores, classes, corners) {
  const corner = [...clip(corners.subarray(4 * t, 4 * t + 4))];
  return { t, label, score: scores[t * classes + label], corner };
}

/**
 * Detections (best first) against objects: each is right, a duplicate or wrong.
 * -> {verdicts: [{right, truth, iou}], found: Set of objects}.
 */
function judge(detections, gtCorner, gtLabels, iouThreshold = 0.5) {
  const found = new Set();
  const verdicts = detections.map(({ corner, label }) => {
    let truth = -1, iou = 0;
    for (let g = 0; g < gtLabels.length; g++) {
      const overlap = gtLabels[g] === label ? iouMatrix(corner, gtCorner.slice(4 * g, 4 * g + 4))[0] : 0;
      if (overlap > iou) { iou = overlap; truth = g; }
    }
    const right = truth >= 0 && iou >= iouThreshold && !found.has(truth);
    if (right) found.add(truth);
    return { right, truth, iou };
  });
  return { verdicts, found };
}

/** Recall and precision down a list of right (true) and wrong (false) detections, best first. */
function precisionRecall(right, truths) {
  let hits = 0;
  const recall = [], precision = [];
  right.forEach((ok, n) => {
    hits += ok;
    recall.push(truths ? hits / truths : NaN);
    precision.push(hits / (n + 1));
  });
  return { recall, precision };
}

/** Area under the envelope of precision: all-point average precision. */
function averagePrecision(recall, precision) {
  let best = 0, total = 0;
  for (let n = recall.length - 1; n >= 0; n--) {
    best = Math.max(best, precision[n]);
    total += (recall[n] - (n ? recall[n - 1] : 0)) * best;
  }
  return total;
}
