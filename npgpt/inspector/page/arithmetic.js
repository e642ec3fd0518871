/* What a number is made of: the trees of arithmetic.py, evaluated and written out by the same rules, so that both give the same
   strings. A formula is DATA.formulas[name].value or .gradient; a cell is a list of whole numbers; lookup(kind, name) gives the
   array of an operand as {shape, numbers}, the text's ids and targets too.

       evaluated(formula, [0, 2, 1], lookup)          0.0142, the sum of the paths
       evaluated(formula, [0, 2, 1], lookup, 0)       the share of the first path
       written(formula, 0, [0, 2, 1], lookup)         "0.31 × 1.2 + (−0.5) × 0.7"
       helpersWritten(formula, 0, cell, lookup)       [{label: "mean[3]", text: "(0.1 + 0.2) / 2", value: 0.15}, ...]
       readCells(formula, cell, lookup)               [{kind, name, index}, ...]: the operands' numbers that enter */

const SHOWN = 8; // a longer sum shows its SHOWN - 2 largest terms

const FUNCTIONS = {
  exp: Math.exp, log: Math.log, sqrt: Math.sqrt, tanh: Math.tanh, sin: Math.sin, cos: Math.cos,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)), softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
};

/* An index list with each name at its place: ["t", "c"], [3, 1] -> {t: 3, c: 1}. */
function placeOf(index, cell) {
  const place = {};
  index.forEach((name, n) => { place[name] = cell[n]; });
  return place;
}

/* ---- from tree to number */

function evaluated(formula, cell, lookup, path = null) {
  const place = placeOf(formula.index, cell);
  const paths = path === null ? formula.paths : [formula.paths[path]];
  return added(paths.map((each) => valueOf(each.expr, place, formula, lookup)));
}

function valueOf(tree, place, formula, lookup) {
  const [kind, a, b, c] = tree;
  switch (kind) {
    case "num": return a;
    case "index": return place[a];
    case "at": return lookedUp(a, indexOf(b, place, formula, lookup), formula, lookup);
    case "neg": return -valueOf(a, place, formula, lookup);
    case "if": return valueOf(holds(a, place, formula, lookup) ? b : c, place, formula, lookup);
    case "call": return FUNCTIONS[a](valueOf(b, place, formula, lookup));
    case "sum": case "mean": case "max": {
      const size = formula.sizes[a];
      const terms = [];
      for (let n = 0; n < size; n++) terms.push(valueOf(b, {...place, [a]: n}, formula, lookup));
      if (kind === "max") return terms.reduce((most, x) => (x > most ? x : most));
      return kind === "mean" ? added(terms) / size : added(terms);
    }
    default: return combined(kind, valueOf(a, place, formula, lookup), valueOf(b, place, formula, lookup));
  }
}

/* The index parts of an ["at", name, parts], as whole numbers. */
function indexOf(parts, place, formula, lookup) {
  return parts.map((part) => Math.trunc(valueOf(part, place, formula, lookup)));
}

function lookedUp(name, index, formula, lookup) {
  const helper = formula.helpers[name];
  if (helper) return valueOf(helper.expr, placeOf(helper.index, index), formula, lookup);
  const array = lookup(...formula.operands[name]);
  return array.numbers[flat(array.shape, index)];
}

/* Where an index lies in the numbers of an array; a negative one counts from the end, as in Python. */
function flat(shape, index) {
  let place = 0;
  for (let n = 0; n < shape.length; n++) place = place * shape[n] + (index[n] < 0 ? index[n] + shape[n] : index[n]);
  return place;
}

function combined(operator, a, b) {
  switch (operator) {
    case "+": return a + b;
    case "-": return a - b;
    case "*": return a * b;
    case "/": return b === 0 ? (a === 0 || Number.isNaN(a) ? NaN : a * Infinity) : a / b;
    case "**": return a ** b;
    case "//": return Math.floor(a / b);
    case "%": return a - b * Math.floor(a / b);
  }
  throw new Error(`unknown operator ${operator}`);
}

function holds([comparison, left, right], place, formula, lookup) {
  const a = valueOf(left, place, formula, lookup), b = valueOf(right, place, formula, lookup);
  return {"<": a < b, "<=": a <= b, "==": a === b, ">": a > b, ">=": a >= b}[comparison];
}

/* From the first to the last, as arithmetic.py adds: another order would round otherwise. */
function added(terms) {
  let total = 0;
  for (const x of terms) total += x;
  return total;
}

/* ---- from tree to arithmetic */

function written(formula, path, cell, lookup, digits = 4) {
  return numbersOf(formula.paths[path].expr, placeOf(formula.index, cell), formula, lookup, digits)[0];
}

/* The helpers that a path uses, and those that they use: each number once. */
function helpersWritten(formula, path, cell, lookup, digits = 4) {
  const found = new Map();
  const walk = (tree, place) => {
    const [kind, a, b, c] = tree;
    if (kind === "at" && a in formula.helpers) {
      const helper = formula.helpers[a];
      const index = indexOf(b, place, formula, lookup);
      const label = `${a}[${index.join(", ")}]`;
      if (found.has(label)) return;
      const its = placeOf(helper.index, index);
      const text = numbersOf(helper.expr, its, formula, lookup, digits)[0];
      found.set(label, {label, text, value: valueOf(helper.expr, its, formula, lookup), equation: helper.equation});
      walk(helper.expr, its);
    } else if (kind === "if") walk(holds(a, place, formula, lookup) ? b : c, place);
    else if (["sum", "mean", "max"].includes(kind)) {
      for (let n = 0; n < Math.min(formula.sizes[a], SHOWN); n++) walk(b, {...place, [a]: n});
    } else if (kind === "call") walk(b, place);
    else if (!["num", "index", "at"].includes(kind)) tree.slice(1).forEach((branch) => walk(branch, place));
  };
  walk(formula.paths[path].expr, placeOf(formula.index, cell));
  return [...found.values()];
}

/* The arithmetic of an expression and how strongly it binds: 1 a sum or a negative number, 2 a product, 3 a power, 4 what
   stands alone. */
function numbersOf(tree, place, formula, lookup, digits) {
  const atLeast = (branch, least) => {
    const [text, level] = numbersOf(branch, place, formula, lookup, digits);
    return level >= least ? text : `(${text})`;
  };
  const [kind, a, b, c] = tree;
  switch (kind) {
    case "num": case "index": case "at": case "max": case "//": case "%": {
      const x = valueOf(tree, place, formula, lookup);
      return [number(x, digits), x < 0 ? 1 : 4];
    }
    case "neg": return [`−${atLeast(a, 2)}`, 1];
    case "if": return numbersOf(holds(a, place, formula, lookup) ? b : c, place, formula, lookup, digits);
    case "call": return [`${a}(${numbersOf(b, place, formula, lookup, digits)[0]})`, 4];
    case "sum": case "mean": {
      const size = formula.sizes[a];
      const places = Array.from({length: size}, (_, n) => ({...place, [a]: n}));
      const [text, level] = sumOf(b, places, formula, lookup, digits);
      return kind === "sum" ? [text, level] : [`${level >= 2 ? text : `(${text})`} / ${size}`, 2];
    }
    case "+": return [`${atLeast(a, 1)} + ${atLeast(b, 2)}`, 1];
    case "-": return [`${atLeast(a, 1)} − ${atLeast(b, 2)}`, 1];
    case "*": return [`${atLeast(a, 2)} × ${atLeast(b, 3)}`, 2];
    case "/": return [`${atLeast(a, 2)} / ${atLeast(b, 3)}`, 2];
    case "**": return [`${atLeast(a, 4)}^${atLeast(b, 4)}`, 3];
  }
  throw new Error(`unknown tree ${kind}`);
}

/* The terms of a sum; of many, the largest, in their order, and what the others come to. */
function sumOf(body, places, formula, lookup, digits) {
  const values = places.map((place) => valueOf(body, place, formula, lookup));
  let shown = places.map((_, n) => n);
  if (places.length > SHOWN) {
    const size = (n) => (Number.isNaN(values[n]) ? -Infinity : Math.abs(values[n]));
    shown = shown.sort((m, n) => size(n) - size(m) || m - n).slice(0, SHOWN - 2).sort((m, n) => m - n);
  }
  const terms = shown.map((n) => numbersOf(body, places[n], formula, lookup, digits));
  if (places.length === 1) return terms[0];
  const texts = terms.map(([text, level], n) => (level >= 2 || n === 0 ? text : `(${text})`));
  if (places.length > texts.length) {
    const rest = added(values.filter((_, n) => !shown.includes(n)));
    const others = number(rest, digits);
    texts.push(`${rest < 0 ? `(${others})` : others} (${places.length - texts.length} more)`);
  }
  return [texts.join(" + "), 1];
}

/* ---- which numbers enter */

/* The operands' cells that a cell's number is read from, helpers followed: [{kind, name, index}], each once. `path`: of one only. */
function readCells(formula, cell, lookup, path = null) {
  const found = new Map();
  const seen = new Set();
  const walk = (tree, place) => {
    const [kind, a, b, c] = tree;
    if (kind === "at") {
      b.forEach((part) => walk(part, place));
      const index = indexOf(b, place, formula, lookup);
      const label = `${a}[${index}]`;
      const helper = formula.helpers[a];
      if (!helper) found.set(label, {kind: formula.operands[a][0], name: formula.operands[a][1], index});
      else if (!seen.has(label)) {
        seen.add(label);
        walk(helper.expr, placeOf(helper.index, index));
      }
    } else if (kind === "if") walk(holds(a, place, formula, lookup) ? b : c, place);
    else if (["sum", "mean", "max"].includes(kind)) {
      for (let n = 0; n < formula.sizes[a]; n++) walk(b, {...place, [a]: n});
    } else if (kind === "call") walk(b, place);
    else if (kind !== "num" && kind !== "index") tree.slice(1).forEach((branch) => walk(branch, place));
  };
  const paths = path === null ? formula.paths : [formula.paths[path]];
  paths.forEach((each) => walk(each.expr, placeOf(formula.index, cell)));
  return [...found.values()];
}
