// The picture with its boxes: how fractions become pixels, and how each kind of box is drawn.
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
  return { w, h: hgt, left: w * EDGE, top: hgt * EDGE, width: w * (1 + 2 * EDGE),
    height: hgt * (1 + 2 * EDGE) };
}

function toPixels(corner, g) {
  return [g.left + corner[0] * g.w, g.top + corner[1] * g.h, (corner[2] - corner[0]) * g.w,
    (corner[3] - corner[1]) * g.h];
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
