/* The panel of view 2: what one number is made of, and which line of npgpt made it. */

/* Gives {node, draw}. draw({name, cell, of}): of is "value" or "gradient"; the numbers are those of the chosen step. */
function explanation() {
  const node = html("aside", {class: "panel explanation", "aria-label": say("what this number is made of"), tabindex: 0});
  let opened = false; // whether the reader wants the source function open
  let shown = ""; // the number that the panel explains

  function draw({name, cell, of}) {
    const formula = (DATA.formulas[name] || {})[of] || null;
    const recorded = recordedNumber(name, cell, of);
    node.replaceChildren(...heading(name, cell, of, recorded), ...body(name, cell, of, formula, recorded),
                         ...origin((DATA.sources[name] || {})[of] || null));
    if (shown !== `${of} ${name} ${cell}`) node.scrollTop = 0;
    shown = `${of} ${name} ${cell}`;
  }

  function body(name, cell, of, formula, recorded) {
    if (recorded === null) return [leftOut(current.isTraced(name) ? "trace" : "weights")];
    if (of === "value" && current.isParameter(name)) return [learned(name, cell)];
    if (of === "gradient" && isMasked(name, cell)) {
      return [html("p", {}, say("Masked: this position may not look at a later one, so no path leads from here to the loss."))];
    }
    if (!formula) return [html("p", {class: "note"}, say("No formula is written down for this number."))];
    const lookup = current.lookup();
    if (!canEvaluate(formula, lookup)) return [leftOut("weights")];
    return [...paths(formula, cell, lookup, recorded), ...collected(name, formula), ...helperLines(formula, cell, lookup)];
  }

  function heading(name, cell, of, recorded) {
    const shown = (of === "gradient" ? "d" : "") + shortName(name);
    const place = positionOf(name, cell);
    return [
      html("p", {class: "kicker"}, of === "value" ? say("value") : say("gradient: how the loss changes with it")),
      html("h3", {class: "cell-name"}, `${shown}[${cell.join(", ")}]`,
           html("span", {class: "cell-value"}, recorded === null ? "" : number(recorded))),
      html("p", {class: "note"}, name, place === null ? "" : ` · ${say("position {t}", {t: place})} `,
           place === null ? null : tokenSpan(RUN.text.ids[place]), ` · ${say("step {s}", {s: RUN.steps[state.place]})}`),
    ];
  }

  function paths(formula, cell, lookup, recorded) {
    const shares = formula.paths.map((_, n) => evaluated(formula, cell, lookup, n));
    const most = largest(shares);
    const blocks = formula.paths.map((path, n) => html("div", {class: "path"},
      path.name ? html("p", {class: "path-name"}, html("span", {}, told(path.name)), shareBar(shares[n], most)) : null,
      equationLine(path.name ? path.equation : `${formula.cell} = ${path.equation}`),
      arithmeticLine(written(formula, n, cell, lookup), shares[n])));
    const total = evaluated(formula, cell, lookup);
    const several = formula.paths.length > 1;
    return [
      several ? html("p", {class: "note"}, say("It reaches the loss by {n} paths; the gradient is their sum.", {n: shares.length})) : null,
      ...blocks,
      several ? html("p", {class: "arithmetic total"}, `${formula.cell.split("[")[0]}[${cell.join(", ")}] = ${sumWritten(shares)} = `,
                     html("b", {}, number(total))) : null,
      html("p", {class: "note recorded"}, say("recorded in the run: {x}", {x: number(recorded)})),
    ].filter(Boolean);
  }

  function collected(name, formula) {
    if (!current.isParameter(name) || !JSON.stringify(formula.paths).includes('["sum","t"')) return [];
    return [html("p", {class: "note"}, say("A weight that serves {n} positions collects {n} gradients.", {n: T}))];
  }

  function helperLines(formula, cell, lookup) {
    const lines = new Map();
    formula.paths.forEach((_, n) => helpersWritten(formula, n, cell, lookup).forEach((line) => lines.set(line.label, line)));
    if (!lines.size) return [];
    return [html("p", {class: "note helpers-title"}, say("where")), html("dl", {class: "helpers"}, ...[...lines.values()].flatMap(
      ({label, text, value, equation}) => [
        html("dt", {}, label), html("dd", {}, equationLine(`= ${equation}`),
                                    arithmeticLine(text, value))]))];
  }

  /* "0.31 × 1.2 + (−0.5) × 0.7 = 0.022"; a number that is handed on alone stands once. */
  function arithmeticLine(text, value) {
    const told = text.replace(/the sum of (\d+) more/g, (whole, n) => say("the sum of {n} more", {n}));
    return html("p", {class: "arithmetic"}, text === number(value) ? "= " : `= ${told} = `, html("b", {}, number(value)));
  }

  /* A parameter is no result of arithmetic: what it was, and what the next update did to it. */
  function learned(name, cell) {
    const at = (array) => (array === null ? NaN : array.numbers[flat(array.shape, cell)]);
    const gradient = at(current.batchGradient(name)), update = at(current.update(name));
    const told = {g: number(gradient), u: number(update)};
    return html("p", {}, Number.isNaN(update) ? say("A learned number. No update of it was recorded at this step.")
      : say("A learned number. At this step the batch's gradient is {g}; AdamW then adds {u}.", told));
  }

  function origin(place) {
    if (!place) return [];
    const told = ({file, line, text}) => [html("span", {class: "note"}, `${file}:${line}`), html("code", {}, text.trim())];
    const lines = [...place.also, place]; // the others first: they ran earlier, or made a smaller part
    const functions = [...new Set(lines.map((each) => each.function))].filter((key) => key && DATA.functions[key]);
    const source = lines.map((each) => html("p", {class: "source-line"}, ...told(each)));
    const via = place.via.map((caller) => html("li", {}, ...told(caller)));
    return [
      html("div", {class: "source"}, html("p", {class: "note"}, lines.length > 1 ? say("The lines that computed it:") : say("The line that computed it:")),
        ...source,
        via.length ? html("details", {}, html("summary", {}, say("called from")), html("ol", {class: "via"}, ...via)) : null,
        ...functions.map((key) => html("details", {open: opened, ontoggle: (event) => { opened = event.target.open; }},
          html("summary", {}, say("the function {name}", {name: DATA.functions[key].name})),
          listing(DATA.functions[key], lines.filter((each) => each.function === key).map((each) => each.line))))),
    ];
  }

  function listing(made, lit) {
    return html("pre", {class: "listing", tabindex: 0}, ...made.lines.map((text, n) => html("span", {
      class: lit.includes(made.first + n) ? "line lit" : "line", "aria-current": lit.includes(made.first + n) ? "true" : null},
      html("span", {class: "line-number"}, String(made.first + n)), `${text}\n`)));
  }

  return {node, draw};
}

/* The recorded number of a cell at the chosen step; null where it was left out. */
function recordedNumber(name, cell, of) {
  const traced = current.isTraced(name);
  const array = of === "value" ? (traced ? current.value(name) : current.weight(name))
    : traced ? current.gradient(name) : current.probeGradient(name);
  return array === null ? null : array.numbers[flat(array.shape, cell)];
}

/* Whether a cell of scores or pattern is behind the mask: where the score is −∞. */
function isMasked(name, cell) {
  const scores = /\.(scores|pattern)$/.test(name) ? current.value(name.replace(/pattern$/, "scores")) : null;
  return scores !== null && scores.numbers[flat(scores.shape, cell)] === -Infinity;
}

/* The last part of a traced name, "blocks.0.ln1" -> "ln1"; of a parameter the last two, "ln1.weight". */
function shortName(name) {
  return name.split(".").slice(current.isTraced(name) ? -1 : -2).join(".");
}

/* The sentence that numbers were left out at this step, and the way to the nearest step that has them. */
function leftOut(group) {
  const nearest = nearestPlace(group);
  if (nearest === null || nearest === state.place) return html("p", {class: "note"}, say("These numbers were left out for size."));
  return html("p", {class: "note"}, say("Left out at this step for size."), " ",
              html("button", {type: "button", onclick: () => change({place: nearest})},
                   say("to the nearest step that has it: {s}", {s: RUN.steps[nearest]})));
}

/* An equation as the formulas write it, "sum_c x[t, c]^2": with Σ, small indices and exponents, real minus signs. */
function equationLine(text) {
  const signs = text.replaceAll("-", "−").replaceAll("<=", "≤").replaceAll(">=", "≥");
  const parts = signs.split(/((?:sum|mean|max)_\w|\^(?:\w+|\((?:[^()]|\([^()]*\))*\)))/);
  return html("p", {class: "equation"}, ...parts.map((part) => {
    const [, over, index] = part.match(/^(sum|mean|max)_(\w)$/) || [];
    if (over) return html("span", {}, over === "sum" ? "Σ" : over, html("sub", {}, index));
    return part.startsWith("^") ? html("sup", {}, part.slice(1)) : part;
  }));
}

/* A path's share of a gradient as a bar from the middle, with its number. */
function shareBar(x, most) {
  const size = most > 0 ? 30 * Math.min(1, Math.abs(x) / most) || 0 : 0;
  return html("span", {class: "share"}, svg("svg", {width: 62, height: 10, "aria-hidden": "true", class: "share-bar"},
    svg("rect", {class: x < 0 ? "below" : "above", x: x < 0 ? 31 - size : 31, width: size, y: 1, height: 8}),
    svg("line", {class: "base", x1: 31, x2: 31, y1: 0, y2: 10})), html("b", {}, number(x)));
}
