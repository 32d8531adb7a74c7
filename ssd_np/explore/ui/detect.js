// Part 3: from raw boxes to detections.
"use strict";

const MOST_DRAWN = 400;  // dropped boxes that are drawn, the best scored; more would be a carpet

const DetectPart = {
  id: "detect", title: "Decoding and suppression", objects: false,
    question: "How do detections come of the network's answers?",
  intro: "Every default box answers with scores and four offsets. Those that score enough are <b>decoded</b>; of boxes of one class that overlap too much, the best scored drops the others: <b>suppression</b>.",

  controls() {
    this.score = slider({ id: "score", name: "Score above", min: 0.01, max: 0.99, step: 0.01,
      value: state.score, about: "surer boxes only",
      onInput: value => update({ score: value }) });
    this.iou = slider({ id: "iou", name: "Suppress above IoU", min: 0, max: 1, step: 0.01, value: state.iou,
      about: "of two boxes of a class that overlap more, the better scored stays",
        onInput: value => update({ iou: value }) });
    this.raw = toggle({ id: "raw", name: "show all raw boxes",
      about: "every default box, decoded, the surer the stronger", checked: state.raw,
      onChange: raw => update({ raw }) });
    return [this.score, this.iou, this.raw];
  },

  sync() {
    this.score.set(state.score);
    this.iou.set(state.iou);
    this.raw.set(state.raw);
  },

  kindOfBox(t) {
    const all = detections(), { kept, dropped } = keep("rows", [all], () => ({
      kept: new Set(all.detections.map(d => d.t)), dropped: new Set(all.dropped.map(d => d.t)) }));
    if (kept.has(t)) return { color: "found", alpha: 1 };
    if (dropped.has(t)) return { color: "dropped", alpha: 1 };
    const sure = 1 - scores()[t * K];
    return sure > 0.02 ? { color: "found", alpha: 0.1 + 0.5 * sure } : { color: "faint", alpha: 1 };
  },

  shown() {
    const { detections: kept, dropped, corners } = detections();
    return [...kept, ...dropped.map(d =>
      ({ ...d, corner: [...corners.subarray(4 * d.t, 4 * d.t + 4)], lost: true }))];
  },

  choose(hit) { update({ found: hit.lost ? [hit.by, hit.label] : [hit.t, hit.label] }); },

  draw(context, g) {
    const { detections: kept, dropped, corners } = detections(), all = scores();
    const at = t => corners.subarray(4 * t, 4 * t + 4);
    if (state.raw) for (let t = 0; t < BOXES; t++) drawBox(context, at(t), "raw",
      { g, alpha: Math.min(0.12 + (1 - all[t * K]), 1) });
    for (const { corner } of truths()) drawBox(context, corner, "truth", { g, alpha: 0.35 });
    const mine = state.found && (d => d.by === state.found[0] && d.label === state.found[1]);
    for (const d of dropped.slice(0, MOST_DRAWN)) drawBox(context, at(d.t), "dropped",
      { g, alpha: !mine || mine(d) ? 1 : 0.25 });
    for (const d of [...kept].reverse()) drawBox(context, d.corner, "found",
      { g, alpha: !mine || d.t === state.found[0] ? 1 : 0.4,
      label: `${NAMES[d.label - 1]} ${num(d.score, 2)}` });
    if (state.found && kept.some(d => d.t === state.found[0])) drawBox(context, cornerOf(state.found[0]), "one",
      { g });
  },

  legend() {
    const { detections: kept, dropped } = detections();
    return [...(state.raw ? [["raw", `${times(BOXES)} raw boxes`]] : []),
      ["dropped", `${times(dropped.length)} dropped`], ["found", plural(kept.length, "detection")],
            ...(truths().length ? [["truth", `${plural(truths().length, "object")} (thin)`]] : []),
              ...(state.found ? [["one", "the default box it came from"]] : [])];
  },

  reading() { return [foundCard(), detailCard(), truths().length ? rightCard()
    : card("Right or wrong", note("This picture has no annotated objects: with <code>--truth</code>, or after adding objects in the first part, precision and recall stand here."))]; },
};

function foundCard() {
  const { detections: kept, dropped } = detections(), verdicts = truths().length ? judged().verdicts : [];
  const rows = kept.slice(0, 20).map((d, i) => {
    const lost = dropped.filter(other => other.by === d.t && other.label === d.label).length,
      verdict = verdicts[i];
    const words = verdict ? (verdict.right ? `right, IoU ${num(verdict.iou, 2)}` : verdict.iou >= 0.5
      ? "found twice: wrong" : `wrong, IoU ${num(verdict.iou, 2)}`) : "";
    const chosen = state.found && d.t === state.found[0] && d.label === state.found[1];
    return h("button", { type: "button", class: `row${chosen ? " chosen" : ""}`,
      "data-key": `found ${d.t} ${d.label}`, onclick: () => update({ found: chosen ? null : [d.t, d.label] }) },
      h("i", { class: "swatch found" }), h("span", { class: "name" }, NAMES[d.label - 1]),
      h("span", { class: "bar" }, h("i", { class: "found", style: `width:${100 * d.score}%` })),
        h("span", { class: "words" }, `${num(d.score, 3)} · drops ${lost} · ${words}`.replace(/ · $/, "")));
  });
  const candidates = kept.length + dropped.length;
  return card("Detections", h("p", { class: "flow" }, `${times(BOXES)} boxes × ${K - 1} classes → `,
    h("b", {}, times(candidates)), ` above ${num(state.score, 2)} → `, h("b", {}, times(kept.length)), " kept"),
    rows.length ? h("div", { class: "rows long" }, rows)
      : note("Nothing scores above the threshold. Move the slider <b>Score above</b> to the left: low scores show what the network nearly said."),
    kept.length > 20 ? note(`and ${kept.length - 20} more`) : null);
}

/** A detection's decoding with its numbers, and whom it dropped. */
function detailCard() {
  const { detections: kept, dropped } = detections();
  const found = state.found && kept.find(d => d.t === state.found[0] && d.label === state.found[1]);
  if (!found) return card("One detection",
    note("Click a detection: the default box it came from, its offsets, and whom it dropped appear here with their numbers."));
  const t = found.t, default_ = [...DEFAULTS.subarray(8 * t, 8 * t + 8)],
    o = [...live.outputs.offsets.subarray(4 * t, 4 * t + 4)];
  const lost = dropped.filter(d => d.by === t && d.label === found.label);
  return namedCard("onefound", `${NAMES[found.label - 1]} ${num(found.score)}`,
    h("p", {}, h("i", { class: "swatch one" }), ` from ${placeWords(placeOf(CONFIG, DEFAULTS, t))}`),
    formula(`${v("c")} = ${v("d")}<sub>c</sub> + ${v("t")} · variance · ${v("d")}<sub>size</sub>, &nbsp; size = ${v("d")}<sub>size</sub> · exp(${v("t")} · variance)`),
    h("pre", { class: "numbers" },
      decodingLines(default_, o, CONFIG.decoding.max_exponent).join("\n").replace(/-/g, "−").replace(/ \* /g,
      " · ")),
    h("h4", {}, lost.length ? `It dropped ${plural(lost.length, "box", "boxes")} of its class`
      : "It dropped no other box"),
    h("div", { class: "rows long" },
      lost.slice(0, 8).map(d => h("div",
      { class: "row", onpointerenter: () => { over.box = d.t; drawOverlay(); },
      onpointerleave: () => { over.box = null; drawOverlay(); } },
      h("i", { class: "swatch dropped" }),
        h("span", { class: "name" }, placeWords(placeOf(CONFIG, DEFAULTS, d.t))),
      h("span", { class: "bar" }, h("i", { class: "dropped", style: `width:${100 * d.iou}%` })),
        h("span", { class: "words" }, `IoU ${num(d.iou)} > ${num(state.iou, 2)}, score ${num(d.score)}`)))),
    lost.length > 8 ? note(`and ${lost.length - 8} more`) : null);
}

/** Precision and recall of this picture, as a point and as a curve down all scores. */
function rightCard() {
  const { verdicts, found } = judged(), right = verdicts.filter(verdict => verdict.right).length,
    objects = truths().length;
  const canvas = h("canvas",
    { id: "curve2", role: "img", "aria-label": "Precision by recall of this picture" });
  const low = detections(0.01, state.iou, "low"),
    judgedLow = judge(low.detections, gtCorner(), gtLabels()).verdicts.map(verdict => verdict.right);
  const { recall, precision } = precisionRecall(judgedLow, objects);
  drawPrecision(canvas, recall, precision, verdicts.length ? [right / objects, right / verdicts.length] : null);
  const missed = truths().map((t, i) => (found.has(i) ? null : `${i} ${NAMES[t.label - 1]}`)).filter(Boolean);
  return card("Right or wrong",
    formula(`precision = ${frac("right", "detections")} = ${frac(right, verdicts.length)} = <b>${verdicts.length ? num(right / verdicts.length) : "–"}</b> &nbsp; recall = ${frac("found", "objects")} = ${frac(right, objects)} = <b>${num(right / objects)}</b>`),
    note(missed.length ? `Not found: ${escape_(missed.join(", "))}.` : "Every object is found."),
    h("figure", {}, canvas, h("figcaption", {},
      `All scores from 1 down to 0.01, all classes in one list; the area under it is ${num(averagePrecision(recall, precision))}. The ring is where the slider stands.`)));
}

function drawPrecision(canvas, recall, precision, point) {
  const frame = { left: 44, right: 14, top: 26, bottom: 34, height: 210 }, low = frame.height - frame.bottom;
  const width = Math.min(panel.clientWidth - 40, 460), context = sharp(canvas, width, frame.height);
  const x = value => frame.left + value * (width - frame.left - frame.right),
    y = value => low - value * (low - frame.top);
  axes(context, width, frame, 1, "precision", "recall");
  context.textAlign = "center";
  for (const value of [0, 0.25, 0.5, 0.75, 1]) context.fillText(value, x(value), low + 15);
  context.strokeStyle = colour("found");
  context.lineWidth = 2;
  context.beginPath();
  recall.forEach((value, i) => context[i ? "lineTo" : "moveTo"](x(value), y(precision[i])));
  context.stroke();
  if (!point) return;
  context.strokeStyle = colour("ink");
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(x(point[0]), y(point[1]), 6, 0, 7);
  context.stroke();
}
