// Part 5: the hand-written backward, at work on this one picture.
"use strict";

const CHECKED = () => {  // parameters whose gradient is checked by numbers: from the first layer to the heads
  const trunk = CONFIG.layers.filter(layer => layer.kind !== "pool").map(layer => `${layer.name}.weight`);
  const map = CONFIG.feature_maps[0].name;
  return [trunk[0], trunk[1], trunk[trunk.length >> 1], trunk[trunk.length - 1], `conf_${map}.weight`,
    `loc_${map}.bias`];
};

const TrainPart = {
  id: "train", title: "Train it here", objects: true, question: "How does a network learn a picture by heart?",
  intro: "Forward, loss, backward, a small step: again and again, with every gradient computed by hand-written code in this page. Then break it, and see what each piece was for.",

  controls() {
    if (!DATA.parameters) return [card("Not here",
      note(`This network has ${times(DATA.count)} parameters; beyond two million they are not put into the page, so that it can not be trained here. <code>ssd-np explore</code> without <code>--weights</code> makes a page that can.`))];
    this.go = button("Learn this picture by heart", () => (live.running ? pauseTraining() : startTraining(500)),
      { id: "learn", class: "main" });
    this.one = button("one step", () => startTraining((live.training?.step ?? 0) + 1), { id: "onestep" });
    this.again = button("back to the page's weights", resetTraining, { id: "reset" });
    this.from = h("select", { id: "from", "aria-label": "where to begin",
      onchange: () => { resetTraining(); update({ from: this.from.value }); } },
      h("option", { value: "nothing" }, "from nothing: random weights"),
        h("option", { value: "weights" }, "from the page's weights"));
    this.rate = slider({ id: "rate", name: "Learning rate", min: -4, max: -1, step: 0.1,
      value: Math.log10(state.rate), show: value => short((10 ** value).toPrecision(2)),
      onInput: value => update({ rate: +(10 ** value).toPrecision(2) }) });
    this.curve = h("canvas", { id: "losses", role: "img", "aria-label": "The loss, step by step" });
    const breaks = (id, key, name, about) =>
      toggle({ id, name, about, checked: !state[key],
      onChange: value => { live.checks = null; if (live.training) resetTraining(); update({ [key]: !value }); } });
    this.switches = {
      mining: breaks("nomining", "mining", "no mining", "all background boxes are trained on"),
      greedy: breaks("lastwins", "greedy", "last-wins matching",
        "objects take their best box one after the other"),
      corners: breaks("centres", "corners", "centre boxes given as corners",
        "default boxes (cx, cy, w, h) are matched as if they were (xmin, ymin, xmax, ymax)"),
      flipped: breaks("unflipped", "flipped", "kernel not flipped in dx",
        "the gradient of a convolution's input, with the kernel the wrong way round"),
    };
    this.checkButton = button("check the gradients by numbers", startCheck, { id: "check" });
    this.checks = h("div", { id: "checks" });
    return [
      h("div", { class: "line wide" }, this.go, this.one, this.from, this.again), this.rate,
      h("figure", {}, this.curve, h("figcaption", { id: "progress", role: "status" })),
      card("Break it", h("div", { class: "toggles breaks" }, Object.values(this.switches))),
      card("Is backward right?",
        note(`Every weight moves the loss a little. Pushed up and down by ${v("e")}, how much does it? That is what backward should have said:`),
        formula(`${frac(`∂${v("L")}`, `∂${v("w")}`)} ≈ ${frac(`${v("L")}(${v("w")} + ${v("e")}) − ${v("L")}(${v("w")} − ${v("e")})`, `2 ${v("e")}`)}`), this.checkButton, this.checks),
    ];
  },

  sync() {
    if (!DATA.parameters) return;
    this.go.textContent = live.running ? "Pause" : live.training ? "Go on" : "Learn this picture by heart";
    this.again.hidden = !live.training;
    this.from.value = state.from;
    this.rate.set(Math.log10(state.rate));
    for (const [key, row] of Object.entries(this.switches)) row.set(!state[key]);
    drawLosses(this.curve);
    document.getElementById("progress").innerHTML = progressWords();
    fill(this.checks, checkTable());
  },

  draw(context, g) {
    const task = taskOf();
    for (let t = 0; t < BOXES; t++) if (task.labels[t] > 0) drawBox(context, cornerOf(t), task.best[t] >= 0
      ? "one" : "two", { g, alpha: 0.5 });
    const mined = live.training?.mined;
    if (mined) for (let t = 0; t < BOXES; t++) if (mined[t]) drawDot(context,
      DEFAULTS.subarray(8 * t, 8 * t + 2), "mined", g);
    for (const d of [...detections().detections].reverse()) drawBox(context, d.corner, "found",
      { g, below: true, label: `${NAMES[d.label - 1]} ${num(d.score, 2)}` });
  },

  legend() {
    const mined = live.training?.mined?.reduce((a, b) => a + b, 0);
    return [["truth", plural(truths().length, "object")], ["one", "boxes that stand for them"],
      ...(mined ? [["mined", `${times(mined)} mined at this step (centres)`]] : []),
      ["found", plural(detections().detections.length, "detection")]];
  },

  kindOfBox(t) {
    if (live.training?.mined?.[t]) return { color: "mined", alpha: 1 };
    const task = taskOf();
    return task.labels[t] > 0 ? { color: task.best[t] >= 0 ? "one" : "two", alpha: 1 }
      : { color: "faint", alpha: 1 };
  },

  reading() {
    if (!DATA.parameters) return [];
    const task = taskOf(), lost = truths().map((t, i) => (task.matched.includes(i) ? null
      : `${i} ${NAMES[t.label - 1]}`)).filter(Boolean);
    return truths().length === 0
      ? [card("Nothing to learn", note("There is no object in this picture. Add one in the first part."))]
      : lost.length ? [card("Lost",
        note(`<b>No box stands for ${escape_(lost.join(", "))}</b>: nothing can be learned about ${lost.length > 1 ? "them" : "it"}.`))] : [];
  },
};

/** What a training step needs, with the switches as they stand. */
function taskOf() {
  const { mining: mines, greedy, corners, flipped } = state,
    needs = [gtCorner(), gtLabels(), state.threshold, state.neutral, state.ratio, state.minimum, mines, greedy,
    corners, flipped, state.rate, state.from];
  return keep("task", needs, () => {
    const centres = Float64Array.from({ length: 4 * BOXES },
      (_, i) => DEFAULTS[8 * Math.floor(i / 4) + (i % 4)]);
    const boxes = corners ? CORNERS : centres, matcher = greedy ? match : matchLastWins;
    const matched = matcher(gtCorner(), boxes, state.threshold, state.neutral);
    const best = new Int32Array(BOXES).fill(BACKGROUND);
    for (const [g, t] of bestPairs(iouMatrix(gtCorner(), boxes), truths().length,
      BOXES)) if (matched[t] === g) best[t] = g;
    return { matched, best, ...targetsOf(matched, gtCorner(), gtLabels(), DEFAULTS), flipped, rate: state.rate,
      from: state.from, seed: 1,
      rule: { ...lossRule(), ratio: mines ? state.ratio : Infinity } };
  });
}

function sentTask() {
  const { labels, offsets, flipped, rate, from, seed, rule } = taskOf();
  return { input: inputOf(picture()), labels, offsets, flipped, rate, from, seed, rule };
}

function startTraining(until) {
  if (!truths().length) { say("There is no object in this picture to learn. Add one in the first part.",
    "bad"); return; }
  live.training = live.training || { step: 0, losses: [], mined: null };
  live.running = true;
  live.checks = null;
  askWorker({ kind: "train", task: sentTask(), until });
  update({ edits: [] });
}

function pauseTraining() {
  askWorker({ kind: "pause" });
}

function resetTraining() {
  live.training = null;
  live.running = false;
  live.checks = null;
  askWorker({ kind: "reset" });
  update({ steps: 0 });
  refreshOutputs({ ...state, picture: NaN });
}

/** A step that the worker made. */
function tookStep(data) {
  if (!live.training) return;  // of a training that was taken back meanwhile
  const { step, total, confidence, location, mined, logits, offsets, milliseconds } = data;
  live.training.step = step;
  live.training.mined = mined;
  live.training.milliseconds = milliseconds;
  live.training.losses.push({ total, confidence, location });
  live.outputs = { logits, offsets };
  live.maps = null;
  update({ steps: step });
}

function startCheck() {
  live.checks = { rows: [], done: false };
  askWorker({ kind: "check", task: sentTask(), entries: CHECKED() });
  render();
}

function checkTable() {
  if (!live.checks) return null;
  const { rows, done } = live.checks, wrong = rows.filter(row => !(row.error < 1e-4)).length;
  const body = rows.map(row => h("tr", { class: row.error < 1e-4 ? "right" : "wrong" }, h("th", {}, row.name),
    h("td", {}, num(row.analytic, 6)), h("td", {}, num(row.numeric, 6)),
    h("td", {}, row.error.toExponential(0), row.error < 1e-4 ? " ✓" : " ✗")));
  const verdict = !done ? note(`${rows.length} of ${CHECKED().length} …`)
    : h("p", { class: `verdict ${wrong ? "wrong" : "right"}`, id: "verdict" }, wrong
      ? `Backward is wrong: ${wrong} of ${rows.length} gradients disagree.`
      : `Backward is right: all ${rows.length} agree.`);
  return [h("div", { class: "scroll" },
    h("table", { class: "checks" },
    h("thead", {}, h("tr", {},
    ...["weight", "backward says", "the numbers say", "they differ by"].map(text => h("th", {}, text)))),
    h("tbody", {}, body))), verdict];
}

function progressWords() {
  const { training } = live;
  if (!training || !training.losses.length) return "The loss stands here, step by step. About thirty steps are enough for one picture.";
  const last = training.losses[training.losses.length - 1], { found } = judged();
  return `Step ${training.step}: loss <b>${num(last.total)}</b>, classes ${num(last.confidence)}, places ${num(last.location)}; ${found.size} of ${truths().length} objects found (${num(training.milliseconds / 1000, 2)} s a step).`;
}

function drawLosses(canvas) {
  const frame = { left: 44, right: 14, top: 26, bottom: 34, height: 210 }, low = frame.height - frame.bottom;
  const width = Math.max(canvas.parentElement.clientWidth, 240), context = sharp(canvas, width, frame.height);
  const rows = (live.training?.losses
    || []).map(row => ({ ...row, total: Number.isFinite(row.total) ? row.total : 0 }));
  const high = Math.max(1, ...rows.map(row => row.total)), count = Math.max(rows.length - 1, 30);
  const x = i => frame.left + (i / count) * (width - frame.left - frame.right),
    y = value => low - (value / high) * (low - frame.top);
  axes(context, width, frame, high, "loss", `step (of ${count + 1})`);
  for (const [key, name, wide] of [["confidence", "mined", 1.5], ["location", "one", 1.5],
    ["total", "ink", 2.5]]) {
    context.strokeStyle = colour(name);
    context.lineWidth = wide;
    context.beginPath();
    rows.forEach((row, i) => context[i ? "lineTo" : "moveTo"](x(i), y(row[key])));
    context.stroke();
  }
  [["ink", "loss"], ["mined", "classes"], ["one", "places"]].forEach(([name, text], i) => {
    context.fillStyle = colour(name);
    context.fillRect(width - 84, frame.top + 4 + 16 * i, 12, 3);
    context.fillStyle = colour("soft");
    context.fillText(text, width - 66, frame.top + 9 + 16 * i);
  });
}
