/* View 4, where a model attends: scores, mask and pattern; beneath them what comes back. And RoPE's turns. */

const ATTENTIVE = RUN.kind === "gpt" || RUN.kind === "llama";

if (ATTENTIVE) {
  const blocks = RUN.trace.tensors.map(({name}) => (name.match(/^blocks\.(\d+)\.pattern$/) || [])[1]).filter(Boolean).map(Number)
    .filter((b) => current.isTraced(`blocks.${b}.scores`));
  const turned = current.isTraced(`blocks.${blocks[0]}.rot_q`);
  const room = pixelsByWidth([["(min-width: 900px)", 350], ["(min-width: 701px)", 270], ["(min-width: 0px)", 235]]); // of a map, as in style.css
  let block = blocks[0] || 0, head = 0, pair = 0, heads = 1;
  let maps = {}, root, banner, body, told, softmaxBack, choosers, turns, pointed = null;

  const nameOf = (part) => `blocks.${block}.${part}`;

  /* The score of every pair, q[t] · k[s] / √D, the future's too, which the model never uses: (T * T) numbers or null. */
  function allScores() {
    const q = current.value(nameOf(turned ? "rot_q" : "q")), k = current.value(nameOf(turned ? "rot_k" : "k"));
    const scores = part("scores");
    if (!q || !k || !scores) return null;
    const D = q.shape[2], group = q.shape[0] / k.shape[0]; // a key head serves `group` query heads
    const keyHead = Math.floor(head / group);
    return scores.map((x, n) => {
      const t = Math.floor(n / T), s = n % T;
      if (s <= t) return x;
      let total = 0;
      for (let d = 0; d < D; d++) total += q.numbers[(head * T + t) * D + d] * k.numbers[(keyHead * T + s) * D + d];
      return total / Math.sqrt(D);
    });
  }

  /* The chosen head's (T * T) numbers of scores or pattern, or of their gradients; null where they were left out. */
  function part(name, of = "value") {
    const array = current[of](nameOf(name));
    return array && array.numbers.subarray(head * T * T, (head + 1) * T * T);
  }

  function rowSums(numbers) {
    return Array.from({length: T}, (_, t) => added(numbers.subarray(t * T, (t + 1) * T)));
  }

  const isFuture = (t, s) => s > t;

  /* ---- building */

  function build(given) {
    root = given;
    room.onchange(() => { rebuild(); draw(); });
    rebuild();
  }

  function rebuild() {
    banner = html("div", {class: "banner"});
    told = html("p", {class: "in-numbers told"});
    softmaxBack = html("div", {class: "softmax-back"});
    heads = current.shape(nameOf("pattern"))[0];
    choosers = html("div", {class: "choosers"},
      blocks.length > 1 ? chooser(say("block"), blocks, () => block, (b) => { block = b; }) : null,
      heads > 1 ? chooser(say("head"), Array.from({length: heads}, (_, h) => h), () => head, (h) => { head = h; }) : null);
    maps = {
      scores: panel("scores", say("scores: q · k / √D")),
      mask: panel("scores", say("mask: + 0 or − ∞")),
      pattern: panel("pattern", say("pattern: softmax of each row"), say("sum of each row of the pattern")),
      dscores: panel("scores", say("dscores: the gradient of the scores"), say("sum of each row of dscores")),
      dpattern: panel("pattern", say("dpattern: the gradient of the pattern")),
    };
    turns = turned ? turnFigure() : null;
    body = html("div", {}, html("div", {class: "panel told-panel"}, told),
      html("div", {class: "attention"}, maps.scores.node, maps.mask.node, maps.pattern.node,
           maps.dscores.node, html("div", {class: "map-panel"}, html("h3", {}, say("from dpattern to dscores")), softmaxBack), maps.dpattern.node),
      turns ? turns.node : null);
    root.replaceChildren(choosers, banner, body);
  }

  /* Buttons 0, 1, 2, ... of which one is pressed. */
  function chooser(name, numbers, chosen, choose) {
    return html("div", {class: "buttons", role: "group", "aria-label": name}, name, ...numbers.map((n) => {
      const button = html("button", {type: "button", onclick: () => { choose(n); draw(); }}, String(n));
      button.isChosen = () => n === chosen();
      return button;
    }));
  }

  /* A map of who looks (rows) at whom (columns), with its axes' titles; a click chooses the cell of the tensor `name`. */
  function panel(name, title, sums = null) {
    const width = clamped(Math.floor(room.pixels() / T), 5, 34), height = clamped(width, 5, 24);
    const numbers = width >= 31, letters = width >= 8;
    const map = cells({rows: letters ? positionLabels() : T, columns: letters ? positionLabels() : T, width, height, numbers, name: title,
                       onhover: (t, s) => { pointed = [t, s]; tell(); }, onpick: (t, s) => pick(name, t, s)});
    const edge = sums ? cells({rows: T, columns: letters ? [{text: "Σ"}] : 1, width: 44, height, name: sums, onhover: () => {},
                               numbers: height >= 12}) : null;
    const limit = html("p", {class: "limit"});
    const node = html("div", {class: "map-panel"}, html("h3", {}, title),
      html("p", {class: "axis-columns note"}, say("key: who is looked at →")),
      html("div", {class: "map-with-axis"}, html("p", {class: "axis-rows note"}, say("query: who looks →")),
           html("div", {class: "beside"}, map.node, edge ? edge.node : null)), limit);
    map.node.addEventListener("pointerleave", () => { pointed = null; tell(); });
    return {map, edge, node, limit};
  }

  function pick(name, t, s) {
    pointed = null;
    change({tensor: nameOf(name), cell: [head, t, s], position: t});
  }

  /* ---- drawing */

  function draw() {
    follow();
    const numbers = {scores: allScores() || part("scores"), pattern: part("pattern"), dscores: part("scores", "gradient"),
                     dpattern: part("pattern", "gradient")};
    const missing = Object.values(numbers).some((each) => each === null);
    banner.replaceChildren(...(missing ? [leftOut("trace")] : []));
    body.hidden = missing;
    choosers.querySelectorAll("button").forEach((button) => set(button, {"aria-pressed": button.isChosen()}));
    if (missing) return;
    const hidden = {masked: isFuture};
    fill(maps.scores, numbers.scores, {}, "");
    addTo(maps.scores, say("Above the diagonal lies the future: computed here, never used by the model."));
    fill(maps.mask, numbers.scores.map((_, n) => (isFuture(Math.floor(n / T), n % T) ? -Infinity : 0)), {limit: 1, power: null},
         say("hatched: − ∞, the future. Not 0: a score of 0 would still be looked at."));
    fill(maps.pattern, numbers.pattern, {limit: 1, power: 0, ...hidden}, say("Shares: each row sums to 1."));
    fill(maps.dscores, numbers.dscores, hidden, "");
    addTo(maps.dscores, say("Each row sums to 0, up to rounding: this page keeps float32."));
    fill(maps.dpattern, numbers.dpattern, hidden, "");
    tell();
    if (turns) turns.draw();
  }

  function fill(panel, numbers, options, limitText) {
    const limit = options.limit || largest(numbers.filter(Number.isFinite)), power = commonPower(limit);
    panel.map.draw({numbers, limit, power: power === null && limit < 9.95 ? 0 : power, ...options});
    panel.map.band(state.position);
    panel.map.select(...(chosenPair() || [null]));
    setText(panel.limit, limitText || (power ? say("in units of {unit}; the colours end at ± {x}", {unit: tenTo(-power), x: number(limit, 3)})
      : say("the colours end at ± {x}", {x: number(limit, 3)})));
    if (panel.edge) panel.edge.draw({numbers: rowSums(numbers), limit: Infinity}); // no colour
  }

  function addTo(panel, sentence) {
    setText(panel.limit, `${panel.limit.textContent}. ${sentence}`);
  }

  /* A tensor of another block or head that was chosen elsewhere brings this view there. */
  let followed = null;
  function follow() {
    const [, its] = (state.tensor || "").match(/^blocks\.(\d+)\.(?:q|k|v|z|rot_q|rot_k|scores|pattern)$/) || [];
    const chosen = its === undefined || !state.cell ? null : `${state.tensor} ${state.cell}`;
    if (chosen === null || chosen === followed || !blocks.includes(Number(its))) return;
    followed = chosen;
    block = Number(its);
    if (current.shape(state.tensor)[0] === heads) head = state.cell[0];
  }

  /* The [t, s] of a chosen score or weight of this block and head, or null. */
  function chosenPair() {
    const isHere = [nameOf("scores"), nameOf("pattern")].includes(state.tensor) && state.cell && state.cell[0] === head;
    return isHere ? state.cell.slice(1) : null;
  }

  /* The pair under the pointer, else the chosen one, else the letter that the position looks at most. */
  function pairNow() {
    if (pointed) return pointed;
    if (chosenPair()) return chosenPair();
    const row = part("pattern").subarray(state.position * T, (state.position + 1) * T);
    return [state.position, row.reduce((best, x, s) => (x > row[best] ? s : best), 0)];
  }

  function tell() {
    const [t, s] = pairNow(), at = t * T + s;
    const who = {a: tokenText(RUN.text.ids[t]), t, b: tokenText(RUN.text.ids[s]), s};
    const scores = allScores() || part("scores");
    setText(told, isFuture(t, s)
      ? say("“{a}” at {t} may not look at “{b}” at {s}, which comes later: its score, {x}, becomes − ∞, its weight 0.", {...who, x: number(scores[at])})
      : say("“{a}” at {t} looks at “{b}” at {s}: score {x}, weight {p}. Backward: dpattern {dp}, dscores {ds}.", {...who, x: number(scores[at]),
            p: number(part("pattern")[at]), dp: number(part("pattern", "gradient")[at]), ds: number(part("scores", "gradient")[at])}));
    backOf(t, s);
  }

  /* How many digits must be written, 4 to 8, for what is written to come to the result within a thousandth: where a difference
     cancels, four give another one. */
  function digitsFor(operands, result) {
    const exact = result(operands);
    let digits = 4;
    const isOff = () => Math.abs(result(operands.map((x) => Number(x.toPrecision(digits)))) - exact) > 1e-3 * Math.abs(exact);
    while (digits < 8 && isOff()) digits++;
    return digits;
  }

  /* The softmax's backward for one pair, in numbers. */
  function backOf(t, s) {
    const P = part("pattern"), dP = part("pattern", "gradient"), at = t * T + s;
    if (isFuture(t, s)) {
      softmaxBack.replaceChildren(html("p", {}, say("A masked pair has the weight 0, so nothing comes back to its score.")));
      return;
    }
    let mean = 0;
    for (let r = 0; r <= t; r++) mean += P[t * T + r] * dP[t * T + r];
    const result = P[at] * (dP[at] - mean), digits = digitsFor([P[at], dP[at], mean], ([p, a, b]) => p * (a - b));
    const bracket = (x) => (x < 0 ? `(${number(x, digits)})` : number(x, digits));
    softmaxBack.replaceChildren(
      html("p", {class: "formula"}, say("dS[t, s] = P[t, s] × (dP[t, s] − mean[t])"), "\n", say("mean[t] = Σ_r P[t, r] dP[t, r]")),
      html("p", {}, say("The row's mean of dP, weighted by where it looks, is {x}. Only what is better or worse than the mean moves a score.", {x: number(mean)})),
      html("p", {class: "arithmetic"}, `${number(P[at], digits)} × (${number(dP[at], digits)} − ${bracket(mean)}) = `, html("b", {}, number(result))),
      html("p", {class: "note"}, say("recorded in the run: {x}", {x: number(part("scores", "gradient")[at])})));
  }

  /* ---- RoPE: one pair of features as points of a plane, before and after the turn */

  function turnFigure() {
    const size = 240, middle = size / 2, reach = 92;
    const planes = {before: svg("g"), after: svg("g")};
    let of = "q";
    const figure = (name, title) => html("figure", {}, html("figcaption", {class: "note"}, title),
      svg("svg", {class: "plane", width: size, height: size, viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": title},
          svg("circle", {class: "guide", cx: middle, cy: middle, r: reach}),
          svg("line", {class: "guide", x1: 8, x2: size - 8, y1: middle, y2: middle}), svg("line", {class: "guide", x1: middle, x2: middle, y1: 8, y2: size - 8}), planes[name]));
    const half = current.shape(nameOf("q"))[2] / 2;
    const sentence = html("p", {class: "in-numbers"});
    const buttons = html("div", {class: "choosers"},
      html("div", {class: "buttons", role: "group", "aria-label": say("what is turned")}, ...["q", "k"].map((which) => html("button", {type: "button", "data-of": which,
        onclick: () => { of = which; drawTurns(); }}, which))),
      html("div", {class: "buttons", role: "group", "aria-label": say("pair of features")}, say("pair"), ...Array.from({length: half}, (_, i) => html("button", {type: "button",
        "data-pair": i, onclick: () => { pair = i; drawTurns(); }}, String(i)))));
    const node = html("div", {}, html("h3", {}, say("RoPE: each pair of features is turned by its position")), 
      html("p", {class: "notice"}, say("In block 0 the same letter has the same arrow wherever it stands. After the turn each position has its own.")), buttons,
      html("div", {class: "planes"}, figure("before", say("before the turn")), figure("after", say("after the turn"))), sentence);

    function points(name) {
      const {shape, numbers} = current.value(nameOf(name));
      const [H, , D] = shape, h = Math.min(Math.floor((head * H) / heads), H - 1);
      return Array.from({length: T}, (_, t) => [numbers[(h * T + t) * D + pair], numbers[(h * T + t) * D + pair + D / 2]]);
    }

    function drawTurns() {
      node.querySelectorAll("[data-of]").forEach((button) => set(button, {"aria-pressed": button.dataset.of === of}));
      node.querySelectorAll("[data-pair]").forEach((button) => set(button, {"aria-pressed": Number(button.dataset.pair) === pair}));
      const before = points(of), after = points(`rot_${of}`);
      const scale = reach / (Math.max(...[...before, ...after].map(([x, y]) => Math.hypot(x, y))) || 1);
      for (const [name, list] of [["before", before], ["after", after]]) {
        planes[name].replaceChildren(...list.flatMap(([x, y], t) => {
          const X = middle + scale * x, Y = middle - scale * y, id = RUN.text.ids[t], chosen = t === state.position;
          const text = svg("text", {class: "label", x: middle + 1.12 * scale * x, y: middle - 1.12 * scale * y, "text-anchor": "middle", "dominant-baseline": "central"}, tokenText(id));
          paintLabel(text, {text: tokenText(id), id});
          const line = svg("line", {x1: middle, y1: middle, x2: X, y2: Y, "stroke-width": chosen ? 3 : 1.2, opacity: chosen ? 1 : 0.6});
          line.style.stroke = tokenColour(id);
          return [line, text];
        }));
      }
      const t = state.position, angle = ([x, y]) => Math.atan2(y, x), whole = 2 * Math.PI;
      const turn = (((angle(after[t]) - angle(before[t])) % whole) + whole) % whole;
      setText(sentence, say("“{a}” at position {t}: pair {i}, turned by {x} radians; its length stays {r}.", {a: tokenText(RUN.text.ids[t]), t, i: pair,
              x: number(turn, 3), r: number(Math.hypot(...after[t]), 3)}));
    }
    return {node, draw: drawTurns};
  }

  views.push({
    order: 4,
    id: "attention",
    title: say("Who looks at whom"),
    notice: say("Each row is a letter that looks, each column one that is looked at. The rows of the pattern sum to 1: what one letter wins, another loses. So the rows of dscores sum to 0."),
    maths: [
      say("Query t and key s are compared; the future is set to − ∞; softmax makes shares of each row:"),
      {formula: say("S[t, s] = q[t] · k[s] / √D   for s ≤ t, else − ∞")},
      {formula: "P[t, s] = exp(S[t, s]) / Σ_r exp(S[t, r])"},
      say("Raising one score raises its own share and lowers all others of the row. So back through the softmax comes"),
      {formula: "dS[t, s] = P[t, s] (dP[t, s] − Σ_r P[t, r] dP[t, r])"},
      {formula: say("Σ_s dS[t, s] = Σ_s P[t, s] dP[t, s] − (Σ_s P[t, s]) Σ_r P[t, r] dP[t, r] = 0   since Σ_s P[t, s] = 1")},
      ...(turned ? [say("Before the comparison, RoPE turns each pair of features of q and k by an angle that grows with the position; their product then depends on the distance alone."),
                    {formula: "angle[t, i] = t θ^(−2i/D)"}] : []),
    ],
    available: () => blocks.length > 0 || say("No attention pattern was kept in this run: see what was left out for size, at the top."),
    build,
    draw,
    table() {
      const pattern = part("pattern"), scores = allScores() || part("scores"), dP = part("pattern", "gradient"), dS = part("scores", "gradient");
      if (!pattern || !scores || !dP || !dS) return {head: [], rows: [], note: say("left out")};
      const t = state.position, of = (n) => tokenText(RUN.text.ids[n]);
      const rows = Array.from({length: T}, (_, s) => [`${s} ${of(s)}`, scores[t * T + s], s <= t ? "0" : "−∞", pattern[t * T + s], dP[t * T + s], dS[t * T + s]]);
      return {head: [say("who is looked at"), say("score"), say("mask"), say("weight"), "dpattern", "dscores"],
              rows: [...rows, [say("sum"), "", "", rowSums(pattern)[t], rowSums(dP)[t], rowSums(dS)[t]]],
              note: say("The row of “{a}” at position {t}, which looks.", {a: of(t), t})};
    },
  });
}
