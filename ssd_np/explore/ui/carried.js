// What the page carries: weights, pictures and the network's outputs, as numbers again.
"use strict";

/** Numbers from their base64 text. */
function unpack(text, Kind = Float32Array) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Kind(bytes.buffer);
}

function storedParameters() {
  return Object.fromEntries(Object.entries(DATA.parameters).map(([name, { shape, data }]) => [name,
    { shape, value: unpack(data) }]));
}

/** The picture as the network sees it, normalised. */
function inputOf(item) {
  if (item.values) return item.values;
  if (!item.input) return null;
  if (DATA.input_kind === "float32") item.values = unpack(item.input);
  else {
    const { mean, std } = CONFIG.input, f = Math.fround;
    item.values = Float32Array.from(unpack(item.input, Uint8Array),
      (value, i) => f(value - f(mean[i % 3])) / f(std[i % 3]));
  }
  return item.values;
}

function storedOutputs(item) {
  item.outputs = item.outputs || { logits: unpack(item.logits), offsets: unpack(item.offsets) };
  return item.outputs;
}

/** Maps of a network that is not in the page: some channels, smaller, 255 for the largest value. */
function storedMaps(item) {
  item.shownMaps = item.shownMaps || Object.fromEntries(Object.entries(item.maps || {}).map(([name, map]) =>
    [name, { ...map, channels: map.shown.length,
      data: Float32Array.from(unpack(map.data, Int8Array), value => value / 127 * map.most) }]));
  return item.shownMaps;
}
