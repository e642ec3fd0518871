/* View 6: LayerNorm of three numbers. Without their mean they lie in a plane; divided by their deviation, on a circle in it. */
{
  const ROOT = Math.sqrt(3);
  const layers = circles();
  let layer = layers.length ? layers.at(-1).name : null;
  let node, ground, points, arrows, size = 0, reach, banner, body, told, choosers, scaleNote;

  /* The LayerNorms over three features: {name, x: what goes in}. Their formulas have the helpers mean and xhat. */
  function circles() {
    return RUN.trace.tensors.map(({name}) => name).filter((name) => {
      const formula = (DATA.formulas[name] || {}).value;
      return formula && formula.helpers.xhat && formula.helpers.mean && current.shape(name).length === 2 && current.shape(name)[1] === 3;
    }).map((name) => ({name, x: DATA.formulas[name].value.operands.x[1]}));
  }

  const input = () => layers.find(({name}) => name === layer).x;

  /* x − mean at position t. */
  function centred(t, place = state.place) {
    const x = current.value(input(), place), row = Array.from(x.numbers.subarray(3 * t, 3 * t + 3));
    const mean = added(row) / 3;
    return row.map((each) => each - mean);
  }

  /* xhat at position t; 1 / √(var + eps) by the formula's own helper. */
  function normed(t, lookup) {
    const formula = DATA.formulas[layer].value, {index, expr} = formula.helpers.rstd;
    const rstd = valueOf(expr, placeOf(index, [t]), formula, lookup);
    return centred(t).map((x) => x * rstd);
  }

  /* What comes back out of the LayerNorm to x at position t: all of its gradient where it has no other way to the loss; else the
     gradient's paths through the LayerNorm, added. */
  function comesBack(t, lookup) {
    const formula = DATA.formulas[input()].gradient;
    const through = formula.paths.map((path, n) => [path, n]).filter(([path]) => path.name.startsWith("through LayerNorm"));
    if (through.length === formula.paths.length) return Array.from(current.gradient(input()).numbers.subarray(3 * t, 3 * t + 3));
    return [0, 1, 2].map((c) => added(through.map(([, n]) => evaluated(formula, [t, c], lookup, n))));
  }

  const reaches = new Map();

  /* How far the picture goes: over the whole run as far as x lies, so that nothing jumps from step to step, within limits. */
  function reachOf() {
    if (!reaches.has(layer)) {
      let most = 0;
      for (const place of RUN.trace.places) for (let t = 0; t < T; t++) most = Math.max(most, lengthOf(centred(t, place)) || 0);
      reaches.set(layer, clamped(1.1 * most, 1.5 * ROOT, 2.2 * ROOT));
    }
    return reaches.get(layer);
  }

  /* Two directions at right angles in the plane x + y + z = 0: a vector's place in it. */
  const flatten = ([x, y, z]) => [(x - y) / Math.SQRT2, (x + y - 2 * z) / Math.sqrt(6)];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const lengthOf = (v) => Math.sqrt(dot(v, v));

  /* A gradient's share along xhat, and the length of the rest, which is tangent to the circle. */
  function split(gradient, xhat) {
    const out = lengthOf(xhat) > 0 ? dot(gradient, xhat) / lengthOf(xhat) : 0;
    return {radial: out, tangent: Math.sqrt(Math.max(0, dot(gradient, gradient) - out * out))};
  }

  /* ---- building */

  function build(root) {
    banner = html("div", {class: "banner"});
    told = html("div", {class: "panel circle-facts"});
    scaleNote = html("p", {class: "note"});
    choosers = html("div", {class: "choosers"}, html("div", {class: "buttons", role: "group", "aria-label": say("which LayerNorm")},
      ...layers.map(({name}) => html("button", {type: "button", "data-layer": name, onclick: () => { layer = name; draw(); }}, name))));
    ground = svg("g");
    points = svg("g");
    arrows = svg("g");
    node = svg("svg", {class: "space", role: "img", "aria-label": say("the plane without mean, and the circle in it")}, ground, arrows, points);
    keepSquare(node, (pixels) => { size = pixels; draw(); });
    body = html("div", {class: "circle-view"}, html("div", {class: "space-box circle-box"}, node, scaleNote), told);
    root.append(choosers, banner, body);
  }

  /* ---- drawing */

  function draw() {
    choosers.querySelectorAll("button").forEach((button) => set(button, {"aria-pressed": button.dataset.layer === layer}));
    const lookup = current.lookup(), missing = !canEvaluate(DATA.formulas[layer].value, lookup) || !canEvaluate(DATA.formulas[input()].gradient, lookup);
    body.hidden = missing;
    banner.replaceChildren(...(missing ? [leftOut(current.value(input()) ? "weights" : "trace")] : []));
    if (missing || !size) return;
    const list = RUN.text.ids.map((_, t) => {
      const xhat = normed(t, lookup), gradient = comesBack(t, lookup);
      return {t, before: centred(t), xhat, gradient, ...split(gradient, xhat)};
    });
    reach = reachOf();
    const middle = size / 2, scale = middle / reach, at = (v) => { const [x, y] = flatten(v); return [middle + scale * x, middle - scale * y]; };
    drawGround(middle, scale, at);
    drawPoints(list, at, middle);
    drawArrows(list, at);
    tell(list);
  }

  /* The circle, and where the three features point. */
  function drawGround(middle, scale, at) {
    const directions = [0, 1, 2].map((c) => [0, 1, 2].map((i) => (i === c ? 2 / 3 : -1 / 3)));
    ground.replaceChildren(svg("circle", {class: "the-circle", cx: middle, cy: middle, r: scale * ROOT}), ...directions.flatMap((v, c) => {
      const long = (0.97 * reach) / lengthOf(v), [x, y] = at(v.map((each) => long * each)), tx = clamped(x, 34, 2 * middle - 34);
      return [svg("line", {class: "axis-line", x1: middle, y1: middle, x2: x, y2: y}),
              svg("text", {class: "axis-name", x: tx, y: y > middle ? 2 * middle - 8 : y - 14, "text-anchor": "middle"}, say("feature {n}", {n: c}))];
    }));
  }

  /* Before: small and hollow; after: the letter on the circle; a thin line between them. */
  function drawPoints(list, at, middle) {
    const order = [...list].sort((a, b) => (a.t === state.position) - (b.t === state.position));
    points.replaceChildren(...order.map(({t, before, xhat}) => {
      const id = RUN.text.ids[t], round = isVowel(RUN.tokens[id]), chosen = t === state.position, colour = tokenColour(id);
      const [hx, hy] = at(xhat), r = chosen ? 12 : 9;
      let [bx, by] = at(before);
      const far = Math.hypot(bx - middle, by - middle), most = middle - 26, isOut = far > most;
      if (isOut) [bx, by] = [middle + ((bx - middle) * most) / far, middle + ((by - middle) * most) / far];
      const line = svg("line", {class: "to-circle", x1: bx, y1: by, x2: hx, y2: hy});
      const small = isOut ? svg("path", {class: "before", d: `M${bx - 5} ${by}L${bx} ${by - 5}L${bx + 5} ${by}L${bx} ${by + 5}Z`})
        : svg("circle", {class: "before", cx: bx, cy: by, r: chosen ? 5 : 3.5});
      const mark = round ? svg("circle", {cx: hx, cy: hy, r}) : svg("rect", {x: hx - 0.9 * r, y: hy - 0.9 * r, width: 1.8 * r, height: 1.8 * r, rx: 1.5});
      for (const each of [line, small]) each.style.stroke = colour;
      mark.style.fill = colour;
      if (chosen) mark.setAttribute("class", "chosen");
      return svg("g", {class: "pickable", onclick: () => change({position: t})}, svg("title", {}, say("“{a}” at position {t}", {a: tokenText(id), t})), line, small, mark,
                 svg("text", {class: round ? "letter-mark vowel" : "letter-mark", x: hx, y: hy, "font-size": 1.25 * r}, tokenText(id).slice(0, 3)));
    }));
  }

  /* Backward: minus what comes out of the LayerNorm, where the loss falls; all to one scale, the longest 0.6 of the radius. */
  function drawArrows(list, at) {
    const longest = Math.max(...list.map(({gradient}) => lengthOf(gradient))), factor = longest > 0 ? (0.6 * ROOT) / longest : 0;
    const backward = state.direction === "backward";
    arrows.replaceChildren(...(backward ? list : []).flatMap(({t, xhat, gradient}) => arrowBetween(
      at(xhat), at(xhat.map((each, i) => each - factor * gradient[i])), "gradient", t === state.position ? 13 : 10, 8)));
    setText(scaleNote, backward ? say("Small hollow dots: x without its mean (a lozenge at the edge: further out than the picture). Letters: xhat. Arrows: minus the gradient that comes out to x, where the loss falls, {x} times as long as it is.", {x: number(factor, 3)})
      : say("Small hollow dots: x without its mean (a lozenge at the edge: further out than the picture). Letters: xhat. Switch to backward to see the gradient."));
  }

  function tell(list) {
    const {t, before, xhat, gradient, radial, tangent} = list[state.position];
    const triple = (v) => `(${v.map((x) => number(x, 4)).join(", ")})`;
    const line = (name, text) => html("p", {class: "circle-fact"}, html("span", {class: "note"}, name), html("span", {class: "in-numbers"}, text));
    told.replaceChildren(
      html("p", {class: "letter-where"}, say("“{a}” at position {t}", {a: tokenText(RUN.text.ids[t]), t})),
      line(say("x − mean"), triple(before)), line(say("its length, √3 × the deviation"), number(lengthOf(before))),
      line(say("xhat = (x − mean) / √(var + eps)"), triple(xhat)), line(say("its length; √3 = 1.732, but for eps"), number(lengthOf(xhat), 6)),
      line(say("the gradient that comes out to x"), triple(gradient)),
      line(say("its part along (1, 1, 1)"), number(added(gradient) / ROOT, 3)),
      line(say("its part along xhat, outwards"), number(radial, 3)),
      line(say("its part along the circle"), number(tangent, 4)),
      html("p", {class: "note"}, say("To move x along (1, 1, 1) or outwards changes nothing behind the LayerNorm, but for eps, so the gradient has no such part.")));
  }

  views.push({
    order: 6,
    id: "layer-norm",
    title: say("LayerNorm's circle"),
    notice: say("Three numbers without their mean lie in a plane, and divided by their deviation on a circle of radius √3. Where they lay before, near or far, is forgotten. So the gradient that comes back runs along the circle."),
    maths: [
      {formula: say("xhat = (x − mean) / √(var + eps)        y = w xhat + b")},
      {formula: "Σ_c xhat_c = 0        Σ_c xhat_c² = 3 var / (var + eps) ≈ 3"},
      say("x reaches the loss directly, by the mean and by the deviation; the three paths together are"),
      {formula: say("dx = (dxhat − mean(dxhat) − xhat mean(dxhat xhat)) / √(var + eps),   dxhat = dy w")},
      say("The second term takes away what points along (1, 1, 1), the third what points along xhat. Only the direction along the circle is left: of three dimensions, one."),
      say("For the last LayerNorm this is all of x's gradient. For one inside a block, x also goes past it; here only the part through the LayerNorm is drawn."),
    ],
    available: () => layers.length > 0 || (RUN.kind === "mamba" || RUN.kind === "llama"
      ? say("This model has RMSNorm, which takes no mean away: its points lie on a sphere, not on a circle.")
      : RUN.kind === "lstm" ? say("This model has no LayerNorm.")
      : say("The circle can be drawn for a LayerNorm of three features only (n_embd = 3); with more it is a sphere.")),
    build,
    draw,
    table() {
      const lookup = current.lookup();
      if (!canEvaluate(DATA.formulas[layer].value, lookup) || !canEvaluate(DATA.formulas[input()].gradient, lookup)) return {head: [], rows: [], note: say("left out")};
      return {
        head: [say("position"), say("letter"), ...[0, 1, 2].map((c) => `xhat[${c}]`), say("length"), ...[0, 1, 2].map((c) => `dx[${c}]`), say("outwards"), say("along the circle")],
        rows: RUN.text.ids.map((id, t) => {
          const xhat = normed(t, lookup), gradient = comesBack(t, lookup), {radial, tangent} = split(gradient, xhat);
          return [String(t), tokenText(id), ...xhat, lengthOf(xhat), ...gradient, radial, tangent];
        }),
        note: layer,
      };
    },
  });
}
