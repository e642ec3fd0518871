"use strict";
/* The data of the page, its numbers, and the words around them. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const RUN = DATA.run;

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1; // nearly every machine
const decodedArrays = new WeakMap();

/* {"shape", "data": base64 of float32} -> {shape, numbers: Float32Array}; decoded once. */
function decoded(array) {
  if (!decodedArrays.has(array)) {
    const text = atob(array.data), bytes = new Uint8Array(text.length);
    for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
    const numbers = LITTLE_ENDIAN ? new Float32Array(bytes.buffer)
      : Float32Array.from({length: bytes.length / 4}, (_, n) => new DataView(bytes.buffer).getFloat32(4 * n, true));
    decodedArrays.set(array, {shape: array.shape, numbers});
  }
  return decodedArrays.get(array);
}

/* The texts say "letter", and "harf" in Turkish, whose endings are those of "token" but for a t. Where a token may be longer than a
   letter, all say "token". */
const OF_LETTERS = RUN.tokens.every((token) => [...token].length === 1);

/* The text in the page's language, {name} filled in from values: say("step {s}", {s: 3}). Texts are written as literals. */
function say(english, values = {}) {
  let text = english;
  if (DATA.lang !== "en") {
    if (english in DATA.labels) text = DATA.labels[english];
    else console.error(`no label for ${JSON.stringify(english)}`);
  }
  if (!OF_LETTERS) text = text.replace(/harft/g, "tokend").replace(/(L|l)etter|(H|h)arf/g, (word) => (/[LH]/.test(word) ? "Token" : "token"));
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/* A text that came with the data, such as a path's name: in the page's language where there is a label for it, which may have {n}
   for the text's number. */
function told(text) {
  const pattern = text in DATA.labels ? text : text.replace(/\d+/, "{n}");
  return pattern in DATA.labels ? DATA.labels[pattern].replace("{n}", (text.match(/\d+/) || [""])[0]) : text;
}

/* x in at most `digits` significant digits, as arithmetic.py's number writes it: "0.3107", "−12", "1.2e−5", "−∞", "nan". */
function number(x, digits = 4) {
  if (Number.isNaN(x)) return "nan";
  const sign = x < 0 ? "−" : "";
  if (!Number.isFinite(x)) return sign + "∞";
  if (x === 0) return "0";
  const [mantissa, power] = Math.abs(x).toExponential(digits - 1).split("e"); // half up, as Python's ROUND_HALF_UP
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 6) return `${sign}${withoutZeros(mantissa)}e${exponent < 0 ? "−" : ""}${Math.abs(exponent)}`;
  const figures = mantissa.replace(".", "");
  if (exponent < 0) return sign + withoutZeros(`0.${"0".repeat(-exponent - 1)}${figures}`);
  const whole = figures.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const part = figures.slice(exponent + 1);
  return sign + (part ? withoutZeros(`${whole}.${part}`) : whole);
}

function withoutZeros(text) {
  return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}

/* x in at most six characters, for a small cell: "−0.31", "12", "4e-4" (a hyphen is narrower). */
function short(x) {
  const size = Math.abs(x);
  if (!Number.isFinite(x)) return number(x);
  if (size === 0) return "0";
  if (size >= 9999.5) return number(x, 1);
  if (size >= 99.5) return (x < 0 ? "−" : "") + Math.round(size);
  if (size >= 9.95) return (x < 0 ? "−" : "") + size.toFixed(1);
  if (size >= 0.00995) return (x < 0 ? "−" : "") + size.toFixed(2);
  const [mantissa, power] = size.toExponential(0).split("e");
  return `${x < 0 ? "−" : ""}${mantissa}e${power}`;
}

/* x with two decimals and a real minus sign, for cells that share a power of ten. */
function fixed(x) {
  return Number.isFinite(x) ? x.toFixed(2).replace(/^-(?!0\.00$)/, "−").replace("-", "") : number(x);
}

/* The power of ten that brings numbers of this size between 1 and 10; null where they can be written as they are. */
function commonPower(size) {
  return size > 0 && size < 0.095 ? -Math.floor(Math.log10(size)) : null;
}

/* 10^power as text: "10⁻⁵". */
function tenTo(power) {
  return "10" + String(power).replace(/[-0-9]/g, (figure) => (figure === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[figure]));
}

/* A shape as Python writes it: "(11, 3)", "(3,)". */
function shapeText(shape) {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/* A text with every space drawn as ␣ and every line's end as ⏎. */
function visible(text) {
  return text.replaceAll(" ", "␣").replaceAll("\n", "⏎");
}

/* The token of an id, visible. */
function tokenText(id, run = RUN) {
  return visible(run.tokens[id]);
}

/* What the page calls a token: a letter, where every token is a single character. letterOrToken(say("letter"), say("token")). */
const LETTERS = RUN.tokens.every((token) => [...token].length === 1);

function letterOrToken(letter, token) {
  return LETTERS ? letter : token;
}

/* Vowels are bold, as in the other pictures. */
function isVowel(token) {
  return token.length === 1 && "aeıioöuü".includes(token);
}

function largest(numbers) {
  let most = 0;
  for (const x of numbers) {
    const size = Math.abs(x);
    if (size > most && size !== Infinity) most = size;
  }
  return most;
}

/* The mean of the last `window` numbers at each place: of the finite ones that are there, where there are fewer. */
function runningMean(numbers, window) {
  let total = 0, count = 0;
  const enters = (x, sign) => { if (Number.isFinite(x)) { total += sign * x; count += sign; } };
  return numbers.map((x, n) => {
    enters(x, 1);
    if (n >= window) enters(numbers[n - window], -1);
    return count ? total / count : NaN;
  });
}

function median(numbers) {
  const sorted = Array.from(numbers).filter((x) => !Number.isNaN(x)).sort((a, b) => a - b), middle = sorted.length / 2;
  return sorted.length === 0 ? NaN : Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)];
}
