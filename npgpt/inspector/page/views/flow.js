/* View 7: how large weights, gradients and updates are, tensor by tensor and step by step; and what is off, in words. */
{
  const {names} = RUN.rms, K = names.length;
  const RULE = -3; // log₁₀ of update / weight by the rule of thumb
  const KINDS = ["weights", "gradients", "updates", "ratio"];
  let kind = "gradients", map, legend, buttons, explained, items = [];

  const rmsOf = (what, r, c) => decoded(RUN.rms[what]).numbers[c * K + r];

  /* log₁₀ of what is shown for tensor r at place c; nan where there is no such number, −∞ where it is 0. */
  function level(r, c) {
    const x = kind === "ratio" ? rmsOf("updates", r, c) / rmsOf("weights", r, c) : rmsOf(kind, r, c);
    return x === 0 ? -Infinity : Math.log10(x);
  }

  /* The colours' ends: all but the two outermost hundredths lie between them. */
  function levels() {
    const found = RUN.steps.flatMap((_, c) => names.map((_, r) => level(r, c))).filter(Number.isFinite).sort((a, b) => a - b);
    if (!found.length) return [-1, 0];
    const [low, high] = [0.02, 0.98].map((share) => found[Math.round(share * (found.length - 1))]);
    return high - low < 1e-6 ? [low - 0.5, high + 0.5] : [low, high];
  }

  function colourOf(low, high) {
    if (kind === "ratio") return (x) => (Number.isFinite(x) ? heat(x - RULE, 2).fill : null);
    return (x) => (Number.isFinite(x) ? heat(0.06 + 0.94 * clamped((x - low) / (high - low), 0, 1), 1).fill : null);
  }

  const titles = () => ({
    weights: say("weights"), gradients: say("gradients"), updates: say("updates"), ratio: say("update / weight"),
  });

  function build(root) {
    buttons = html("div", {class: "buttons", role: "group", "aria-label": say("what is shown")}, ...KINDS.map((each) => html("button", {
      type: "button", "data-kind": each, onclick: () => { kind = each; drawMap(); }}, titles()[each])));
    legend = colourLegend();
    explained = html("p", {class: "note"});
    map = stepMap({rows: names, steps: RUN.steps, name: say("size of each tensor at each step"), tell,
                   onpick: (r, c) => change({place: c, tensor: names[r], cell: null})});
    root.append(html("div", {class: "choosers"}, buttons, legend.node), explained, map.node, html("h3", {}, say("What is off in this run")), insightList(),
                html("p", {class: "note"}, RUN.asked));
  }

  function tell(r, c) {
    const x = kind === "ratio" ? rmsOf("updates", r, c) / rmsOf("weights", r, c) : rmsOf(kind, r, c);
    if (Number.isNaN(x)) return say("{tensor} at step {s}: no such number", {tensor: names[r], s: RUN.steps[c]});
    const about = {tensor: names[r], s: RUN.steps[c], x: number(x), log: number(Math.log10(x), 3)};
    return kind === "ratio" ? say("{tensor} at step {s}: RMS of the update {u} / RMS of the weights {w} = {x}, log₁₀ {log}",
      {...about, u: number(rmsOf("updates", r, c)), w: number(rmsOf("weights", r, c))}) : say("{tensor} at step {s}: RMS {x}, log₁₀ {log}", about);
  }

  /* What insights.py found. A click goes to the step and the tensor. */
  function insightList() {
    if (!RUN.insights.length) return html("p", {class: "all-good"}, say("Nothing is off: no gradient vanishes or explodes, no update is far too large or too small, nothing is nan."));
    items = RUN.insights.map((insight) => ({insight, node: html("li", {}, html("button", {type: "button", class: "insight", onclick: () => go(insight)},
      html("span", {class: "insight-head"}, html("b", {}, say("step {s}", {s: insight.step})), insight.tensor ? html("code", {}, insight.tensor) : null),
      html("span", {}, told(insight.what)), html("span", {class: "note"}, `${say("Cause:")} ${told(insight.cause)}`),
      html("span", {class: "note"}, `${say("Remedy:")} ${told(insight.remedy)}`)))}));
    return html("ul", {class: "insights"}, ...items.map(({node}) => node));
  }

  function go({step, tensor}) {
    const place = placeOfStep(step), row = names.indexOf(tensor);
    change({place, ...(tensor ? {tensor, cell: null} : {})});
    if (row >= 0) map.select(row, place);
  }

  function drawMap() {
    buttons.querySelectorAll("button").forEach((button) => set(button, {"aria-pressed": button.dataset.kind === kind}));
    const [low, high] = levels(), colour = colourOf(low, high), ratio = kind === "ratio";
    map.draw((r, c) => colour(level(r, c)));
    const power = (x) => number(10 ** x, 2);
    legend.draw(ratio ? {low: RULE - 2, high: RULE + 2, colour, marks: [{x: RULE - 2, text: "≤ 1e−5"}, {x: RULE, text: say("1e−3: rule of thumb")}, {x: RULE + 2, text: "≥ 0.1"}]}
      : {low, high, colour, marks: [{x: low, text: `≤ ${power(low)}`}, {x: (low + high) / 2, text: power((low + high) / 2)}, {x: high, text: `≥ ${power(high)}`}]});
    setText(explained, ratio ? say("How far a step moves the weights, relative to their size. Orange: below a thousandth, slow. Violet: above, fast. Hatched: no update follows, or the weights are 0.")
      : say("The root mean square of each tensor, on a logarithmic scale. Hatched: 0, not trained, or no update follows."));
  }

  let drawnScheme = null;
  function draw() {
    if (drawnScheme !== darkScheme.matches) {
      drawnScheme = darkScheme.matches;
      drawMap();
    }
    map.mark(names.indexOf(state.tensor), state.place);
    items.forEach(({insight, node}) => set(node.firstChild, {"aria-pressed": insight.step === RUN.steps[state.place]}));
  }

  views.push({
    order: 7,
    id: "flow",
    title: say("How large the gradients are"),
    notice: say("Read a row from left to right: does a tensor's gradient fade, or grow? Then switch to update / weight: a healthy run moves each tensor by about a thousandth of its size a step."),
    maths: [
      {formula: say("RMS(x) = √(mean of x²)")},
      say("The colour is its logarithm to base 10, since gradients of one model lie orders of magnitude apart. Gradients are those of the training batch after clipping; an update is what AdamW added."),
      say("AdamW divides each gradient by its own usual size, so that updates come out near the learning rate, whatever the gradient is. Their ratio to the weights is what tells whether the learning rate fits."),
    ],
    available: () => K > 0 || say("No sizes were recorded in this run."),
    build,
    draw,
    table: () => ({
      head: [say("tensor"), say("weights"), say("gradients"), say("updates"), say("update / weight")],
      rows: names.map((name, r) => [name, ...["weights", "gradients", "updates"].map((what) => rmsOf(what, r, state.place)),
                                    rmsOf("updates", r, state.place) / rmsOf("weights", r, state.place)]),
      note: say("Root mean squares at step {s}.", {s: RUN.steps[state.place]}),
    }),
  });
}
