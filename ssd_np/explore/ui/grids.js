// The grids below the picture: every map, every cell, every default box, coloured by its kind.
"use strict";

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
  const maps = CONFIG.feature_maps.length,
    wide = Math.max(44, Math.min(180, (holder.clientWidth - 12 * (maps - 1) - 2) / maps));
  holder.classList.toggle("small", wide < 110);
  let first = 0;
  CONFIG.feature_maps.forEach((map, index) => {
    const [rows, columns] = map.size, canvas = document.getElementById(`grid${index}`),
      high = wide * rows / columns;
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
  const cell = [at(event.clientY - place.top, place.height, size[0]),
    at(event.clientX - place.left, place.width, size[1])];
  if (click) { update({ map: index, cell }); return; }
  over.cell = cell;
  if (state.map !== index) update({ map: index });
  else { drawOverlay(); drawGrids(); partOf(state.part).hover?.(); }
}
