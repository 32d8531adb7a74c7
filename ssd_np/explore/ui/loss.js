// Part 2: what the network is told, and what it costs.
"use strict";

const LossPart = {
  id: "loss", title: "Loss and mining", objects: true,
    question: "What would the network learn from this picture?",
  intro: "Of all background boxes only the most mistaken are trained on, a few for each positive: <b>hard negative mining</b>. Their cross-entropy, that of the positives, and the positives' distance from their objects are the loss.",

  controls() {
    this.ratio = slider({ id: "ratio", name: "Negatives for each positive", min: 0, max: 10, step: 0.5,
      value: state.ratio, show: value => num(value, 1),
      onInput: value => update({ ratio: value }) });
    this.minimum = slider({ id: "minimum", name: "Negatives at least", min: 0, max: 60, step: 1,
      value: state.minimum, show: value => num(value, 0),
      about: "even in a picture without an object", onInput: value => update({ minimum: value }) });
    this.curve = h("canvas", { id: "curve", role: "img", tabindex: 0,
      "aria-label": "Background losses by rank, and the cut. Left and right arrow keys go from box to box." });
    this.curve.addEventListener("click", event => this.pick(event));
    this.curve.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const { ranked } = mining(), rank = ranked.indexOf(state.box);
      update({ box: ranked[Math.min(Math.max(rank + step, 0), ranked.length - 1)] });
      event.preventDefault();
    });
    return [this.ratio, this.minimum, h("figure", {}, this.curve,
      h("figcaption", {}, "What every background box costs, the costliest first. Left of the cut it is mined. A click looks at a box."))];
  },

  sync() {
    this.ratio.set(state.ratio);
    this.minimum.set(state.minimum);
    drawCurve(this.curve);
  },

  pick(event) {
    const place = this.curve.getBoundingClientRect(), { ranked } = mining();
    const share = Math.min(Math.max((event.clientX - place.left - CURVE.left) / (place.width - CURVE.left - CURVE.right), 0), 1);
    update({ box: ranked[Math.round(ranked.length ** share) - 1] });
  },

  kindOfBox(t) {
    if (loss().mined[t]) return { color: "mined", alpha: 1 };
    const kind = kindOf(t);
    if (kind !== "background") return { color: kind, alpha: 1 };
    const cost = Math.min(loss().costs[t] / 2, 1);
    return cost > 0.02 ? { color: "mined", alpha: 0.15 + 0.4 * cost } : { color: "faint", alpha: 1 };
  },

  shown() {
    const out = [];
    for (let t = 0; t < BOXES; t++) if (loss().mined[t]
      || targets().labels[t] > 0) out.push({ t, corner: cornerOf(t) });
    return out;
  },

  choose({ t }) { update({ box: t }); },

  draw(context, g) {
    const ranks = mining().mined;
    for (let t = 0; t < BOXES; t++) if (["one", "two"].includes(kindOf(t))) drawBox(context, cornerOf(t),
      kindOf(t), { g, alpha: 0.45 });
    for (const item of ranks.slice(8)) drawDot(context, item.place.center, "mined",
      g);  // as boxes, nothing would be seen
    for (const item of ranks.slice(0, 8).reverse()) drawBox(context, item.place.corner, "mined",
      { g, label: `${item.rank}` });
    if (state.box !== null) drawBox(context, cornerOf(state.box), "chosen", { g });
  },

  legend() {
    const { positives, minedCount } = loss(),
      background = targets().labels.reduce((n, label) => n + (label === 0), 0);
    return [["truth", plural(truths().length, "object")], ["one", "positives by rule one"],
      ["two", `by rule two (${positives} in all)`],
      ["mined", `${minedCount} mined: the first 8 as boxes, of the others the centres`],
            ["faint", `${times(background - minedCount)} background boxes that count for nothing`]];
  },

  reading() {
    return [lossCard(), state.box === null
      ? card("One box", note("Click a box in the picture, a square of the grids or the curve: its scores, its loss and the gradient that goes back appear here with their numbers."))
      : lossBoxCard(state.box)];
  },
};

const CURVE = { left: 44, right: 12, top: 26, bottom: 34, height: 230 };

/** Background losses by rank on a logarithmic axis, with the line that mining drew. */
function drawCurve(canvas) {
  const { ranked, losses } = mining(), { minedCount } = loss(), count = ranked.length;
  const width = Math.max(canvas.parentElement.clientWidth, 240), context = sharp(canvas, width, CURVE.height);
  const high = Math.max(1, losses[ranked[0]] ?? 1), low = CURVE.height - CURVE.bottom;
  const x = rank => CURVE.left
    + (Math.log(rank) / Math.log(Math.max(count, 2))) * (width - CURVE.left - CURVE.right);
  const y = value => low - (value / high) * (low - CURVE.top);
  axes(context, width, CURVE, high, "loss as background", "rank");
  context.textAlign = "center";
  for (let rank = 1; rank <= count; rank *= 10) context.fillText(times(rank), x(rank), low + 14);
  const cut = x(minedCount + 0.5);
  if (minedCount) {
    context.fillStyle = colour("mined-wash");
    context.fillRect(CURVE.left, CURVE.top, Math.max(cut, CURVE.left + 1) - CURVE.left, low - CURVE.top);
  }
  ranked.forEach((t, i) => {
    context.fillStyle = colour(i < minedCount ? "mined" : "neutral");
    context.beginPath();
    context.arc(x(i + 1), y(losses[t]), i < minedCount ? 3.2 : 1.8, 0, 7);
    context.fill();
  });
  context.strokeStyle = colour("ink");
  context.setLineDash([5, 4]);
  context.beginPath();
  context.moveTo(Math.max(cut, CURVE.left), CURVE.top);
  context.lineTo(Math.max(cut, CURVE.left), low);
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = colour("ink");
  context.textAlign = cut > width - 60 ? "right" : "left";
  context.fillText("the cut", Math.max(cut, CURVE.left) + (cut > width - 60 ? -5 : 5), CURVE.top + 10);
  const rank = ranked.indexOf(state.box);
  if (rank >= 0) {
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(x(rank + 1), y(losses[state.box]), 6, 0, 7);
    context.stroke();
  }
}

/** The frame of a diagram: lines at a few values, what the axes mean. */
function axes(context, width, frame, high, up, along) {
  const low = frame.height - frame.bottom;
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colour("soft");
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  const step = high > 8 ? Math.ceil(high / 4) : high > 3 ? 1 : high > 1.2 ? 0.5 : 0.25;
  context.textAlign = "right";
  for (let value = 0; value <= high + 1e-9; value += step) {
    const y = low - (value / high) * (low - frame.top);
    context.beginPath();
    context.moveTo(frame.left, y);
    context.lineTo(width - frame.right, y);
    context.stroke();
    context.fillText(short(value), frame.left - 6, y + 4);
  }
  context.fillText(along, width - frame.right, low + 29);
  context.textAlign = "left";
  context.fillText(up, 2, frame.top - 12);
}

function lossCard() {
  const { total, confidence, location, positives, normaliser, minedCount } = loss();
  const words = positives
    ? `${plural(positives, "positive")} × ${short(state.ratio)} = ${Math.trunc(positives * state.ratio)} wanted, ${minedCount} mined.`
    : minedCount ? `No positive: the ${minedCount} mined are those asked for at least.`
      : "No positive and nothing mined: this picture teaches nothing.";
  return card("The loss of this picture",
    formula(
      `${v("L")} = ${frac(`${v("L")}<sub>conf</sub> + α ${v("L")}<sub>loc</sub>`, "max(1, positives, mined / max(1, ratio))")}`,
      `= ${frac(`${num(confidence * normaliser)} + ${short(CONFIG.loss.alpha)} · ${num(location * normaliser)}`, `max(1, ${tint("one", positives)}, ${tint("mined", minedCount)} / ${short(Math.max(1, state.ratio))}) = ${short(normaliser)}`)} = ${num(confidence)} + ${num(location * CONFIG.loss.alpha)} = <b>${num(total)}</b>`),
    note(words));
}

/** A box: logits, softmax, cross-entropy, offsets, smooth L1, and the gradient that goes back. */
function lossBoxCard(t) {
  const { logits, offsets } = live.outputs, goal = targets(), label = goal.labels[t],
    { mined, normaliser, dlogits, doffsets, costs } = loss();
  const place = placeOf(CONFIG, DEFAULTS, t), all = scores(), names = ["background", ...NAMES];
  const counts = label > 0 || mined[t], kind = mined[t] ? "mined" : kindOf(t);
  const rank = mining().ranked.indexOf(t) + 1;
  const what = label > 0 ? `stands for object ${matching().matched[t]}, ${names[label]}` : label < 0
    ? "is neutral: it counts for nothing"
    : mined[t] ? `is background, rank ${rank}: mined`
      : `is background, rank ${rank}: not mined, it counts for nothing`;
  const order = [...names.keys()].filter(k => K <= 8 || k === 0 || k === label
    || all[t * K + k] > 0.01).slice(0, 12);
  const rows = order.map(k => h("tr", { class: k === Math.max(label, 0) ? "goal" : null },
    h("th", {}, names[k]), h("td", {}, num(logits[t * K + k], 2)),
    h("td", { class: "barcell" },
      h("span", { class: "bar" },
      h("i", { class: k === Math.max(label, 0) ? "goalbar" : "other",
      style: `width:${100 * all[t * K + k]}%` })), num(all[t * K + k])),
    h("td", { class: "gradient" }, num(dlogits[t * K + k], 4))));
  const target = Math.max(label, 0), p = all[t * K + target];
  const cross = formula(`cross-entropy = −log ${v("p")}(${escape_(names[target])}) = −log ${num(p, 4)} = <b>${num(-Math.log(p))}</b>`,
    counts ? `gradient = (${v("p")} − [right class]) / ${short(normaliser)}`
      : `as background it costs ${num(costs[t])}; it is not chosen, so that nothing goes back`);
  const sides = ["cx", "cy", "w", "h"].map((side, k) => {
    const got = offsets[4 * t + k], want = goal.offsets[4 * t + k], d = got - want;
    const how = Math.abs(d) < 1 ? `${num(d)}² / 2` : `|${num(d)}| − ½`;
    return h("tr", {}, h("th", {}, side), h("td", {}, num(got)), h("td", {}, num(want)),
      h("td", {}, `${how} = ${num(smoothL1(d))}`), h("td", { class: "gradient" }, num(doffsets[4 * t + k], 4)));
  });
  return namedCard("onebox", "One box",
    h("p", {}, h("i", { class: `swatch ${kind}` }), ` ${placeWords(place)} ${what}.`),
    h("div", { class: "scroll" },
      h("table", {}, h("thead", {},
      h("tr", {}, ...["class", "logit", "softmax", "gradient back"].map(text => h("th", {}, text)))),
      h("tbody", {}, rows))), cross,
    label > 0 ? h("div", { class: "scroll" },
      h("table", {}, h("thead", {},
      h("tr", {}, ...["offset", "says", "should say", "smooth L1",
      "gradient back"].map(text => h("th", {}, text)))), h("tbody", {}, sides)))
      : note("Only positives have a place to learn: a background box has no offsets to be right about."));
}
