/* View 9: two runs side by side, and where they part. */
{
  const comparison = DATA.comparison;
  const FLOOR = RUN.dtype === "float64" ? -16 : -8, CEILING = 0; // log₁₀ of the relative differences at the colours' ends
  let chart, map, parting, pair, sameAs;

  const differenceAt = (r, c) => decoded(comparison.largest).numbers[c * comparison.tensors.length + r];

  const words = () => ({
    value: say("its value in the forward of the probe text"), gradient: say("its gradient in the backward of the probe text"),
    parameter: say("the parameter itself"), "batch gradient": say("its gradient on the training batch"), update: say("the update that AdamW made"),
  });

  function build(root) {
    const name = (run) => html("b", {}, run.name);
    const [ours, theirs] = [RUN, DATA.other].map((run) => decoded(run.losses).numbers);
    const numbered = (numbers) => Array.from(numbers, (_, n) => n + 1), window = Math.max(1, Math.round(ours.length / 50));
    chart = lineChart({name: say("the losses of both runs"), x: [0, Math.max(ours.length, theirs.length)], height: 240, xName: say("step"), yName: say("nats"),
                       onpick: (step) => change({place: placeOfStep(step)})});
    chart.draw([{xs: numbered(ours), ys: runningMean(ours, window), kind: "main"}, {xs: numbered(theirs), ys: runningMean(theirs, window), kind: "second"}]);
    parting = html("div", {class: "panel parting"}, ...partingSentence());
    map = stepMap({rows: comparison.tensors, steps: comparison.steps, name: say("difference of each tensor at each step"), tell,
                   onpick: (r, c) => change({place: placeOfStep(comparison.steps[c]), tensor: comparison.tensors[r], cell: null})});
    const legend = colourLegend();
    redrawColours = () => {
      legend.draw({low: FLOOR, high: CEILING, colour: colourOf, marks: [{x: FLOOR, text: `≤ 1e−${-FLOOR}`}, {x: FLOOR / 2, text: `1e−${-FLOOR / 2}`}, {x: CEILING, text: "≥ 1"}]});
      map.draw((r, c) => { const x = differenceAt(r, c); return Number.isNaN(x) ? null : x === 0 ? heat(0, 1).fill : colourOf(Math.log10(x)); });
    };
    pair = html("div", {class: "pair"});
    sameAs = html("p", {class: "note"});
    root.append(
      html("p", {class: "two-names"}, lineSample("main"), name(RUN), lineSample("second"), name(DATA.other), html("span", {class: "note"}, say("mean of the last {n} losses", {n: window}))),
      chart.node, parting, html("h3", {}, say("Largest difference of each tensor, relative to its largest number")),
      html("div", {class: "choosers"}, legend.node, html("span", {class: "note"}, say("No colour: equal to the last bit. Hatched: not in both runs. All dark: other seeds or other data; the runs have nothing in common but the code."))), map.node,
      html("h3", {}, say("The chosen tensor in both runs")), sameAs, pair);
  }

  let redrawColours, drawnScheme = null;

  const colourOf = (x) => heat(0.06 + 0.94 * clamped((x - FLOOR) / (CEILING - FLOOR), 0, 1), 1).fill;

  function partingSentence() {
    const first = comparison.first;
    if (!first) return [html("p", {class: "in-numbers"}, say("The two runs are equal in everything that was recorded, to the last bit."))];
    const size = first.difference === null ? say("one of them is not finite") : say("the largest difference is {x} of its largest number", {x: number(first.difference, 3)});
    return [html("p", {class: "in-numbers"}, first.step === 0 && first.of !== "batch gradient" && first.of !== "update"
      ? say("They differ from the start: at step {s} first in {tensor}, {what}; {size}.", {s: first.step, tensor: first.tensor, what: words()[first.of], size})
      : say("Until step {s} they are equal. Then they part first in {tensor}, {what}; {size}.", {s: first.step, tensor: first.tensor, what: words()[first.of], size})),
    html("button", {type: "button", class: "go-there", onclick: () => {
      const direction = first.of === "value" || first.of === "parameter" ? "forward" : "backward";
      change({place: placeOfStep(first.step), tensor: first.tensor, cell: null, direction});
      const row = comparison.tensors.indexOf(first.tensor), column = comparison.steps.indexOf(first.step);
      if (row >= 0 && column >= 0) map.select(row, column);
    }}, say("go there"))];
  }

  function tell(r, c) {
    const x = differenceAt(r, c), about = {tensor: comparison.tensors[r], s: comparison.steps[c], x: number(x)};
    return Number.isNaN(x) ? say("{tensor} at step {s}: not in both runs", about) : x === 0 ? say("{tensor} at step {s}: equal to the last bit", about)
      : say("{tensor} at step {s}: they differ by {x} of the largest number", about);
  }

  /* The tensor's numbers in both runs at the same step; of a long one the first. */
  function bothValues() {
    const step = RUN.steps[state.place], place = DATA.other.steps.indexOf(step), name = state.tensor;
    if (place < 0 || !name) return null;
    const backward = state.direction === "backward", traced = current.isTraced(name);
    const what = traced ? (backward ? "gradient" : "value") : backward ? "probeGradient" : "weight";
    const a = current[what](name), b = other[what](name, place);
    return a && b && String(a.shape) === String(b.shape) ? {a, b, name, backward} : null;
  }

  let shape = null, maps = [];

  /* Three heat maps: ours, theirs, the difference. Rows and columns: the last axis across, all others down, as far as they fit. */
  function drawPair() {
    const both = bothValues();
    setText(sameAs, !both ? say("Choose a tensor that both runs kept at this step, in the heat map or in the pipeline.")
      : both.backward ? say("{tensor}, gradient, at step {s}", {tensor: both.name, s: RUN.steps[state.place]}) : say("{tensor}, value, at step {s}", {tensor: both.name, s: RUN.steps[state.place]}));
    pair.hidden = !both;
    if (!both) return;
    const {a, b} = both, columns = a.shape.at(-1), C = Math.min(columns, 32), R = Math.min(a.numbers.length / columns, 32);
    const key = `${a.shape} ${both.name}`;
    if (key !== shape) {
      shape = key;
      const width = clamped(Math.floor(320 / C), 8, 40), sizes = {rows: R === T ? positionLabels() : numberLabels(R), columns: C <= 12 ? numberLabels(C) : C, width, height: R > 20 ? 12 : 18, numbers: width >= 34};
      maps = [RUN.name, DATA.other.name, say("difference")].map((title) => ({title, map: cells({...sizes, name: title, onhover: () => {}}), limit: html("p", {class: "limit"})}));
      pair.replaceChildren(...maps.map(({title, map, limit}) => html("div", {class: "scroll-x map-panel"}, html("p", {class: "note"}, title), map.node, limit)),
                           ...(C < columns || R < a.numbers.length / columns ? [html("p", {class: "note"}, say("The first {r} × {c} numbers of {shape}.", {r: R, c: C, shape: shapeText(a.shape)}))] : []));
    }
    const cut = (numbers) => Float32Array.from({length: R * C}, (_, n) => numbers[Math.floor(n / C) * columns + (n % C)]);
    const [ours, theirs] = [cut(a.numbers), cut(b.numbers)], difference = ours.map((x, n) => theirs[n] - x), most = Math.max(largest(ours), largest(theirs));
    [[ours, most], [theirs, most], [difference, largest(difference)]].forEach(([numbers, limit], n) => {
      const power = commonPower(limit);
      maps[n].map.draw({numbers, limit, power});
      setText(maps[n].limit, power === null ? say("the colours end at ± {x}", {x: number(limit, 3)}) : say("in units of {unit}; the colours end at ± {x}", {unit: tenTo(-power), x: number(limit, 3)}));
    });
  }

  function draw() {
    if (drawnScheme !== darkScheme.matches) {
      drawnScheme = darkScheme.matches;
      redrawColours();
    }
    const step = RUN.steps[state.place];
    chart.mark(step);
    const column = comparison.steps.reduce((best, s, c) => (Math.abs(s - step) < Math.abs(comparison.steps[best] - step) ? c : best), 0);
    map.mark(comparison.tensors.indexOf(state.tensor), column);
    drawPair();
  }

  views.push({
    order: 9,
    id: "compare",
    title: say("Two runs side by side"),
    notice: say("Two losses that end alike say little. What counts is where the runs part first: everything before it agrees, everything after it follows from it."),
    maths: [
      say("For each tensor at each step, in the order of computation:"),
      {formula: say("difference = largest |a − b| / largest |a|")},
      say("Rounding alone gives about 1e−7 in float32 and 1e−16 in float64 at first, and grows with the steps. What is far above it at once is a difference in the code, the data or the seed."),
    ],
    available: () => DATA.other && comparison ? true
      : html("span", {}, say("There is one run in this page. A second one, with another backend, seed or option, stands beside it with"), " ", command("python examples/inspect_training.py --compare RUN"), "."),
    build,
    draw,
    table() {
      const step = RUN.steps[state.place], column = comparison.steps.indexOf(step);
      if (column < 0) return {head: [], rows: [], note: say("This step was recorded in one of the runs only.")};
      return {head: [say("tensor"), say("relative difference")], rows: comparison.tensors.map((tensor, r) => [tensor, differenceAt(r, column)]),
              note: say("At step {s}.", {s: step})};
    },
  });
}
