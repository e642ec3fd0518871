/* View 4, where a model carries a memory along: an LSTM's gates and cells, a Mamba's step sizes and states; with what comes back. */

if (RUN.kind === "lstm" || RUN.kind === "mamba") {
  const lstm = RUN.kind === "lstm";
  const last = lstm ? "h" : "y";
  const blocks = RUN.trace.tensors.map(({name}) => (name.match(/^blocks\.(\d+)\.(?:h|y)$/) || [])[1]).filter(Boolean).map(Number);
  const room = pixelsByWidth([["(min-width: 1340px)", 600], ["(min-width: 900px)", 760], ["(min-width: 701px)", 620], ["(min-width: 0px)", 260]]);
  const MOST_UNITS = 16;
  let block = blocks[0] || 0, first = 0, channel = 0, root, choosers, banner, body, told, strips = [], pointed = null;

  const nameOf = (part) => `blocks.${block}.${part}`;
  const units = () => current.shape(nameOf(last))[1];

  /* What is drawn, top to bottom: {part, title}, of what the page has. A Mamba's state is that of one channel. */
  function parts() {
    const all = lstm ? [
      {part: "i", title: say("i: how much of the candidate is written")},
      {part: "f", title: say("f: how much of the memory is kept")},
      {part: "g", title: say("g: the candidate")},
      {part: "o", title: say("o: how much of the memory is shown")},
      {part: "c", title: say("c: the memory, f c[t−1] + i g")},
      {part: "h", title: say("h: what is shown, o tanh(c)")},
    ] : [
      {part: "delta", title: say("delta: how far each channel lets the letter in")},
      {part: "state", title: say("state of channel {e}: what it remembers", {e: channel})},
      {part: "y", title: say("y: what the state gives out")},
      {part: "gate", title: say("gate: how much of y goes on")},
    ];
    return all.filter(({part}) => current.isTraced(nameOf(part)));
  }

  /* ---- building */

  function build(given) {
    root = given;
    room.onchange(() => { rebuild(); draw(); });
    rebuild();
  }

  function rebuild() {
    banner = html("div", {class: "banner"});
    told = html("p", {class: "in-numbers told"});
    choosers = html("div", {class: "choosers"},
      blocks.length > 1 ? chooser(say("block"), blocks, () => block, (b) => { block = b; first = channel = 0; }) : null,
      lstm ? null : select(say("channel of the state"), units(), () => channel, (e) => { channel = e; }),
      units() > MOST_UNITS ? select(say("first unit shown"), units() - MOST_UNITS + 1, () => first, (n) => { first = n; }) : null);
    strips = [];
    const column = (of, title) => html("div", {class: "strips"}, html("h3", {}, title), html("p", {class: "note axis-positions"}, say("position →")),
                                       ...parts().map((each, n) => strip(each, of, n === 0)));
    body = html("div", {}, html("div", {class: "panel told-panel"}, told),
                html("div", {class: "gates"}, column("value", say("values, written from left to right")),
                     column("gradient", say("gradients, coming back from right to left"))));
    root.replaceChildren(choosers, banner, body);
  }

  function chooser(name, numbers, chosen, choose) {
    return html("div", {class: "buttons", role: "group", "aria-label": name}, name, ...numbers.map((n) => html("button", {
      type: "button", "aria-pressed": n === chosen(), onclick: () => { choose(n); rebuild(); draw(); }}, String(n))));
  }

  function select(name, count, chosen, choose) {
    const list = html("select", {onchange: () => { choose(Number(list.value)); rebuild(); draw(); }},
      ...Array.from({length: count}, (_, n) => html("option", {value: n, selected: n === chosen()}, String(n))));
    return html("label", {class: "buttons"}, name, list);
  }

  /* The units (rows) of one tensor over the positions (columns). */
  function strip({part, title}, of, letters) {
    const state = part === "state", shape = current.shape(nameOf(part));
    const rows = state ? shape[2] : Math.min(shape[1], MOST_UNITS);
    const width = clamped(Math.floor(room.pixels() / T), 5, 36);
    const index = (r, t) => (state ? [t, channel, r] : [t, r + first]);
    const map = cells({rows: numberLabels(rows).map(({text}) => ({text: String(Number(text) + (state ? 0 : first))})), columns: letters && width >= 8 ? positionLabels() : T,
                       width, height: 20, numbers: width >= 31, name: of === "value" ? say("{name}, value", {name: part}) : say("{name}, gradient", {name: part}),
                       onhover: (r, t) => { pointed = {part, index: index(r, t)}; tell(); },
                       onpick: (r, t) => { pointed = null; change({tensor: nameOf(part), cell: index(r, t), position: t, direction: of === "value" ? "forward" : "backward"}); }});
    map.node.addEventListener("pointerleave", () => { pointed = null; tell(); });
    const limit = html("span", {class: "note"}), heading = html("p", {class: "strip-title"}, html("span", {}, of === "value" ? title : `d${part}`), limit);
    strips.push({part, of, map, rows, index, limit});
    return html("div", {class: "strip"}, heading, map.node);
  }

  /* ---- drawing */

  function draw() {
    follow();
    const missing = parts().some(({part}) => current.value(nameOf(part)) === null || current.gradient(nameOf(part)) === null);
    banner.replaceChildren(...(missing ? [leftOut("trace")] : []));
    body.hidden = missing;
    if (missing) return;
    for (const {part, of, map, rows, index, limit} of strips) {
      const array = current[of](nameOf(part));
      const numbers = new Float32Array(rows * T);
      for (let r = 0; r < rows; r++) for (let t = 0; t < T; t++) numbers[r * T + t] = array.numbers[flat(array.shape, index(r, t))];
      const most = largest(numbers), isShare = of === "value" && lstm && "ifo".includes(part);
      const power = commonPower(most);
      map.draw({numbers, limit: isShare ? 1 : most, power: power === null && most < 9.95 ? 0 : power});
      setText(limit, isShare ? say("0 to 1") : power === null ? say("± {x}", {x: number(most, 3)})
        : say("in units of {unit}, ± {x}", {unit: tenTo(-power), x: number(most, 3)}));
      map.upright(state.position);
      const mine = state.tensor === nameOf(part) && of === (state.direction === "backward" ? "gradient" : "value") && state.cell;
      const r = mine ? state.cell.at(-1) - (part === "state" ? 0 : first) : -1;
      map.select(...(mine && r >= 0 && r < rows && (part !== "state" || state.cell[1] === channel) ? [r, state.cell[0]] : [null]));
    }
    tell();
  }

  /* A state's cell that was chosen elsewhere brings its channel here. */
  let followed = null;
  function follow() {
    const [, its, part] = (state.tensor || "").match(/^blocks\.(\d+)\.(\w+)$/) || [];
    const chosen = its === undefined || !state.cell ? null : `${state.tensor} ${state.cell}`;
    if (chosen === null || chosen === followed || !blocks.includes(Number(its))) return;
    followed = chosen;
    const wanted = [Number(its), part === "state" ? state.cell[1] : channel];
    if (wanted[0] === block && wanted[1] === channel) return;
    [block, channel] = wanted;
    rebuild();
  }

  function tell() {
    const mine = state.cell && new RegExp(`^blocks\\.${block}\\.(${parts().map(({part}) => part).join("|")})$`).test(state.tensor || "");
    const {part, index} = pointed || (mine ? {part: state.tensor.split(".").at(-1), index: state.cell}
      : current.isTraced(nameOf("state")) ? {part: "state", index: [state.position, channel, 0]} : {part: lstm && current.isTraced(nameOf("c")) ? "c" : last, index: [state.position, first]});
    const at = (name, cell, of = "value") => { const array = current[of](nameOf(name)); return number(array.numbers[flat(array.shape, cell)]); };
    const t = index[0], about = {t, a: tokenText(RUN.text.ids[t]), part: `${part}[${index.join(", ")}]`, x: at(part, index), dx: at(part, index, "gradient")};
    const cell = lstm ? [t, index[1]] : null;
    const has = (...names) => names.every((name) => current.isTraced(nameOf(name)));
    setText(told, say("“{a}” at {t}: {part} = {x}, its gradient {dx}.", about) + (part === "c" && t > 0 && has("i", "f", "g")
      ? ` ${say("Of the memory before, {c}, it keeps the share {f}, and writes {i} of the candidate {g}.", {c: at("c", [t - 1, index[1]]), f: at("f", cell), i: at("i", cell), g: at("g", cell)})}`
      : part === "state" && t > 0 && has("delta") ? ` ${say("The step size {d} says how much of the state before, {h}, is forgotten for it.", {d: at("delta", [t, index[1]]), h: at("state", [t - 1, index[1], index[2]])})}` : ""));
  }

  views.push({
    order: 4,
    id: "gates",
    title: lstm ? say("Gates and memory") : say("Step sizes and state"),
    notice: lstm
      ? say("No letter looks back here: what is known of earlier letters is in the memory c. Where the forget gate f is near 1, c stays as it is, and so does its gradient on the way back.")
      : say("No letter looks back here: what is known of earlier letters is in the state. A large delta lets the letter in and forgets; a small one lets it pass by. Going back, each position adds its own part to the state's gradient and hands on the share that was kept."),
    maths: lstm ? [
      {formula: "i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)    g = tanh(a_g)"},
      {formula: "c[t] = f[t] c[t−1] + i[t] g[t]        h[t] = o[t] tanh(c[t])"},
      say("Going back, the memory's gradient has two sources, what is shown now and the memory after:"),
      {formula: "dc[t] = dh[t] o[t] (1 − tanh(c[t])²) + dc[t+1] f[t+1]"},
      say("Along c each step multiplies by f alone. Along h it multiplies by a matrix and by slopes, which is why that way fades."),
    ] : [
      {formula: "h[t] = exp(delta[t] A) h[t−1] + delta[t] u[t] B[t]        y[t] = C[t] · h[t] + D u[t]"},
      say("A is negative, so exp(delta A) is a share between 0 and 1: what is kept. Going back:"),
      {formula: "dh[t] = C[t] dy[t] + exp(delta[t+1] A) dh[t+1]"},
      say("The output of the block is y times the gate, silu(z); the gate decides how much of what is remembered goes on."),
    ],
    available: () => blocks.length > 0 || say("No gates and states were kept in this run: see what was left out for size, at the top."),
    build,
    draw,
    table() {
      const rows = [];
      const t = state.position;
      for (const {part, of, rows: count, index} of strips.filter(({of}) => of === "value")) {
        const value = current[of](nameOf(part)), gradient = current.gradient(nameOf(part));
        for (let r = 0; r < count && value && gradient; r++) {
          const cell = index(r, t), n = flat(value.shape, cell);
          rows.push([`${part}[${cell.join(", ")}]`, value.numbers[n], gradient.numbers[n]]);
        }
      }
      return {head: [say("at position {t}", {t}), say("value"), say("gradient")], rows};
    },
  });
}
