// Part 4: the network, layer by layer, down to one product.
"use strict";

const NetworkPart = {
  id: "network", title: "Network", objects: false,
    question: "What happens between the picture and the answers?",
  intro: "Every layer turns a stack of maps into another. Choose a layer, a map of it, a value in it: what stands there is a <b>sum of products</b>, of a patch below and a kernel, and each can be seen. Change one weight, and everything on this page changes.",

  controls() {
    this.strip = h("div", { class: "strip", role: "listbox", "aria-label": "Layers" });
    return [this.strip];
  },

  sync() {
    if (!live.maps && DATA.parameters) requestMaps();
    const maps = shownMaps();
    fill(this.strip, DATA.layers.map(layer => {
      const thumb = h("canvas", { "aria-hidden": "true" });
      if (maps && maps[layer.name]) paintMap(thumb, maps[layer.name],
        keep(`strongest ${layer.name}`, [maps], () => strongest(maps[layer.name])), 44);
      return h("button", { type: "button", role: "option", "aria-selected": layer.name === layerName(),
        "data-key": `layer ${layer.name}`, class: "layer",
        onclick: () => update({ layer: layer.name, channel: 0, y: null, x: null, input: null }) }, thumb,
          h("b", {}, layer.name), h("small", {}, layer.output.join("×")));
    }));
    const chosen = this.strip.querySelector("[aria-selected=true]");
    if (chosen && this.lastLayer !== layerName()) {
      this.lastLayer = layerName();
      this.strip.scrollLeft = chosen.offsetLeft - this.strip.clientWidth / 2 + chosen.clientWidth / 2;
    }
  },

  /** The receptive field of the chosen value. */
  draw(context, g) {
    const field = fieldOf(layerName()), map = shownMaps()?.[layerName()];
    if (!field || !map) return;
    // a stored map may be smaller than the layer: each of its values is the mean of a block
    const block = map.block || 1, [row, column] = chosenValue(map).map(i => i * block + (block - 1) / 2);
    const place = toPixels(fieldBox({ ...field, size: field.size + (block - 1) * field.stride }, row, column),
      g);
    context.fillStyle = colour("field");
    context.fillRect(...place);
    context.lineWidth = 2;
    context.strokeStyle = colour("rim");
    context.strokeRect(...place);
    context.setLineDash([4, 3]);
    context.strokeStyle = colour("ink");
    context.strokeRect(...place);
    context.setLineDash([]);
  },

  legend() {
    const field = fieldOf(layerName());
    return field ? [["dotted", `what the chosen value can see: ${field.size} × ${field.size} pixels`]] : [];
  },

  reading() {
    const maps = shownMaps(), layer = DATA.layers.find(item => item.name === layerName()), cards = [];
    if (!maps || !maps[layer.name]) return [card(layer.name,
      note(live.waiting ? "The network is running …" : "This picture has no maps of this layer."))];
    const map = maps[layer.name],
      channel = Math.min(state.channel, map.shown ? map.shown.length - 1 : map.channels - 1);
    cards.push(card(`${layer.name}: ${layer.kind}`,
      h("p", {}, `${layer.output.join(" × ")} values, ${times(layer.parameters)} parameters, ${times(layer.multiply_adds)} products.`),
      channelSheet(map, channel)));
    cards.push(card(map.shown ? `Map ${map.shown[channel]}` : `Map ${channel} of ${layer.name}`,
      bigMap(map, channel)));
    cards.push(DATA.parameters ? sumCard(layer, maps, channel) : card("No products here",
      note(`This network has ${times(DATA.count)} parameters. Beyond two million they are not put into the page: its maps, computed by Python, are all that is here (the ${map.shown.length} strongest of each layer, made smaller).`)));
    return cards;
  },
};

function layerName() {
  return state.layer || DATA.layers[0].name;
}

function fieldOf(name) {
  return DATA.fields[name.replace(/^(conf|loc)_/, "head_").replace(/_norm$/, "")];
}

/** All maps of the picture: from the network that runs here, or those that Python put into the page. */
function shownMaps() {
  return DATA.parameters ? live.maps : state.picture < 0 ? null : storedMaps(picture());
}

/** The value that is looked at: the one chosen, or the strongest. */
function chosenValue(map) {
  if (state.y !== null && state.x !== null) return [Math.min(state.y, map.height - 1),
    Math.min(state.x, map.width - 1)];
  const channel = Math.min(state.channel, map.channels - 1);
  let best = 0;
  for (let i = 0; i < map.height * map.width; i++) {
    if (map.data[i * map.channels + channel] > map.data[best * map.channels + channel]) best = i;
  }
  return [Math.floor(best / map.width), best % map.width];
}

/** The channel with the largest sum: for a small picture of a layer. */
function strongest(map) {
  const sums = new Float64Array(map.channels);
  for (let i = 0; i < map.data.length; i++) sums[i % map.channels] += Math.abs(map.data[i]);
  return sums.indexOf(Math.max(...sums));
}

/** Colours for values from -most to most: from the ground to ink, below 0 to the colour of "less". */
function ramp() {
  return keep("ramp", [colour("ink"), colour("ground")], () => {
    const parse = name => colour(name).match(/[0-9a-f]{2}/gi).map(part => parseInt(part, 16));
    return { zero: parse("ground"), more: parse("ink"), less: parse("less") };
  });
}

function paintMap(canvas, map, channel, size) {
  const pixels = new ImageData(map.width, map.height), { zero, more, less } = ramp();
  let most = 1e-9;
  for (let i = channel; i < map.data.length; i += map.channels) most = Math.max(most, Math.abs(map.data[i]));
  for (let i = 0; i < map.width * map.height; i++) {
    const value = map.data[i * map.channels + channel] / most, to = value < 0 ? less : more,
      share = Math.abs(value);
    for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = zero[k] + share * (to[k] - zero[k]);
    pixels.data[4 * i + 3] = 255;
  }
  canvas.width = map.width;
  canvas.height = map.height;
  canvas.style.width = `${size}px`;
  canvas.style.height = `${size * map.height / map.width}px`;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** All channels of a layer beside each other; a click chooses one. */
function channelSheet(map, channel) {
  const count = map.shown ? map.shown.length : map.channels, sheet = h("div", { class: "sheet" });
  for (let k = 0; k < count; k++) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    paintMap(canvas, map, k, 40);
    sheet.append(h("button", { type: "button", class: "mini", "aria-pressed": k === channel,
      "aria-label": `map ${map.shown ? map.shown[k] : k}`, "data-key": `channel ${k}`,
      onclick: () => update({ channel: k, y: null, x: null, input: null }) }, canvas));
  }
  return sheet;
}

function bigMap(map, channel) {
  const canvas = h("canvas",
    { id: "bigmap", tabindex: 0, role: "application", "data-key": "bigmap",
    "aria-label": "The map. Arrow keys go from value to value." }), [y, x] = chosenValue(map);
  const wide = Math.min(320, window.innerWidth - 80);
  paintMap(canvas, map, channel, wide);
  const ring = h("i", { class: "ring",
    style: `left:${(x / map.width) * wide}px;top:${(y / map.height) * wide * map.height / map.width}px;width:${wide / map.width}px;height:${wide / map.width}px` });
  canvas.addEventListener("click", event => {
    const place = canvas.getBoundingClientRect();
    update({ y: Math.floor(((event.clientY - place.top) / place.height) * map.height),
      x: Math.floor(((event.clientX - place.left) / place.width) * map.width) });
  });
  canvas.addEventListener("keydown", event => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    update({ y: Math.min(Math.max(y + move[0], 0), map.height - 1),
      x: Math.min(Math.max(x + move[1], 0), map.width - 1) });
  });
  return [h("div", { class: "bigmap" }, canvas, ring),
    note(`Row ${y}, column ${x}: <b>${num(map.data[(y * map.width + x) * map.channels + channel], 4)}</b>. The stronger the tone, the larger${map.data.some(value => value < 0) ? "; purple is below 0" : ""}. Click another value.`)];
}
