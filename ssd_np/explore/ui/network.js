// Part 4: the network, layer by layer, down to one product.
"use strict";

const NetworkPart = {
  id: "network", title: "Network", objects: false, question: "What happens between the picture and the answers?",
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
      if (maps && maps[layer.name]) paintMap(thumb, maps[layer.name], keep(`strongest ${layer.name}`, [maps], () => strongest(maps[layer.name])), 44);
      return h("button", { type: "button", role: "option", "aria-selected": layer.name === layerName(), "data-key": `layer ${layer.name}`, class: "layer",
        onclick: () => update({ layer: layer.name, channel: 0, y: null, x: null, input: null }) }, thumb, h("b", {}, layer.name), h("small", {}, layer.output.join("×")));
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
    const place = toPixels(fieldBox({ ...field, size: field.size + (block - 1) * field.stride }, row, column), g);
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
    if (!maps || !maps[layer.name]) return [card(layer.name, note(live.waiting ? "The network is running …" : "This picture has no maps of this layer."))];
    const map = maps[layer.name], channel = Math.min(state.channel, map.shown ? map.shown.length - 1 : map.channels - 1);
    cards.push(card(`${layer.name}: ${layer.kind}`,
      h("p", {}, `${layer.output.join(" × ")} values, ${times(layer.parameters)} parameters, ${times(layer.multiply_adds)} products.`),
      channelSheet(map, channel)));
    cards.push(card(map.shown ? `Map ${map.shown[channel]}` : `Map ${channel} of ${layer.name}`, bigMap(map, channel)));
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
  if (state.y !== null && state.x !== null) return [Math.min(state.y, map.height - 1), Math.min(state.x, map.width - 1)];
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
    const value = map.data[i * map.channels + channel] / most, to = value < 0 ? less : more, share = Math.abs(value);
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
    sheet.append(h("button", { type: "button", class: "mini", "aria-pressed": k === channel, "aria-label": `map ${map.shown ? map.shown[k] : k}`, "data-key": `channel ${k}`,
      onclick: () => update({ channel: k, y: null, x: null, input: null }) }, canvas));
  }
  return sheet;
}

function bigMap(map, channel) {
  const canvas = h("canvas", { id: "bigmap", tabindex: 0, role: "application", "data-key": "bigmap", "aria-label": "The map. Arrow keys go from value to value." }), [y, x] = chosenValue(map);
  const wide = Math.min(320, window.innerWidth - 80);
  paintMap(canvas, map, channel, wide);
  const ring = h("i", { class: "ring", style: `left:${(x / map.width) * wide}px;top:${(y / map.height) * wide * map.height / map.width}px;width:${wide / map.width}px;height:${wide / map.width}px` });
  canvas.addEventListener("click", event => {
    const place = canvas.getBoundingClientRect();
    update({ y: Math.floor(((event.clientY - place.top) / place.height) * map.height), x: Math.floor(((event.clientX - place.left) / place.width) * map.width) });
  });
  canvas.addEventListener("keydown", event => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    update({ y: Math.min(Math.max(y + move[0], 0), map.height - 1), x: Math.min(Math.max(x + move[1], 0), map.width - 1) });
  });
  return [h("div", { class: "bigmap" }, canvas, ring),
    note(`Row ${y}, column ${x}: <b>${num(map.data[(y * map.width + x) * map.channels + channel], 4)}</b>. The stronger the tone, the larger${map.data.some(value => value < 0) ? "; purple is below 0" : ""}. Click another value.`)];
}

// --- one value ------------------------------------------------------------------------------------

/** What a layer reads, and how: {source, kind, kernel, stride, pad, dilation}. */
function readingOf(name) {
  const at = CONFIG.layers.findIndex(layer => layer.name === name);
  if (at >= 0) return { ...CONFIG.layers[at], source: at ? CONFIG.layers[at - 1].name : "input" };
  const map = CONFIG.feature_maps.find(item => name.endsWith(`_${item.name}`) || name === `${item.name}_norm`);
  if (name === `${map.name}_norm`) return { kind: "norm", source: map.name };
  const border = CONFIG.head_kernel >> 1;
  return { kind: "head", kernel: CONFIG.head_kernel, stride: 1, pad: [[border, border], [border, border]], dilation: 1,
    source: map.l2norm_scale === null ? map.name : `${map.name}_norm` };
}

function sumCard(layer, maps, channel) {
  const rule = readingOf(layer.name), source = maps[rule.source], out = maps[layer.name], [y, x] = chosenValue(out);
  const value = out.data[(y * out.width + x) * out.channels + channel];
  if (rule.kind === "pool") return poolCard(rule, source, channel, y, x, value);
  if (rule.kind === "norm") return card("Normalised", note(`Each pixel of ${escape_(rule.source)} is divided by its length over all ${source.channels} channels, then times a learned scale: ${num(value, 4)}.`));
  const weight = live.parameters[`${layer.name}.weight`], bias = live.parameters[`${layer.name}.bias`].value[channel];
  const depthwise = rule.kind === "depthwise", kernel = weight.shape[0];
  const inputs = depthwise ? 1 : weight.shape[2], outputs = depthwise ? weight.shape[2] : weight.shape[3];
  const share = new Float64Array(inputs), from = c => (depthwise ? channel : c);
  const at = (i, j, c) => {
    const row = y * rule.stride - rule.pad[0][0] + i * rule.dilation, column = x * rule.stride - rule.pad[1][0] + j * rule.dilation;
    return row < 0 || column < 0 || row >= source.height || column >= source.width ? null : source.data[(row * source.width + column) * source.channels + from(c)];
  };
  const index = (i, j, c) => ((i * kernel + j) * inputs + c) * outputs + channel;
  for (let c = 0; c < inputs; c++) for (let i = 0; i < kernel; i++) for (let j = 0; j < kernel; j++) share[c] += (at(i, j, c) ?? 0) * weight.value[index(i, j, c)];
  const sum = share.reduce((a, b) => a + b, 0), order = bestFirst(share.map(Math.abs)).slice(0, 10), c = Math.min(state.input ?? order[0], inputs - 1), total = sum + bias;
  const table = (name, cell, chosen) => h("div", { class: "taps" }, h("small", {}, name), h("table", {}, Array.from({ length: kernel }, (_, i) => h("tr", {}, Array.from({ length: kernel }, (_, j) => cell(i, j))))));
  const most = Math.max(...Array.from({ length: kernel * kernel }, (_, k) => Math.abs(weight.value[index(Math.floor(k / kernel), k % kernel, c)])), 1e-6);
  const tap = NetworkPart.tap && NetworkPart.tap[0] < kernel && NetworkPart.tap[1] < kernel ? NetworkPart.tap : [kernel >> 1, kernel >> 1];
  const shade = (number, top) => `background:color-mix(in srgb, var(--${number < 0 ? "less" : "ink"}) ${Math.round(45 * Math.min(Math.abs(number) / top, 1))}%, transparent)`;
  return namedCard("sum", "The sum behind it",
    formula(`${v("out")} = ${v("bias")} + Σ patch · kernel &nbsp; over ${kernel} × ${kernel} × ${inputs} = ${times(kernel * kernel * inputs)} products`,
      `= ${num(bias, 4)} + ${num(sum, 4)} = ${num(total, 4)}${activationWords(rule.activation ?? "none", num(total, 4))} = <b>${num(value, 4)}</b>`),
    h("h4", {}, `${inputName(rule.source, from(c))} adds ${num(share[c], 4)}`),
    h("div", { class: "products" },
      table("patch", (i, j) => h("td", {}, at(i, j, c) === null ? "0 (border)" : num(at(i, j, c), 2))), h("span", {}, "·"),
      table("kernel: click a weight", (i, j) => h("td", { style: shade(weight.value[index(i, j, c)], most) }, h("button", { type: "button", class: "tap", "aria-pressed": i === tap[0] && j === tap[1], "data-key": `tap ${i} ${j}`,
        onclick: () => { NetworkPart.tap = [i, j]; render(); } }, num(weight.value[index(i, j, c)], 2)))), h("span", {}, "="),
      table("products", (i, j) => h("td", {}, num((at(i, j, c) ?? 0) * weight.value[index(i, j, c)], 2)))),
    editSliders(`${layer.name}.weight`, index(...tap, c), weight.value[index(...tap, c)], `${layer.name}.bias`, channel, bias),
    h("h4", {}, "Which input maps add most"),
    h("div", { class: "rows" }, order.map(k => h("button", { type: "button", class: `row plain${k === c ? " chosen" : ""}`, "data-key": `input ${k}`, onclick: () => update({ input: k }) },
      h("span", { class: "name" }, rule.source === "input" ? ["red", "green", "blue"][k] : `map ${from(k)}`), h("span", { class: "bar" }, h("i", { class: share[k] < 0 ? "less" : "more", style: `width:${Math.round(100 * Math.abs(share[k]) / Math.max(Math.abs(share[order[0]]), 1e-9))}%` })), h("span", { class: "words" }, num(share[k], 4))))));
}

function inputName(source, c) {
  return source === "input" ? `The ${["red", "green", "blue"][c]} channel of the picture` : `Map ${c} of ${source}`;
}

function activationWords(activation, total) {
  return { none: "", relu: ` &nbsp;→ ReLU: max(0, ${total})`, relu6: ` &nbsp;→ ReLU6: min(6, max(0, ${total}))` }[activation];
}

function editSliders(name, index, value, biasName, channel, bias) {
  if (live.training) return note("These are weights trained here; to change single ones, go back to the page's own weights.");
  const change = (key, at) => number => update({ edits: [...state.edits.filter(e => e.name !== key || e.index !== at), { name: key, index: at, value: number }] });
  const span = at => Math.max(2, Math.ceil(2 * Math.abs(at)));
  const one = slider({ id: "weight", name: "this weight", min: -span(value), max: span(value), step: 0.01, value, show: number => num(number, 3), onInput: change(name, index) });
  const two = slider({ id: "bias", name: "the bias", min: -span(bias), max: span(bias), step: 0.01, value: bias, show: number => num(number, 3), onInput: change(biasName, channel) });
  for (const [row, key] of [[one, "weight slider"], [two, "bias slider"]]) row.querySelector("input").dataset.key = key;
  return h("div", { class: "edit" }, one, two);
}

function poolCard(rule, source, channel, y, x, value) {
  const rows = [];
  for (let i = 0; i < rule.size; i++) {
    const cells = [];
    for (let j = 0; j < rule.size; j++) {
      const row = y * rule.stride - rule.pad[0][0] + i, column = x * rule.stride - rule.pad[1][0] + j;
      const there = row >= 0 && column >= 0 && row < source.height && column < source.width;
      const number = there ? source.data[(row * source.width + column) * source.channels + channel] : null;
      cells.push(h("td", { class: number === value ? "goal" : null }, there ? num(number, 3) : "–"));
    }
    rows.push(h("tr", {}, cells));
  }
  return card("The largest of a window", h("div", { class: "products" }, h("div", { class: "taps" }, h("small", {}, `map ${channel} of ${rule.source}`), h("table", {}, rows)), h("span", {}, "→"), h("b", {}, num(value, 4))),
    note("Max-pooling learns nothing: the largest value goes on, and backward the gradient goes to where it came from."));
}
