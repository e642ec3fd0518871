/* View 10: a mistake switched on: what it does to the loss, to the gradient, and who would have noticed. */
{
  const mistakes = DATA.mistakes;
  const MOST_DIGITS = RUN.dtype === "float32" ? 7 : 16;
  const ENOUGH = MOST_DIGITS / 2; // a right gradient agrees to nearly all digits, a wrong one to one or two
  const LAST = 0.1; // the share of the losses that counts as the end
  const NOTABLE = 0.05; // nats between two ends that are called different
  let rows = [], detail, lossChart, digitsChart, story, diff, tensorBox, caught, verdict, button;

  const title = ({name}) => told(name.replaceAll("_", " "));

  function endOf(losses) {
    const numbers = decoded(losses).numbers, last = numbers.subarray(Math.floor((1 - LAST) * numbers.length));
    return added(last) / last.length;
  }

  /* {end, digits}: the mean of the last losses, and the median of the digits over the steps. */
  const summary = ({losses, digits}) => ({end: endOf(losses), digits: median(decoded(digits).numbers)});

  const right = mistakes.length ? summary(RUN) : null;

  /* What the two numbers say together. */
  function verdictOf({end, digits}) {
    if (!(digits >= ENOUGH)) return {kind: "wrong", text: say("wrong gradient")};
    if (!(end <= right.end + NOTABLE)) return {kind: "steps", text: say("right gradient, bad loss")};
    if (end < right.end - NOTABLE) return {kind: "cheat", text: say("right gradient, loss too good")};
    return {kind: "right", text: say("right gradient, same loss")};
  }

  /* ---- building */

  function build(root) {
    const all = [{mistake: null, ...right}, ...mistakes.map((mistake) => ({mistake, ...summary(mistake)}))];
    const worst = Math.max(...all.map(({end}) => (Number.isFinite(end) ? end : 0)));
    rows = all.map((each) => row(each, worst));
    const list = html("div", {class: "mistake-list", role: "radiogroup", "aria-label": say("mistakes")},
      html("div", {class: "mistake-row head", "aria-hidden": "true"}, html("span", {}, say("the code")), html("span", {}, say("digits of agreement")),
           html("span", {}, say("loss at the end")), html("span", {}, say("so"))), ...rows.map(({node}) => node));
    list.addEventListener("keydown", (event) => {
      const by = {ArrowDown: 1, ArrowUp: -1}[event.key], at = rows.findIndex(({name}) => name === state.mistake);
      if (!by) return;
      event.preventDefault();
      const next = rows[clamped(at + by, 0, rows.length - 1)];
      change({mistake: next.name});
      next.node.focus();
    });
    const n = decoded(RUN.losses).numbers.length;
    lossChart = lineChart({name: say("losses of the right and the wrong code"), x: [0, n], height: 230, xName: say("step"), yName: say("nats"),
                           onpick: (step) => change({place: placeOfStep(step)})});
    digitsChart = lineChart({name: say("digits of agreement of the right and the wrong code"), x: [0, RUN.steps.at(-1)], y: [-1, MOST_DIGITS], height: 230, xName: say("step"), yName: say("digits"),
                             onpick: (step) => change({place: placeOfStep(step)})});
    story = html("div", {class: "story"});
    diff = html("pre", {class: "diff", tabindex: 0});
    tensorBox = html("div");
    caught = html("p", {class: "caught"});
    verdict = html("p", {class: "verdict in-numbers"});
    button = html("button", {type: "button", class: "go-there", onclick: show}, say("show it in the pipeline"));
    const legend = html("p", {class: "two-names"}, lineSample("main"), say("right code"), lineSample("second"), say("wrong code"));
    detail = html("div", {class: "mistake-detail"}, story, diff, verdict, legend,
      html("div", {class: "columns"}, html("div", {}, html("h3", {}, say("Loss")), lossChart.node),
           html("div", {}, html("h3", {}, say("Digits in which the gradient agrees with the complex step")), digitsChart.node)),
      html("h3", {}, say("The first wrong tensor")), tensorBox, html("h3", {}, say("What would have caught it")), caught);
    root.append(list, detail);
  }

  function row({mistake, end, digits}, worst) {
    const name = mistake ? mistake.name : null, so = verdictOf({end, digits});
    const bar = (share, kind) => html("span", {class: `mistake-bar ${kind}`, style: `width: ${(100 * clamped(share || 0, 0, 1)).toFixed(1)}%`});
    const node = html("button", {type: "button", role: "radio", class: "mistake-row", onclick: () => change({mistake: name})},
      html("span", {class: "mistake-name"}, mistake ? title(mistake) : say("right code")),
      html("span", {class: "mistake-measure"}, html("span", {class: "mistake-track"}, bar(digits / MOST_DIGITS, digits >= ENOUGH ? "good" : "bad")), number(Math.min(digits, MOST_DIGITS), 3)),
      html("span", {class: "mistake-measure"}, html("span", {class: "mistake-track"}, bar(end / worst, end <= right.end + NOTABLE ? "good" : "bad")), number(end, 3)),
      mistake ? html("span", {class: `so ${so.kind}`}, so.text) : html("span", {class: "so"}));
    return {name, node};
  }

  /* ---- drawing */

  function show() {
    const mistake = chosenMistake();
    change({tensor: mistake.tensor, cell: null, direction: mistake.of === "value" ? "forward" : "backward"});
    document.getElementById("pipeline").scrollIntoView();
  }

  function draw(changed) {
    const mistake = chosenMistake();
    rows.forEach(({name, node}) => set(node, {"aria-checked": name === state.mistake, tabindex: name === state.mistake ? 0 : -1}));
    detail.hidden = !mistake;
    const step = RUN.steps[state.place];
    lossChart.mark(step);
    digitsChart.mark(step);
    if (mistake && (changed.has("mistake") || changed.has("direction"))) drawMistake(mistake);
  }

  function drawMistake(mistake) {
    const losses = decoded(RUN.losses).numbers, wrong = decoded(mistake.losses).numbers, window = Math.max(1, Math.round(losses.length / 50));
    const numbered = (numbers) => Array.from(numbers, (_, n) => n + 1);
    lossChart.draw([{xs: numbered(losses), ys: runningMean(losses, window), kind: "main"}, {xs: numbered(wrong), ys: runningMean(wrong, window), kind: "second"}]);
    const shown = (numbers) => numbers.map((x) => clamped(x, -1, MOST_DIGITS));
    digitsChart.draw([{xs: RUN.steps, ys: shown(decoded(RUN.digits).numbers), kind: "main"}, {xs: mistake.steps, ys: shown(decoded(mistake.digits).numbers), kind: "second"}]);
    story.replaceChildren(html("h3", {}, title(mistake)), html("p", {}, told(mistake.story)));
    drawDiff(mistake);
    drawVerdict(mistake);
    drawTensor(mistake);
    setText(caught, mistake.caught_by.length ? mistake.caught_by.map((check) => told(check)).join(", ") : say("none: no number is wrong. Only the loss shows it."));
  }

  /* The line of code, right and wrong, in the function that holds it. */
  function drawDiff({where, old, new: changed}) {
    const [module, path] = where.split(":");
    const line = (sign, text, kind) => html("span", {class: `line ${kind}`}, `${sign} ${text}\n`);
    diff.replaceChildren(html("span", {class: "line note"}, say("in {path}, {module}", {path, module}) + "\n"),
      ...old.split("\n").map((text) => line("−", text, "old")), ...changed.split("\n").map((text) => line("+", text, "new")));
  }

  function drawVerdict(mistake) {
    const {end, digits} = summary(mistake), about = {d: number(Math.min(digits, MOST_DIGITS), 3), all: MOST_DIGITS, end: number(end, 4), right: number(right.end, 4)};
    const {kind} = verdictOf({end, digits});
    const untouched = !mistake.tensor && kind !== "wrong"; // a mistake of the optimiser
    setText(verdict, say("Digits {d} of {all}; loss at the end {end}, with the right code {right}.", about) + " " + (untouched ? say("No value and no gradient is wrong: what is wrong is what is done with them.") : ({
      wrong: end <= right.end + NOTABLE ? say("The gradient is wrong, and the loss does not tell.") : say("The gradient is wrong. A lower learning rate will not mend it."),
      steps: say("The gradient is right: it is the derivative of what the forward computes. Look at the learning rate, or at what the forward computes."),
      cheat: say("The gradient is right: it is the derivative of what the forward computes. But the forward sees what it should guess."),
      right: say("The gradient is right: it is the derivative of what the forward computes. Neither the digits nor the loss show the mistake; a comparison with other code does."),
    })[kind]));
  }

  /* Right and wrong numbers of the first wrong tensor, and their difference. */
  function drawTensor(mistake) {
    const a = decoded(mistake.right), b = decoded(mistake.wrong);
    if (!mistake.tensor || !a.numbers.length) {
      tensorBox.replaceChildren(html("p", {}, say("None: every value and every gradient is right.")));
      return;
    }
    const what = {value: say("its value"), gradient: say("its gradient"), parameter: say("its gradient on the probe text")}[mistake.of];
    const columns = a.shape.at(-1), C = Math.min(columns, 32), rowCount = a.numbers.length / columns, R = Math.min(rowCount, 32);
    const width = clamped(Math.floor(320 / C), 9, 40), byPosition = rowCount === T;
    const sizes = {rows: byPosition ? positionLabels() : numberLabels(R), width, height: R > 20 ? 12 : 18, numbers: width >= 34,
                   columns: columns === T ? positionLabels() : columns === V && V <= 32 ? tokenLabels() : C <= 12 ? numberLabels(C) : C};
    const cut = (numbers) => Float32Array.from({length: R * C}, (_, n) => numbers[Math.floor(n / C) * columns + (n % C)]);
    const [ours, theirs] = [cut(a.numbers), cut(b.numbers)], most = Math.max(largest(ours), largest(theirs));
    const gap = ours.map((x, n) => (x === theirs[n] ? 0 : theirs[n] - x));
    const panel = (name, numbers, limit) => {
      const map = cells({...sizes, name, onhover: () => {}}), power = commonPower(limit);
      map.draw({numbers, limit, power});
      return html("div", {class: "scroll-x map-panel"}, html("p", {class: "note"}, name), map.node, html("p", {class: "limit"},
        power === null ? say("the colours end at ± {x}", {x: number(limit, 3)}) : say("in units of {unit}; the colours end at ± {x}", {unit: tenTo(-power), x: number(limit, 3)})));
    };
    tensorBox.replaceChildren(
      html("p", {}, html("code", {}, mistake.tensor), `, ${what} ${shapeText(a.shape)}. `, current.shape(mistake.tensor) ? button : ""),
      html("div", {class: "pair"}, panel(say("right"), ours, most), panel(say("wrong"), theirs, most), panel(say("wrong − right"), gap, largest(gap))),
      R < rowCount || C < columns ? html("p", {class: "note"}, say("The first {r} × {c} numbers of {shape}.", {r: R, c: C, shape: shapeText(a.shape)})) : "");
  }

  views.push({
    order: 10,
    id: "mistakes",
    title: say("A mistake switched on"),
    notice: say("Most wrong code still learns: the loss falls. Look at the digits instead: few digits mean a wrong gradient, whatever the loss says. Many digits and a bad loss mean that the gradient is right and the steps do not fit."),
    maths: [
      say("At each recorded step one directional derivative of the gradient that the code computed is compared with the complex step of its own forward:"),
      {formula: say("digits = −log₁₀ (|Σ_i g_i d_i − Im L(w + i ε d) / ε| / |Im L(w + i ε d) / ε|)")},
      say("This asks whether the backward belongs to the forward. It does not ask whether the forward is the one that was meant: for that, compare with another implementation, or test a property such as that no letter sees the future."),
      say("Why the loss still falls: a gradient that points roughly downhill is enough, and AdamW divides away a wrong factor."),
    ],
    available: () => mistakes.length > 0 || say("No mistakes are in this page. Make one that has them: python examples/inspect_training.py --bugs."),
    build,
    draw,
    table: () => ({
      head: [say("the code"), say("digits of agreement"), say("loss at the end"), say("so"), say("first wrong tensor"), say("caught by")],
      rows: [[say("right code"), right.digits, right.end, "", "", ""], ...mistakes.map((mistake) => {
        const {end, digits} = summary(mistake);
        return [title(mistake), digits, end, verdictOf({end, digits}).text, mistake.tensor || "", mistake.caught_by.map((check) => told(check)).join(", ")];
      })],
      note: say("Digits: the median over the steps. Loss: the mean of the last tenth."),
    }),
  });
}
