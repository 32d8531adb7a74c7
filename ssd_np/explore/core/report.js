// Why: the page's own infer/explain.py. The same records, the same words, held equal by the tests.
"use strict";

/** A number as Python's format "g" writes it. */
function short(value) {
  return `${parseFloat(Number(value).toPrecision(6))}`;
}

/** A number with so many digits behind the point; a tie goes to the even digit, as in Python. */
function fixed(value, digits) {
  const text = value.toFixed(digits), exact = value.toFixed(Math.min(digits + 40, 100));
  const tie = /^50*$/.test(exact.slice(text.length + (digits ? 0 : 1)));
  if (!tie || "02468".includes(text[text.length - 1])) return text;
  const step = 10 ** -digits;
  return (value - Math.sign(value) * step / 2).toFixed(digits);
}

/** For each object its default boxes, best first, and the runner-up; then the neutral boxes. */
function explainMatching(config, defaults, gtCorner, gtLabels, threshold, neutralThreshold) {
  const corners = defaultCorners(defaults), boxes = corners.length / 4, truths = gtLabels.length;
  const iou = iouMatrix(gtCorner, corners), at = (g, t) => iou[g * boxes + t];
  const matched = matchIou(iou, truths, boxes, threshold, neutralThreshold);
  const best = new Int32Array(boxes).fill(BACKGROUND);  // by rule one alone
  for (const [g, t] of bestPairs(iou, truths, boxes)) best[t] = g;
  const place = t => placeOf(config, defaults, t), objects = [], neutral = [];
  for (let g = 0; g < truths; g++) {
    const rows = [];
    for (let t = 0; t < boxes; t++) if (matched[t] === g) rows.push(t);
    rows.sort((a, b) => at(g, b) - at(g, a) || a - b);
    const matches = rows.map(t => ({ place: place(t), iou: at(g, t),
      rule: best[t] === g ? "best of its object" : `IoU of at least ${short(threshold)}` }));
    let other = 0, most = -1;
    for (let t = 0; t < boxes; t++) {
      if (matched[t] !== g && at(g, t) > most) { most = at(g, t); other = t; }
    }
    const runnerUp = most > 0 ? { place: place(other), iou: most,
      reason: _whyNot(matched[other], best[other], other, at, threshold, neutralThreshold) } : null;
    objects.push({ index: g, name: config.class_names[gtLabels[g] - 1],
      corner: [...gtCorner.slice(4 * g, 4 * g + 4)], matches, runner_up: runnerUp });
  }
  for (let t = 0; t < boxes; t++) {
    if (matched[t] !== NEUTRAL) continue;
    let whose = 0;
    for (let g = 1; g < truths; g++) if (at(g, t) > at(whose, t)) whose = g;
    neutral.push({ place: place(t), iou: at(whose, t), object_index: whose });
  }
  neutral.sort((a, b) => b.iou - a.iou || a.place.index - b.place.index);
  return { objects, neutral, matched, best, iou };
}

function _whyNot(other, best, t, at, threshold, neutralThreshold) {
  if (other === NEUTRAL) {
    return `neutral, since below ${short(threshold)} but from ${short(neutralThreshold)} on`;
  }
  if (other < 0) return `background, since below ${short(threshold)}`;
  const overlap = fixed(at(other, t), 3);
  if (best === other) return `it is the best box of object ${other} (IoU ${overlap})`;
  return `it overlaps object ${other} more (IoU ${overlap})`;
}

/** The negatives that training would learn from, costliest first, and the first one left out. */
function explainMining(config, defaults, logits, labels, iou, rule) {
  const classes = config.class_names.length + 1, boxes = labels.length;
  const losses = backgroundLoss(logits, classes), scores = softmax(logits, classes);
  const mined = mineHardNegatives(losses, labels, rule.ratio, rule.minimum);
  const positives = labels.reduce((n, label) => n + (label > 0), 0);
  const ranked = [...labels.keys()].filter(t => labels[t] === 0)
    .sort((a, b) => losses[b] - losses[a] || a - b);
  const report = rank => {
    const t = ranked[rank];
    let guess = 1, nearest = 0;
    for (let k = 2; k < classes; k++) {
      if (scores[t * classes + k] > scores[t * classes + guess]) guess = k;
    }
    for (let g = 0; g < iou.length / boxes; g++) nearest = Math.max(nearest, iou[g * boxes + t]);
    return { rank: rank + 1, place: placeOf(config, defaults, t), loss: losses[t],
      guess: config.class_names[guess - 1], score: scores[t * classes + guess], iou: nearest };
  };
  const count = mined.reduce((n, bit) => n + bit, 0);
  return { positives, wanted: Math.max(Math.trunc(rule.ratio * positives), rule.minimum),
    mined: Array.from({ length: count }, (_, rank) => report(rank)),
    first_left_out: count < ranked.length ? report(count) : null,
    ranked, losses };
}

/** The steps from a default box and its offsets to a box, as lines with the numbers in them. */
function decodingLines(default_, offsets, maxExponent) {
  const box = decode(Float64Array.from(offsets), Float64Array.from(default_), maxExponent);
  const n = value => fixed(value, 4);
  const lines = ["cx", "cy"].map((side, i) => {
    const move = `${n(offsets[i])} * ${short(default_[4 + i])} * ${n(default_[2 + i])}`;
    return `${side} = ${n(default_[i])} + ${move} = ${n(box[i])}`;
  });
  for (const [i, side] of [[2, "w"], [3, "h"]]) {
    let power = `${n(offsets[i])} * ${short(default_[4 + i])}`;
    if (maxExponent !== null && offsets[i] * default_[4 + i] > maxExponent) {
      power = `min(${power}, ${n(maxExponent)})`;
    }
    lines.push(`${side}  = ${n(default_[i])} * exp(${power}) = ${n(box[i])}`);
  }
  return lines;
}

/** conv4_2 row 3 column 7 box s' : where a default box comes from. */
function placeWords(place) {
  return `${place.feature_map} row ${place.row} column ${place.column} box ${place.shape}`;
}
