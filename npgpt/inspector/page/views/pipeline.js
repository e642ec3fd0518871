/* View 2: every traced value in the order of computation, each a box of coloured cells; the parameters that it uses beneath it. */

/* How an array lies in a box: rows and columns are labels; toIndex(r, c) is the index in the array, fromIndex(index) the [r, c] or
   null where it is not shown. head: of (H, T, D) arrays; where keys and values have fewer heads, the one that this head reads.
   first: the first column of the window, where not all fit (MOST at a time). */
const MOST = 32;

/* How many heads the traced array with the most of them has. */
const HEADS = Math.max(1, ...RUN.trace.tensors.map(({name}) => headsOf(name)));

/* The heads of a traced (H, T, D) array; 1 for others. */
function headsOf(name) {
  const shape = current.shape(name);
  return shape.length === 3 && positionAxis(name) === 1 ? shape[0] : 1;
}

/* Which axis of a traced array is the position: the formula's index says it, else the axis that is T long. */
function positionAxis(name) {
  const shape = current.shape(name);
  const formula = (DATA.formulas[name] || {}).value;
  if (formula && formula.index.includes("t")) return formula.index.indexOf("t");
  return shape.length === 3 && shape[1] === T ? 1 : 0;
}

/* The position that a cell of a traced name belongs to; null for parameters. */
function positionOf(name, cell) {
  return current.isTraced(name) ? cell[positionAxis(name)] : null;
}

function tracedLayout(name, head, first) {
  const shape = current.shape(name);
  const byHead = positionAxis(name) === 1 && shape.length === 3;
  const own = Math.floor((head * headsOf(name)) / HEADS);
  const inner = byHead ? shape.slice(2) : shape.slice(1);
  const width = inner.reduce((product, n) => product * n, 1);
  const overPositions = byHead && width === T && /(scores|pattern)$/.test(name);
  const all = overPositions ? positionLabels() : name === "logits" ? tokenLabels()
    : inner.length === 2 ? Array.from({length: width}, (_, c) => ({text: `${Math.floor(c / inner[1])},${c % inner[1]}`}))
    : numberLabels(width);
  const shown = overPositions ? width : Math.min(width, MOST);
  return {
    rows: positionLabels(), columns: all.slice(first, first + shown), width, shown, overPositions,
    byHead,
    toIndex: (r, c) => {
      const column = c + first;
      const within = inner.length === 2 ? [Math.floor(column / inner[1]), column % inner[1]] : [column];
      return byHead ? [own, r, ...within] : [r, ...within];
    },
    fromIndex: (index) => {
      if (byHead && index[0] !== own) return null;
      const rest = byHead ? index.slice(1) : index;
      const c = (inner.length === 2 ? rest[1] * inner[1] + rest[2] : rest[1]) - first;
      return c >= 0 && c < shown ? [rest[0], c] : null;
    },
  };
}

/* A parameter lies with its longer axis along the box, at most MOST * 2 of it; turned: that is its first axis. */
function parameterLayout(name) {
  const shape = current.shape(name);
  const rest = shape.slice(1), width = rest.reduce((product, n) => product * n, 1);
  const index = (first, second) => (rest.length === 0 ? [first]
    : rest.length === 1 ? [first, second] : [first, Math.floor(second / rest[1]), second % rest[1]]);
  const along = shape[0] >= width; // the first axis lies along
  const long = along ? shape[0] : width, wide = along ? width : shape[0];
  const shown = Math.min(long, 2 * MOST), deep = Math.min(wide, MOST);
  return {
    rows: numberLabels(deep), columns: numberLabels(shown), width: long, shown, deep, wide, turned: along && rest.length > 0,
    toIndex: (r, c) => (along ? index(c, r) : index(r, c)),
    fromIndex: (cell) => {
      const second = rest.length === 2 ? cell[1] * rest[1] + cell[2] : rest.length === 1 ? cell[1] : 0;
      const [r, c] = along ? [second, cell[0]] : [cell[0], second];
      return r < deep && c < shown ? [r, c] : null;
    },
  };
}

/* The numbers of an array in the order of a layout's cells; all nan where there is no array. */
function laidOut(array, layout) {
  const R = layout.rows.length, C = layout.columns.length;
  const numbers = new Float32Array(R * C).fill(NaN);
  if (!array) return numbers;
  for (let r = 0; r < R; r++) {
    for (let c = 0; c < C; c++) numbers[r * C + c] = array.numbers[flat(array.shape, layout.toIndex(r, c))];
  }
  return numbers;
}

/* Names by block: [["", ["embed", ...]], ["blocks.0", [...]], ["", ["ln_f", "logits"]]]. */
function byBlock(names) {
  const groups = [];
  for (const name of names) {
    const block = (name.match(/^blocks\.\d+/) || [""])[0];
    if (!groups.length || groups.at(-1)[0] !== block) groups.push([block, []]);
    groups.at(-1)[1].push(name);
  }
  return groups;
}

/* The traced values that a traced value is computed from. */
function readBy(name) {
  const formula = (DATA.formulas[name] || {}).value;
  const operands = formula ? Object.values(formula.operands) : [];
  return operands.filter(([kind, operand]) => kind === "value" && current.isTraced(operand)).map(([, operand]) => operand);
}

/* What stands between a box and its left neighbour: "reads" (an arrow), where that is all it reads; "added" (+), where the next
   box is the sum of the two, and "sum" (=) before that one; else nothing. */
function linkTo(name) {
  const names = RUN.trace.tensors.map((tensor) => tensor.name), n = names.indexOf(name);
  const isSum = (k) => {
    const formula = k < names.length ? (DATA.formulas[names[k]] || {}).value : null;
    return k >= 2 && formula && formula.paths[0].expr[0] === "+" && String(readBy(names[k])) === String(names.slice(k - 2, k));
  };
  if (isSum(n)) return "sum";
  if (isSum(n + 1)) return "added";
  return n > 0 && String(readBy(name)) === names[n - 1] ? "reads" : "";
}

/* The parameters that a traced value is computed from. */
function parametersOf(name) {
  const formula = (DATA.formulas[name] || {}).value;
  const operands = formula ? Object.values(formula.operands) : [];
  return operands.filter(([kind, operand]) => kind === "value" && current.isParameter(operand)).map(([, operand]) => operand);
}

{
  const names = RUN.trace.tensors.map(({name}) => name);
  const boxes = [];
  let head = 0, heads = null, panel, banner, hovered = null, flow, colours, loss;

  /* What the panel explains: the cell under the pointer, else the chosen one, else an example. */
  function subject() {
    if (hovered) return hovered;
    const of = state.direction === "forward" ? "value" : "gradient";
    if (state.cell && current.shape(state.tensor)) return {name: state.tensor, cell: state.cell, of};
    const name = names.includes("blocks.0.q") ? "blocks.0.q" : names[Math.floor(names.length / 2)];
    return {name, cell: tracedLayout(name, 0, 0).toIndex(state.position, 0), of};
  }

  function build(root) {
    panel = explanation();
    banner = html("div", {class: "banner", role: "status"});
    const headButton = (_, h) => html("button", {type: "button", onclick: () => chooseHead(h)}, String(h));
    if (HEADS > 1) {
      heads = html("div", {class: "buttons heads", role: "group", "aria-label": say("head")}, say("head"),
                   ...Array.from({length: HEADS}, headButton));
    }
    flow = html("div", {class: "flow"});
    for (const [block, members] of byBlock(names)) {
      const group = html("div", {class: "group-boxes"});
      const heading = block ? html("h3", {class: "group-name"}, say("block {n}", {n: block.split(".")[1]})) : null;
      flow.append(html("div", {class: "group"}, heading, group));
      for (const name of members) {
        const box = tracedBox(name);
        boxes.push(box);
        group.append(box.node);
      }
    }
    if (names.at(-1) === "logits") {
      loss = html("span", {class: "loss-value"});
      boxes.at(-1).node.after(html("div", {class: "box reads"}, html("p", {class: "box-head"}, html("b", {}, say("loss")), loss),
                                   html("p", {class: "note loss-note"}, say("the mean of −ln p over the {n} positions", {n: T}))));
    }
    colours = ramp();
    const legend = html("p", {class: "note legend"}, say("orange: below 0"), colours, say("violet: above 0"), " · ",
                        say("each box to its own scale, whose end stands under it"));
    root.append(html("div", {class: "flow-head"}, legend, heads), banner, html("div", {class: "pipeline"}, flow, panel.node));
    const observer = new IntersectionObserver((entries) => {
      for (const {target, isIntersecting} of entries) {
        const box = boxes.find(({node}) => node === target);
        box.visible = isIntersecting;
        drawBox(box);
      }
    }, {rootMargin: "300px"});
    boxes.forEach(({node}) => observer.observe(node));
    flow.addEventListener("pointerleave", () => { if (state.cell && hovered) { hovered = null; explain(); } });
  }

  function ramp() {
    return svg("svg", {class: "ramp", width: 90, height: 10, "aria-hidden": "true"},
      ...Array.from({length: 30}, (_, n) => svg("rect", {x: 3 * n, width: 3.2, height: 10, "data-level": (n - 14.5) / 14.5})));
  }

  function tracedBox(name) {
    const node = html("div", {class: `box ${linkTo(name)}`, role: "group", "aria-label": name});
    const box = {name, node, first: 0, visible: false, stale: true};
    box.rebuild = () => {
      box.layout = tracedLayout(name, head, box.first);
      const layout = box.layout, cut = layout.shown < layout.width;
      const dense = layout.shown > 12;
      const height = rowHeight(T), width = dense ? (layout.overPositions ? height : 12) : 34;
      const columnNames = layout.columns.every(({text}) => text.length <= (dense ? 1 : 4));
      const sizes = {width, height, columnNames, numbers: !dense && height >= 14};
      box.value = heatMap(box, "value", sizes);
      box.gradient = heatMap(box, "gradient", sizes);
      box.texts = {value: scaleTexts(), gradient: scaleTexts()};
      box.sign = html("span", {class: "wrong-sign"});
      const half = (of) => html("div", {class: `half ${of}`},
        html("p", {class: "half-name"}, of === "value" ? say("value") : say("gradient"), box.texts[of].unit),
        box[of].node, box.texts[of].limit);
      box.parameters = parametersOf(name).map((parameter) => parameterBox(parameter, layout.shown * width));
      box.node.replaceChildren(
        html("p", {class: "box-head"}, html("b", {}, shortName(name)),
             html("span", {class: "shape"}, shapeText(current.shape(name))), box.sign),
        html("div", {class: "halves"}, half("value"), half("gradient")),
        cut ? pager(box) : "", ...box.parameters.map((parameter) => parameter.node));
    };
    box.rebuild();
    return box;
  }

  function scaleTexts() {
    return {unit: html("span"), limit: html("p", {class: "limit"})};
  }

  /* Low enough that a long text stays on the screen. */
  function rowHeight(n) {
    return clamped(Math.floor(460 / n), 5, 18);
  }

  /* "columns 0 to 31 of 128", and buttons for the next ones. */
  function pager(box) {
    const {layout} = box;
    const go = (by) => {
      box.first = clamped(box.first + by, 0, layout.width - layout.shown);
      box.rebuild();
      draw(new Set(Object.keys(state)));
      box.node.querySelector(by < 0 ? ".pager button" : ".pager button:last-child").focus();
    };
    const button = (label, by, sign) => html("button", {type: "button", "aria-label": label, onclick: () => go(by)}, sign);
    return html("p", {class: "pager note"},
      button(say("earlier columns of {name}", {name: box.name}), -MOST, "‹"),
      say("{first} to {last} of {all}", {first: box.first, last: box.first + layout.shown - 1, all: layout.width}),
      button(say("later columns of {name}", {name: box.name}), MOST, "›"));
  }

  function heatMap(box, of, sizes) {
    return cells({rows: box.layout.rows, columns: box.layout.columns, ...sizes,
      name: of === "value" ? say("{name}, value", {name: box.name}) : say("{name}, gradient", {name: box.name}),
      onhover: (r, c) => hover(box.name, box.layout.toIndex(r, c), of),
      onpick: (r, c) => pick(box.name, box.layout.toIndex(r, c), of)});
  }

  function parameterBox(name, room) {
    const layout = parameterLayout(name);
    const sizes = {rows: layout.rows.length, columns: layout.columns.length, numbers: false, height: 9,
                   width: clamped(Math.floor(Math.max(room, 160) / layout.shown), 3, 14)};
    const map = (of) => cells({...sizes,
      name: of === "value" ? say("{name}, value", {name}) : say("{name}, gradient on the probe", {name}),
      onhover: (r, c) => hover(name, layout.toIndex(r, c), of), onpick: (r, c) => pick(name, layout.toIndex(r, c), of)});
    const value = map("value"), gradient = map("gradient");
    const cut = layout.shown < layout.width || layout.deep < layout.wide
      ? html("span", {class: "shape"}, " ", say("the first {n} of {m}", {n: layout.shown, m: layout.width})) : null;
    const note = (text) => html("span", {class: "shape"}, ` ${text}`);
    const node = html("div", {class: "parameter"},
      html("p", {class: "parameter-name"}, shortName(name), note(shapeText(current.shape(name))),
           layout.turned ? note(say("turned on its side")) : null, cut),
      html("div", {class: "half value"}, value.node),
      html("div", {class: "half gradient"}, html("p", {class: "half-name"}, say("gradient")), gradient.node));
    return {name, layout, value, gradient, node};
  }

  function hover(name, cell, of) {
    hovered = {name, cell, of};
    explain();
  }

  function pick(name, cell, of) {
    hovered = null;
    const position = positionOf(name, cell);
    pickedOf = of;
    change({tensor: name, cell, ...(position === null ? {} : {position})});
    explain();
  }

  let pickedOf = "value";

  function chooseHead(h) {
    head = h;
    boxes.forEach((box) => { if (box.layout.byHead) box.rebuild(); });
    draw(new Set(Object.keys(state)));
  }

  function draw(changed) {
    const backward = state.direction === "backward";
    const all = ["place", "direction", "mistake"].some((name) => changed.has(name));
    if (changed.has("direction")) {
      if (hovered) hovered.of = backward ? "gradient" : "value";
      pickedOf = backward ? "gradient" : "value";
    }
    if (changed.has("cell") || changed.has("tensor")) {
      hovered = null;
      if (showHeadOf(state.tensor, state.cell)) return;
    }
    if (all) {
      if (loss) setText(loss, number(decoded(RUN.probe_loss).numbers[state.place]));
      drawBoxes();
      drawBanner();
    }
    boxes.forEach(({value, gradient}) => [value, gradient].forEach((map) => map.band(state.position)));
    if (heads) [...heads.children].forEach((button, h) => set(button, {"aria-pressed": h === head}));
    [...colours.children].forEach((rect) => { rect.style.fill = heat(Number(rect.dataset.level), 1).fill; });
    explain();
  }

  /* Turns to the head of a cell that was chosen elsewhere; true where all was drawn anew for it. */
  function showHeadOf(name, cell) {
    if (!cell || !current.isTraced(name) || headsOf(name) < 2) return false;
    const [own, heads] = [cell[0], headsOf(name)];
    if (Math.floor((head * heads) / HEADS) === own) return false;
    chooseHead((own * HEADS) / heads);
    return true;
  }

  /* Draws the boxes on the screen; the others when they come on. */
  function drawBoxes() {
    boxes.forEach((box) => { box.stale = true; });
    boxes.forEach(drawBox);
  }

  function drawBox(box) {
    if (!box.stale || !box.visible) return;
    box.stale = false;
    const mistake = chosenMistake(), backward = state.direction === "backward", masked = maskOf(box);
    drawMap(box.value, current.value(box.name), box.layout, masked, box.texts.value);
    if (backward) drawMap(box.gradient, current.gradient(box.name), box.layout, masked, box.texts.gradient);
    for (const parameter of box.parameters) {
      drawMap(parameter.value, current.weight(parameter.name), parameter.layout);
      if (backward) drawMap(parameter.gradient, current.probeGradient(parameter.name), parameter.layout);
      parameter.node.classList.toggle("mistaken", mistake !== null && mistake.tensor === parameter.name);
    }
    const wrong = mistake !== null && mistake.tensor === box.name;
    box.node.classList.toggle("mistaken", wrong);
    setText(box.sign, !wrong ? "" : mistake.of === "value" ? say("first wrong value: {name}", {name: mistake.name})
      : say("first wrong gradient: {name}", {name: mistake.name}));
  }

  /* texts: {unit, limit}, the elements that tell the common power of ten and the scale's end. */
  function drawMap(map, array, layout, masked = null, texts = null) {
    const numbers = laidOut(array, layout), limit = array ? largest(array.numbers) : 0, power = commonPower(limit);
    map.draw({numbers, masked, limit, power});
    if (!texts) return;
    setText(texts.unit, power === null || !map.numbers ? "" : ` × ${tenTo(-power)}`);
    setText(texts.limit, array ? `± ${number(limit, 3)}` : say("left out"));
  }

  /* Scores and weights are hatched where the mask is: where the score is −∞. */
  function maskOf(box) {
    if (!box.layout.overPositions) return null;
    const scores = current.value(box.name.replace(/pattern$/, "scores"));
    return scores && ((r, c) => scores.numbers[flat(scores.shape, box.layout.toIndex(r, c))] === -Infinity);
  }

  /* What is not in the page: all traces at this step, or some arrays at every step. */
  function drawBanner() {
    const dropped = Object.keys(DATA.formulas).filter((name) => current.shape(name) === null);
    banner.replaceChildren(...[
      current.value(names[0]) === null ? leftOut("trace") : null,
      dropped.length ? html("p", {class: "note"}, say("Left out at every step for size: {names}", {names: dropped.join(", ")})) : null,
    ].filter(Boolean));
  }

  /* Writes the panel, frames the cell and lights up the numbers that enter. */
  function explain() {
    const {name, cell, of: wanted} = subject();
    const of = hovered ? wanted : pickedOf;
    panel.draw({name, cell, of});
    const formula = (DATA.formulas[name] || {})[of], lookup = current.lookup();
    const read = formula && canEvaluate(formula, lookup) ? readCells(formula, cell, lookup) : [];
    for (const box of boxes) {
      for (const part of [box, ...box.parameters]) {
        for (const kind of ["value", "gradient"]) {
          const entering = read.filter((each) => each.kind === kind && each.name === part.name);
          part[kind].light(entering.map(({index}) => part.layout.fromIndex(index)).filter(Boolean));
          const at = part.name === name && kind === of ? part.layout.fromIndex(cell) : null;
          part[kind].select(...(at || [null]));
        }
      }
    }
  }

  views.push({
    order: 2,
    id: "pipeline",
    title: say("Forward and backward"),
    notice: say("Every number between the text and the loss. Point at a cell: it is written out in numbers, and the cells that enter light up. Switch to backward: each gradient is the sum over the paths by which its value reaches the loss."),
    maths: [
      say("Forward, each box is computed from boxes before it and from parameters. Backward, the gradient of a box is what its readers send back to it, added up:"),
      {formula: say("dL/dx = Σ over the readers y of x:  dL/dy · dy/dx")},
      say("In the formulas t is a position that reads, s one that is read, h a head, d a number of a head, c a number of a position's vector; D and C say how many of these there are. S is scores, P is pattern. A d in front means the gradient: dS is that of the scores."),
      say("A value that is read twice, such as the residual stream, has two paths or more. A parameter is read at every position, so its gradient is a sum over the positions."),
    ],
    available: () => names.length > 0 || say("No traces were kept in this run."),
    build,
    draw,
    table() {
      const {name} = subject(), of = state.direction === "forward" ? "value" : "gradient";
      const traced = current.isTraced(name);
      const value = traced ? current.value(name) : current.weight(name);
      const gradient = traced ? current.gradient(name) : current.probeGradient(name);
      if (!value) return {head: [], rows: [], note: say("left out")};
      const shape = value.shape;
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
      const indexOfPlace = (n) => shape.map((size, axis) => Math.floor(n / strides[axis]) % size);
      return {
        head: [`${shortName(name)}[…]`, say("letter"), say("value"), say("gradient")],
        rows: Array.from(value.numbers, (x, n) => {
          const cell = indexOfPlace(n), position = positionOf(name, cell);
          const letter = position === null ? "" : tokenText(RUN.text.ids[position]);
          return [cell.join(", "), letter, x, gradient ? gradient.numbers[n] : NaN];
        }),
        note: of === "value" ? "" : say("The gradient is that of the probe text's loss."),
      };
    },
  });
}
