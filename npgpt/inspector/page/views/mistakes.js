/* View 10: a mistake switched on: what it does to the loss, to the gradient, and who would have noticed. */
{
  const mistakes = DATA.mistakes;
  const MOST_DIGITS = RUN.dtype === "float32" ? 7 : 16;
  const ENOUGH = MOST_DIGITS / 2; // a right gradient agrees to nearly all digits, a wrong one to one or two
  const LAST = 0.1; // the share of the losses that counts as the end
  const NOTABLE = 0.05; // nats between two ends that are called different
  let rows = [], detail, worst, lossChart, digitsChart, story, diff, tensorBox, caught, verdict, button;

  const title = ({name}) => told(name.replaceAll("_", " "));

  function endOf(losses) {
    const numbers = decoded(losses).numbers, last = numbers.subarray(Math.floor((1 - LAST) * numbers.length));
    return added(last) / last.length;
  }

  /* {end, digits}: the mean of the last losses, and the median of the digits over the steps. */
  const summary = ({losses, digits}) => ({end: endOf(losses), digits: median(decoded(digits).numbers)});

  /* "16 of 16": the dtype has no more, though agreement by luck may count a little above. */
  const wholeDigits = (digits) => (Number.isNaN(digits) ? "–" : say("{d} of {all}", {d: Math.round(Math.min(digits, MOST_DIGITS)), all: MOST_DIGITS}));

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
    const highest = Math.max(...all.map(({end}) => (Number.isFinite(end) ? end : 0)));
    rows = all.map((each) => row(each, highest));
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
    caught = html("ul", {class: "caught"});
    verdict = html("p", {class: "verdict in-numbers"});
    button = html("button", {type: "button", class: "go-there", onclick: show}, say("show it in the pipeline"));
    const legend = html("p", {class: "two-names"}, lineSample("main"), say("right code"), lineSample("second"), say("wrong code"));
    detail = html("div", {class: "mistake-detail"}, story, diff, verdict, legend,
      html("div", {class: "columns"}, html("div", {}, html("h3", {}, say("Loss")), lossChart.node),
           html("div", {}, html("h3", {}, say("Digits in which the gradient agrees with the complex step")), digitsChart.node)),
      html("h3", {}, say("The first wrong tensor")), tensorBox, html("h3", {}, say("What would have caught it")), caught);
    const thresholds = html("p", {class: "note"}, say("Digits: the median over the steps. Loss: the mean of the last tenth."), " ", say(
      "Striped orange: less than half of the digits agree; a loss more than {x} nats above the right code's. Too good: more than {x} nats below it.", {x: NOTABLE}));
    root.append(list, thresholds, detail);
  }

  function row({mistake, end, digits}, highest) {
    const name = mistake ? mistake.name : null, so = verdictOf({end, digits});
    const bar = (share, kind) => html("span", {class: `mistake-bar ${kind}`, style: `width: ${(100 * clamped(share || 0, 0, 1)).toFixed(1)}%`});
    const node = html("button", {type: "button", role: "radio", class: "mistake-row", onclick: () => change({mistake: name})},
      html("span", {class: "mistake-name"}, mistake ? title(mistake) : say("right code")),
      html("span", {class: "mistake-measure"}, html("span", {class: "mistake-track"}, bar(digits / MOST_DIGITS, digits >= ENOUGH ? "good" : "bad")), wholeDigits(digits)),
      html("span", {class: "mistake-measure"}, html("span", {class: "mistake-track"}, bar(end / highest, end <= right.end + NOTABLE ? "good" : "bad")), number(end, 3)),
      mistake ? html("span", {class: `so ${so.kind}`}, so.text) : html("span", {class: "so"}));
    return {name, node};
  }

  /* ---- drawing */

  /* To the wrong tensor's box in the pipeline, the panel at the cell with the largest difference; at the last step, whose weights
     the right and the wrong numbers belong to. */
  function show() {
    const {tensor, of} = chosenMistake(), position = positionOf(tensor, worst);
    change({tensor, cell: worst, direction: of === "value" ? "forward" : "backward", place: RUN.steps.length - 1, ...(position === null ? {} : {position})});
    const reader = current.isTraced(tensor) ? tensor : RUN.trace.tensors.map(({name}) => name).find((name) => parametersOf(name).includes(tensor));
    const box = document.querySelector(`#pipeline .box[aria-label="${reader}"]`) || document.getElementById("pipeline");
    box.scrollIntoView({block: "center"});
  }

  /* The indices of the cell with the largest difference; nan is larger than all. */
  function worstCell({shape, numbers: ours}, {numbers: theirs}) {
    const sizes = gaps(ours, theirs).map((x) => (Number.isNaN(x) ? Infinity : Math.abs(x)));
    const n = sizes.reduce((best, x, at) => (x > sizes[best] ? at : best), 0);
    return shape.map((size, axis) => Math.floor(n / shape.slice(axis + 1).reduce((product, k) => product * k, 1)) % size);
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
    if (/cotangent/.test(mistake.name + mistake.story)) story.append(html("p", {class: "note"}, say("The cotangent of a value is the gradient that comes in to it from what reads it.")));
    drawDiff(mistake);
    drawVerdict(mistake);
    drawTensor(mistake);
    caught.replaceChildren(...(mistake.caught_by.length ? mistake.caught_by.map((check) => html("li", {}, html("b", {}, told(check)), `: ${glosses()[check]}`))
      : [html("li", {}, say("none: no number is wrong. Only the loss shows it."))]));
  }

  /* What each check asks (parity_tests/checks.py). */
  const glosses = () => ({
    "forward parity": say("does the same forward in PyTorch give the same numbers?"),
    "gradient parity": say("does PyTorch's autograd give the same gradients?"),
    "complex step": say("is the gradient the derivative of the code's own forward? (see “?”)"),
    "finite differences": say("is it, by (L(w + h v) − L(w − h v)) / 2h, to fewer digits?"),
    "property": say("does what must hold, hold? Such as: no letter sees the future, each row of dscores sums to 0"),
    "optimiser parity": say("does PyTorch's AdamW make the same updates?"),
  });

  /* The line of code, right and wrong, in the function that holds it. */
  function drawDiff({where, old, new: changed}) {
    const [module, path] = where.split(":");
    const line = (word, text, kind) => html("span", {class: `line ${kind}`}, html("span", {class: "which"}, word), ` ${text}\n`);
    const lines = (word, code, kind) => code.split("\n").map((text, n) => line(n ? "" : word, text, kind));
    diff.replaceChildren(html("span", {class: "line note"}, say("in {path}, {module}", {path, module}) + "\n"),
      ...lines(say("right"), old, "old"), ...lines(say("wrong"), changed, "new"));
  }

  function drawVerdict(mistake) {
    const {end, digits} = summary(mistake), about = {digits: wholeDigits(digits), end: number(end, 4), right: number(right.end, 4)};
    const {kind} = verdictOf({end, digits});
    const untouched = !mistake.tensor && kind !== "wrong"; // a mistake of the optimiser
    setText(verdict, say("Digits: {digits}; loss at the end {end}, with the right code {right}.", about) + " " + (untouched ? say("No value and no gradient is wrong: what is wrong is what is done with them.") : ({
      wrong: end <= right.end + NOTABLE ? say("The gradient is wrong, and the loss does not tell.") : say("The gradient is wrong. A lower learning rate will not mend it."),
      steps: say("The gradient is right: it is the derivative of what the forward computes. Look at the learning rate, or at what the forward computes."),
      cheat: say("The gradient is right: it is the derivative of what the forward computes. But the forward sees what it should guess."),
      right: say("The gradient is right: it is the derivative of what the forward computes. Neither the digits nor the loss show the mistake; a comparison with other code does."),
    })[kind]));
  }

  /* wrong − right of each number; ∞ where only one of the two is masked (− ∞), 0 where both are. */
  function gaps(ours, theirs) {
    return ours.map((x, n) => (x === theirs[n] ? 0 : [x, theirs[n]].includes(-Infinity) ? Infinity : theirs[n] - x));
  }

  /* Right and wrong numbers of the first wrong tensor, and their difference. */
  function drawTensor(mistake) {
    const a = decoded(mistake.right), b = decoded(mistake.wrong);
    if (!mistake.tensor || !a.numbers.length) {
      tensorBox.replaceChildren(html("p", {}, say("None: every value and every gradient is right.")));
      return;
    }
    worst = worstCell(a, b);
    const what = {value: say("its value"), gradient: say("its gradient"), parameter: say("its gradient on the probe text")}[mistake.of];
    const columns = a.shape.at(-1), C = Math.min(columns, 32), rowCount = a.numbers.length / columns, R = Math.min(rowCount, 32);
    const width = clamped(Math.floor(320 / C), 9, 40), byPosition = rowCount === T && mistake.of !== "parameter";
    const sizes = {rows: byPosition ? positionLabels() : a.shape[0] === V && rowCount === V ? tokenLabels().slice(0, R) : numberLabels(R), width, height: R > 20 ? 12 : 18, numbers: width >= 34,
                   columns: columns === T ? positionLabels() : columns === V && V <= 32 ? tokenLabels() : C <= 12 ? numberLabels(C) : C};
    const cut = (numbers) => Float32Array.from({length: R * C}, (_, n) => numbers[Math.floor(n / C) * columns + (n % C)]);
    const [ours, theirs] = [cut(a.numbers), cut(b.numbers)], most = Math.max(largest(ours), largest(theirs));
    const gap = gaps(ours, theirs), masked = gap.includes(Infinity);
    const panel = (name, numbers, limit, last = "") => {
      const map = cells({...sizes, name, onhover: () => {}}), power = commonPower(limit);
      map.draw({numbers, limit: limit || 1, power});
      const ends = power === null ? say("the colours end at ± {x}", {x: number(limit, 3)}) : say("in units of {unit}; the colours end at ± {x}", {unit: tenTo(-power), x: number(limit, 3)});
      return html("div", {class: "scroll-x map-panel"}, html("p", {class: "note"}, name), map.node,
                  html("p", {class: "limit"}, [limit || !last ? ends : "", last].filter(Boolean).join(". ")));
    };
    tensorBox.replaceChildren(
      html("p", {}, html("code", {}, mistake.tensor), `, ${what} ${shapeText(a.shape)}, ${say("at the last step")}. `, ...(current.shape(mistake.tensor)
        ? [button, " ", html("span", {class: "note"}, say("There it has an orange frame, and the panel explains the cell with the largest difference, as the right code has it."))] : [])),
      html("div", {class: "pair"}, panel(say("right"), ours, most), panel(say("wrong"), theirs, most), panel(say("wrong − right"), gap, largest(gap),
        masked ? say("The darkest cells are masked in one of the two only: ∞") : "")),
      R < rowCount || C < columns ? html("p", {class: "note"}, say("The first {r} × {c} numbers of {shape}.", {r: R, c: C, shape: shapeText(a.shape)})) : "");
  }

  views.push({
    order: 10,
    id: "mistakes",
    title: say("A mistake switched on"),
    notice: say("Most wrong code still learns: the loss falls. Look at the digits instead: few digits mean a wrong gradient, whatever the loss says. Many digits and a bad loss mean that the gradient is right and the steps do not fit."),
    maths: [
      say("At each recorded step the gradient g that the code computed is multiplied by one random direction v through all weights, and the sum is compared with the complex step of the code's own forward:"),
      {formula: say("digits = log₁₀ (Σ_k |g_k v_k| / |Σ_k g_k v_k − Im L(w + i h v) / h|)")},
      say("The complex step is the same derivative, from the forward alone: a tiny imaginary number, i h v with h = 10⁻³⁰, is added to the weights, and the imaginary part of the loss, divided by h, says how the loss changes along v. Nothing is subtracted, so nothing is lost to rounding."),
      say("This asks whether the backward belongs to the forward. It does not ask whether the forward is the one that was meant: for that, compare with another implementation, or test a property such as that no letter sees the future."),
      say("Why the loss still falls: a gradient that points roughly downhill is enough, and AdamW divides away a wrong factor."),
    ],
    available: () => mistakes.length > 0 || html("span", {}, say("No mistakes are in this page. One that has them is made by"), " ", command("python examples/inspect_training.py --bugs"), "."),
    build,
    draw,
    table: () => ({
      head: [say("the code"), say("digits of agreement"), say("loss at the end"), say("so"), say("first wrong tensor"), say("caught by")],
      rows: [[say("right code"), wholeDigits(right.digits), right.end, "", "", ""], ...mistakes.map((mistake) => {
        const {end, digits} = summary(mistake);
        return [title(mistake), wholeDigits(digits), end, verdictOf({end, digits}).text, mistake.tensor || "", mistake.caught_by.map((check) => told(check)).join(", ")];
      })],
      note: say("Digits: the median over the steps. Loss: the mean of the last tenth."),
    }),
  });
}
