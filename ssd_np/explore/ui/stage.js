// The picture with its boxes: what is drawn, what can be dragged, and the grids of cells below it.
"use strict";

const EDGE = 0.07;  // of the stage on every side, for boxes that leave the picture
const LEAST = 0.02;  // side of an object while it is dragged
const stage = document.getElementById("stage");
const over = { cell: null, box: null };  // under the pointer

/** How fractions of the picture become pixels of the stage. */
function geometry() {
  const { width, height } = picture(), wide = stage.parentElement.clientWidth || panel.clientWidth;
  const most = Math.max(260, Math.min(window.innerHeight * 0.72, 1100));
  const scale = Math.min(wide / (width * (1 + 2 * EDGE)), most / (height * (1 + 2 * EDGE)));
  const w = width * scale, hgt = height * scale;
  return { w, h: hgt, left: w * EDGE, top: hgt * EDGE, width: w * (1 + 2 * EDGE), height: hgt * (1 + 2 * EDGE) };
}

function toPixels(corner, g) {
  return [g.left + corner[0] * g.w, g.top + corner[1] * g.h, (corner[2] - corner[0]) * g.w, (corner[3] - corner[1]) * g.h];
}

/** A point of the window as fractions of the picture. */
function toFractions(event) {
  const g = geometry(), place = stage.getBoundingClientRect();
  return [(event.clientX - place.left - g.left) / g.w, (event.clientY - place.top - g.top) / g.h];
}

// --- drawing --------------------------------------------------------------------------------------

const STYLES = {  // the page's one language of colours; each kind has a line of its own as well
  truth: { width: 2.5, dash: [] },
  one: { width: 2.5, dash: [] },
  two: { width: 2, dash: [6, 3] },
  neutral: { width: 1.8, dash: [2, 3] },
  mined: { width: 2, dash: [] },
  found: { width: 3, dash: [] },
  dropped: { width: 1.5, dash: [3, 3] },
  raw: { width: 1, dash: [] },
  cell: { width: 1.2, dash: [] },
  chosen: { width: 3.5, dash: [] },
};

/** A box in the colour and line of its kind, with a rim that keeps it visible on any ground. */
function drawBox(context, corner, kind, { alpha = 1, label = null, below = false, g = geometry() } = {}) {
  const { width, dash } = STYLES[kind], place = toPixels(corner, g);
  context.save();
  context.globalAlpha = alpha;
  context.lineJoin = "round";
  if (kind !== "raw" && kind !== "cell") {
    context.strokeStyle = colour("rim");
    context.lineWidth = width + 2;
    context.setLineDash(dash);
    context.strokeRect(...place);
  }
  context.setLineDash(dash);
  context.strokeStyle = colour(kind);
  context.lineWidth = width;
  context.strokeRect(...place);
  context.restore();
  if (label) drawLabel(context, label, place[0], place[1] + (below ? place[3] + 18 : 0), kind, g);
}

function drawDot(context, [x, y], kind, g) {
  context.beginPath();
  context.arc(g.left + x * g.w, g.top + y * g.h, 4, 0, 7);
  context.fillStyle = colour(kind);
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = colour("rim");
  context.stroke();
}

function drawLabel(context, text, x, y, kind, g) {
  context.font = "600 12px system-ui, sans-serif";
  const wide = context.measureText(text).width + 10;
  x = Math.min(Math.max(x, 2), g.width - wide - 2);
  y = Math.min(Math.max(y, 19), g.height - 2);
  context.fillStyle = colour(kind);
  context.fillRect(x, y - 18, wide, 18);
  context.fillStyle = colour("on-colour");
  context.fillText(text, x + 5, y - 5);
}

function cornerOf(t) {
  return CORNERS.subarray(4 * t, 4 * t + 4);
}

const _images = new Map();

/** The picture as an image element, decoded; null until it is. */
function imageOf(item) {
  if (!_images.has(item)) {
    const image = new Image();
    image.src = item.src;
    _images.set(item, image);
    image.decode().then(render, () => say(`The picture ${item.name} can not be shown by this browser.`, "bad"));
  }
  const image = _images.get(item);
  return image.complete && image.naturalWidth ? image : null;
}

function drawPicture() {
  const g = geometry(), context = sharp(document.getElementById("picture"), g.width, g.height);
  stage.style.width = `${g.width}px`;
  stage.style.height = `${g.height}px`;
  const image = imageOf(picture());
  context.fillStyle = colour("beyond");
  context.fillRect(0, 0, g.width, g.height);
  if (!image) return;
  context.imageSmoothingEnabled = g.w < 3 * image.naturalWidth;
  context.drawImage(image, g.left, g.top, g.w, g.h);
  context.fillStyle = colour("veil");  // pale, so that lines can be seen
  context.fillRect(g.left, g.top, g.w, g.h);
}

function drawOverlay() {
  const g = geometry(), context = sharp(document.getElementById("overlay"), g.width, g.height);
  partOf(state.part).draw(context, g);
  const cell = over.cell || state.cell;
  if (cell && partOf(state.part).cells) drawCell(context, cell, g);
  if (over.box !== null) drawBox(context, cornerOf(over.box), "chosen", { g });
}

/** A cell of the chosen map: its square, its default boxes, and what its head can see. */
function drawCell(context, [row, column], g) {
  const map = CONFIG.feature_maps[state.map], [height, width] = CONFIG.input.size;
  const down = map.step[0] / height, across = map.step[1] / width;
  const field = DATA.fields[`head_${map.name}`];
  const place = toPixels(fieldBox(field, row, column), g);
  context.save();
  context.fillStyle = colour("field");
  context.fillRect(...place);
  context.strokeStyle = colour("ink");
  context.setLineDash([1, 3]);
  context.strokeRect(...place);
  context.restore();
  for (const t of boxesOf(state.map, row, column)) drawBox(context, cornerOf(t), "cell", { g });
  context.fillStyle = colour("ink");
  context.globalAlpha = 0.35;
  context.fillRect(...toPixels([column * across, row * down, (column + 1) * across, (row + 1) * down], g));
  context.globalAlpha = 1;
}

/** What a value of a layer sees, as a corner box. */
function fieldBox(field, row, column) {
  const [height, width] = CONFIG.input.size, half = field.size / 2;
  const y = field.center[0] + row * field.stride, x = field.center[1] + column * field.stride;
  return [(x - half) / width, (y - half) / height, (x + half) / width, (y + half) / height];
}

/** The default boxes of a cell. */
function boxesOf(mapIndex, row, column) {
  let first = 0;
  for (const map of CONFIG.feature_maps.slice(0, mapIndex)) first += boxesOfMap(map);
  const map = CONFIG.feature_maps[mapIndex], count = perCell(map);
  first += (row * map.size[1] + column) * count;
  return Array.from({ length: count }, (_, i) => first + i);
}

function perCell(map) {
  return map.shapes.length;
}

// --- objects that can be dragged ------------------------------------------------------------------

const CURSORS = ["nwse-resize", "nesw-resize", "nwse-resize", "nesw-resize"];

function drawHandles() {
  const g = geometry(), svg = document.getElementById("handles");
  svg.setAttribute("width", g.width);
  svg.setAttribute("height", g.height);
  const make = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const focused = svg.contains(document.activeElement) ? document.activeElement.dataset.object : null;
  const grips = make("g", { class: "truth chosen" });
  const groups = (partOf(state.part).objects ? truths() : []).map(({ corner, label }, index) => {
    const [x, y, w, hgt] = toPixels(corner, g), name = NAMES[label - 1];
    const group = make("g", { class: `truth${index === state.object ? " chosen" : ""}`, tabindex: 0, role: "button",
      "aria-label": `object ${index}, ${name}: arrow keys move it, with shift they move its lower right corner, Delete removes it` });
    group.dataset.object = index;
    group.append(make("rect", { class: "rim", x, y, width: w, height: hgt }),
                 make("rect", { class: "body", x, y, width: w, height: hgt }));
    const tag = make("text", { x: x + 4, y: Math.max(y - 5, 12) });
    tag.textContent = `${index} ${name}`;
    group.append(tag);
    if (index === state.object) {  // its handles lie above all objects
      const half = Math.min(12, w / 3, hgt / 3);
      grips.dataset.object = index;
      grips.append(make("path", { class: "centre", "data-handle": "centre",
        d: `M${x + w / 2 - half} ${y + hgt / 2}h${2 * half}M${x + w / 2} ${y + hgt / 2 - half}v${2 * half}` }));
      for (let k = 0; k < 4; k++) {
        const at = [x + (k === 1 || k === 2 ? w : 0), y + (k >= 2 ? hgt : 0)];
        grips.append(make("circle", { class: "knob", cx: at[0], cy: at[1], r: 6 }));
        grips.append(make("circle", { class: "grip", "data-handle": k, cx: at[0], cy: at[1], r: 16, style: `cursor:${CURSORS[k]}` }));
      }
    }
    return group;
  });
  svg.replaceChildren(...groups, grips);
  if (focused !== null) svg.querySelector(`[tabindex][data-object="${focused}"]`)?.focus({ preventScroll: true });
}

function setTruth(index, corner) {
  const next = truths().map(t => ({ ...t }));
  next[index].corner = corner;
  update({ truth: next, object: index });
}

/** Corner 0 to 3 clockwise from the upper left, or "centre", brought to a point. */
function dragged(corner, handle, [x, y]) {
  const [x0, y0, x1, y1] = corner, low = -EDGE, high = 1 + EDGE;
  const inside = (value, least = low, most = high) => Math.min(Math.max(value, least), most);
  if (handle === "centre") {
    const w = x1 - x0, hgt = y1 - y0, left = inside(x - w / 2, low, high - w), top = inside(y - hgt / 2, low, high - hgt);
    return [left, top, left + w, top + hgt];
  }
  const right = handle === 1 || handle === 2, below = handle >= 2;
  return [
    right ? x0 : Math.min(inside(x), x1 - LEAST), below ? y0 : Math.min(inside(y), y1 - LEAST),
    right ? Math.max(inside(x), x0 + LEAST) : x1, below ? Math.max(inside(y), y0 + LEAST) : y1,
  ];
}

let drag = null;

function startDrag(event) {
  const group = event.target.closest("g.truth");
  if (!group || event.button > 0) return;
  const index = +group.dataset.object, { corner } = truths()[index], at = toFractions(event);
  const handle = event.target.dataset.handle ?? "centre";
  const centre = [(corner[0] + corner[2]) / 2, (corner[1] + corner[3]) / 2];
  drag = { index, handle: handle === "centre" ? handle : +handle,
    slip: handle === "centre" ? [at[0] - centre[0], at[1] - centre[1]] : [0, 0] };
  document.getElementById("handles").setPointerCapture(event.pointerId);
  document.querySelector(`#handles [tabindex][data-object="${index}"]`).focus({ preventScroll: true });
  event.preventDefault();
  if (index !== state.object) update({ object: index });
}

function moveDrag(event) {
  if (!drag) return;
  const at = toFractions(event).map((value, i) => value - drag.slip[i]);
  setTruth(drag.index, dragged(truths()[drag.index].corner, drag.handle, at));
}

/** Keys on an object. */
function objectKey(event) {
  const group = event.target.closest("g.truth");
  if (!group) return false;
  const index = +group.dataset.object, [x0, y0, x1, y1] = truths()[index].corner;
  const step = 1 / CONFIG.input.size[0], move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (move && event.shiftKey) setTruth(index, dragged([x0, y0, x1, y1], 2, [x1 + move[0], y1 + move[1]]));
  else if (move) setTruth(index, dragged([x0, y0, x1, y1], "centre", [(x0 + x1) / 2 + move[0], (y0 + y1) / 2 + move[1]]));
  else if (event.key === "Delete" || event.key === "Backspace") removeTruth(index);
  else if (event.key === "Enter" || event.key === " ") update({ object: index });
  else return false;
  return true;
}

function addTruth() {
  const next = [...truths(), { corner: [0.35, 0.35, 0.65, 0.65], label: 1 }];
  update({ truth: next, object: next.length - 1 });
}

function removeTruth(index) {
  update({ truth: truths().filter((_, i) => i !== index), object: 0, box: null });
}

// --- the pointer over the picture -----------------------------------------------------------------

function cellAt([x, y]) {
  const map = CONFIG.feature_maps[state.map], [height, width] = CONFIG.input.size;
  const row = Math.floor(y * height / map.step[0]), column = Math.floor(x * width / map.step[1]);
  return row >= 0 && column >= 0 && row < map.size[0] && column < map.size[1] ? [row, column] : null;
}

/** Of the boxes that a part shows, the one whose border is nearest to a point, if any is near. */
function boxAt([x, y], shown) {
  const g = geometry();
  let best = null, least = 14;  // pixels: a finger's breadth
  for (const item of shown) {
    const [x0, y0, x1, y1] = item.corner;
    if (x < x0 - 0.04 || x > x1 + 0.04 || y < y0 - 0.04 || y > y1 + 0.04) continue;
    const away = Math.min(Math.abs(x - x0) * g.w, Math.abs(x - x1) * g.w, Math.abs(y - y0) * g.h, Math.abs(y - y1) * g.h);
    if (away < least) { least = away; best = item; }
  }
  return best;
}

function stageMove(event) {
  if (drag) return;
  const part = partOf(state.part), at = toFractions(event);
  const before = [String(over.cell), over.box];
  over.box = null;
  over.cell = null;
  if (part.shown) over.box = boxAt(at, part.shown())?.t ?? null;
  else if (part.cells) over.cell = cellAt(at);
  if (before[0] !== String(over.cell) || before[1] !== over.box) { drawOverlay(); part.hover?.(); }
}

function stageLeave() {
  over.cell = over.box = null;
  drawOverlay();
  partOf(state.part).hover?.();
}

function stageClick(event) {
  if (event.target.closest("g.truth")) return;
  const part = partOf(state.part), at = toFractions(event);
  if (part.shown) {
    const hit = boxAt(at, part.shown());
    if (hit) part.choose(hit);
  } else if (part.cells) update({ cell: cellAt(at) });
}

function stageKey(event) {
  const part = partOf(state.part);
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (event.target !== stage || !(part.cells || part.cellKey)) return false;
  if (part.cellKey) return part.cellKey(event, move);
  const { size } = CONFIG.feature_maps[state.map];
  const inside = (value, axis) => Math.min(Math.max(value, 0), size[axis] - 1);
  if (move) {
    const [row, column] = state.cell || size.map(cells => cells >> 1);
    update({ cell: [inside(row + move[0], 0), inside(column + move[1], 1)] });
  } else if (event.key.toLowerCase() === "m") update({ map: (state.map + 1) % CONFIG.feature_maps.length, cell: null });
  else if (event.key === "Escape") update({ cell: null });
  else return false;
  return true;
}

// --- the grids ------------------------------------------------------------------------------------

/** A small picture of every map: a square a cell, in it a quarter a default box, coloured by kind. */
function drawGrids() {
  const holder = document.getElementById("grids"), part = partOf(state.part);
  if (!part.kindOfBox) { holder.replaceChildren(); return; }
  if (holder.childElementCount !== CONFIG.feature_maps.length) {
    holder.replaceChildren(...CONFIG.feature_maps.map((map, index) => {
      const canvas = h("canvas", { id: `grid${index}`, "aria-hidden": "true" });
      canvas.addEventListener("pointermove", event => gridPointer(event, index, false));
      canvas.addEventListener("click", event => gridPointer(event, index, true));
      canvas.addEventListener("pointerleave", stageLeave);
      return h("div", { class: "grid" }, canvas,
        button([`${map.name} `, h("small", {}, `${map.size.join("×")} cells, ${perCell(map)} boxes each`)],
               () => update({ map: index, cell: null }), { "aria-pressed": false }));
    }));
  }
  const maps = CONFIG.feature_maps.length, wide = Math.max(44, Math.min(180, (holder.clientWidth - 12 * (maps - 1) - 2) / maps));
  holder.classList.toggle("small", wide < 110);
  let first = 0;
  CONFIG.feature_maps.forEach((map, index) => {
    const [rows, columns] = map.size, canvas = document.getElementById(`grid${index}`), high = wide * rows / columns;
    const context = sharp(canvas, wide, high);
    canvas.parentElement.querySelector("button").setAttribute("aria-pressed", index === state.map);
    canvas.parentElement.style.width = `${wide}px`;
    const count = perCell(map), across = Math.ceil(Math.sqrt(count)), cell = wide / columns;
    context.fillStyle = colour("beyond");
    context.fillRect(0, 0, wide, high);
    const gap = cell > 8 ? 1 : 0.25;
    for (let i = 0; i < rows * columns; i++) {
      const x = (i % columns) * cell, y = Math.floor(i / columns) * cell, small = (cell - gap) / across;
      for (let a = 0; a < count; a++) {
        const { color, alpha } = part.kindOfBox(first + i * count + a);
        context.globalAlpha = alpha;
        context.fillStyle = colour(color);
        context.fillRect(x + (a % across) * small, y + Math.floor(a / across) * small, small, small);
      }
    }
    context.globalAlpha = 1;
    if (index === state.map && (over.cell || state.cell)) {
      const [row, column] = over.cell || state.cell;
      context.strokeStyle = colour("ink");
      context.lineWidth = 2;
      context.strokeRect(column * cell, row * cell, cell, cell);
    }
    first += rows * columns * count;
  });
}

function gridPointer(event, index, click) {
  const place = event.target.getBoundingClientRect(), { size } = CONFIG.feature_maps[index];
  const at = (value, length, cells) => Math.min(Math.max(Math.floor((value / length) * cells), 0), cells - 1);
  const cell = [at(event.clientY - place.top, place.height, size[0]), at(event.clientX - place.left, place.width, size[1])];
  if (click) { update({ map: index, cell }); return; }
  over.cell = cell;
  if (state.map !== index) update({ map: index });
  else { drawOverlay(); drawGrids(); partOf(state.part).hover?.(); }
}
