/* View 5: the letters' vectors in space, as they move; for one letter the negative gradient beside the update that was made of it. */
{
  const {shown, axes, share} = RUN.letters;
  const n = shown.length, S = RUN.steps.length;
  const START = {turn: -0.55, tilt: 0.38};
  const BY = Math.PI / 24; // a key's turn
  const NEAR = 14; // pixels from a letter within which the pointer means it
  const view = {...START};
  let letter = null, allTrails = false, fitted = false;
  let space, flats = [], facts = {}, wholeReach = 1, list, options;

  const group = (name) => decoded(RUN.letters[name]).numbers;
  /* The three numbers of the k-th shown letter at a place. */
  const vector = (name, k, place = state.place) => Array.from(group(name).subarray(3 * (place * n + k), 3 * (place * n + k) + 3));
  const lengthOf = (v) => Math.hypot(...v);
  const isKnown = (v) => v.every(Number.isFinite);

  /* How far from the middle the points of the places from..to - 1 lie: no turn brings one further out. */
  function reachOf(from, to) {
    let most = 0;
    for (let place = from; place < to; place++) {
      for (let k = 0; k < n; k++) {
        const size = lengthOf(vector("points", k, place));
        if (size > most && size !== Infinity) most = size;
      }
    }
    return most || 1;
  }

  /* How long an arrow is drawn, in the points' own units, whatever its true length. */
  const arrowLength = () => 0.3 * reachNow();
  const reachNow = () => (fitted ? reachOf(state.place, state.place + 1) : wholeReach);

  /* What is chosen: a letter that was clicked, else the one at the position. */
  function chosen() {
    if (letter !== null) return letter;
    const k = shown.indexOf(RUN.text.ids[state.position]);
    return k < 0 ? 0 : k;
  }

  /* ---- from three numbers to two, and a depth */

  /* Turned about the upright axis, then tilted towards the reader; no perspective: [right, up, towards the reader]. */
  function turnedBy({turn, tilt}) {
    const [ct, st, cp, sp] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
    return ([x, y, z]) => {
      const right = ct * x + st * z, away = -st * x + ct * z;
      return [right, cp * y - sp * away, sp * y + cp * away];
    };
  }

  /* ---- one picture: points, trails, arrows under a projection */

  function picture({name, project, axesShown, big, onpick}) {
    const ground = svg("g", {class: "axes"}), trails = svg("g"), marks = svg("g"), arrows = svg("g");
    const hint = svg("text", {class: "axis-name hint", "text-anchor": "middle"});
    const node = svg("svg", {class: "space", role: "img", "aria-label": name}, ground, trails, marks, arrows, hint);
    let size = 0, drawnOrder = "", places = [];
    const items = shown.map((id) => {
      const shape = isVowel(RUN.tokens[id]) ? svg("circle") : svg("rect");
      const text = svg("text", {class: "letter-mark"});
      const item = svg("g", {}, shape, text);
      return {item, shape, text, id};
    });
    keepSquare(node, (pixels) => { size = pixels; draw(); });

    /* The letter nearest to the pointer, null where all are further than NEAR. */
    function under(event) {
      const box = node.getBoundingClientRect(), to = ([x, y]) => Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top));
      const best = places.reduce((found, place, k) => (to(place) < to(places[found]) ? k : found), 0);
      return places.length && to(places[best]) <= NEAR ? best : null;
    }

    let pressed = {k: null, x: 0, y: 0}; // a click's own coordinates are whole pixels: too coarse where letters lie together
    node.addEventListener("pointerdown", (event) => { pressed = {k: under(event), x: event.clientX, y: event.clientY}; });
    node.addEventListener("click", (event) => {
      const moved = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y);
      if (pressed.k !== null && moved < 4) onpick(pressed.k); // else the picture was turned
    });
    node.addEventListener("pointermove", (event) => {
      const k = under(event);
      node.classList.toggle("over-letter", k !== null);
      setText(hint, k === null ? "" : tokenText(shown[k]));
      if (k !== null) set(hint, {x: places[k][0], y: places[k][1] - 14});
    });
    node.addEventListener("pointerleave", () => setText(hint, ""));

    function draw() {
      if (!size) return;
      const reach = reachNow(), to = project(), middle = size / 2, scale = (middle - (big ? 30 : 18)) / (1.06 * reach);
      const at = (v) => { const [x, y, z] = to(v); return [middle + scale * x, middle - scale * y, z / reach]; };
      drawAxes(at, reach);
      const k = chosen();
      trails.replaceChildren(...(allTrails ? shown.map((_, j) => j).filter((j) => j !== k) : []).map((j) => trail(j, at, false)), trail(k, at, true));
      const points = shown.map((_, j) => at(vector("points", j)));
      places = points;
      const order = shown.map((_, j) => j).sort((a, b) => points[a][2] - points[b][2] || a - b);
      order.push(...order.splice(order.indexOf(k), 1)); // the chosen one lies on top
      order.forEach((j) => mark(items[j], points[j], j === k));
      if (String(order) !== drawnOrder) marks.replaceChildren(...order.map((j) => items[j].item));
      drawnOrder = String(order);
      arrows.replaceChildren(...(isKnown(vector("updates", k)) ? [...arrow("gradient", k, at), ...arrow("update", k, at)] : []));
    }

    function drawAxes(at, reach) {
      const unit = (axis, by) => [0, 1, 2].map((i) => (i === axis ? by * reach : 0));
      const lines = axesShown.map((axis) => [axis, ...at(unit(axis, -1)).slice(0, 2), ...at(unit(axis, 1)).slice(0, 2)]);
      ground.replaceChildren(...lines.map(([, x1, y1, x2, y2]) => svg("line", {class: "axis-line", x1, y1, x2, y2})));
      if (big) {
        ground.append(...lines.filter(([, x1, y1, x2, y2]) => Math.hypot(x2 - x1, y2 - y1) > 40).map(([axis, x1, y1, x2, y2]) => svg("text", {
          class: "axis-name", "text-anchor": "middle", x: clamped(x2 + 0.02 * (x2 - x1), 32, size - 32), y: clamped(y2 + 0.02 * (y2 - y1) + 4, 12, size - 6)}, axes[axis])));
      } else {
        ground.append(svg("text", {class: "axis-name", x: size - 7, y: size - 7, "text-anchor": "end"}, `${axes[axesShown[0]]} →`),
                      svg("text", {class: "axis-name", x: 7, y: 14}, `↑ ${axes[axesShown[1]]}`));
      }
    }

    function trail(j, at, strong) {
      let d = "";
      for (let place = 0; place <= state.place; place++) {
        const v = vector("points", j, place);
        if (isKnown(v)) d += `${d ? "L" : "M"}${at(v).slice(0, 2).map((x) => x.toFixed(1)).join(" ")}`;
      }
      const path = svg("path", {class: strong ? "trail strong" : "trail", d});
      path.style.stroke = tokenColour(shown[j]);
      return path;
    }

    /* Nearer letters are larger and darker. Vowels are round and bold, the others square. */
    function mark({item, shape, text, id}, [x, y, depth], isChosen) {
      const dots = size < 200; // no room for letters
      const r = (big ? 9 + 2.5 * clamped(depth, -1, 1) : dots ? 3 : 6.5) + (isChosen ? 2 : 0);
      const round = shape.tagName === "circle";
      set(shape, round ? {cx: x, cy: y, r} : {x: x - 0.9 * r, y: y - 0.9 * r, width: 1.8 * r, height: 1.8 * r, rx: 1.5});
      shape.style.fill = tokenColour(id);
      set(shape, {class: isChosen ? "chosen" : ""});
      set(item, {opacity: big && !isChosen ? (0.85 + 0.15 * clamped(depth, -1, 1)).toFixed(2) : 1});
      set(text, {x, y, "font-size": (1.25 * r).toFixed(1), class: isVowel(RUN.tokens[id]) ? "letter-mark vowel" : "letter-mark"});
      setText(text, dots ? "" : tokenText(id).slice(0, 3));
    }

    /* An arrow from the letter's rim. */
    function arrow(what, k, at) {
      const start = vector("points", k), along = whatOf(what, k), long = lengthOf(along);
      if (!long) return [];
      const end = start.map((x, i) => x + (arrowLength() * along[i]) / long);
      return arrowBetween(at(start), at(end), what, big ? 13 : size < 200 ? 6 : 9.5, big ? 9 : 6);
    }
    return {node, draw};
  }

  /* "gradient": the way on which the loss falls fastest; "update": what AdamW added. */
  function whatOf(what, k) {
    return what === "gradient" ? vector("gradients", k).map((x) => -x) : vector("updates", k);
  }

  /* ---- building */

  function build(root) {
    wholeReach = reachOf(0, S);
    space = picture({name: say("the letters in space"), project: () => turnedBy(view), axesShown: [0, 1, 2], big: true, onpick: choose});
    dragging(space.node);
    const flat = (i, j) => picture({name: say("{a} and {b}", {a: axes[i], b: axes[j]}), project: () => (v) => [v[i], v[j], 0], axesShown: [i, j], big: false, onpick: choose});
    flats = [flat(0, 1), flat(0, 2), flat(1, 2)];
    const turn = (name, text, change) => html("button", {type: "button", "aria-label": name, title: name, onclick: () => { change(); space.draw(); }}, text);
    list = html("select", {onchange: () => choose(Number(list.value))}, ...shown.map((id, k) => html("option", {value: k}, tokenText(id))));
    const box = (name, on) => html("label", {}, html("input", {type: "checkbox", onchange: (event) => { on(event.target.checked); drawPictures(); }}), " ", name);
    options = html("div", {class: "choosers"}, html("label", {class: "buttons"}, say("letter"), list),
      html("div", {class: "buttons", role: "group", "aria-label": say("turn the picture")},
        turn(say("turn left"), "←", () => { view.turn -= BY; }), turn(say("turn right"), "→", () => { view.turn += BY; }),
        turn(say("tilt up"), "↑", () => { view.tilt += BY; }), turn(say("tilt down"), "↓", () => { view.tilt -= BY; }),
        turn(say("reset"), say("reset"), () => Object.assign(view, START))),
      box(say("all trails"), (on) => { allTrails = on; }), box(say("zoom in on this step"), (on) => { fitted = on; }));
    const line = (what, title) => {
      facts[what] = html("p", {class: "in-numbers"});
      return html("div", {class: "arrow-fact"}, html("p", {class: "arrow-name"},
        svg("svg", {width: 44, height: 12, "aria-hidden": "true"}, ...arrowBetween([0, 6], [44, 6], what, 0)), title), facts[what]);
    };
    facts.where = html("p", {class: "letter-where"});
    facts.angle = html("p", {class: "in-numbers"});
    root.append(
      options,
      share < 1 ? html("p", {class: "note"}, say("More than three features: drawn are the three directions in which the letters vary most over all steps, fixed for the whole run. Together they hold {p} % of the variance.", {p: number(100 * share, 3)})) : "",
      html("div", {class: "letters-view"},
        html("div", {class: "space-box"}, space.node, html("p", {class: "note"}, say("Drag to turn, or use the arrow keys. A click chooses the nearest letter. Vowels are round, all others square. Nearer is larger."))),
        html("div", {class: "panel letter-facts"}, facts.where, line("gradient", say("minus the batch's gradient: where its loss falls fastest")), line("update", say("the update that AdamW made of it")), facts.angle),
        html("div", {class: "flats"}, ...flats.map(({node}) => node))));
  }

  function choose(k) {
    const position = RUN.text.ids.indexOf(shown[k]);
    letter = k;
    if (position >= 0 && RUN.text.ids[state.position] !== shown[k]) change({position});
    drawPictures();
  }

  function dragging(node) {
    let last = null;
    set(node, {tabindex: 0, role: "application", "aria-roledescription": say("a picture that turns with the arrow keys")});
    node.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; });
    node.addEventListener("pointermove", (event) => {
      if (!last || !event.buttons) return;
      view.turn += 0.008 * (event.clientX - last[0]);
      view.tilt = clamped(view.tilt + 0.008 * (event.clientY - last[1]), -Math.PI / 2, Math.PI / 2);
      last = [event.clientX, event.clientY];
      space.draw();
    });
    window.addEventListener("pointerup", () => { last = null; });
    node.addEventListener("keydown", (event) => {
      const to = {ArrowLeft: () => { view.turn -= BY; }, ArrowRight: () => { view.turn += BY; }, ArrowUp: () => { view.tilt += BY; },
                  ArrowDown: () => { view.tilt -= BY; }, r: () => Object.assign(view, START)}[event.key];
      if (!to) return;
      to();
      event.preventDefault();
      space.draw();
    });
  }

  /* ---- drawing */

  function draw(changed) {
    if (changed.has("position") && letter !== null && shown[letter] !== RUN.text.ids[state.position]) letter = null;
    drawPictures();
  }

  function drawPictures() {
    [space, ...flats].forEach((each) => each.draw());
    const k = chosen(), triple = (v) => `(${v.map((x) => number(x, 3)).join(", ")})`;
    list.value = k;
    const gradient = whatOf("gradient", k), update = whatOf("update", k);
    setText(facts.where, say("“{a}” at step {s}: {v}", {a: tokenText(shown[k]), s: RUN.steps[state.place], v: triple(vector("points", k))}));
    for (const [what, v] of [["gradient", gradient], ["update", update]]) {
      const size = lengthOf(v);
      setText(facts[what], !isKnown(v) ? say("none: no update follows the last step") : size === 0 ? say("exactly 0: the letter is not in this batch")
        : say("{v}, length {r}; drawn {x} times as long", {v: triple(v), r: number(size, 3), x: number(arrowLength() / size, 3)}));
    }
    const dot = added(gradient.map((x, i) => x * update[i])), both = lengthOf(gradient) * lengthOf(update);
    setText(facts.angle, both > 0 ? say("Between the two: {x} degrees. AdamW averages over past steps and divides each feature by its usual size, so it turns away from the gradient.",
            {x: number((Math.acos(clamped(dot / both, -1, 1)) * 180) / Math.PI, 3)})
      : lengthOf(gradient) === 0 && lengthOf(update) > 0 ? say("No gradient, but an update: AdamW goes on with what earlier batches said.") : "");
  }

  views.push({
    order: 5,
    id: "letters",
    title: say("The letters in space"),
    notice: say("A letter is a point, and training moves it. Letters that are used alike come to lie together: vowels part from consonants. For the chosen letter, compare the two arrows: AdamW does not simply follow the gradient."),
    maths: [
      say("A row of token_embedding is the letter's vector. Its gradient is the sum over the places where the batch has the letter; a letter that is not there gets exactly 0. AdamW makes of it"),
      {formula: "m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²"},
      {formula: say("w ← w − rate · m̂ / (√v̂ + ε)        (and − rate · decay · w, where weights decay)")},
      say("with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ). Divided by its own usual size, every feature moves by about the rate, whether its gradient is large or small."),
      say("The pictures are parallel projections: no perspective. Both arrows are drawn equally long; the numbers say how long they are."),
    ],
    available: () => n > 0 || say("No letters' vectors were kept in this run."),
    build,
    draw,
    table: () => ({
      head: [say("letter"), ...axes.filter(Boolean), ...axes.filter(Boolean).map((axis) => say("−gradient, {axis}", {axis})), ...axes.filter(Boolean).map((axis) => say("update, {axis}", {axis}))],
      rows: shown.map((id, k) => [tokenText(id), ...["points", "gradient", "update"].flatMap((what) => (what === "points" ? vector(what, k) : whatOf(what, k)).filter((_, i) => axes[i]))]),
    }),
  });
}
