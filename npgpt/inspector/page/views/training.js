/* View 1: the loss of every training step, and what the recorded steps say about themselves. */
{
  const losses = decoded(RUN.losses).numbers;
  const steps = Array.from(losses, (_, n) => n + 1);
  const digits = decoded(RUN.digits).numbers, norms = decoded(RUN.norm).numbers, rates = decoded(RUN.rate).numbers;
  const probe = decoded(RUN.probe_loss).numbers;
  const ALL_DIGITS = RUN.dtype === "float32" ? 7 : 16; // that a number of this dtype has
  let chart, agreement, writes;
  const facts = {};

  /* The norm of the batch's gradient as AdamW got it, after clipping, from the recorded root mean squares: sqrt(Σ size rms²). nan
     where a tensor's size is not known. */
  function normAfterClipping(place) {
    const {names, gradients} = RUN.rms, table = decoded(gradients).numbers;
    let total = 0;
    names.forEach((name, k) => {
      const rms = table[place * names.length + k], shape = current.shape(name);
      if (!Number.isNaN(rms)) total += shape ? shape.reduce((product, n) => product * n, 1) * rms ** 2 : NaN;
    });
    return Math.sqrt(total);
  }

  function clipping(place) {
    const share = normAfterClipping(place) / norms[place];
    if (Number.isNaN(norms[place])) return say("no update follows the last step");
    if (Number.isNaN(share)) return "";
    return share < 0.9999 ? say("clipped: the gradient was multiplied by {x}", {x: number(share, 3)}) : say("not clipped");
  }

  function fact(key, what) {
    facts[key] = {much: html("p", {class: "much"}), why: html("p", {class: "why"})};
    return html("div", {class: "fact"}, html("p", {class: "what"}, what), facts[key].much, facts[key].why);
  }

  function build(root) {
    const window = Math.max(5, Math.round(losses.length / 50));
    chart = lineChart({name: say("loss at every training step"), x: [0, losses.length], height: 300, xName: say("step"),
                       yName: say("nats"), onpick: (step) => change({place: placeOfStep(step)})});
    chart.draw([{xs: steps, ys: losses, kind: "faint"}, {xs: steps, ys: runningMean(losses, window), kind: "main"}],
               RUN.floors.map(({name, loss}) => ({y: loss, name: `${name} (${number(loss, 3)})`})));
    agreement = lineChart({name: say("digits of agreement with the complex step"), x: [0, RUN.steps.at(-1)],
                           y: [0, ALL_DIGITS + 1], height: 130, xName: say("step"), yName: say("digits"),
                           onpick: (step) => change({place: placeOfStep(step)})});
    agreement.draw([{xs: RUN.steps, ys: digits, kind: "main"}]);
    writes = html("p", {class: "writes"});
    root.append(
      html("p", {class: "note"}, say("Grey: the loss of each batch. Violet: the mean of the last {n}.", {n: window})), chart.node,
      html("div", {class: "training-now"}, fact("loss", say("loss on the probe text")), fact("rate", say("learning rate")),
           fact("norm", say("gradient norm, before clipping")), fact("digits", say("digits in which the gradient agrees"))),
      html("div", {class: "panel"},
        html("p", {class: "note"}, say("What the model writes at this step, drawn with the same random numbers at every step:")), writes),
      html("h3", {}, say("Digits in which the gradient agrees with the complex step")), agreement.node);
  }

  function draw() {
    const place = state.place, step = RUN.steps[place];
    chart.mark(step);
    agreement.mark(step);
    setText(facts.loss.much, number(probe[place]));
    const n = number(Math.exp(probe[place]), 3);
    setText(facts.loss.why, letterOrToken(say("as unsure as a guess among {n} letters", {n}), say("as unsure as a guess among {n} tokens", {n})));
    const updates = !Number.isNaN(rates[place]);
    setText(facts.rate.much, updates ? number(rates[place]) : "–");
    setText(facts.rate.why, updates ? say("of the update after step {s}", {s: step}) : say("no update follows the last step"));
    setText(facts.norm.much, Number.isNaN(norms[place]) ? "–" : number(norms[place]));
    setText(facts.norm.why, clipping(place));
    const right = digits[place] >= ALL_DIGITS / 2;
    const agreeing = number(Math.min(digits[place], ALL_DIGITS), 3);
    setText(facts.digits.much, Number.isNaN(digits[place]) ? "–" : `${agreeing} / ${ALL_DIGITS}`);
    setText(facts.digits.why, Number.isNaN(digits[place]) ? "" : right
      ? say("the gradient is right; a high loss is then a matter of the learning rate")
      : say("too few: the gradient is wrong, and no learning rate mends it"));
    writes.replaceChildren(html("span", {class: "prompt"}, visible(RUN.prompt)), visible(RUN.writes[place]));
  }

  views.push({
    order: 1,
    id: "training",
    title: say("Training"),
    notice: letterOrToken(
      say("Drag the slider above or press play. The dashed lines are what a reader reaches who counts letters, pairs, triples: which of them does the loss pass?"),
      say("Drag the slider above or press play. The dashed lines are what a reader reaches who counts tokens, pairs, triples: which of them does the loss pass?")),
    maths: [
      letterOrToken(
        say("The loss is the mean of −ln p over the positions, p the probability that the model gives to the letter that comes next; in nats."),
        say("The loss is the mean of −ln p over the positions, p the probability that the model gives to the token that comes next; in nats.")),
      {formula: "L = −(1/N) Σ_t ln softmax(logits[t])[target[t]]"},
      say("One directional derivative of the gradient is compared with the complex step, which has no rounding error of its own:"),
      {formula: "Σ_i g_i d_i  ≟  Im L(w + i ε d) / ε"},
      say("When the gradient is right, nearly all digits of the dtype agree: about 15 in float64, 7 in float32. So a bad learning rate and a wrong gradient can be told apart."),
    ],
    available: () => true,
    build,
    draw,
    table: () => ({
      head: [say("step"), say("loss on the probe text"), say("learning rate"), say("gradient norm, before clipping"), say("digits"),
             say("what it writes")],
      rows: RUN.steps.map((step, n) => [String(step), probe[n], rates[n], norms[n], digits[n], visible(RUN.writes[n])]),
    }),
  });
}
