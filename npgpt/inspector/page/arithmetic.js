/* What a number is made of: the trees of arithmetic.py, evaluated and written out by the same rules, so that both give the same
   strings. A formula is DATA.formulas[name].value or .gradient; a cell is a list of whole numbers; lookup(kind, name) gives the
   array of an operand as {shape, numbers}, the text's ids and targets too.

       evaluated(formula, [0, 2, 1], lookup)          0.0142, the sum of the paths
       evaluated(formula, [0, 2, 1], lookup, 0)       the share of the first path
       written(formula, 0, [0, 2, 1], lookup)         "0.31 × 1.2 + (−0.5) × 0.7"
       helpersWritten(formula, 0, cell, lookup)       [{label: "mean[3]", text: "(0.1 + 0.2) / 2", value: 0.15}, ...]
       readCells(formula, cell, lookup)               [{kind, name, index}, ...]: the operands' numbers that enter */

const SHOWN = 8; // a longer sum shows its SHOWN - 2 largest terms
const MOST_DIGITS = 8; // where terms cancel, a text has more digits than it was asked for, up to these
const NEAR = 1e-3; // it has enough of them where what it says comes as near to the number, in relation to it

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

/* x as `number` shows it in so many digits. */
function rounded(x, digits) {
  return Number.isFinite(x) && x !== 0 ? Number(x.toExponential(digits - 1)) : x;
}

/* The fewest digits, from `digits` on, in which a text comes to its value; comesTo(n) is what it says in n digits. */
function enoughDigits(value, comesTo, digits = 4) {
  for (let n = digits; n < MOST_DIGITS; n++) {
    if (!Number.isFinite(value) || Math.abs(comesTo(n) - value) <= NEAR * Math.abs(value)) return n;
  }
  return Math.max(digits, MOST_DIGITS);
}

/* Numbers and the signs between them, "0.31 + (−0.5)", in as many digits as their sum needs. */
function sumWritten(terms) {
  const digits = enoughDigits(added(terms), (n) => added(terms.map((x) => rounded(x, n))));
  return terms.map((x, n) => (x < 0 && n > 0 ? `(${number(x, digits)})` : number(x, digits))).join(" + ");
}

/* A path's share in a cell, written out in numbers: in so many digits, or in more, where terms cancel. */
function written(formula, path, cell, lookup, digits = 4) {
  return textOf(formula.paths[path].expr, placeOf(formula.index, cell), formula, lookup, digits);
}

function textOf(tree, place, formula, lookup, digits) {
  const at = (n) => numbersOf(tree, place, formula, lookup, n);
  return at(enoughDigits(valueOf(tree, place, formula, lookup), (n) => at(n).value, digits)).text;
}

/* The helpers that a path's text shows, and those that they show: each number once. */
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
      const text = textOf(helper.expr, its, formula, lookup, digits);
      found.set(label, {label, text, value: valueOf(helper.expr, its, formula, lookup), equation: helper.equation});
      walk(helper.expr, its);
    } else if (kind === "if") walk(holds(a, place, formula, lookup) ? b : c, place);
    else if (kind === "sum" || kind === "mean") {
      const places = Array.from({length: formula.sizes[a]}, (_, n) => ({...place, [a]: n}));
      shownTerms(places.map((each) => valueOf(b, each, formula, lookup))).forEach((n) => walk(b, places[n]));
    } else if (kind === "call") walk(b, place);
    else if (!ALONE.includes(kind)) tree.slice(1).forEach((branch) => walk(branch, place));
  };
  walk(formula.paths[path].expr, placeOf(formula.index, cell));
  return [...found.values()];
}

const ALONE = ["num", "index", "at", "max", "//", "%"]; // written as a number alone
const SIGNS = {"+": ["+", 1, 1, 2], "-": ["−", 1, 1, 2], "*": ["×", 2, 2, 3], "/": ["/", 2, 2, 3]}; // level: of all, left, right

/* {text, level, value}: the arithmetic of an expression; how strongly it binds: 1 a sum or a negative number, 2 a product, 3 a
   power, 4 what stands alone; and what the text comes to, whose numbers are rounded. */
function numbersOf(tree, place, formula, lookup, digits) {
  const of = (branch) => numbersOf(branch, place, formula, lookup, digits);
  const [kind, a, b, c] = tree;
  if (ALONE.includes(kind)) {
    const x = valueOf(tree, place, formula, lookup);
    return {text: number(x, digits), level: x < 0 ? 1 : 4, value: rounded(x, digits)};
  }
  switch (kind) {
    case "neg": {
      const inner = of(a);
      return {text: `−${atLeast(inner, 2)}`, level: 1, value: -inner.value};
    }
    case "if": return of(holds(a, place, formula, lookup) ? b : c);
    case "call": {
      const inner = of(b);
      return {text: `${a}(${inner.text})`, level: 4, value: FUNCTIONS[a](inner.value)};
    }
    case "sum": case "mean": {
      const size = formula.sizes[a];
      const terms = sumOf(b, Array.from({length: size}, (_, n) => ({...place, [a]: n})), formula, lookup, digits);
      return kind === "sum" ? terms : {text: `${atLeast(terms, 2)} / ${size}`, level: 2, value: terms.value / size};
    }
  }
  const left = of(a), right = of(b), value = combined(kind, left.value, right.value);
  if (kind === "**") return {text: `${atLeast(left, 4)}^${atLeast(right, 4)}`, level: 3, value};
  const [sign, level, least, most] = SIGNS[kind];
  return {text: `${atLeast(left, least)} ${sign} ${atLeast(right, most)}`, level, value};
}

function atLeast({text, level}, least) {
  return level >= least ? text : `(${text})`;
}

/* Which terms of a sum are shown: all; of many, the largest, in their order. */
function shownTerms(values) {
  const all = Array.from(values, (_, n) => n);
  if (values.length <= SHOWN) return all;
  const size = (n) => (Number.isNaN(values[n]) ? Infinity : Math.abs(values[n]));
  return all.sort((m, n) => size(n) - size(m) || m - n).slice(0, SHOWN - 2).sort((m, n) => m - n);
}

/* The terms of a sum; of many, those that are shown, and what the others come to. */
function sumOf(body, places, formula, lookup, digits) {
  const values = places.map((place) => valueOf(body, place, formula, lookup));
  const shown = shownTerms(values);
  const terms = shown.map((n) => numbersOf(body, places[n], formula, lookup, digits));
  if (places.length === 1) return terms[0];
  const texts = terms.map((term, n) => (n === 0 ? term.text : atLeast(term, 2)));
  const comesTo = terms.map(({value}) => value);
  if (places.length > texts.length) {
    const rest = added(values.filter((_, n) => !shown.includes(n)));
    const others = number(rest, digits);
    texts.push(`${rest < 0 ? `(${others})` : others} (the sum of ${places.length - texts.length} more)`);
    comesTo.push(rounded(rest, digits));
  }
  return {text: texts.join(" + "), level: 1, value: added(comesTo)};
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
