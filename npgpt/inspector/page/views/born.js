/* View 3: where the gradient is born: (softmax − one-hot) / N at each position. Everything else is this, pushed back. */
{
  const SHOWN_TOKENS = 32, WIDTH = 20; // of a column, in pixels
  let shown, shares, wanted, difference, map, sums, target, strongest, banner, body, box;

  /* All tokens where there are few; else those of the text first, and as many others as there is room for. */
  function shownTokens() {
    if (V <= SHOWN_TOKENS) return Array.from({length: V}, (_, id) => id);
    const first = [...new Set([...RUN.text.targets, ...RUN.text.ids])].slice(0, SHOWN_TOKENS);
    for (let id = 0; first.length < SHOWN_TOKENS; id++) if (!first.includes(id)) first.push(id);
    return first.sort((a, b) => a - b);
  }

  /* The softmax of one row of logits, in double precision. */
  function softmaxRow(logits, t) {
    const row = Array.from(logits.numbers.subarray(t * V, (t + 1) * V));
    const most = Math.max(...row), powers = row.map((x) => Math.exp(x - most)), total = added(powers);
    return powers.map((x) => x / total);
  }

  function build(root) {
    shown = shownTokens();
    const labels = shown.map((id) => ({text: tokenText(id), id}));
    const pick = (n) => change({tensor: "logits", cell: [state.position, shown[n]]});
    const width = WIDTH;
    map = cells({rows: positionLabels(), columns: labels, width, height: 18, numbers: false, name: say("gradient of the logits"),
                 onpick: (r, c) => change({position: r, tensor: "logits", cell: [r, shown[c]]}), onhover: () => {}});
    sums = cells({rows: T, columns: [{text: "Σ"}], width: 46, height: 18, name: say("sum of each row"), onhover: () => {}});
    const row = (title, part) => {
      part.node.style.marginLeft = `${map.left}px`;
      return [html("h3", {class: "row-title"}, title), part.node];
    };
    shares = bars({labels, width, height: 64, signed: false, limit: 1, name: say("softmax: what the model expects"), onpick: pick});
    wanted = bars({labels, width, height: 32, signed: false, limit: 1, name: say("one-hot: what came"), onpick: pick});
    difference = bars({labels, width, height: 100, name: say("their difference, divided by N"), onpick: pick, telling: true});
    target = html("p", {class: "in-numbers"});
    strongest = html("p", {class: "in-numbers"});
    banner = html("div", {class: "banner"});
    box = html("div", {class: "scroll-x born"},
      ...row(say("softmax: what the model expects"), shares), ...row(say("one-hot: what came"), wanted),
      ...row(say("(softmax − one-hot) / N: the gradient of the logits"), difference),
      html("p", {class: "note row-note"}, letterOrToken(say("A step goes against the gradient: a bar down pulls the letter up."),
                                                        say("A step goes against the gradient: a bar down pulls the token up."))),
      html("h3", {class: "row-title"}, say("the same for every position, as recorded; each row sums to 0 but for rounding: the page keeps float32")),
      html("div", {class: "beside"}, map.node, sums.node));
    body = html("div", {}, html("div", {class: "panel"}, target, strongest), box,
      shown.length < V ? html("p", {class: "note"}, say("{n} of {m} tokens are shown, the text's own among them.", {n: shown.length, m: V})) : null);
    root.append(banner, body);
  }

  function draw() {
    const logits = current.value("logits"), recorded = current.gradient("logits");
    const missing = !logits || !recorded;
    body.hidden = missing;
    banner.replaceChildren(...(missing ? [leftOut("trace")] : []));
    if (missing) return;
    const t = state.position, right = RUN.text.targets[t], p = softmaxRow(logits, t);
    const onehot = p.map((_, v) => (v === right ? 1 : 0)), born = p.map((x, v) => (x - onehot[v]) / T);
    const lit = shown.indexOf(right);
    shares.draw(shown.map((v) => p[v]), {lit});
    wanted.draw(shown.map((v) => onehot[v]), {lit});
    difference.draw(shown.map((v) => born[v]), {lit, limit: 1 / T});
    const numbers = new Float32Array(T * shown.length);
    for (let r = 0; r < T; r++) shown.forEach((v, c) => { numbers[r * shown.length + c] = recorded.numbers[r * V + v]; });
    map.draw({numbers});
    map.band(t);
    const chosen = state.tensor === "logits" && state.cell ? [state.cell[0], shown.indexOf(state.cell[1])] : null;
    map.select(...(chosen && chosen[1] >= 0 ? chosen : [null]));
    const rows = Array.from({length: T}, (_, r) => added(recorded.numbers.subarray(r * V, (r + 1) * V)));
    sums.draw({numbers: rows, limit: largest(recorded.numbers)});
    sentences(p, right, recorded, t);
    showColumn(lit);
  }

  /* Scrolls the bars, where they are wider than the screen, to the one that came. */
  function showColumn(c) {
    const x = map.left + c * WIDTH;
    if (c >= 0 && (x < box.scrollLeft + map.left || x + WIDTH > box.scrollLeft + box.clientWidth)) box.scrollLeft = x - box.clientWidth / 2;
  }

  function sentences(p, right, recorded, t) {
    const wrong = p.reduce((best, x, v) => (v !== right && (best < 0 || x > p[best]) ? v : best), -1);
    const about = (v) => {
      const one = v === right ? 1 : 0, x = p[v] - one;
      const digits = enoughDigits(x, (n) => rounded(p[v], n) - one); // more, where p is nearly 1
      return {token: tokenText(v), p: number(p[v], digits), N: T, x: number(x / T), recorded: number(recorded.numbers[t * V + v])};
    };
    setText(target, say(
      "After “{here}” at position {t} came “{token}”: p = {p}, wanted 1, so ({p} − 1) / {N} = {x}; recorded {recorded}.",
      {t, here: tokenText(RUN.text.ids[t]), ...about(right)}));
    setText(strongest, wrong < 0 ? "" : say(
      "The likeliest wrong one, “{token}”: p = {p}, wanted 0, so {p} / {N} = {x}; recorded {recorded}.", about(wrong)));
  }

  views.push({
    order: 3,
    id: "born",
    title: say("Where the gradient is born"),
    notice: letterOrToken(
      say("The logits' gradient is what the model expected minus what came. The letter that came is pulled up; the others are pushed down, together by as much. Every other gradient on this page is this one, pushed back."),
      say("The logits' gradient is what the model expected minus what came. The token that came is pulled up; the others are pushed down, together by as much. Every other gradient on this page is this one, pushed back.")),
    maths: [
      say("The loss is the mean over N positions of −ln p of the target. With p = softmax(logits):"),
      {formula: "L = (1/N) Σ_t (−logits[t, y_t] + ln Σ_v exp(logits[t, v]))"},
      {formula: "dL/dlogits[t, v] = (p[t, v] − [v = y_t]) / N"},
      say("Both p and the one-hot sum to 1, so each row of the gradient sums to 0."),
    ],
    available: () => current.isTraced("logits") || say("The logits are not among the numbers of this page."),
    build,
    draw,
    table() {
      const logits = current.value("logits"), recorded = current.gradient("logits");
      if (!logits || !recorded) return {head: [], rows: [], note: say("left out")};
      const t = state.position, right = RUN.text.targets[t];
      return {
        head: [letterOrToken(say("letter"), say("token")), say("softmax"), say("one-hot"), say("difference / N"), say("recorded")],
        rows: softmaxRow(logits, t).map((x, v) => {
          const onehot = v === right ? 1 : 0;
          return [tokenText(v), x, onehot, (x - onehot) / T, recorded.numbers[t * V + v]];
        }),
      };
    },
  });
}
