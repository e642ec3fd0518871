/* What is chosen, and the recorded numbers at that choice. Everything that is drawn is drawn from here. */

/* place: index into RUN.steps. position: t. tensor: a traced name or a parameter. cell: null or the indices in the tensor.
   direction: "forward" or "backward". mistake: null or a mistake's name. */
const state = {
  place: 0,
  position: RUN.text.ids.length - 1,
  tensor: RUN.trace.tensors.length ? RUN.trace.tensors[0].name : null,
  cell: null,
  direction: "forward",
  mistake: null,
};

const T = RUN.text.ids.length;
const V = RUN.tokens.length;

/* The views, in the order of the page: each file in views/ pushes one (see main.js). */
const views = [];

const changed = new Set();
const listeners = [];

/* Sets a part of the state, change({position: 3}), and asks for what is on the screen to be drawn anew. */
function change(part) {
  for (const [name, wanted] of Object.entries(part)) {
    let value = wanted;
    if (name === "place") value = clamped(wanted, 0, RUN.steps.length - 1);
    if (name === "position") value = clamped(wanted, 0, T - 1);
    if (state[name] !== value) {
      state[name] = value;
      changed.add(name);
    }
  }
  if (changed.size) listeners.forEach((listener) => listener());
}

function clamped(x, low, high) {
  return Math.min(Math.max(x, low), high);
}

/* The recorded numbers of one run. Each gives {shape, numbers} or null where it was left out; `place` is the chosen one unless
   told. value and gradient: of a traced name, on the probe. weight, probeGradient, batchGradient, update: of a parameter. */
function recordsOf(run) {
  const group = (name) => {
    const {places, tensors} = run[name];
    const rows = new Map(places.map((place, row) => [place, row]));
    const spans = new Map();
    let total = 0;
    for (const {name: tensor, shape} of tensors) {
      const size = shape.reduce((product, n) => product * n, 1);
      spans.set(tensor, {shape, start: total, size});
      total += size;
    }
    return {rows, spans, total, arrays: run[name]};
  };
  const groups = {trace: group("trace"), weights: group("weights")};
  const cut = (groupName, field) => (name, place = state.place) => {
    const {rows, spans, total, arrays} = groups[groupName];
    if (!rows.has(place) || !spans.has(name)) return null;
    const {shape, start, size} = spans.get(name);
    const offset = rows.get(place) * total + start;
    return {shape, numbers: decoded(arrays[field]).numbers.subarray(offset, offset + size)};
  };
  return {
    run,
    value: cut("trace", "values"),
    gradient: cut("trace", "gradients"),
    weight: cut("weights", "values"),
    probeGradient: cut("weights", "probe"),
    batchGradient: cut("weights", "gradients"),
    update: cut("weights", "updates"),
    isTraced: (name) => groups.trace.spans.has(name),
    isParameter: (name) => groups.weights.spans.has(name),
    /* The shape of a traced name or a parameter; null for an unknown one. */
    shape: (name) => (groups.trace.spans.get(name) || groups.weights.spans.get(name) || {shape: null}).shape,
    /* The recorded place nearest to `place` at which the group, "trace" or "weights", was kept; null where none was. */
    nearestPlace: (groupName, place = state.place) => {
      const places = run[groupName].places;
      return places.length ? places.reduce((best, p) => (Math.abs(p - place) < Math.abs(best - place) ? p : best)) : null;
    },
    /* For arithmetic.js: the operands of a formula at a place. */
    lookup: (place = state.place) => {
      const found = new Map();
      return (kind, name) => {
        const key = `${kind} ${name}`;
        if (!found.has(key)) found.set(key, operand(kind, name, place));
        return found.get(key);
      };
    },
  };

  function operand(kind, name, place) {
    if (kind === "ids") return {shape: [run.text.ids.length], numbers: run.text.ids};
    if (kind === "targets") return {shape: [run.text.targets.length], numbers: run.text.targets};
    const traced = groups.trace.spans.has(name);
    const own = kind === "value" ? (traced ? "value" : "weight") : traced ? "gradient" : "probeGradient";
    return cut(...{value: ["trace", "values"], gradient: ["trace", "gradients"], weight: ["weights", "values"],
                   probeGradient: ["weights", "probe"]}[own])(name, place);
  }
}

const current = recordsOf(DATA.run);
const other = DATA.other ? recordsOf(DATA.other) : null;

/* Whether all operands of a formula were kept at a place. */
function canEvaluate(formula, lookup) {
  return Object.values(formula.operands).every(([kind, name]) => lookup(kind, name) !== null);
}

/* The index into RUN.steps of the recorded step nearest to a step. */
function placeOfStep(step) {
  return RUN.steps.reduce((best, s, place) => (Math.abs(s - step) < Math.abs(RUN.steps[best] - step) ? place : best), 0);
}

function nearestPlace(group) {
  return current.nearestPlace(group);
}

/* The chosen mistake, an entry of DATA.mistakes, or null. */
function chosenMistake() {
  return DATA.mistakes.find(({name}) => name === state.mistake) || null;
}
