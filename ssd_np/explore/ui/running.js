// The network at work: the worker that runs it, and what comes back. The page never waits.
"use strict";

let _worker = null, _asked = 0, _busy = false, _again = false;

function askWorker(message, transfer = []) {
  if (!_worker) {
    const text = ["core", "worker"].map(id => document.getElementById(id).textContent).join("\n");
    _worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    _worker.onmessage = ({ data }) => HEARD[data.kind](data);
    _worker.onerror = event => say(`The network stopped: ${event.message}.`, "bad");
    _worker.postMessage({ kind: "start", config: CONFIG, parameters: live.base });
  }
  _worker.postMessage(message, transfer);
}

const HEARD = {
  outputs({ id, logits, offsets, maps, milliseconds }) {
    _busy = false;
    if (_again) { _again = false; requestMaps(); }
    if (id !== _asked) return;
    live.waiting = false;
    live.milliseconds = milliseconds;
    live.maps = maps;
    if (!live.running) live.outputs = { logits, offsets };
    render();
  },
  looked({ input }) {
    live.own.values = input;
    live.own.input = true;
    requestMaps();
  },
  step: tookStep,
  paused() { live.running = false; if (state.part === "network") requestMaps(); render(); },
  reset() {},
  checking(row) { live.checks?.rows.push(row); render(); },
  checked() { if (live.checks) live.checks.done = true; render(); },
};

/** Runs the network on the picture; while it runs, only the last wish is kept. */
function requestMaps() {
  const input = inputOf(picture());
  if (!input || !DATA.parameters) return;
  live.waiting = true;
  if (_busy) { _again = true; return; }
  _busy = true;
  _asked += 1;
  askWorker({ kind: "forward", id: _asked, input, edits: state.edits });
}

/** Outputs for another picture or other weights: those in the page if they hold, else the network runs. */
function refreshOutputs(before) {
  const changed = state.edits.length > 0 || live.training || live.weightsName,
    other = before.picture !== state.picture;
  if (other) {
    live.maps = null;
    live.checks = null;
    if (live.training && !Number.isNaN(before.picture)) { live.training = null; live.running = false; askWorker({ kind: "reset" }); }
    if (state.picture >= 0) live.outputs = storedOutputs(picture());
  }
  live.parameters = withEdits(live.base, state.edits);
  if (!changed && before.edits?.length
    && state.picture >= 0) { live.outputs = storedOutputs(picture()); live.maps = null; }
  if (changed || state.picture < 0 || state.part === "network") requestMaps();
}

/** Parameters with some weights changed; what is not changed is shared. */
function withEdits(parameters, edits) {
  const changed = { ...parameters };
  for (const { name, index, value } of edits) {
    if (changed[name] === parameters[name]) changed[name] = { ...changed[name],
      value: changed[name].value.slice() };
    changed[name].value[index] = value;
  }
  return changed;
}
