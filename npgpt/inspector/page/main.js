/* The page: header, the bar with the one timeline, a section for each view, the keys. Runs last.

   A view is an object that its file pushes on `views`:
     order                      its number on the page
     id, title, notice          notice: the sentence that says what to notice
     maths                      a list: "a paragraph", or {formula: "a line set as a formula"}
     available()                true, or the sentence (a text or an element) that says why the view is empty for this run
     build(root)                makes its elements in root, once
     draw(changed)              brings them up to date; changed: a Set of the names in `state` that changed (all at first)
     table()                    {head, rows, note}: the view's numbers as a table, asked for when that is open */

const shownViews = [];

/* ---- header */

function header() {
  const facts = [
    say("{n} parameters", {n: RUN.parameters}), RUN.backend, RUN.dtype, RUN.seed === null ? null : say("seed {n}", {n: RUN.seed}),
    say("{n} training steps", {n: decoded(RUN.losses).numbers.length}), say("{n} of them recorded", {n: RUN.steps.length}),
  ];
  const leftOut = RUN.left_out.length
    ? html("details", {class: "left-out"}, html("summary", {}, say("What was left out for size")),
           html("ul", {}, ...RUN.left_out.map((text) => html("li", {}, text))))
    : null;
  return html("header", {class: "head"}, html("p", {class: "kicker"}, say("Inspector")), html("h1", {}, RUN.name),
              html("p", {class: "about"}, about()),
              html("p", {class: "facts"}, ...facts.filter(Boolean).map((text) => html("span", {}, text))), leftOut);
}

/* What the reader sees, in a few sentences. */
function about() {
  const told = {kind: {gpt: "GPT", lstm: "LSTM", mamba: "Mamba", llama: "Llama"}[RUN.kind] || RUN.kind, n: RUN.parameters, v: V,
                text: RUN.text.ids.map((id) => tokenText(id)).join("")};
  return letterOrToken(
    say("A {kind} of {n} numbers learns to guess the next letter of a text, out of {v}. Here it reads “{text}”, and nothing is hidden: every number that it computes, and how each came about. The bar below chooses the training step, a letter of this text, and the direction: forward to the loss, or backward with its gradient.", told),
    say("A {kind} of {n} numbers learns to guess the next token of a text, out of {v}. Here it reads “{text}”, and nothing is hidden: every number that it computes, and how each came about. The bar below chooses the training step, a token of this text, and the direction: forward to the loss, or backward with its gradient.", told));
}

/* ---- the bar: the timeline, the text, the direction */

const bar = {};

function timeline() {
  const last = RUN.steps.length - 1;
  bar.slider = html("input", {type: "range", min: 0, max: last, step: 1, value: state.place, "aria-label": say("step"),
                              oninput: () => change({place: Number(bar.slider.value)})});
  bar.play = html("button", {type: "button", class: "play", onclick: () => (playing ? pause() : play())});
  bar.step = html("input", {type: "number", min: 0, max: RUN.steps[last], "aria-label": say("jump to the step"),
                            onchange: jump, onkeydown: turn});
  bar.letters = html("div", {class: "letters", role: "radiogroup", "aria-label": say("position in the text")},
    ...RUN.text.ids.map((id, t) => html("button", {type: "button", role: "radio", class: "letter", title: say("position {t}", {t}),
                                                   onclick: () => change({position: t})}, tokenSpan(id))));
  bar.letters.addEventListener("keydown", (event) => {
    const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!by) return;
    event.preventDefault();
    change({position: state.position + by});
    bar.letters.children[state.position].focus();
  });
  bar.directions = ["forward", "backward"].map((direction) => html("button", {
    type: "button", class: "direction", "data-direction": direction, onclick: () => change({direction}),
    "aria-label": direction === "forward" ? say("forward") : say("backward")},
    ...(direction === "forward" ? [html("span", {}, say("forward")), " →"] : ["← ", html("span", {}, say("backward"))])));
  return html("div", {class: "bar", role: "region", "aria-label": say("timeline")},
    html("div", {class: "time"}, bar.play, bar.slider, html("label", {class: "jump"}, say("step"), bar.step)),
    html("div", {class: "choice"}, bar.letters,
         html("div", {class: "directions", role: "group", "aria-label": say("direction")}, ...bar.directions)));
}

/* To the recorded step nearest to the typed one; back to the present one where nothing was typed. */
function jump() {
  if (bar.step.value.trim() !== "") change({place: placeOfStep(Number(bar.step.value))});
  bar.step.value = RUN.steps[state.place];
}

/* Up and down go to the next recorded step, which need not be one further. */
function turn(event) {
  const by = {ArrowUp: 1, ArrowDown: -1}[event.key];
  if (!by) return;
  event.preventDefault();
  change({place: state.place + by});
  bar.step.value = RUN.steps[state.place];
}

function drawBar() {
  bar.slider.value = state.place;
  set(bar.slider, {"aria-valuetext": say("step {s}", {s: RUN.steps[state.place]})});
  const step = RUN.steps[state.place];
  if (document.activeElement !== bar.step || Number(bar.step.value) !== step) bar.step.value = step;
  [...bar.letters.children].forEach((button, t) => set(button, {"aria-checked": t === state.position,
                                                               tabindex: t === state.position ? 0 : -1}));
  showLetter(bar.letters.children[state.position]);
  bar.directions.forEach((button) => set(button, {"aria-pressed": button.dataset.direction === state.direction}));
  set(document.body, {"data-direction": state.direction});
}

/* Scrolls the row of letters, where it is longer than the screen, to the chosen one. */
function showLetter(button) {
  const {scrollLeft, clientWidth} = bar.letters, left = button.offsetLeft - bar.letters.offsetLeft;
  if (left < scrollLeft || left + button.offsetWidth > scrollLeft + clientWidth) bar.letters.scrollLeft = left - clientWidth / 2;
}

let playing = null;

/* Goes through the recorded steps in about ten seconds. */
function play() {
  const last = RUN.steps.length - 1;
  if (state.place === last) change({place: 0});
  playing = setInterval(() => {
    if (state.place >= last) pause();
    else change({place: state.place + 1});
  }, clamped(10000 / (last + 1), 80, 600));
  drawPlay();
}

function pause() {
  clearInterval(playing);
  playing = null;
  drawPlay();
}

function drawPlay() {
  setText(bar.play, playing ? "❚❚" : "▶");
  set(bar.play, {"aria-label": playing ? say("pause") : say("play"), "aria-pressed": playing !== null});
}

/* ---- the views */

function section(view) {
  const root = html("div", {class: "view-body"});
  const twin = html("div");
  const table = html("details", {class: "twin", ontoggle: () => drawTable()}, html("summary", {}, say("as a table")), twin);
  const node = html("section", {id: view.id, class: "view", "aria-labelledby": `${view.id}-title`},
    html("h2", {id: `${view.id}-title`}, view.title), html("p", {class: "notice"}, view.notice));
  const available = view.available();
  if (available !== true) {
    node.append(html("p", {class: "absent"}, available));
    return node;
  }
  node.append(root, html("div", {class: "more"},
    html("details", {class: "maths"}, html("summary", {"aria-label": say("the mathematics of {title}", {title: view.title})}, "?"),
         html("div", {class: "maths-text"}, ...view.maths.map((line) => (typeof line === "string" ? html("p", {}, line)
           : html("p", {class: "formula"}, line.formula))))), table));
  const shown = {view, node, visible: false, stale: new Set(Object.keys(state)), drawTable};
  function drawTable() {
    if (table.open) twin.replaceChildren(tableOf(view.table()));
    else twin.replaceChildren();
  }
  view.build(root);
  shownViews.push(shown);
  return node;
}

function drawView(shown) {
  if (!shown.visible || !shown.stale.size) return;
  const stale = shown.stale;
  shown.stale = new Set();
  shown.view.draw(stale);
  shown.drawTable();
}

let asked = false;

/* Draws the bar and every view that is on the screen; a view that comes on later is drawn then. */
function redraw() {
  asked = false;
  for (const shown of shownViews) changed.forEach((name) => shown.stale.add(name));
  changed.clear();
  drawBar();
  shownViews.forEach(drawView);
}

function redrawAll() {
  Object.keys(state).forEach((name) => changed.add(name));
  redraw();
}

/* ---- keys */

const KEYS = [
  ["← →", say("step back, step on")], [", .", say("position back, on")], [say("Home, End"), say("first, last step")],
  [say("space"), say("play, pause")], ["f", say("forward")], ["b", say("backward")], ["?", say("this list")],
];

function keyList() {
  const dialog = html("dialog", {class: "keys", "aria-label": say("keys")}, html("h2", {}, say("keys")),
    html("dl", {}, ...KEYS.flatMap(([key, does]) => [html("dt", {}, html("kbd", {}, key)), html("dd", {}, does)])),
    html("p", {}, say("In a heat map the arrow keys move from cell to cell, Enter chooses one.")),
    html("form", {method: "dialog"}, html("button", {}, say("close"))));
  return dialog;
}

function onKey(event, dialog) {
  const {key, target} = event;
  const isRange = target.matches("input[type=range]");
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (target.isContentEditable || (target.matches("input, select, textarea") && !isRange)) return;
  if (isRange && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(key)) return;
  const scrolls = target.matches(".table-box, .listing, .explanation"); // a box that has the focus to be scrolled
  if (scrolls && ["ArrowLeft", "ArrowRight", "Home", "End", " "].includes(key)) return;
  if (key === " " && target.matches("button, summary, a, input")) return;
  const actions = {
    ArrowLeft: () => change({place: state.place - 1}), ArrowRight: () => change({place: state.place + 1}),
    Home: () => change({place: 0}), End: () => change({place: RUN.steps.length - 1}),
    ",": () => change({position: state.position - 1}), ".": () => change({position: state.position + 1}),
    " ": () => (playing ? pause() : play()), f: () => change({direction: "forward"}), b: () => change({direction: "backward"}),
    "?": () => dialog.showModal(),
  };
  if (!actions[key]) return;
  event.preventDefault();
  actions[key]();
}

/* ---- together */

function start() {
  const page = document.getElementById("page");
  const dialog = keyList();
  views.sort((a, b) => a.order - b.order);
  const sections = views.map(section);
  const navigation = html("nav", {class: "views", "aria-label": say("views")},
    html("ol", {}, ...views.map(({id, title}) => html("li", {}, html("a", {href: `#${id}`}, title)))),
    html("button", {type: "button", class: "quiet", onclick: () => dialog.showModal()}, say("keys")));
  page.append(header(), navigation, timeline(), ...sections, dialog, voice);
  listeners.push(() => {
    if (!asked) requestAnimationFrame(redraw);
    asked = true;
  });
  const observer = new IntersectionObserver((entries) => {
    for (const {target, isIntersecting} of entries) {
      const shown = shownViews.find(({node}) => node === target);
      shown.visible = isIntersecting;
      drawView(shown);
    }
  }, {rootMargin: "150px"});
  shownViews.forEach(({node}) => observer.observe(node));
  darkScheme.addEventListener("change", () => {
    document.querySelectorAll("[data-token]").forEach((span) => { span.style.color = tokenColour(Number(span.dataset.token)); });
    redrawAll();
  });
  let ratio = devicePixelRatio;
  addEventListener("resize", () => {
    if (devicePixelRatio === ratio) return;
    ratio = devicePixelRatio; // the reader zoomed: what is painted is painted anew
    redrawAll();
  });
  document.addEventListener("keydown", (event) => onKey(event, dialog));
  drawPlay();
  redraw();
}

start();
