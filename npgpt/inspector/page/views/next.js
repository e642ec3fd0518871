/* View 8: what comes next at the chosen position, under a temperature and a top-k. Only the last softmax is done anew, here. */
{
  const FEW = 64, LIKELIEST = 24; // of more than FEW tokens, the LIKELIEST are shown
  const settings = {temperature: 1, topK: V};
  let rows = [], grid, banner, body, facts = {}, sliders = {}, order = [];

  /* npgpt/sampling.py's next_token_probabilities: of equal logits the lower ids count as the likelier ones. */
  function probabilities(logits, temperature, topK) {
    const ranked = Array.from(logits, (_, v) => v).sort((a, b) => logits[b] - logits[a] || a - b);
    const most = logits[ranked[0]], p = new Float64Array(logits.length);
    for (const v of ranked.slice(0, topK)) p[v] = Math.exp((logits[v] - most) / temperature);
    const total = added(p);
    return p.map((x) => x / total);
  }

  /* In nats. */
  function entropy(p) {
    return -added(Array.from(p, (x) => (x > 0 ? x * Math.log(x) : 0)));
  }

  function logitsAt(t) {
    const logits = current.value("logits");
    return logits && Float64Array.from(logits.numbers.subarray(t * V, (t + 1) * V));
  }

  /* ---- building */

  function build(root) {
    banner = html("div", {class: "banner"});
    const slider = (key, name, attributes, on) => {
      const input = html("input", {type: "range", ...attributes, "aria-label": name, oninput: () => { on(Number(input.value)); draw(); }});
      const shown = html("output", {class: "slider-value"});
      sliders[key] = {input, shown};
      return html("label", {class: "slider"}, html("span", {}, name), input, shown);
    };
    const fact = (key, what) => {
      facts[key] = {much: html("p", {class: "much"}), why: html("p", {class: "why"})};
      return html("div", {class: "fact"}, html("p", {class: "what"}, what), facts[key].much, facts[key].why);
    };
    grid = html("div", {class: "next-grid", role: "list", "aria-label": say("probabilities of the next letter")});
    body = html("div", {},
      html("div", {class: "choosers"},
        slider("temperature", say("temperature"), {min: -2, max: 2, step: 0.1, value: 0}, (x) => { settings.temperature = 2 ** x; }),
        slider("topK", say("top-k"), {min: 1, max: V, step: 1, value: V}, (k) => { settings.topK = k; }),
        html("button", {type: "button", onclick: () => reset()}, say("as recorded"))),
      html("div", {class: "training-now"}, fact("surprise", say("surprise at what came")), fact("entropy", say("entropy: surprise to be expected")), fact("greedy", say("greedy writing takes")),
           fact("sampled", say("sampling draws"))),
      grid, V > FEW ? html("p", {class: "note"}, say("The {n} likeliest of {m} letters, and the one that came.", {n: LIKELIEST, m: V})) : null);
    root.append(banner, body);
  }

  function reset() {
    Object.assign(settings, {temperature: 1, topK: V});
    sliders.temperature.input.value = 0;
    sliders.topK.input.value = V;
    draw();
  }

  /* Which tokens have a row: all, in the vocabulary's order, or the likeliest. */
  function shownTokens(logits, target) {
    if (V <= FEW) return Array.from({length: V}, (_, v) => v);
    const ranked = Array.from(logits, (_, v) => v).sort((a, b) => logits[b] - logits[a] || a - b).slice(0, LIKELIEST);
    return ranked.includes(target) ? ranked : [...ranked, target];
  }

  function rebuildRows(wanted) {
    if (String(wanted) === String(order)) return;
    order = wanted;
    rows = wanted.map((id) => {
      const fill = html("span", {class: "next-fill"}), much = html("span", {class: "next-number"}), came = html("span", {class: "next-came"});
      return {id, fill, much, came, node: html("div", {class: "next-row", role: "listitem"}, tokenSpan(id), html("span", {class: "next-track"}, fill), much, came)};
    });
    grid.replaceChildren(...rows.map(({node}) => node));
  }

  /* ---- drawing */

  function draw() {
    const t = state.position, logits = logitsAt(t), target = RUN.text.targets[t];
    body.hidden = !logits;
    banner.replaceChildren(...(logits ? [] : [leftOut("trace")]));
    if (!logits) return;
    const p = probabilities(logits, settings.temperature, settings.topK);
    rebuildRows(shownTokens(logits, target));
    const best = p.reduce((most, x, v) => (x > p[most] ? v : most), 0);
    for (const {id, fill, much, came, node} of rows) {
      fill.style.width = `${(100 * p[id]).toFixed(2)}%`;
      setText(much, p[id] === 0 && settings.topK < V ? say("cut off") : number(p[id], 3));
      setText(came, id === target ? say("← came") : "");
      set(node, {class: `next-row${id === target ? " target" : ""}${p[id] === 0 ? " cut" : ""}`});
    }
    setText(sliders.temperature.shown, number(settings.temperature, 3));
    setText(sliders.topK.shown, settings.topK >= V ? say("off") : String(settings.topK));
    tell(p, target, best);
  }

  function tell(p, target, best) {
    const surprise = -Math.log(p[target]), H = entropy(p), t = state.position, recorded = settings.temperature === 1 && settings.topK >= V;
    const nats = (x) => say("{x} nats = {y} bits", {x: number(x, 4), y: number(x / Math.LN2, 4)});
    setText(facts.surprise.much, nats(surprise));
    setText(facts.surprise.why, say("After “{a}” came “{b}”, p = {p}. {loss}", {a: tokenText(RUN.text.ids[t]), b: tokenText(target), p: number(p[target], 3),
            loss: recorded ? say("This is the position's loss.") : say("The loss is taken at temperature 1, without top-k.")}));
    setText(facts.entropy.much, nats(H));
    setText(facts.entropy.why, say("as unsure as among {n} equally likely letters", {n: number(Math.exp(H), 3)}));
    setText(facts.greedy.much, `${tokenText(best)}  ${number(p[best], 3)}`);
    setText(facts.greedy.why, best === target ? say("always the likeliest; here it is what came") : say("always the likeliest; here it is not what came"));
    const ranked = Array.from(p, (_, v) => v).sort((a, b) => p[b] - p[a] || a - b).filter((v) => p[v] > 0).slice(0, 3);
    setText(facts.sampled.much, ranked.map((v) => tokenText(v)).join("  "));
    setText(facts.sampled.why, say("of 100 draws about {list}", {list: ranked.map((v) => `${tokenText(v)} ${Math.round(100 * p[v])}`).join(", ")}));
  }

  views.push({
    order: 8,
    id: "next",
    title: say("The next letter"),
    notice: say("Choose a position in the bar above. A low temperature makes the likely likelier, a high one makes all alike; top-k cuts the tail off. What the model knows does not change: only how it is read."),
    maths: [
      {formula: say("p = softmax(logits / temperature), all but the k likeliest set to 0, scaled to sum 1 again")},
      say("The surprise at what came is −ln p, in nats; divided by ln 2 in bits. The loss is its mean over the positions. The entropy is the surprise that the model itself expects:"),
      {formula: "H = − Σ_v p[v] ln p[v]"},
      say("Greedy writing takes the likeliest letter each time. Sampling draws one, each as often as its probability says."),
    ],
    available: () => current.isTraced("logits") || say("The logits were not traced in this run."),
    build,
    draw,
    table() {
      const logits = logitsAt(state.position);
      if (!logits) return {head: [], rows: [], note: say("left out")};
      const p = probabilities(logits, settings.temperature, settings.topK), target = RUN.text.targets[state.position];
      return {head: [say("letter"), say("logit"), say("probability"), say("surprise in nats"), say("surprise in bits"), ""],
              rows: Array.from(p, (x, v) => [tokenText(v), logits[v], x, -Math.log(x), -Math.log2(x), v === target ? say("came") : ""])};
    },
  });
}
