// Part 1: which default boxes stand for which object.
"use strict";

const MatchPart = {
  id: "match", title: "Truth and matching", objects: true, cells: true,
  question: "Which of the default boxes stand for an object?",
  intro: "Drag an object. At every move all of the default boxes choose anew: <b>rule one</b> gives every object the box that fits it best, <b>rule two</b> adds every box that overlaps it enough.",

  controls() {
    this.threshold = slider({ id: "threshold", name: "Threshold of rule two", min: 0.05, max: 0.95, step: 0.01,
      value: state.threshold,
      about: "an IoU of at least this much, and a box stands for the object",
      onInput: value => update({ threshold: value, neutral: state.neutral === null ? null
        : Math.min(state.neutral, value) }) });
    this.neutral = slider({ id: "neutral", name: "Neutral zone from", min: 0, max: 0.95, step: 0.01,
      value: state.neutral ?? 0,
      show: value => (value ? num(value, 2) : "none"),
      about: "below the threshold, yet too near an object to be shown as background",
      onInput: value => update({ neutral: value ? Math.min(value, state.threshold) : null }) });
    return [this.threshold, this.neutral];
  },

  sync() {
    this.threshold.set(state.threshold);
    this.neutral.set(state.neutral ?? 0);
  },

  kindOfBox(t) {
    const kind = kindOf(t);
    return kind === "background" ? { color: "faint", alpha: 1 } : { color: kind, alpha: 1 };
  },

  draw(context, g) {
    const kinds = { neutral: [], two: [], one: [] };
    for (let t = 0; t < BOXES; t++) kinds[kindOf(t)]?.push(t);
    const { matched } = matching(), mine = t => matched[t] < 0 || matched[t] === state.object;
    for (const [kind, rows] of Object.entries(kinds)) for (const t of rows) drawBox(context, cornerOf(t), kind,
      { g, alpha: mine(t) ? 1 : 0.28 });
    if (state.box !== null) drawBox(context, cornerOf(state.box), "chosen", { g });
  },

  legend() {
    const count = { one: 0, two: 0, neutral: 0, background: 0 };
    for (let t = 0; t < BOXES; t++) count[kindOf(t)] += 1;
    return [["truth", plural(truths().length, "object")], ["one", `${times(count.one)} by rule one`],
      ["two", `${times(count.two)} by rule two`],
            ["neutral", `${times(count.neutral)} neutral`], ["faint", `${times(count.background)} background`]];
  },

  hover() { fill(document.getElementById("cellcard"), ...this.cellCard()); },

  reading() {
    const cell = h("div", { id: "cellcard" }, ...this.cellCard());
    const box = state.box === null ? null : matchBoxCard(state.box);
    return [objectsCard(), box, cell];
  },

  /** The boxes of the cell under the pointer, or of the one that was clicked. */
  cellCard() {
    const cell = over.cell || state.cell, map = CONFIG.feature_maps[state.map];
    if (!cell) {
      return [card("A cell and its boxes",
        note(`Point at the picture or at one of the grids: a cell of <b>${escape_(map.name)}</b> shows its ${perCell(map)} default boxes and, dotted, the part of the picture that it can see. A click keeps it.`))];
    }
    const { iou } = matching(), field = DATA.fields[`head_${map.name}`];
    const rows = boxesOf(state.map, ...cell).map(t => {
      let best = 0, whose = -1;
      for (let i = 0; i < truths().length; i++) if (iou[i * BOXES + t] > best) { best = iou[i * BOXES
        + t]; whose = i; }
      return boxRow(t, placeOf(CONFIG, DEFAULTS, t).shape, best, whose < 0 ? "overlaps no object"
        : `IoU ${num(best)} with object ${whose}`, kindOf(t));
    });
    return [card(`${map.name}, row ${cell[0]}, column ${cell[1]}`,
      h("div", { class: "rows" }, rows),
        note(`It sees ${field.size} × ${field.size} pixels of the picture, dotted.`),
        note(escape_(`${boxesOf(state.map, ...cell).map(t => placeOf(CONFIG, DEFAULTS, t)).map(({ shape, meaning }) => `${shape} is ${meaning}`).join("; ")}.`)))];
  },
};

/** A line for a default box: its kind, its name, a bar as long as its IoU, words. A click looks at it. */
function boxRow(t, name, share, words, kind) {
  return h("button", { type: "button", class: `row${t === state.box ? " chosen" : ""}`, "data-key": `box ${t}`,
      onclick: () => update({ box: t === state.box ? null : t }),
      onpointerenter: () => { over.box = t; drawOverlay(); },
        onpointerleave: () => { over.box = null; drawOverlay(); } },
    h("i", { class: `swatch ${kind}` }), h("span", { class: "name" }, name),
    h("span", { class: "bar" },
      h("i", { class: kind, style: `width:${Math.round(100 * Math.min(share, 1))}%` })),
    h("span", { class: "words" }, words));
}

function objectsCard() {
  const { objects } = matching();
  const chips = objects.map((item, i) => button(`${i} ${item.name}`, () => update({ object: i }),
    { class: "chip", "aria-pressed": i === state.object, "data-key": `object ${i}` }));
  const tools = h("div", { class: "line" }, chips,
    button("+ add an object", addTruth, { class: "chip add", id: "add" }));
  const item = objects[state.object];
  if (!item) {
    return card("Objects", tools,
      note("There is no object here: every default box is background, and nothing is learned about places. Add one and drag it."));
  }
  const choice = h("select", { id: "class", "aria-label": "class of the object", onchange: event => {
    const next = truths().map(t => ({ ...t }));
    next[state.object].label = +event.target.value;
    update({ truth: next });
  } }, NAMES.map((name, i) => h("option", { value: i + 1, selected: i + 1 === gtLabels()[state.object] },
    name)));
  const rows = item.matches.slice(0,
    8).map(m => boxRow(m.place.index, placeWords(m.place), m.iou, `IoU ${num(m.iou)}`,
    m.rule.startsWith("best") ? "one" : "two"));
  if (!rows.length) rows.push(note("<b>No default box.</b> It overlaps none that is free, so that nothing will ever be learned from it."));
  if (item.matches.length > 8) rows.push(note(`and ${item.matches.length - 8} more`));
  const runner = item.runner_up;
  const lost = runner ? [h("h4", {}, "The best box that does not stand for it"),
    boxRow(runner.place.index, placeWords(runner.place), runner.iou, `IoU ${num(runner.iou)}`,
      kindOf(runner.place.index)),
    note(`Why not? ${escape_(runner.reason[0].toUpperCase() + runner.reason.slice(1))}.`)] : [];
  return namedCard("objects", "Objects", tools,
    h("div", { class: "line" }, h("span", {}, `Object ${state.object} is a `), choice,
      button("remove", () => removeTruth(state.object), { id: "remove", class: "quiet" }),
      state.truth ? button("back to the true objects", () => update({ truth: null, object: 0 }),
        { id: "restore", class: "quiet" }) : null),
    h("h4", {}, `${plural(item.matches.length, "box stands", "boxes stand")} for it`),
    h("div", { class: "rows" }, rows), ...lost);
}

/** IoU with the numbers in it, and what follows. */
function matchBoxCard(t) {
  const place = placeOf(CONFIG, DEFAULTS, t), { iou, matched } = matching();
  let whose = matched[t] >= 0 ? matched[t] : 0;
  if (matched[t] < 0) for (let i = 1; i < truths().length; i++) if (iou[i * BOXES + t] > iou[whose * BOXES
    + t]) whose = i;
  const head = h("p", {}, h("i", { class: `swatch ${kindOf(t)}` }), ` ${placeWords(place)}: ${place.meaning}. `,
    h("small", {}, `In shares of the picture: centre ${num(place.center[0])}, ${num(place.center[1])}, width ${num(place.center[2])}, height ${num(place.center[3])}.`));
  if (!truths().length) return card("This default box", head, note("Without an object it is background."));
  const a = truths()[whose].corner, b = place.corner;
  const w = Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0),
    hgt = Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);
  const areas = [area(a), area(b)], shared = w * hgt, overlap = iou[whose * BOXES + t];
  const verdict = {
    one: `It is the best box of object ${whose}: it stands for it by <b>rule one</b>, whatever the threshold.`,
    two: `${num(overlap)} is at least ${num(state.threshold, 2)}: it stands for object ${whose} by <b>rule two</b>.`,
    neutral: `${num(overlap)} is below ${num(state.threshold, 2)} but from ${num(state.neutral ?? 0, 2)} on: <b>neutral</b>, it counts for nothing.`,
    background: `${num(overlap)} is below ${num(state.neutral ?? state.threshold, 2)}: it is <b>background</b>.`,
  }[kindOf(t)];
  return card("This default box", head,
    formula(`IoU with object ${whose} = ${frac("shared area", "area of the object + area of the box − shared area")}`,
      `= ${frac(num(shared, 4), `${tint("truth", num(areas[0], 4))} + ${tint(kindOf(t), num(areas[1], 4))} − ${num(shared, 4)}`)} = <b>${num(overlap, 4)}</b>`),
    note(verdict));
}
