// The pointer and the keys over the picture: a cell of the chosen map, or the nearest of the boxes shown.
"use strict";

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
    const away = Math.min(Math.abs(x - x0) * g.w, Math.abs(x - x1) * g.w, Math.abs(y - y0) * g.h,
      Math.abs(y - y1) * g.h);
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
  } else if (event.key.toLowerCase() === "m") update({ map: (state.map + 1) % CONFIG.feature_maps.length,
    cell: null });
  else if (event.key === "Escape") update({ cell: null });
  else return false;
  return true;
}
