// A picture or weights of the reader's own, dropped on the page or chosen. Nothing leaves the computer.
"use strict";

const MOST_PIXELS = 30e6;

async function openFile(file) {
  if (!file) return;
  let start;
  try {
    start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  } catch {
    say(`${file.name} can not be read: a folder, or gone. Drop one picture, or one file of weights.`, "bad");
    return;
  }
  if (/\.npz$/i.test(file.name) || (start[0] === 0x50 && start[1] === 0x4b)) await openWeights(file);
  else await openPicture(file);
}

async function openPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    say(`${file.name} is no picture that this browser can read: a JPEG, PNG or WebP file is.`, "bad");
    return;
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    say(`${file.name} has ${num(width * height / 1e6, 1)} million pixels; this page takes up to 30 million: make it smaller first.`, "bad");
    return;
  }
  if (!DATA.parameters) {
    bitmap.close();
    say(`This page does not hold its network (${times(DATA.count)} parameters), so that it can not look at ${file.name}: ssd-np explore ${file.name} --weights ${DATA.weights} makes a page that did.`, "bad");
    return;
  }
  if (live.own) URL.revokeObjectURL(live.own.src);
  live.own = { name: file.name, src: URL.createObjectURL(file), width, height, truth: [], input: null,
    own: true };
  live.outputs = null;
  askWorker({ kind: "look", bitmap }, [bitmap]);
  drawPictures();
  update({ picture: -1, truth: null, part: state.part === "match" || state.part === "loss" ? "detect"
    : state.part });
}

// --- weights --------------------------------------------------------------------------------------

async function openWeights(file) {
  let arrays;
  try {
    arrays = readNpz(await file.arrayBuffer());
    if (!arrays["header.json"]) throw new Error("no header");
  } catch {
    say(`${file.name} is no weights file of ssd_np, or it is damaged: ssd-np train writes best.npz.`, "bad");
    return;
  }
  const { config } = JSON.parse(new TextDecoder().decode(arrays["header.json"].value));
  const own = typeof config === "string" ? JSON.parse(config) : config;
  const make = `ssd-np explore --weights ${file.name} makes a page for them.`;
  const fits = DATA.parameters
    && Object.entries(DATA.parameters).every(([name, { shape }]) => arrays[name]
    && String(arrays[name].shape) === String(shape));
  if (!own || !fits) { say(`The weights in ${file.name} are of the network ${own?.name ?? "of something else"}, not of this page's ${CONFIG.name}: ${make}`, "bad"); return; }
  if (String(own.class_names) !== String(NAMES)) { say(`The weights in ${file.name} know other classes (${own.class_names.join(", ")}) than this page (${NAMES.join(", ")}): ${make}`, "bad"); return; }
  useWeights(Object.fromEntries(Object.entries(DATA.parameters).map(([name, { shape }]) => [name,
    { shape, value: Float32Array.from(arrays[name].value) }])), file.name);
}

/** An uncompressed .npz -> {name: {shape, value}}. Its directory stands at the end of the file. */
function readNpz(buffer) {
  const view = new DataView(buffer), arrays = {};
  let end = buffer.byteLength - 22;
  while (view.getUint32(end, true) !== 0x06054b50) end--;  // beyond the start: a RangeError
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    const lengths = [28, 30, 32].map(i => view.getUint16(at + i, true));
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, lengths[0]));
    const local = view.getUint32(at + 42, true);
    if (view.getUint16(at + 10, true) !== 0) throw new Error("compressed");
    const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    arrays[name.replace(/\.npy$/, "")] = readNpy(buffer, from);
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
  return arrays;
}

function readNpy(buffer, from) {
  const view = new DataView(buffer), long = view.getUint8(from + 6) > 1;
  const size = long ? view.getUint32(from + 8, true) : view.getUint16(from + 8, true), begin = from
    + (long ? 12 : 10);
  const header = new TextDecoder().decode(new Uint8Array(buffer, begin, size));
  const type = /'descr': '([^']+)'/.exec(header)[1], shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(",").filter(part => part.trim()).map(Number);
  const Kind = { "<f4": Float32Array, "<f8": Float64Array, "|u1": Uint8Array, "|i1": Int8Array,
    "<i8": BigInt64Array, "<i4": Int32Array }[type];
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape, value: new Kind(buffer.slice(begin + size, begin + size + count * Kind.BYTES_PER_ELEMENT)) };
}

function useWeights(parameters, name) {
  live.base = live.parameters = parameters;
  live.weightsName = name;
  live.training = null;
  live.running = false;
  askWorker({ kind: "weights", parameters });
  update({ edits: [], steps: 0 });
  refreshOutputs({ ...state, picture: NaN });
}
