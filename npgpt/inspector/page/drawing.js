/* Drawing: elements, colours, heat maps, lines, bars, tables. Texts enter as text, never as markup. */

/* ---- elements */

/* html("p", {class: "note"}, "text", another element): attributes that are functions become listeners, onclick: (event) => ...;
   true sets an empty attribute; false, null and undefined set none. */
function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/* The same for SVG. */
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/* A command line as <code> that breaks between its words only. */
function command(line) {
  return html("code", {class: "command"}, ...line.split(" ").flatMap((word, n) => [n ? " " : "", html("span", {}, word)]));
}

/* Sets attributes of an element that differ from what it has; cheap when nothing changed. */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
  return element;
}

/* Sets an element's text if it differs. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* ---- room */

/* How many pixels there are, by the window's width: [[media query, pixels], ...], the first that matches counts.
   pixels() says it; ask onchange(redo) to hear of a change. */
function pixelsByWidth(table) {
  const rooms = table.map(([query, pixels]) => ({query: matchMedia(query), pixels}));
  return {
    pixels: () => rooms.find(({query}) => query.matches).pixels,
    onchange: (redo) => rooms.forEach(({query}) => query.addEventListener("change", redo)),
  };
}

/* Keeps an SVG as high as it is wide, and calls redo(size) whenever its size in pixels has changed. */
function keepSquare(node, redo) {
  let size = 0;
  new ResizeObserver(() => {
    if (!node.clientWidth || node.clientWidth === size) return;
    size = node.clientWidth;
    set(node, {height: size, viewBox: `0 0 ${size} ${size}`});
    redo(size);
  }).observe(node);
}

/* ---- colours */

const darkScheme = matchMedia("(prefers-color-scheme: dark)");

/* What is painted rather than styled, in both schemes. diverging: matplotlib's PuOr, as in the project's pictures, orange for what
   is below 0, violet for above; in the dark the middle is dark. sunk and soft are those of style.css, ground is
   where letters are hardest to read: its --accent-soft. */
const SCHEMES = {
  light: {
    ground: "#ece6f8", sunk: "#f3f1ed", soft: "#5c5962", hatch: "#bdb8ae",
    diverging: ["#7f3b08", "#b35806", "#e08214", "#fdb863", "#fee0b6", "#f7f7f7", "#d8daeb", "#b2abd2", "#8073ac", "#542788", "#2d004b"],
  },
  dark: {
    ground: "#2f2944", sunk: "#24242b", soft: "#a9a5b3", hatch: "#4c4a56",
    diverging: ["#fee0b6", "#fdb863", "#e08214", "#a05a12", "#55330f", "#24242b", "#37305a", "#564a8c", "#8073ac", "#b2abd2", "#d8daeb"],
  },
};

function scheme() {
  return darkScheme.matches ? SCHEMES.dark : SCHEMES.light;
}

const LEVELS = 200; // on each side of 0

/* The colour of x on a scale that ends at ±limit, and the ink that can be read on it: {fill, ink}. */
function heat(x, limit, colours = heatColours()) {
  const share = limit > 0 ? clamped(x / limit, -1, 1) : 0;
  return colours[Math.round((Number.isNaN(share) ? 0 : share) * LEVELS) + LEVELS];
}

/* All colours of the scale, from −limit to limit; for who asks `heat` often. */
function heatColours() {
  return (scheme().palette ||= palette(scheme().diverging));
}

function palette(anchors) {
  const colours = anchors.map(channels);
  return Array.from({length: 2 * LEVELS + 1}, (_, n) => {
    const place = (n / (2 * LEVELS)) * (colours.length - 1);
    const low = Math.min(Math.floor(place), colours.length - 2);
    const mixed = colours[low].map((c, i) => c + (place - low) * (colours[low + 1][i] - c));
    return {fill: hex(mixed), ink: contrast(mixed, [0, 0, 0]) > contrast(mixed, [255, 255, 255]) ? "#000000" : "#ffffff"};
  });
}

function channels(colour) {
  return [1, 3, 5].map((n) => parseInt(colour.slice(n, n + 2), 16));
}

function hex(colour) {
  return "#" + colour.map((c) => Math.round(c).toString(16).padStart(2, "0")).join("");
}

/* WCAG's relative luminance of [r, g, b]. */
function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c <= 10 ? c / 3295 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/* The colour of a token, moved towards black or white until it can be read on the page (4.5 : 1). */
function tokenColour(id) {
  const known = (scheme().tokens ||= new Map());
  if (!known.has(id)) {
    const ground = channels(scheme().ground), end = darkScheme.matches ? 255 : 0;
    let colour = channels(RUN.colours[id]);
    while (contrast(colour, ground) < 4.6) colour = colour.map((c) => c + 0.08 * (end - c));
    known.set(id, hex(colour));
  }
  return known.get(id);
}

/* A token as <span>: its letter in its colour, vowels bold. */
function tokenSpan(id) {
  const span = html("span", {class: isVowel(RUN.tokens[id]) ? "token vowel" : "token", "data-token": id}, tokenText(id));
  span.style.color = tokenColour(id);
  return span;
}

/* ---- labels of an axis: {text, id} with the token's id where it is a token */

/* The text's letters, one a position. */
function positionLabels() {
  return RUN.text.ids.map((id) => ({text: tokenText(id), id}));
}

/* The vocabulary. */
function tokenLabels() {
  return RUN.tokens.map((_, id) => ({text: tokenText(id), id}));
}

/* 0 .. n - 1, the first `n`. */
function numberLabels(n) {
  return Array.from({length: n}, (_, k) => ({text: String(k)}));
}

function paintLabel(text, label) {
  setText(text, label.text);
  set(text, {class: label.id !== undefined && isVowel(RUN.tokens[label.id]) ? "label vowel" : "label"});
  text.style.fill = label.id === undefined ? "" : tokenColour(label.id);
}

/* ---- heat maps */

/* A heat map of rows x columns cells. options:
     rows, columns    labels ([{text, id}]) or a number of unlabelled ones
     name             what it is called, for those who hear the page
     width, height    of a cell in pixels (36, 18)
     numbers          write each number into its cell (true)
     onhover(r, c)    the pointer or the focus came upon a cell; onpick(r, c): a click, Enter or space
     columnNames      false leaves the column labels away
   Gives {node, draw, select, light, band, upright, cellAt, left, numbers}:
     draw({numbers, limit, masked, power})    numbers: row after row; limit: the scale's end (the largest size unless told);
                                      masked(r, c): true for cells that are hatched; power: cells are written times 10^power,
                                      with two decimals
     select(r, c) or select(null)     the cell with the frame
     light(cells)                     cells ([[r, c], ...]) with the dashed frame: "these enter"
     band(r) or band(null)            the row of the chosen position, with a thin frame; upright(c): the column
     cellAt(event)                    the [r, c] under a pointer event, or null
     left, numbers                    where the first column begins, in pixels; whether numbers are written in
   One stop for the tab key; arrow keys, Home and End move within. The cells are painted on a canvas, since there are thousands
   and a step must be drawn at once; what is around them is SVG. */
function cells(options) {
  const {name, width = 36, height = 18, numbers: written = true, onhover, onpick, columnNames = true} = options;
  const rows = typeof options.rows === "number" ? Array(options.rows).fill(null) : options.rows;
  const columns = typeof options.columns === "number" ? Array(options.columns).fill(null) : options.columns;
  const R = rows.length, C = columns.length;
  const left = rows[0] ? 8 + 8 * Math.min(8, Math.max(...rows.map((label) => label.text.length))) : 1;
  const top = columns[0] && columnNames ? 16 : 1;
  const W = left + C * width + 1, H = top + R * height + 1;
  const canvas = html("canvas", {"aria-hidden": "true"});
  const lights = svg("g", {class: "lights"}), frame = svg("rect", {class: "frame", width, height, visibility: "hidden"});
  const rowBand = svg("rect", {class: "band", x: left, width: C * width, height, visibility: "hidden"});
  const every = Math.ceil(11 / height); // labels of low rows would cover each other: every second, third, ... has one
  const rowTexts = rows.filter((label, r) => label && r % every === 0)
    .map((_, n) => svg("text", {x: left - 6, y: top + (n * every + 0.5) * height, "text-anchor": "end"}));
  const columnTexts = columns[0] && columnNames
    ? columns.map((_, c) => svg("text", {x: left + (c + 0.5) * width, y: top - 8, "text-anchor": "middle"})) : [];
  const node = html("div", {class: "cells", role: "group", "aria-label": name, "aria-roledescription": say("heat map"),
                            tabindex: onhover || onpick ? 0 : false}, canvas,
    svg("svg", {width: W, height: H, "aria-hidden": "true"}, ...rowTexts, ...columnTexts, rowBand, lights, frame));
  Object.assign(canvas.style, {left: `${left}px`, top: `${top}px`, width: `${C * width}px`, height: `${R * height}px`});
  let now = null, focus = null, labelled = null;

  function draw({numbers, limit = largest(numbers), masked = null, power = null}) {
    now = numbers;
    const colours = heatColours();
    if (labelled !== colours) { // the first time, or in another scheme
      labelled = colours;
      rowTexts.forEach((text, n) => paintLabel(text, rows[n * every]));
      columnTexts.forEach((text, c) => paintLabel(text, columns[c]));
    }
    const roomy = width >= 8 && height >= 8; // for the dash that tells those who see no colours what is below 0
    const pen = penOf(canvas, C * width, R * height), hatch = hatching(pen);
    for (let n = 0; n < R * C; n++) {
      const r = Math.floor(n / C), c = n % C, x = numbers[n];
      const hidden = x === -Infinity || (masked !== null && masked(r, c));
      const {fill, ink} = heat(x, limit, colours);
      pen.fillStyle = hidden || Number.isNaN(x) ? hatch : fill;
      pen.fillRect(c * width + GAP / 2, r * height + GAP / 2, width - GAP, height - GAP);
      if (hidden) continue;
      const text = written ? (power === null ? short(x) : fixed(x * 10 ** power)) : roomy && x < -0.15 * limit ? "–" : "";
      if (!text) continue;
      pen.fillStyle = Number.isNaN(x) ? scheme().soft : ink;
      pen.fillText(text, (c + 0.5) * width, (r + 0.5) * height + 0.5, width - 2 * GAP);
    }
  }

  function select(r, c) {
    focus = r === null || r === undefined ? null : [r, c];
    set(frame, focus ? {x: left + c * width, y: top + r * height, visibility: "visible"} : {visibility: "hidden"});
  }

  function light(cellList) {
    while (lights.children.length < cellList.length) lights.append(svg("rect", {width, height}));
    while (lights.children.length > cellList.length) lights.lastChild.remove();
    cellList.forEach(([r, c], n) => set(lights.children[n], {x: left + c * width, y: top + r * height}));
  }

  function band(r) {
    set(rowBand, r === null ? {visibility: "hidden"} : {y: top + r * height, visibility: "visible"});
  }

  function upright(c) {
    set(rowBand, {x: left + c * width, y: top, width, height: R * height, visibility: "visible"});
  }

  function cellAt(event) {
    const box = node.getBoundingClientRect();
    const c = Math.floor((event.clientX - box.left - left) / width), r = Math.floor((event.clientY - box.top - top) / height);
    return r >= 0 && r < R && c >= 0 && c < C ? [r, c] : null;
  }

  function cellName(r, c) {
    const row = rows[r] ? `${r} ${rows[r].text}` : r, column = columns[c] ? columns[c].text : c;
    return say("{name}, row {row}, column {column}: {value}", {name, row, column, value: now ? number(now[r * C + c]) : ""});
  }

  function came(cell) {
    announce(cellName(...cell));
    if (onhover) onhover(...cell);
  }

  if (onhover || onpick) {
    let last = "";
    node.addEventListener("pointermove", (event) => {
      const cell = cellAt(event);
      if (cell && onhover && String(cell) !== last) onhover(...cell);
      last = String(cell);
    });
    node.addEventListener("pointerleave", () => { last = ""; });
    node.addEventListener("click", (event) => {
      const cell = cellAt(event);
      if (!cell) return;
      select(...cell);
      (onpick || onhover)(...cell);
    });
    node.addEventListener("focus", () => {
      if (!node.matches(":focus-visible")) return;
      const cell = focus || [0, 0];
      select(...cell);
      came(cell);
    });
    node.addEventListener("keydown", (event) => {
      const [r, c] = focus || [0, 0];
      const to = {ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], Home: [r, 0],
                  End: [r, C - 1]}[event.key];
      if (event.key === "Enter" || event.key === " ") {
        if (onpick) onpick(r, c);
      } else if (to) {
        const cell = [clamped(to[0], 0, R - 1), clamped(to[1], 0, C - 1)];
        select(...cell);
        came(cell);
      } else return;
      event.preventDefault(); // and so the page's own keys stay away
    });
  }
  return {node, draw, select, light, band, upright, cellAt, left, numbers: written};
}

const GAP = 1; // pixels between cells

/* The pen of a canvas of so many CSS pixels, empty, for the screen's resolution. */
function penOf(canvas, width, height) {
  const ratio = Math.max(1, devicePixelRatio);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = CELL_FONT;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  return pen;
}

const CELL_FONT = '10px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, sans-serif';

/* The pattern of cells that have no number, or are masked. */
function hatching(pen) {
  if (scheme().hatching) return scheme().hatching;
  const tile = html("canvas", {width: 6, height: 6}), lines = tile.getContext("2d");
  lines.fillStyle = scheme().sunk;
  lines.fillRect(0, 0, 6, 6);
  lines.strokeStyle = scheme().hatch;
  for (const x of [-6, 0, 6]) {
    lines.moveTo(x, 6);
    lines.lineTo(x + 6, 0);
  }
  lines.stroke();
  return (scheme().hatching = pen.createPattern(tile, "repeat"));
}

/* ---- lines */

/* A chart of lines over one x axis, as wide as its column. options: height (220), name, x: [low, high], y: [low, high] or null
   for the data's, log: true for a logarithmic y, xName, yName, onpick(x): a click at x.
   Gives {node, draw, mark}:
     draw(lines, levels)   lines: [{xs, ys, kind}], kind a class of style.css: "faint", "main", "second", "third"; gaps at nan;
                           levels: [{y, name}], labelled horizontals
     mark(x)               the vertical at x */
function lineChart(options) {
  const {height = 220, name, x: [x0, x1], log = false, xName = "", yName = "", onpick} = options;
  const left = 44, right = 16, top = 22, bottom = 24, H = height - top - bottom;
  const node = svg("svg", {class: "chart", height, role: "img", "aria-label": name});
  const axes = svg("g", {class: "axes"}), curves = svg("g", {class: "curves"}), horizontals = svg("g", {class: "levels"});
  const vertical = svg("line", {class: "now", y1: top, y2: top + H, visibility: "hidden"});
  node.append(axes, horizontals, curves, vertical);
  let width = 640, W = width - left - right, y0 = 0, y1 = 1, drawn = [[], []], marked = NaN;
  const px = (x) => left + ((x - x0) / (x1 - x0 || 1)) * W;
  const scale = (y) => (log ? Math.log10(y) : y);
  const py = (y) => top + H - ((scale(y) - scale(y0)) / (scale(y1) - scale(y0) || 1)) * H;
  new ResizeObserver(() => {
    if (!node.clientWidth || node.clientWidth === width) return;
    width = node.clientWidth;
    W = width - left - right;
    draw(...drawn);
    mark(marked);
  }).observe(node);

  function draw(lines, levels = []) {
    drawn = [lines, levels];
    [y0, y1] = options.y || range([...lines.map(({ys}) => ys), levels.map(({y}) => y)], log);
    axes.replaceChildren();
    for (const tick of ticks(y0, y1, log, H / 40)) {
      axes.append(svg("line", {class: "grid", x1: left, x2: left + W, y1: py(tick), y2: py(tick)}),
                  svg("text", {x: left - 8, y: py(tick), class: "tick-y"}, number(tick)));
    }
    for (const tick of ticks(x0, x1, false, W / 110)) {
      if (px(tick) < left + W - 50) axes.append(svg("text", {x: px(tick), y: height - 6, class: "tick-x"}, number(tick)));
    }
    axes.append(svg("line", {class: "base", x1: left, x2: left + W, y1: top + H, y2: top + H}),
                svg("text", {x: left + W, y: height - 6, class: "axis-name end"}, xName),
                svg("text", {x: 0, y: 11, class: "axis-name"}, yName));
    curves.replaceChildren(...lines.map(({xs, ys, kind}) => svg("path", {class: kind, d: pathOf(xs, ys)})));
    horizontals.replaceChildren();
    let lastY = Infinity;
    for (const {y, name: levelName} of [...levels].sort((a, b) => a.y - b.y)) {
      if (scale(y) < scale(y0) || scale(y) > scale(y1)) continue;
      lastY = Math.min(py(y), lastY - 13); // labels keep a line's distance
      horizontals.append(svg("line", {x1: left, x2: left + W, y1: py(y), y2: py(y)}),
                         svg("text", {x: left + W - 4, y: lastY - 4}, levelName));
    }
  }

  function pathOf(xs, ys) {
    let d = "", pen = false;
    for (let n = 0; n < xs.length; n++) {
      const good = Number.isFinite(scale(ys[n]));
      if (good) d += `${pen ? "L" : "M"}${px(xs[n]).toFixed(1)} ${clamped(py(ys[n]), top, top + H).toFixed(1)}`;
      pen = good;
    }
    return d;
  }

  function mark(x) {
    marked = x;
    set(vertical, Number.isFinite(x) ? {x1: px(x), x2: px(x), visibility: "visible"} : {visibility: "hidden"});
  }

  if (onpick) {
    node.classList.add("pickable");
    node.addEventListener("click", (event) => {
      const box = node.getBoundingClientRect();
      onpick(x0 + ((event.clientX - box.left - left) / W) * (x1 - x0));
    });
  }
  return {node, draw, mark};
}

/* A piece of a chart's line, for the words beside it. */
function lineSample(kind) {
  return svg("svg", {class: "chart line-sample", width: 40, height: 12, "aria-hidden": "true"}, svg("path", {class: kind, d: "M0 6L40 6"}));
}

function range(lists, log) {
  let low = Infinity, high = -Infinity;
  for (const list of lists) {
    for (const y of list) {
      if (!Number.isFinite(y) || (log && y <= 0)) continue;
      if (y < low) low = y;
      if (y > high) high = y;
    }
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  const room = log ? 1.2 : 0.05 * (high - low || Math.abs(high) || 1);
  return log ? [low / room, high * room] : [low - room, high + room];
}

/* Round numbers between low and high: 1, 2 or 5 times a power of ten apart; powers of ten on a logarithmic axis. */
function ticks(low, high, log, wanted = 5) {
  const found = [];
  if (log) {
    const first = Math.ceil(Math.log10(low)), last = Math.floor(Math.log10(high)), every = Math.ceil((last - first + 1) / 6) || 1;
    for (let power = first; power <= last; power += every) found.push(Number(`1e${power}`));
    return found;
  }
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((k) => k * power >= rough) || 10) * power;
  for (let n = Math.ceil(low / step); n * step <= high * (1 + 1e-9); n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}

/* ---- bars */

/* Vertical bars, one a label, above and below 0. options: labels ([{text, id}]), width of a bar (16), height (90), name, limit: the
   scale's end or null for the largest, signed: false for shares from 0, telling: the largest one's number stands beside it,
   onpick(n).
   Gives {node, draw(numbers, {limit, lit})}: lit: the index (or a Set of them) in the accent colour. */
function bars(options) {
  const {labels, width = 16, height = 90, name, signed = true, telling = false, onpick} = options;
  const W = labels.length * width + 2, foot = 18, zero = signed ? height / 2 : height;
  const node = svg("svg", {class: "bars", width: W, height: height + foot, viewBox: `0 0 ${W} ${height + foot}`, role: "img",
                           "aria-label": name});
  const rects = labels.map((_, n) => svg("rect", {x: 1 + n * width + 1.5, width: width - 3}));
  const texts = labels.map((_, n) => svg("text", {x: 1 + (n + 0.5) * width, y: height + 12, "text-anchor": "middle"}));
  node.append(svg("line", {class: "base", x1: 0, x2: W, y1: zero, y2: zero}), ...rects, ...texts);
  const told = svg("text", {class: "told"});
  if (telling) node.append(told);
  if (onpick) {
    node.classList.add("pickable");
    node.addEventListener("click", (event) => {
      const box = node.getBoundingClientRect();
      onpick(clamped(Math.floor(((event.clientX - box.left) * (W / box.width)) / width), 0, labels.length - 1));
    });
  }

  function draw(numbers, {limit = options.limit || largest(numbers) || 1, lit = null} = {}) {
    labels.forEach((label, n) => {
      paintLabel(texts[n], label);
      const size = clamped(Math.abs(numbers[n]) / limit, 0, 1) * (signed ? height / 2 : height) || 0;
      const isLit = lit instanceof Set ? lit.has(n) : lit === n;
      set(rects[n], {y: (numbers[n] < 0 ? zero : zero - size).toFixed(2), height: size.toFixed(2),
                     class: `${numbers[n] < 0 ? "below" : "above"}${isLit ? " lit" : ""}`});
    });
    if (telling) tell(numbers);
  }

  /* The largest bar's number, at its end, on the side where there is room. */
  function tell(numbers) {
    const n = numbers.reduce((best, x, k) => (Math.abs(x) > Math.abs(numbers[best]) ? k : best), 0), right = n < labels.length / 2;
    const top = Number(rects[n].getAttribute("y")), end = numbers[n] < 0 ? top + Number(rects[n].getAttribute("height")) : top;
    setText(told, number(numbers[n], 3));
    set(told, {x: 1 + (right ? n + 1 : n) * width + (right ? 3 : -3), "text-anchor": right ? "start" : "end", y: clamped(end, 10, height)});
  }
  return {node, draw};
}

/* ---- arrows */

/* An arrow of a kind ("gradient", "update") from (x0, y0), `rim` pixels away from it, to (x2, y2): [line, head], or [] where there
   is no room for it. */
function arrowBetween([x0, y0], [x2, y2], kind, rim, head = 9) {
  const length = Math.hypot(x2 - x0, y2 - y0);
  if (length < rim + 3) return [];
  const ux = (x2 - x0) / length, uy = (y2 - y0) / length, tip = Math.min(head, length - rim), half = tip / 2;
  const bx = x2 - tip * ux, by = y2 - tip * uy; // where the head begins
  return [svg("line", {class: `arrow ${kind}`, x1: x0 + rim * ux, y1: y0 + rim * uy, x2: bx + 0.2 * tip * ux, y2: by + 0.2 * tip * uy}),
          svg("path", {class: `arrow-head ${kind}`, d: `M${x2} ${y2}L${bx + half * uy} ${by - half * ux}L${bx - half * uy} ${by + half * ux}Z`})];
}

/* ---- tensors over the steps */

/* A heat map of many rows (tensors) over the recorded steps, as wide as its column; one pixel of a canvas a cell. options: rows
   (texts), steps, name, tell(r, c): the sentence about a cell, onpick(r, c).
   Gives {node, draw, mark, select}:
     draw(colour)     colour(r, c): "#rrggbb", or null for a cell that is hatched
     mark(r, c)       the upright frame at a step, and the name of row r in bold (-1: none)
     select(r, c)     the cell with the frame
   One stop for the tab key; arrow keys, Home and End move within, Enter chooses. */
function stepMap(options) {
  const {rows, steps, name, tell, onpick} = options;
  const R = rows.length, S = steps.length, rowHeight = 18;
  const canvas = html("canvas", {width: S, height: R, "aria-hidden": "true"});
  const now = html("div", {class: "step-now"}), frame = html("div", {class: "step-frame", hidden: true});
  const plot = html("div", {class: "step-plot", tabindex: 0, role: "group", "aria-label": name, "aria-roledescription": say("heat map"),
                            style: `height: ${R * rowHeight}px`}, canvas, now, frame);
  const labels = html("div", {class: "step-rows", "aria-hidden": "true"}, ...rows.map((text) => html("span", {title: text}, text)));
  const shown = [...new Set([0, Math.floor((S - 1) / 2), S - 1])];
  const ticks = html("div", {class: "step-ticks", "aria-hidden": "true"}, ...shown.map((c) => html("span", {
    style: `left: ${(100 * (c + 0.5)) / S}%`, class: c === 0 ? "first" : c === S - 1 ? "last" : ""}, String(steps[c]))));
  const told = html("p", {class: "step-told note"}, say("Point at a cell, or move with the arrow keys. A click, or Enter, goes to the step."));
  const node = html("div", {class: "step-map"}, labels, plot, html("span", {class: "step-axis note"}, say("step")), ticks, told);
  let focus = null;

  function draw(colour) {
    const brush = canvas.getContext("2d");
    brush.clearRect(0, 0, S, R);
    for (let r = 0; r < R; r++) {
      for (let c = 0; c < S; c++) {
        const fill = colour(r, c);
        if (fill === null) continue;
        brush.fillStyle = fill;
        brush.fillRect(c, r, 1, 1);
      }
    }
    if (focus) setText(told, tell(...focus));
  }

  function mark(r, c) {
    [...labels.children].forEach((label, n) => label.classList.toggle("chosen", n === r));
    now.style.cssText = `left: ${(100 * c) / S}%; width: ${100 / S}%`;
  }

  function select(r, c) {
    focus = [r, c];
    frame.hidden = false;
    frame.style.cssText = `left: ${(100 * c) / S}%; width: ${100 / S}%; top: ${r * rowHeight}px; height: ${rowHeight}px`;
    setText(told, tell(r, c));
  }

  function cellAt(event) {
    const box = plot.getBoundingClientRect();
    return [clamped(Math.floor((event.clientY - box.top) / rowHeight), 0, R - 1),
            clamped(Math.floor(((event.clientX - box.left) / box.width) * S), 0, S - 1)];
  }

  plot.addEventListener("pointermove", (event) => select(...cellAt(event)));
  plot.addEventListener("click", (event) => onpick(...cellAt(event)));
  plot.addEventListener("focus", () => { if (!focus) select(0, state.place < S ? state.place : 0); });
  plot.addEventListener("keydown", (event) => {
    const [r, c] = focus || [0, 0];
    const to = {ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], Home: [r, 0],
                End: [r, S - 1]}[event.key];
    if (event.key === "Enter" || event.key === " ") onpick(r, c);
    else if (to) {
      select(clamped(to[0], 0, R - 1), clamped(to[1], 0, S - 1));
      announce(told.textContent);
    } else return;
    event.preventDefault();
  });
  return {node, draw, mark, select};
}

/* What a colour means: a strip from `low` to `high` with labelled places. colour(x): "#rrggbb"; marks: [{x, text}].
   Gives {node, draw}. */
function colourLegend() {
  const strip = html("div", {class: "legend-strip"}), marks = html("div", {class: "legend-marks"});
  const node = html("div", {class: "colour-legend"}, strip, marks);

  function draw({low, high, colour, marks: wanted}) {
    const pieces = 40;
    strip.replaceChildren(...Array.from({length: pieces}, (_, n) => {
      const piece = html("span");
      piece.style.background = colour(low + ((n + 0.5) / pieces) * (high - low));
      return piece;
    }));
    marks.replaceChildren(...wanted.map(({x, text}) => {
      const share = (x - low) / (high - low || 1);
      return html("span", {class: share < 0.05 ? "first" : share > 0.95 ? "last" : "", style: `left: ${100 * share}%`}, text);
    }));
  }
  return {node, draw};
}

/* ---- the text twin */

/* {head: [texts], rows: [[texts or numbers]], note} as <table>, in a box that scrolls. A long one is cut, and says so. */
function tableOf({head, rows, note = ""}, most = 400) {
  const cell = (x) => html("td", {class: typeof x === "number" ? "numeric" : ""}, typeof x === "number" ? number(x) : String(x));
  const table = html("table", {},
    html("thead", {}, html("tr", {}, ...head.map((text) => html("th", {scope: "col"}, text)))),
    html("tbody", {}, ...rows.slice(0, most).map((row) => html("tr", {}, ...row.map(cell)))));
  const cut = rows.length > most ? say("the first {shown} of {all} rows", {shown: most, all: rows.length}) : "";
  return html("div", {class: "table-box", tabindex: 0, role: "region", "aria-label": say("table")},
              table, ...[note, cut].filter(Boolean).map((text) => html("p", {class: "note"}, text)));
}

/* ---- what is said aloud */

const voice = html("p", {class: "visually-hidden", "aria-live": "polite"});

/* A sentence for those who hear the page. */
function announce(text) {
  setText(voice, text);
}
