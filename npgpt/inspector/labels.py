"""What the inspector says, in English and in Turkish: one table from one to the other, as in npgpt/pictures/labels.py.

The page's scripts look their texts up in the same table (`say("English")` in page/numbers.js).
"""

from collections.abc import Callable

from ..pictures import labels

TURKISH = {
    # ---- one tensor in a terminal (__main__.py)
    "{kind}, {count:,} parameters, untrained, seed {seed} (--checkpoint looks at a trained one)": (
        "{kind}, {count:,} parametre, eğitilmemiş, tohum {seed} (eğitilmiş bir model için --checkpoint)"
    ),
    "{kind}, {count:,} parameters, from {path}": "{kind}, {count:,} parametre, kaynağı: {path}",
    "reads": "okuduğu",
    "expects": "beklediği",
    "loss {loss:.4f} nats": "kayıp {loss:.4f} nat",
    "value": "değer",
    "gradient": "gradyan",
    "the gradient of {name}": "{name} gradyanı",
    "the tokens that are read, by their numbers": "okunan tokenler, numaralarıyla",
    "the tokens that are expected, by their numbers": "beklenen tokenler, numaralarıyla",
    "head {n}": "başlık {n}",
    "computed by": "hesaplayan satır:",
    "and by": "ve:",
    "called from": "çağıran:",
    "a parameter: it is learned": "bir parametre: öğrenilir",
    "a buffer: it is not trained": "sabit bir dizi: eğitilmez",
    "parameters, whose gradients --at and --backward show as well:": (
        "parametreler; gradyanları da --at ve --backward ile görülebilir:"
    ),
    "–: the future, masked": "–: gelecek, maskeli",
    "({shown} of {all} tables; --all prints all)": "({all} tablodan {shown} tanesi; hepsi için --all)",
    "({shown} of {all} columns, those with the largest numbers; --all prints all)": (
        "({all} sütundan sayıları en büyük olan {shown} tanesi; hepsi için --all)"
    ),
    "(the first {shown} of {all} columns; --all prints all)": "({all} sütundan ilk {shown} tanesi; hepsi için --all)",
    "({shown} of {all} rows; --all prints all)": "({all} satırdan {shown} tanesi; hepsi için --all)",
    "({shown} of {all} cells; --all prints all)": "({all} hücreden {shown} tanesi; hepsi için --all)",
    # ---- what a traced array is (names.py)
    "which token: its row of the table": "hangi token: tablodaki satırı",
    "which position: what is added for it": "hangi konum: onun için eklenen",
    "the residual stream before the block": "bloktan önce artık akış",
    "the residual stream after attention": "dikkatten sonra artık akış",
    "the residual stream after the block": "bloktan sonra artık akış",
    "the score of each token as the next one": "her tokenin sıradaki token olma skoru",
    "LayerNorm before attention": "dikkatten önce LayerNorm",
    "LayerNorm before the FFN": "FFN'den önce LayerNorm",
    "LayerNorm before the head": "çıkış katmanından önce LayerNorm",
    "RMSNorm before the mixer": "karıştırıcıdan önce RMSNorm",
    "RMSNorm before attention": "dikkatten önce RMSNorm",
    "RMSNorm before the FFN": "FFN'den önce RMSNorm",
    "RMSNorm before the head": "çıkış katmanından önce RMSNorm",
    "queries: what each position asks": "sorgular: her konum ne soruyor",
    "keys: how each position can be found": "anahtarlar: her konum nasıl bulunur",
    "values: what each position hands over": "değerler: her konum ne veriyor",
    "the queries, turned by their positions": "konumlarına göre döndürülmüş sorgular",
    "the keys, turned by their positions": "konumlarına göre döndürülmüş anahtarlar",
    "how well a query and a key fit; the future is masked": "sorgu ile anahtarın birbirine uyumu; gelecek maskeli",
    "how much each position looks at each: softmax of the scores": "her konum hangisine ne kadar bakıyor: skorların softmax'ı",
    "what each head brings back: the values, weighed by the pattern": (
        "her başlığın getirdiği: dikkat ağırlıklarıyla tartılmış değerler"
    ),
    "what attention adds to the stream": "dikkatin akışa eklediği",
    "the FFN's hidden numbers before the GELU": "FFN'nin gizli sayıları, GELU'dan önce",
    "the FFN's hidden numbers after the nonlinearity": "FFN'nin gizli sayıları, doğrusal olmayan işlevden sonra",
    "the gate: how much of what stands beside it passes": "kapı: yanındakinin ne kadarı geçer",
    "what stands beside the gate": "kapının yanında duran",
    "what the FFN adds to the stream": "FFN'nin akışa eklediği",
    "input gate: how much of the candidate is written": "girdi kapısı: adayın ne kadarı yazılır",
    "forget gate: how much of the memory is kept": "unutma kapısı: belleğin ne kadarı tutulur",
    "candidate: what would be written into the memory": "aday: belleğe yazılabilecek olan",
    "output gate: how much of the memory is shown": "çıktı kapısı: belleğin ne kadarı gösterilir",
    "the memory": "bellek",
    "what is shown of the memory": "bellekten gösterilen",
    "side by side: what is mixed over time, and what becomes the gate": (
        "yan yana: zaman boyunca karıştırılacak olan ve kapı olacak olan"
    ),
    "each channel mixed with its own last letters": "her kanal, kendi son harfleriyle karıştırılmış",
    "what enters the scan": "taramaya giren",
    "the step sizes: how much time each token takes": "adım boyları: her token ne kadar zaman alır",
    "where in the state to write": "durumun neresine yazılacağı",
    "what to read from the state": "durumdan neyin okunacağı",
    "what each channel remembers": "her kanalın anımsadığı",
    "what was read from the state": "durumdan okunan",
    "what the mixer adds to the stream": "karıştırıcının akışa eklediği",
    # ---- the paths of a gradient (formulas/)
    "as the factor in front": "öndeki çarpan olarak",
    "inside the gate": "kapının içinde",
    "as the head's row": "çıkış katmanının satırı olarak",
    "where it was looked up": "tabloda bakıldığı yerlerde",
    "handed on by the block below": "alttaki bloktan aynen gelir",
    "handed on to the first block": "ilk bloğa aynen iletilir",
    "handed on to the next block": "sonraki bloğa aynen iletilir",
    "the sum hands it on": "toplama işlemi onu aynen iletir",
    "no FFN: as it is": "FFN yok: aynen",
    "no FFN: handed on": "FFN yok: aynen iletilir",
    "its own weight": "kendi ağırlığı",
    "through the row's total": "satırın toplamı üzerinden",
    "its probability pushes it down": "olasılığı onu aşağı iter",
    "the target is pulled up": "hedef yukarı çekilir",
    "past attention": "dikkatin yanından",
    "past the FFN": "FFN'nin yanından",
    "past the mixer": "karıştırıcının yanından",
    "through LayerNorm: directly": "LayerNorm üzerinden: doğrudan",
    "through LayerNorm: by the mean": "LayerNorm üzerinden: ortalama yoluyla",
    "through LayerNorm: by rstd": "LayerNorm üzerinden: rstd yoluyla",
    "through RMSNorm: directly": "RMSNorm üzerinden: doğrudan",
    "through RMSNorm: by rstd": "RMSNorm üzerinden: rstd yoluyla",
    "through q": "q üzerinden",
    "through k": "k üzerinden",
    "through v": "v üzerinden",
    "shown to head {n} of its group": "grubundaki {n} numaralı başlığa gösterilir",
    "to its own place in the pair": "çiftteki kendi yerine",
    "to the pair's other place": "çiftteki öbür yere",
    "through up": "up üzerinden",
    "through the gate": "kapı üzerinden",
    "through the gate: as the factor in front": "kapı üzerinden: öndeki çarpan olarak",
    "through the gate: inside the gate": "kapı üzerinden: kapının içinde",
    "through h[t]": "h[t] üzerinden",
    "through c[t+1]": "c[t+1] üzerinden",
    "shown to the head": "çıkış katmanına gösterilir",
    "shown to the layer above: through its candidate": "üstteki katmana gösterilir: onun adayı üzerinden",
    "shown to the layer above: through its input gate": "üstteki katmana gösterilir: onun girdi kapısı üzerinden",
    "shown to the layer above: through its forget gate": "üstteki katmana gösterilir: onun unutma kapısı üzerinden",
    "shown to the layer above: through its output gate": "üstteki katmana gösterilir: onun çıktı kapısı üzerinden",
    "through the candidate": "aday üzerinden",
    "through the input gate": "girdi kapısı üzerinden",
    "through the forget gate": "unutma kapısı üzerinden",
    "through the output gate": "çıktı kapısı üzerinden",
    "through the candidate of t+1": "t+1 adımının adayı üzerinden",
    "through the input gate of t+1": "t+1 adımının girdi kapısı üzerinden",
    "through the forget gate of t+1": "t+1 adımının unutma kapısı üzerinden",
    "through the output gate of t+1": "t+1 adımının çıktı kapısı üzerinden",
    "through the convolution": "evrişim üzerinden",
    "through what is convolved": "evrişime giren üzerinden",
    "through the intake": "girdi alımı üzerinden",
    "through the decay": "sönüm üzerinden",
    "through the skip D": "D atlaması üzerinden",
    "through the state of t+1": "t+1 adımının durumu üzerinden",
    "through delta": "delta üzerinden",
    "through B": "B üzerinden",
    "through C": "C üzerinden",
    "through y[t]": "y[t] üzerinden",
    # ---- the page: its bar, its keys, what all views share (page/main.js, drawing.js, numbers.js)
    "Inspector": "İnceleyici",
    "{n} parameters": "{n} parametre",
    "seed {n}": "tohum {n}",
    "{n} training steps": "{n} eğitim adımı",
    "{n} of them recorded": "{n} tanesi kayıtlı",
    "What was left out for size": "Boyut sınırı yüzünden yer almayanlar",
    "timeline": "zaman çizgisi",
    "step": "adım",
    "step {s}": "adım {s}",
    "jump to the step": "adıma git",
    "position in the text": "metindeki konum",
    "position {t}": "konum {t}",
    "direction": "yön",
    "forward": "ileri",
    "backward": "geri",
    "play": "oynat",
    "pause": "duraklat",
    "as a table": "tablo olarak",
    "table": "tablo",
    "the first {shown} of {all} rows": "{all} satırdan ilk {shown} tanesi",
    "the mathematics of {title}": "matematiği: {title}",
    "heat map": "ısı haritası",
    "{name}, row {row}, column {column}: {value}": "{name}, satır {row}, sütun {column}: {value}",
    "views": "görünümler",
    "keys": "tuşlar",
    "step back, step on": "bir adım geri, bir adım ileri",
    "position back, on": "bir konum geri, bir konum ileri",
    "Home, End": "Home, End",
    "first, last step": "ilk adım, son adım",
    "space": "boşluk",
    "play, pause": "oynat, duraklat",
    "this list": "bu liste",
    "In a heat map the arrow keys move from cell to cell, Enter chooses one.": (
        "Bir ısı haritasında ok tuşları hücreden hücreye gider, Enter hücreyi seçer."
    ),
    "close": "kapat",
    # ---- view 1 (page/views/training.js)
    "Training": "Eğitim",
    "The loss is the mean of −ln p over the positions, p the probability that the model gives to the token that comes next; "
    "in nats.": (
        "Kayıp, −ln p'nin konumlar üzerinden ortalamasıdır; p, modelin sıradaki tokene verdiği olasılıktır. Birimi nattır."
    ),
    "One directional derivative of the gradient is compared with the complex step, which has no rounding error of its own:": (
        "Gradyanın bir doğrultudaki türevi, kendi yuvarlama hatası olmayan karmaşık sayı adımıyla (complex step) "
        "karşılaştırılır:"
    ),
    "When the gradient is right, nearly all digits of the dtype agree: about 15 in float64, 7 in float32. So a bad learning "
    "rate and a wrong gradient can be told apart.": (
        "Gradyan doğruysa veri türünün hemen hemen bütün basamakları uyuşur: float64'te 15 kadar, float32'de 7. Böylece kötü "
        "bir öğrenme hızı ile yanlış bir gradyan birbirinden ayrılır."
    ),
    "loss at every training step": "her eğitim adımındaki kayıp",
    "nats": "nat",
    "Grey: the loss of each batch. Violet: the mean of the last {n}.": (
        "Gri: her yığının kaybı. Mor: son {n} tanesinin ortalaması."
    ),
    "loss on the probe text": "deneme metnindeki kayıp",
    "as unsure as a guess among {n} tokens": "{n} token arasından rastgele seçmek kadar kararsız",
    "learning rate": "öğrenme hızı",
    "of the update after step {s}": "{s}. adımdan sonraki güncellemenin",
    "gradient norm, before clipping": "gradyanın normu, kırpılmadan önce",
    "no update follows the last step": "son adımdan sonra güncelleme yapılmaz",
    "clipped: the gradient was multiplied by {x}": "kırpıldı: gradyan {x} ile çarpıldı",
    "not clipped": "kırpılmadı",
    "digits in which the gradient agrees": "gradyanın uyuştuğu basamaklar",
    "the gradient is right; a high loss is then a matter of the learning rate": (
        "gradyan doğru; kayıp yüksekse nedeni öğrenme hızıdır"
    ),
    "too few: the gradient is wrong, and no learning rate mends it": (
        "çok az: gradyan yanlış, bunu hiçbir öğrenme hızı düzeltmez"
    ),
    "What the model writes at this step, drawn with the same random numbers at every step:": (
        "Modelin bu adımda yazdığı metin; her adımda aynı rastgele sayılar kullanıldı:"
    ),
    "Digits in which the gradient agrees with the complex step": "Gradyanın karmaşık sayı adımıyla uyuştuğu basamaklar",
    "digits of agreement with the complex step": "karmaşık sayı adımıyla uyuşan basamaklar",
    "digits": "basamak",
    "what it writes": "yazdığı",
    # ---- view 2 (page/views/pipeline.js, explanation.js)
    "dL/dx = Σ over the readers y of x:  dL/dy · dy/dx": "dL/dx = Σ, x'i okuyan bütün y'ler üzerinden:  dL/dy · dy/dx",
    "Forward and backward": "İleri ve geri",
    "Every number between the text and the loss. Point at a cell: it is written out in numbers, and the cells that enter "
    "light up. Switch to backward: each gradient is the sum over the paths by which its value reaches the loss.": (
        "Metin ile kayıp arasındaki bütün sayılar. Bir hücrenin üzerine gelin: hesabı sayılarla yazılır, kullandığı hücreler "
        "vurgulanır. Yönü “geri” yapın: her gradyan, değerinin kayba ulaştığı yollar üzerinden bir toplamdır."
    ),
    "Forward, each box is computed from boxes before it and from parameters. Backward, the gradient of a box is what its "
    "readers send back to it, added up:": (
        "İleri giderken her kutu, kendinden önceki kutulardan ve parametrelerden hesaplanır. Geri giderken bir kutunun "
        "gradyanı, onu okuyanların geri gönderdiklerinin toplamıdır:"
    ),
    "A value that is read twice, such as the residual stream, has two paths or more. A parameter is read at every position, "
    "so its gradient is a sum over the positions.": (
        "Artık akış (residual stream) gibi iki kez okunan bir değerin iki ya da daha çok yolu vardır. Bir parametre her "
        "konumda okunur; bu yüzden gradyanı konumlar üzerinden bir toplamdır."
    ),
    "No traces were kept in this run.": "Bu koşuda iz tutulmadı.",
    "orange: below 0": "turuncu: 0'ın altı",
    "violet: above 0": "mor: 0'ın üstü",
    "each box to its own scale, whose end stands under it": "her kutunun kendi ölçeği var, ölçeğin ucu kutunun altında yazar",
    "head": "başlık",
    "block {n}": "blok {n}",
    "{name}, value": "{name}, değer",
    "{name}, gradient": "{name}, gradyan",
    "{name}, gradient on the probe": "{name}, deneme metnindeki gradyan",
    "{first} to {last} of {all}": "{first}–{last}, toplam {all}",
    "earlier columns of {name}": "{name}: önceki sütunlar",
    "later columns of {name}": "{name}: sonraki sütunlar",
    "the first {n} of {m}": "{m} taneden ilk {n}",
    "left out": "yer almıyor",
    "These numbers were left out for size.": "Bu sayılar boyut sınırı yüzünden yer almıyor.",
    "Left out at every step for size: {names}": "Boyut sınırı yüzünden hiçbir adımda yer almayanlar: {names}",
    "Left out at this step for size.": "Boyut sınırı yüzünden bu adımda yer almıyor.",
    "to the nearest step that has it: {s}": "yer aldığı en yakın adıma git: {s}",
    "first wrong value: {name}": "ilk yanlış değer: {name}",
    "first wrong gradient: {name}": "ilk yanlış gradyan: {name}",
    "letter": "harf",
    "The gradient is that of the probe text's loss.": "Gradyan, deneme metnindeki kaybın gradyanıdır.",
    "what this number is made of": "bu sayı nelerden oluşur",
    "gradient: how the loss changes with it": "gradyan: kayıp onunla birlikte nasıl değişir",
    "No formula is written down for this number.": "Bu sayı için yazılmış bir formül yok.",
    "It reaches the loss by {n} paths; the gradient is their sum.": "Kayba {n} yoldan ulaşır; gradyan bunların toplamıdır.",
    "recorded in the run: {x}": "koşuda kaydedilen: {x}",
    "A weight that serves {n} positions collects {n} gradients.": "{n} konuma hizmet eden bir ağırlık {n} gradyan toplar.",
    "where": "burada",
    "A learned number. No update of it was recorded at this step.": (
        "Öğrenilen bir sayı. Bu adımda onun için kaydedilmiş bir güncelleme yok."
    ),
    "A learned number. At this step the batch's gradient is {g}; AdamW then adds {u}.": (
        "Öğrenilen bir sayı. Bu adımda yığının gradyanı {g}; sonra AdamW {u} ekler."
    ),
    "The line that computed it:": "Bunu hesaplayan satır:",
    "the function {name}": "{name} fonksiyonu",
    # ---- the paths' names (formulas/)
    # ---- view 3 (page/views/born.js)
    "Where the gradient is born": "Gradyanın doğduğu yer",
    "The logits' gradient is what the model expected minus what came. The token that came is pulled up; the others are "
    "pushed down, together by as much. Every other gradient on this page is this one, pushed back.": (
        "Logitlerin gradyanı, modelin beklediği eksi gelendir. Gelen token yukarı çekilir; ötekiler hep birlikte o kadar "
        "aşağı itilir. Bu sayfadaki bütün öteki gradyanlar bunun geriye itilmiş hâlidir."
    ),
    "The loss is the mean over N positions of −ln p of the target. With p = softmax(logits):": (
        "Kayıp, hedefin −ln p'sinin N konum üzerinden ortalamasıdır. p = softmax(logits) ile:"
    ),
    "Both p and the one-hot sum to 1, so each row of the gradient sums to 0.": (
        "p'nin de one-hot'ın da toplamı 1'dir; bu yüzden gradyanın her satırının toplamı 0'dır."
    ),
    "The logits were not traced in this run.": "Bu koşuda logitler izlenmedi.",
    "The logits are not among the numbers of this page.": "Logitler bu sayfanın sayıları arasında değil.",
    "softmax: what the model expects": "softmax: modelin beklediği",
    "one-hot: what came": "one-hot: gelen",
    "their difference, divided by N": "farkları, N'ye bölünmüş",
    "(softmax − one-hot) / N: the gradient of the logits": "(softmax − one-hot) / N: logitlerin gradyanı",
    "gradient of the logits": "logitlerin gradyanı",
    "sum of each row": "her satırın toplamı",
    "{n} of {m} tokens are shown, the text's own among them.": (
        "{m} tokenden {n} tanesi gösteriliyor; metindekiler de aralarında."
    ),
    "After “{here}” at position {t} came “{token}”: p = {p}, wanted 1, so ({p} − 1) / {N} = {x}; recorded {recorded}.": (
        "{t}. konumdaki “{here}” ardından “{token}” geldi: p = {p}, istenen 1, dolayısıyla ({p} − 1) / {N} = {x}; kaydedilen "
        "{recorded}."
    ),
    "The likeliest wrong one, “{token}”: p = {p}, wanted 0, so {p} / {N} = {x}; recorded {recorded}.": (
        "En olası yanlış token, “{token}”: p = {p}, istenen 0, dolayısıyla {p} / {N} = {x}; kaydedilen {recorded}."
    ),
    "token": "token",
    "softmax": "softmax",
    "one-hot": "one-hot",
    "difference / N": "fark / N",
    "recorded": "kaydedilen",
    # ---- the page's heat maps over the steps (page/drawing.js)
    "Point at a cell, or move with the arrow keys. A click, or Enter, goes to the step.": (
        "Bir hücrenin üzerine gelin ya da ok tuşlarıyla gezinin. Tıklamak ya da Enter o adıma götürür."
    ),
    # ---- view 4 (page/views/attention.js)
    "dS[t, s] = P[t, s] × (dP[t, s] − mean[t])": "dS[t, s] = P[t, s] × (dP[t, s] − ortalama[t])",
    "mean[t] = Σ_r P[t, r] dP[t, r]": "ortalama[t] = Σ_r P[t, r] dP[t, r]",
    "Σ_s dS[t, s] = Σ_s P[t, s] dP[t, s] − (Σ_s P[t, s]) Σ_r P[t, r] dP[t, r] = 0   since Σ_s P[t, s] = 1": (
        "Σ_s dS[t, s] = Σ_s P[t, s] dP[t, s] − (Σ_s P[t, s]) Σ_r P[t, r] dP[t, r] = 0   çünkü Σ_s P[t, s] = 1"
    ),
    "S[t, s] = q[t] · k[s] / √D   for s ≤ t, else − ∞": "S[t, s] = q[t] · k[s] / √D   s ≤ t ise, değilse − ∞",
    "Who looks at whom": "Kim kime bakıyor",
    "Each row is a letter that looks, each column one that is looked at. The rows of the pattern sum to 1: what one letter "
    "wins, another loses. So the rows of dscores sum to 0.": (
        "Her satır bakan bir harftir, her sütun bakılan bir harf. pattern'ın her satırının toplamı 1'dir: bir harfin "
        "kazandığını bir başkası kaybeder. Bu yüzden dscores'un her satırının toplamı 0'dır."
    ),
    "Query t and key s are compared; the future is set to − ∞; softmax makes shares of each row:": (
        "t sorgusu ile s anahtarı karşılaştırılır; gelecek − ∞ yapılır; softmax her satırı paylara çevirir:"
    ),
    "Raising one score raises its own share and lowers all others of the row. So back through the softmax comes": (
        "Bir skoru artırmak kendi payını artırır, satırdaki bütün öteki payları azaltır. Bu yüzden softmax'tan geriye şu gelir:"
    ),
    "Before the comparison, RoPE turns each pair of features of q and k by an angle that grows with the position; their "
    "product then depends on the distance alone.": (
        "Karşılaştırmadan önce RoPE, q ve k'nin her özellik çiftini konumla büyüyen bir açı kadar döndürür; çarpımları "
        "böylece yalnız aradaki uzaklığa bağlı olur."
    ),
    "No attention pattern was kept in this run: see what was left out for size, at the top.": (
        "Bu koşuda dikkat ağırlıkları tutulmadı: en üstte, boyut sınırı yüzünden yer almayanlara bakın."
    ),
    "block": "blok",
    "scores: q · k / √D": "skorlar: q · k / √D",
    "mask: + 0 or − ∞": "maske: + 0 ya da − ∞",
    "pattern: softmax of each row": "pattern: her satırın softmax'ı",
    "sum of each row of the pattern": "pattern'ın her satırının toplamı",
    "dscores: the gradient of the scores": "dscores: skorların gradyanı",
    "sum of each row of dscores": "dscores'un her satırının toplamı",
    "dpattern: the gradient of the pattern": "dpattern: pattern'ın gradyanı",
    "from dpattern to dscores": "dpattern'dan dscores'a",
    "key: who is looked at →": "anahtar: kime bakılıyor →",
    "query: who looks →": "sorgu: kim bakıyor →",
    "hatched: − ∞, the future. Not 0: a score of 0 would still be looked at.": (
        "taralı: − ∞, gelecek. 0 değil: skoru 0 olana yine de bakılırdı."
    ),
    "Above the diagonal lies the future: computed here, never used by the model.": (
        "Köşegenin üstü gelecektir: burada hesaplandı, model onu hiç kullanmaz."
    ),
    "Shares: each row sums to 1.": "Paylar: her satırın toplamı 1.",
    "in units of {unit}; the colours end at ± {x}": "sayılar × {unit}; renklerin ucu ± {x}",
    "the colours end at ± {x}": "renklerin ucu ± {x}",
    "“{a}” at {t} may not look at “{b}” at {s}, which comes later: its score, {x}, becomes − ∞, its weight 0.": (
        "{t}. konumdaki “{a}”, daha sonra gelen {s}. konumdaki “{b}” harfine bakamaz: skoru {x} yerine − ∞, ağırlığı 0 olur."
    ),
    "“{a}” at {t} looks at “{b}” at {s}: score {x}, weight {p}. Backward: dpattern {dp}, dscores {ds}.": (
        "{t}. konumdaki “{a}”, {s}. konumdaki “{b}” harfine bakıyor: skor {x}, ağırlık {p}. Geriye: dpattern {dp}, dscores "
        "{ds}."
    ),
    "A masked pair has the weight 0, so nothing comes back to its score.": (
        "Maskelenen bir çiftin ağırlığı 0'dır; skoruna geriden hiçbir şey gelmez."
    ),
    "The row's mean of dP, weighted by where it looks, is {x}. Only what is better or worse than the mean moves a score.": (
        "Satırdaki dP'lerin, dikkat ağırlıklarıyla alınan ortalaması {x}. Bir skoru yalnız bu ortalamadan iyi ya da kötü "
        "olan değiştirir."
    ),
    "what is turned": "ne döndürülüyor",
    "pair of features": "özellik çifti",
    "pair": "çift",
    "RoPE: each pair of features is turned by its position": "RoPE: her özellik çifti konumuna göre döndürülür",
    "In block 0 the same letter has the same arrow wherever it stands. After the turn each position has its own.": (
        "Blok 0'da aynı harfin oku nerede olursa olsun aynıdır. Döndürüldükten sonra her konumun kendi oku olur."
    ),
    "before the turn": "döndürmeden önce",
    "after the turn": "döndürdükten sonra",
    "“{a}” at position {t}: pair {i}, turned by {x} radians; its length stays {r}.": (
        "{t}. konumdaki “{a}”: {i} numaralı çift {x} radyan döndürüldü; uzunluğu {r} olarak kaldı."
    ),
    "who is looked at": "kime bakılıyor",
    "score": "skor",
    "mask": "maske",
    "weight": "ağırlık",
    "sum": "toplam",
    "The row of “{a}” at position {t}, which looks.": "{t}. konumda bakan “{a}” harfinin satırı.",
    # ---- view 4 of models that remember (page/views/gates.js)
    "Gates and memory": "Kapılar ve bellek",
    "Step sizes and state": "Adım boyları ve durum",
    "No letter looks back here: what is known of earlier letters is in the memory c. Where the forget gate f is near 1, c "
    "stays as it is, and so does its gradient on the way back.": (
        "Burada hiçbir harf geriye bakmaz: önceki harfler hakkında bilinenler c belleğindedir. Unutma kapısı f 1'e yakınsa c "
        "olduğu gibi kalır; geri yolda gradyanı da öyle."
    ),
    "No letter looks back here: what is known of earlier letters is in the state. A large delta lets the letter in and "
    "forgets; a small one lets it pass by. Going back, each position adds its own part to the state's gradient and hands "
    "on the share that was kept.": (
        "Burada hiçbir harf geriye bakmaz: önceki harfler hakkında bilinenler durumdadır. Büyük bir delta harfi içeri alır "
        "ve eskiyi unutur; küçüğü harfin geçip gitmesine izin verir. Geri giderken her konum durumun gradyanına kendi "
        "katkısını ekler, tutulan oranı da geriye aktarır."
    ),
    "Going back, the memory's gradient has two sources, what is shown now and the memory after:": (
        "Geri giderken belleğin gradyanının iki kaynağı vardır: şimdi gösterilen ve sonraki bellek:"
    ),
    "Along c each step multiplies by f alone. Along h it multiplies by a matrix and by slopes, which is why that way fades.": (
        "c boyunca her adım yalnız f ile çarpar. h boyunca bir matrisle ve eğimlerle çarpar; o yol bu yüzden söner."
    ),
    "A is negative, so exp(delta A) is a share between 0 and 1: what is kept. Going back:": (
        "A negatiftir; dolayısıyla exp(delta A), 0 ile 1 arasında bir orandır: ne kadarının tutulduğu. Geri giderken:"
    ),
    "The output of the block is y times the gate, silu(z); the gate decides how much of what is remembered goes on.": (
        "Bloğun çıktısı, y ile kapının (silu(z)) çarpımıdır; anımsananın ne kadarının ilerleyeceğine kapı karar verir."
    ),
    "No gates and states were kept in this run: see what was left out for size, at the top.": (
        "Bu koşuda kapılar ve durumlar tutulmadı: en üstte, boyut sınırı yüzünden yer almayanlara bakın."
    ),
    "i: how much of the candidate is written": "i: adayın ne kadarı yazılıyor",
    "f: how much of the memory is kept": "f: belleğin ne kadarı tutuluyor",
    "g: the candidate": "g: aday",
    "o: how much of the memory is shown": "o: belleğin ne kadarı gösteriliyor",
    "c: the memory, f c[t−1] + i g": "c: bellek, f c[t−1] + i g",
    "h: what is shown, o tanh(c)": "h: gösterilen, o tanh(c)",
    "delta: how far each channel lets the letter in": "delta: her kanal harfi ne kadar içeri alıyor",
    "state of channel {e}: what it remembers": "{e} numaralı kanalın durumu: anımsadığı",
    "y: what the state gives out": "y: durumun verdiği",
    "gate: how much of y goes on": "gate: y'nin ne kadarı ilerliyor",
    "channel of the state": "durumun kanalı",
    "first unit shown": "gösterilen ilk birim",
    "position →": "konum →",
    "values, written from left to right": "değerler, soldan sağa yazılır",
    "gradients, coming back from right to left": "gradyanlar, sağdan sola geri gelir",
    "0 to 1": "0 ile 1 arası",
    "± {x}": "± {x}",
    "in units of {unit}, ± {x}": "sayılar × {unit}, ± {x}",
    "“{a}” at {t}: {part} = {x}, its gradient {dx}.": "{t}. konumdaki “{a}”: {part} = {x}, gradyanı {dx}.",
    "Of the memory before, {c}, it keeps the share {f}, and writes {i} of the candidate {g}.": (
        "Önceki belleğin ({c}) {f} kadarını tutar, adayın ({g}) {i} kadarını yazar."
    ),
    "The step size {d} says how much of the state before, {h}, is forgotten for it.": (
        "Önceki durumun ({h}) ne kadarının unutulacağını adım boyu belirler: {d}."
    ),
    "at position {t}": "{t}. konumda",
    # ---- view 5 (page/views/letters.js)
    "w ← w − rate · m̂ / (√v̂ + ε)        (and − rate · decay · w, where weights decay)": (
        "w ← w − hız · m̂ / (√v̂ + ε)        (ağırlık sönümü varsa ayrıca − hız · sönüm · w)"
    ),
    "The letters in space": "Uzayda harfler",
    "A letter is a point, and training moves it. Letters that are used alike come to lie together: vowels part from "
    "consonants. For the chosen letter, compare the two arrows: AdamW does not simply follow the gradient.": (
        "Bir harf bir noktadır, eğitim onu yerinden oynatır. Benzer kullanılan harfler bir araya gelir: ünlüler "
        "ünsüzlerden ayrılır. Seçili harfte iki oku karşılaştırın: AdamW gradyanı olduğu gibi izlemez."
    ),
    "with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ). Divided by its own usual size, every feature moves by about the rate, "
    "whether its gradient is large or small.": (
        "burada m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ). Her özellik, kendi alışılagelen büyüklüğüne bölündüğü için, gradyanı "
        "büyük de olsa küçük de olsa öğrenme hızı kadar yol alır."
    ),
    "The pictures are parallel projections: no perspective. Both arrows are drawn equally long; the numbers say how long "
    "they are.": (
        "Çizimler paralel izdüşümdür, perspektif yoktur. İki ok da eşit uzunlukta çizilir; gerçek uzunluklarını sayılar söyler."
    ),
    "No letters' vectors were kept in this run.": "Bu koşuda harf vektörleri tutulmadı.",
    "the letters in space": "uzayda harfler",
    "{a} and {b}": "{a} ve {b}",
    "turn the picture": "çizimi döndür",
    "turn left": "sola döndür",
    "turn right": "sağa döndür",
    "tilt up": "yukarı eğ",
    "tilt down": "aşağı eğ",
    "reset": "sıfırla",
    "all trails": "bütün izler",
    "zoom in on this step": "bu adıma yakınlaş",
    "More than three features: drawn are the three directions in which the letters vary most over all steps, fixed for the "
    "whole run. Together they hold {p} % of the variance.": (
        "Üçten çok özellik var: çizilenler, harflerin bütün adımlar boyunca en çok değiştiği üç doğrultudur ve bütün koşu "
        "boyunca aynıdır. Üçü birlikte varyansın %{p} kadarını taşır."
    ),
    "minus the batch's gradient: where its loss falls fastest": (
        "yığın gradyanının ters yönü: yığındaki kaybın en hızlı düştüğü yön"
    ),
    "the update that AdamW made of it": "AdamW'nin bundan çıkardığı güncelleme",
    "a picture that turns with the arrow keys": "ok tuşlarıyla dönen bir çizim",
    "“{a}” at step {s}: {v}": "“{a}”, adım {s}: {v}",
    "none: no update follows the last step": "yok: son adımdan sonra güncelleme yapılmaz",
    "exactly 0: the letter is not in this batch": "tam 0: harf bu yığında geçmiyor",
    "{v}, length {r}; drawn {x} times as long": "{v}, uzunluğu {r}; {x} kat büyütülerek çizildi",
    "Between the two: {x} degrees. AdamW averages over past steps and divides each feature by its usual size, so it turns "
    "away from the gradient.": (
        "İkisinin arası: {x} derece. AdamW geçmiş adımların ortalamasını alır ve her özelliği alışılagelen büyüklüğüne "
        "böler; bu yüzden gradyandan sapar."
    ),
    "No gradient, but an update: AdamW goes on with what earlier batches said.": (
        "Gradyan yok ama güncelleme var: AdamW, önceki yığınların söylediğini sürdürür."
    ),
    "−gradient, {axis}": "−gradyan, {axis}",
    "update, {axis}": "güncelleme, {axis}",
    # ---- view 6 (page/views/layer_norm.js)
    "dx = (dxhat − mean(dxhat) − xhat mean(dxhat xhat)) / √(var + eps),   dxhat = dy w": (
        "dx = (dxhat − ortalama(dxhat) − xhat ortalama(dxhat xhat)) / √(var + eps),   dxhat = dy w"
    ),
    "xhat = (x − mean) / √(var + eps)        y = w xhat + b": "xhat = (x − ortalama) / √(var + eps)        y = w xhat + b",
    "LayerNorm's circle": "LayerNorm'un çemberi",
    "Three numbers without their mean lie in a plane, and divided by their deviation on a circle of radius √3. Where they "
    "lay before, near or far, is forgotten. So the gradient that comes back runs along the circle.": (
        "Ortalaması çıkarılan üç sayı bir düzlemdedir; standart sapmasına da bölününce √3 yarıçaplı bir çemberde. Önceden "
        "yakında mı uzakta mı durdukları unutulur. Bu yüzden geri gelen gradyan çember boyunca gider."
    ),
    "x reaches the loss directly, by the mean and by the deviation; the three paths together are": (
        "x kayba doğrudan, ortalama yoluyla ve standart sapma yoluyla ulaşır; üç yol birlikte:"
    ),
    "The second term takes away what points along (1, 1, 1), the third what points along xhat. Only the direction along "
    "the circle is left: of three dimensions, one.": (
        "İkinci terim (1, 1, 1) yönündeki bileşeni, üçüncüsü xhat yönündeki bileşeni götürür. Yalnız çember boyunca olan yön "
        "kalır: üç boyuttan biri."
    ),
    "For the last LayerNorm this is all of x's gradient. For one inside a block, x also goes past it; here only the part "
    "through the LayerNorm is drawn.": (
        "Son LayerNorm için bu, x'in bütün gradyanıdır. Blok içindeki bir LayerNorm'da x onun yanından da geçer; burada "
        "yalnız LayerNorm'dan geçen kısım çizilir."
    ),
    "This model has RMSNorm, which takes no mean away: its points lie on a sphere, not on a circle.": (
        "Bu modelde RMSNorm var, ortalamayı çıkarmaz: noktaları çemberde değil, küre üzerindedir."
    ),
    "This model has no LayerNorm.": "Bu modelde LayerNorm yok.",
    "The circle can be drawn for a LayerNorm of three features only (n_embd = 3); with more it is a sphere.": (
        "Çember yalnız üç özellikli bir LayerNorm için çizilebilir (n_embd = 3); daha çoğunda bu bir küredir."
    ),
    "which LayerNorm": "hangi LayerNorm",
    "the plane without mean, and the circle in it": "ortalaması olmayan düzlem ve içindeki çember",
    "“{a}” at position {t}": "{t}. konumdaki “{a}”",
    "Small hollow dots: x without its mean (a lozenge at the edge: further out than the picture). Letters: xhat. Switch to "
    "backward to see the gradient.": (
        "Küçük içi boş noktalar: ortalaması çıkarılmış x (kenardaki eşkenar dörtgen: çizimin dışında kalan). Harfler: xhat. "
        "Gradyanı görmek için yönü “geri” yapın."
    ),
    "x − mean": "x − ortalama",
    "its length, √3 × the deviation": "uzunluğu, √3 × standart sapma",
    "xhat = (x − mean) / √(var + eps)": "xhat = (x − ortalama) / √(var + eps)",
    "its length; √3 = 1.732, but for eps": "uzunluğu; eps dışında √3 = 1.732",
    "the gradient that comes out to x": "x'e ulaşan gradyan",
    "its part along (1, 1, 1)": "(1, 1, 1) yönündeki bileşeni",
    "its part along xhat, outwards": "xhat yönündeki, dışa doğru bileşeni",
    "its part along the circle": "çember boyunca bileşeni",
    "To move x along (1, 1, 1) or outwards changes nothing behind the LayerNorm, but for eps, so the gradient has no such "
    "part.": (
        "x'i (1, 1, 1) yönünde ya da dışa doğru oynatmak, eps dışında, LayerNorm'dan sonra hiçbir şeyi değiştirmez; bu "
        "yüzden gradyanın böyle bir bileşeni yoktur."
    ),
    "position": "konum",
    "length": "uzunluk",
    "outwards": "dışa doğru",
    "along the circle": "çember boyunca",
    # ---- view 7 (page/views/flow.js)
    "RMS(x) = √(mean of x²)": "RMS(x) = √(x² ortalaması), karesel ortalama",
    "How large the gradients are": "Gradyanlar ne kadar büyük",
    "Read a row from left to right: does a tensor's gradient fade, or grow? Then switch to update / weight: a healthy run "
    "moves each tensor by about a thousandth of its size a step.": (
        "Bir satırı soldan sağa okuyun: tensörün gradyanı sönüyor mu, büyüyor mu? Sonra güncelleme / ağırlık oranına geçin: "
        "sağlıklı bir koşu her tensörü adım başına büyüklüğünün binde biri kadar oynatır."
    ),
    "The colour is its logarithm to base 10, since gradients of one model lie orders of magnitude apart. Gradients are "
    "those of the training batch after clipping; an update is what AdamW added.": (
        "Renk, 10 tabanında logaritmasıdır, çünkü bir modelin gradyanları arasında birkaç büyüklük mertebesi fark vardır. "
        "Gradyanlar, kırpıldıktan sonraki hâlleriyle eğitim yığınına aittir; güncelleme, AdamW'nin eklediğidir."
    ),
    "AdamW divides each gradient by its own usual size, so that updates come out near the learning rate, whatever the "
    "gradient is. Their ratio to the weights is what tells whether the learning rate fits.": (
        "AdamW her gradyanı kendi alışılagelen büyüklüğüne böler; gradyan ne olursa olsun güncelleme öğrenme hızına yakın "
        "çıkar. Öğrenme hızının uygun olup olmadığını güncellemelerin ağırlıklara oranı söyler."
    ),
    "No sizes were recorded in this run.": "Bu koşuda büyüklükler kaydedilmedi.",
    "weights": "ağırlıklar",
    "gradients": "gradyanlar",
    "updates": "güncellemeler",
    "update / weight": "güncelleme / ağırlık",
    "what is shown": "ne gösteriliyor",
    "size of each tensor at each step": "her tensörün her adımdaki büyüklüğü",
    "What is off in this run": "Bu koşuda ters giden",
    "{tensor} at step {s}: no such number": "{tensor}, adım {s}: böyle bir sayı yok",
    "{tensor} at step {s}: RMS of the update {u} / RMS of the weights {w} = {x}, log₁₀ {log}": (
        "{tensor}, adım {s}: güncellemenin karesel ortalaması {u} / ağırlıklarınki {w} = {x}, log₁₀ {log}"
    ),
    "{tensor} at step {s}: RMS {x}, log₁₀ {log}": "{tensor}, adım {s}: karesel ortalama {x}, log₁₀ {log}",
    "Nothing is off: no gradient vanishes or explodes, no update is far too large or too small, nothing is nan.": (
        "Ters giden bir şey yok: hiçbir gradyan sönmüyor ya da patlamıyor, hiçbir güncelleme aşırı büyük ya da küçük "
        "değil, nan yok."
    ),
    "Cause:": "Nedeni:",
    "Remedy:": "Çaresi:",
    "1e−3: rule of thumb": "1e−3: pratik kural",
    "How far a step moves the weights, relative to their size. Orange: below a thousandth, slow. Violet: above, fast. "
    "Hatched: no update follows, or the weights are 0.": (
        "Bir adımın ağırlıkları, büyüklüklerine göre ne kadar oynattığı. Turuncu: binde birin altında, yavaş. Mor: "
        "üstünde, hızlı. Taralı: güncelleme gelmiyor ya da ağırlıklar 0."
    ),
    "The root mean square of each tensor, on a logarithmic scale. Hatched: 0, not trained, or no update follows.": (
        "Her tensörün karesel ortalaması, logaritmik ölçekte. Taralı: 0, eğitilmiyor ya da güncelleme gelmiyor."
    ),
    "tensor": "tensör",
    "Root mean squares at step {s}.": "{s}. adımdaki karesel ortalamalar.",
    # ---- view 8 (page/views/next.js)
    "p = softmax(logits / temperature), all but the k likeliest set to 0, scaled to sum 1 again": (
        "p = softmax(logits / sıcaklık); en olası k tanesi dışındakiler 0 yapılır, toplam yeniden 1'e getirilir"
    ),
    "The next letter": "Sıradaki harf",
    "Choose a position in the bar above. A low temperature makes the likely likelier, a high one makes all alike; top-k "
    "cuts the tail off. What the model knows does not change: only how it is read.": (
        "Yukarıdaki çubuktan bir konum seçin. Düşük sıcaklık olası olanı daha da olası kılar, yüksek sıcaklık hepsini "
        "birbirine benzetir; top-k kuyruğu keser. Modelin bildiği değişmez, yalnız nasıl okunduğu değişir."
    ),
    "The surprise at what came is −ln p, in nats; divided by ln 2 in bits. The loss is its mean over the positions. The "
    "entropy is the surprise that the model itself expects:": (
        "Gelen harfe şaşkınlık −ln p'dir, birimi nat; ln 2'ye bölününce bit. Kayıp, bunun konumlar üzerinden ortalamasıdır. "
        "Entropi, modelin kendisinin beklediği şaşkınlıktır:"
    ),
    "probabilities of the next letter": "sıradaki harfin olasılıkları",
    "temperature": "sıcaklık",
    "top-k": "top-k",
    "as recorded": "kayıttaki değerlere dön",
    "surprise at what came": "gelen harfe şaşkınlık",
    "entropy: surprise to be expected": "entropi: beklenen şaşkınlık",
    "greedy writing takes": "açgözlü seçim",
    "sampling draws": "örnekleme",
    "cut off": "kesilen",
    "← came": "← gelen",
    "came": "gelen",
    "off": "kapalı",
    "{x} nats = {y} bits": "{x} nat = {y} bit",
    "After “{a}” came “{b}”, p = {p}. {loss}": "“{a}” ardından “{b}” geldi, p = {p}. {loss}",
    "This is the position's loss.": "Bu konumun kaybı budur.",
    "The loss is taken at temperature 1, without top-k.": "Kayıp, sıcaklık 1 iken ve top-k olmadan hesaplanır.",
    "as unsure as among {n} equally likely letters": "eşit olasılıklı {n} harf arasındaki kadar kararsız",
    "always the likeliest; here it is what came": "hep en olası olan; burada gelen de o",
    "always the likeliest; here it is not what came": "hep en olası olan; burada gelen o değil",
    "logit": "logit",
    "probability": "olasılık",
    "surprise in nats": "şaşkınlık, nat",
    "surprise in bits": "şaşkınlık, bit",
    # ---- view 9 (page/views/compare.js)
    "difference = largest |a − b| / largest |a|": "fark = en büyük |a − b| / en büyük |a|",
    "Two runs side by side": "İki koşu yan yana",
    "Two losses that end alike say little. What counts is where the runs part first: everything before it agrees, "
    "everything after it follows from it.": (
        "Aynı yerde biten iki kayıp pek bir şey söylemez. Önemli olan, iki koşunun ilk nerede ayrıldığıdır: ondan önceki her "
        "şey aynıdır, sonraki her şey ondan kaynaklanır."
    ),
    "For each tensor at each step, in the order of computation:": "Her adımda her tensör için, hesap sırasıyla:",
    "Rounding alone gives about 1e−7 in float32 and 1e−16 in float64 at first, and grows with the steps. What is far above "
    "it at once is a difference in the code, the data or the seed.": (
        "Yalnız yuvarlama, başta float32'de 1e−7, float64'te 1e−16 kadar fark verir ve adımlarla büyür. Daha ilk anda "
        "bunun çok üstünde olan, kodda, veride ya da tohumda bir farktır."
    ),
    "its value in the forward of the probe text": "deneme metninin ileri yayılımındaki değeri",
    "its gradient in the backward of the probe text": "deneme metninin geri yayılımındaki gradyanı",
    "the parameter itself": "parametrenin kendisi",
    "its gradient on the training batch": "eğitim yığınındaki gradyanı",
    "the update that AdamW made": "AdamW'nin yaptığı güncelleme",
    "the losses of both runs": "iki koşunun kayıpları",
    "difference of each tensor at each step": "her tensörün her adımdaki farkı",
    "mean of the last {n} losses": "son {n} kaybın ortalaması",
    "Largest difference of each tensor, relative to its largest number": (
        "Her tensörün en büyük farkı, tensörün en büyük değerine oranla"
    ),
    "The chosen tensor in both runs": "Seçili tensör, iki koşuda",
    "The two runs are equal in everything that was recorded, to the last bit.": (
        "İki koşu, kaydedilen her şeyde son bitine kadar eşit."
    ),
    "one of them is not finite": "birinde sonlu olmayan sayılar var",
    "the largest difference is {x} of its largest number": "en büyük fark, tensörün en büyük değerinin {x} katı",
    "They differ from the start: at step {s} first in {tensor}, {what}; {size}.": (
        "Baştan farklılar: {s}. adımda ilk farkın yeri {tensor}, {what}; {size}."
    ),
    "Until step {s} they are equal. Then they part first in {tensor}, {what}; {size}.": (
        "{s}. adıma kadar eşitler. Sonra ilk ayrıldıkları yer {tensor}, {what}; {size}."
    ),
    "go there": "oraya git",
    "{tensor} at step {s}: not in both runs": "{tensor}, adım {s}: ikisinde birden yok",
    "{tensor} at step {s}: equal to the last bit": "{tensor}, adım {s}: son bitine kadar eşit",
    "{tensor} at step {s}: they differ by {x} of the largest number": (
        "{tensor}, adım {s}: fark, tensörün en büyük değerinin {x} katı"
    ),
    "Choose a tensor that both runs kept at this step, in the heat map or in the pipeline.": (
        "Isı haritasında ya da ileri ve geri görünümünde, iki koşuda da bu adımda kayıtlı olan bir tensör seçin."
    ),
    "{tensor}, gradient, at step {s}": "{tensor}, gradyan, adım {s}",
    "{tensor}, value, at step {s}": "{tensor}, değer, adım {s}",
    "difference": "fark",
    "The first {r} × {c} numbers of {shape}.": "{shape} boyutlu tensörün ilk {r} × {c} sayısı.",
    "This step was recorded in one of the runs only.": "Bu adım koşuların yalnız birinde kaydedildi.",
    "relative difference": "göreli fark",
    "At step {s}.": "Adım {s}.",
    # ---- view 10 (page/views/mistakes.js)
    "digits = −log₁₀ (|Σ_i g_i d_i − Im L(w + i ε d) / ε| / |Im L(w + i ε d) / ε|)": (
        "basamak = −log₁₀ (|Σ_i g_i d_i − Im L(w + i ε d) / ε| / |Im L(w + i ε d) / ε|)"
    ),
    "A mistake switched on": "Koda konan bir hata",
    "Most wrong code still learns: the loss falls. Look at the digits instead: few digits mean a wrong gradient, whatever "
    "the loss says. Many digits and a bad loss mean that the gradient is right and the steps do not fit.": (
        "Yanlış kodun çoğu yine de öğrenir: kayıp düşer. Siz basamaklara bakın: az basamak, kayıp ne derse desin, yanlış "
        "gradyan demektir. Çok basamak ve kötü bir kayıp, gradyanın doğru olduğunu, adımların uygun olmadığını gösterir."
    ),
    "This asks whether the backward belongs to the forward. It does not ask whether the forward is the one that was meant: "
    "for that, compare with another implementation, or test a property such as that no letter sees the future.": (
        "Bu, geri yayılımın ileri yayılıma ait olup olmadığını sorar. İleri yayılımın istenen olup olmadığını sormaz: onun "
        "için başka bir uygulamayla karşılaştırın ya da hiçbir harfin geleceği görmemesi gibi bir özelliği sınayın."
    ),
    "Why the loss still falls: a gradient that points roughly downhill is enough, and AdamW divides away a wrong factor.": (
        "Kaybın neden yine de düştüğü: kabaca aşağıyı gösteren bir gradyan yeter, yanlış bir çarpanı da AdamW bölüp yok eder."
    ),
    "wrong gradient": "yanlış gradyan",
    "right gradient, bad loss": "doğru gradyan, kötü kayıp",
    "right gradient, loss too good": "doğru gradyan, kayıp inanılmayacak kadar iyi",
    "right gradient, same loss": "doğru gradyan, aynı kayıp",
    "mistakes": "hatalar",
    "the code": "kod",
    "digits of agreement": "uyuşan basamaklar",
    "loss at the end": "sondaki kayıp",
    "so": "sonuç",
    "losses of the right and the wrong code": "doğru ve yanlış kodun kayıpları",
    "digits of agreement of the right and the wrong code": "doğru ve yanlış kodun uyuşan basamakları",
    "show it in the pipeline": "ileri ve geri görünümünde göster",
    "right code": "doğru kod",
    "wrong code": "yanlış kod",
    "Loss": "Kayıp",
    "The first wrong tensor": "İlk yanlış tensör",
    "What would have caught it": "Bunu ne yakalardı",
    "none: no number is wrong. Only the loss shows it.": "hiçbiri: yanlış bir sayı yok. Yalnız kayıp gösterir.",
    "in {path}, {module}": "{path} içinde, {module}",
    "No value and no gradient is wrong: what is wrong is what is done with them.": (
        "Yanlış bir değer ya da gradyan yok: yanlış olan, onlarla yapılan."
    ),
    "The gradient is wrong, and the loss does not tell.": "Gradyan yanlış ve kayıp bunu ele vermiyor.",
    "The gradient is wrong. A lower learning rate will not mend it.": (
        "Gradyan yanlış. Daha düşük bir öğrenme hızı bunu düzeltmez."
    ),
    "The gradient is right: it is the derivative of what the forward computes. Look at the learning rate, or at what the "
    "forward computes.": (
        "Gradyan doğru: ileri yayılımın hesapladığının türevi. Öğrenme hızına ya da ileri yayılımın ne hesapladığına bakın."
    ),
    "The gradient is right: it is the derivative of what the forward computes. But the forward sees what it should guess.": (
        "Gradyan doğru: ileri yayılımın hesapladığının türevi. Ama ileri yayılım, tahmin etmesi gerekeni görüyor."
    ),
    "The gradient is right: it is the derivative of what the forward computes. Neither the digits nor the loss show the "
    "mistake; a comparison with other code does.": (
        "Gradyan doğru: ileri yayılımın hesapladığının türevi. Hatayı ne basamaklar ne kayıp gösterir; başka bir kodla "
        "karşılaştırmak gösterir."
    ),
    "None: every value and every gradient is right.": "Yok: bütün değerler ve bütün gradyanlar doğru.",
    "its value": "değeri",
    "its gradient": "gradyanı",
    "its gradient on the probe text": "deneme metnindeki gradyanı",
    "right": "doğru",
    "wrong": "yanlış",
    "wrong − right": "yanlış − doğru",
    "first wrong tensor": "ilk yanlış tensör",
    "caught by": "yakalayan",
    "Digits: the median over the steps. Loss: the mean of the last tenth.": (
        "Basamaklar: adımların ortancası. Kayıp: son onda birin ortalaması."
    ),
    # ---- what was added to the header, the bar and views 1 to 3
    "the sum of {n} more": "kalan {n} terimin toplamı",
    "A {kind} of {n} numbers learns to guess the next letter of a text, out of {v}. Here it reads “{text}”, and nothing is "
    "hidden: every number that it computes, and how each came about. The bar below chooses the training step, a letter of "
    "this text, and the direction: forward to the loss, or backward with its gradient.": (
        "{n} sayıdan oluşan bir {kind}, bir metnin sıradaki harfini {v} harf arasından tahmin etmeyi öğreniyor. Burada "
        "“{text}” metnini okuyor; hiçbir şey saklı değil: hesapladığı her sayı ve o sayının nasıl oluştuğu görünüyor. "
        "Aşağıdaki çubuk eğitim adımını, bu metnin bir harfini ve yönü seçer: ileri, kayba doğru; ya da geri, gradyanla."
    ),
    "A {kind} of {n} numbers learns to guess the next token of a text, out of {v}. Here it reads “{text}”, and nothing is "
    "hidden: every number that it computes, and how each came about. The bar below chooses the training step, a token of "
    "this text, and the direction: forward to the loss, or backward with its gradient.": (
        "{n} sayıdan oluşan bir {kind}, bir metnin sıradaki tokenini {v} token arasından tahmin etmeyi öğreniyor. Burada "
        "“{text}” metnini okuyor; hiçbir şey saklı değil: hesapladığı her sayı ve o sayının nasıl oluştuğu görünüyor. "
        "Aşağıdaki çubuk eğitim adımını, bu metnin bir tokenini ve yönü seçer: ileri, kayba doğru; ya da geri, gradyanla."
    ),
    "Drag the slider above or press play. The dashed lines are what a reader reaches who counts letters, pairs, triples: "
    "which of them does the loss pass?": (
        "Yukarıdaki kaydırıcıyı sürükleyin ya da oynat düğmesine basın. Kesikli çizgiler, harfleri, ikilileri, üçlüleri "
        "sayan bir okurun ulaştığı kayıplardır: kayıp bunlardan hangilerinin altına iniyor?"
    ),
    "Drag the slider above or press play. The dashed lines are what a reader reaches who counts tokens, pairs, triples: "
    "which of them does the loss pass?": (
        "Yukarıdaki kaydırıcıyı sürükleyin ya da oynat düğmesine basın. Kesikli çizgiler, tokenleri, ikilileri, üçlüleri "
        "sayan bir okurun ulaştığı kayıplardır: kayıp bunlardan hangilerinin altına iniyor?"
    ),
    "The loss is the mean of −ln p over the positions, p the probability that the model gives to the letter that comes next; "
    "in nats.": (
        "Kayıp, −ln p'nin konumlar üzerinden ortalamasıdır; p, modelin sıradaki harfe verdiği olasılıktır. Ölçü birimi nattır."
    ),
    "as unsure as a guess among {n} letters": "{n} harf arasından rastgele seçmek kadar kararsız",
    "In the formulas t is a position that reads, s one that is read, h a head, d a number of a head, c a number of a "
    "position's vector; D and C say how many of these there are. S is scores, P is pattern. A d in front means the gradient: "
    "dS is that of the scores.": (
        "Formüllerde t okuyan konum, s okunan konum, h başlık, d bir başlığın bir sayısı, c bir konumun vektöründeki bir "
        "sayıdır; D ile C bunların kaçar tane olduğunu söyler. S scores, P pattern demektir. Öndeki d gradyan anlamına gelir: "
        "dS, skorların gradyanıdır."
    ),
    "knows how often each letter comes": "her harfin ne sıklıkta geldiğini bilen",
    "knows the letter before (bigrams)": "bir önceki harfi bilen (bigram)",
    "knows the two letters before (trigrams)": "önceki iki harfi bilen (trigram)",
    "turned on its side": "yan yatırılmış",
    "loss": "kayıp",
    "the mean of −ln p over the {n} positions": "−ln p'nin {n} konum üzerinden ortalaması",
    "Masked: this position may not look at a later one, so no path leads from here to the loss.": (
        "Maskeli: bu konum kendinden sonraki bir konuma bakamaz; bu yüzden buradan kayba giden yol yok."
    ),
    "The lines that computed it:": "Bunu hesaplayan satırlar:",
    "The logits' gradient is what the model expected minus what came. The letter that came is pulled up; the others are "
    "pushed down, together by as much. Every other gradient on this page is this one, pushed back.": (
        "Logitlerin gradyanı, modelin beklediği eksi gelendir. Gelen harf yukarı çekilir; ötekiler hep birlikte o kadar aşağı "
        "itilir. Bu sayfadaki bütün öteki gradyanlar bunun geriye itilmiş hâlidir."
    ),
    "A step goes against the gradient: a bar down pulls the letter up.": (
        "Bir adım gradyanın ters yönünde atılır: aşağı inen bir çubuk harfi yukarı çeker."
    ),
    "A step goes against the gradient: a bar down pulls the token up.": (
        "Bir adım gradyanın ters yönünde atılır: aşağı inen bir çubuk tokeni yukarı çeker."
    ),
    "the same for every position, as recorded; each row sums to 0 but for rounding: the page keeps float32": (
        "her konum için aynısı, kaydedildiği gibi; yuvarlama dışında her satırın toplamı 0'dır: sayfa float32 tutar"
    ),
    # ---- views 4 to 10, what was added
    "Drag to turn, or use the arrow keys. A click chooses the nearest letter. Vowels are round, all others square. Nearer is "
    "larger.": (
        "Döndürmek için sürükleyin ya da ok tuşlarını kullanın. Tıklamak en yakın harfi seçer. Ünlüler yuvarlak, ötekiler "
        "karedir. Yakındaki daha büyüktür."
    ),
    "At each recorded step the gradient g that the code computed is multiplied by one random direction v through all "
    "weights, and the sum is compared with the complex step of the code's own forward:": (
        "Kaydedilen her adımda, kodun hesapladığı g gradyanı bütün ağırlıklardan geçen rastgele bir v doğrultusuyla çarpılır; "
        "toplamı, kodun kendi ileri yayılımının karmaşık sayı adımıyla (complex step) karşılaştırılır:"
    ),
    "digits = log₁₀ (Σ_k |g_k v_k| / |Σ_k g_k v_k − Im L(w + i h v) / h|)": (
        "basamak = log₁₀ (Σ_k |g_k v_k| / |Σ_k g_k v_k − Im L(w + i h v) / h|)"
    ),
    "The complex step is the same derivative, from the forward alone: a tiny imaginary number, i h v with h = 10⁻³⁰, is "
    "added to the weights, and the imaginary part of the loss, divided by h, says how the loss changes along v. Nothing is "
    "subtracted, so nothing is lost to rounding.": (
        "Karmaşık sayı adımı aynı türevi yalnız ileri yayılımdan bulur: ağırlıklara çok küçük bir sanal sayı, h = 10⁻³⁰ "
        "ile i h v, eklenir; "
        "kaybın sanal kısmı h'ye bölününce kaybın v boyunca nasıl değiştiğini söyler. Hiçbir şey çıkarılmaz, bu yüzden "
        "yuvarlamada hiçbir şey yitmez."
    ),
    "The darkest cells are masked in one of the two only: ∞": "En koyu hücreler ikisinden yalnız birinde maskeli: ∞",
    "{d} of {all}": "{d} / {all}",
    "Digits: {digits}; loss at the end {end}, with the right code {right}.": (
        "Basamak: {digits}; sondaki kayıp {end}, doğru kodla {right}."
    ),
    "Striped orange: less than half of the digits agree; a loss more than {x} nats above the right code's. Too good: more "
    "than {x} nats below it.": (
        "Çizgili turuncu: basamakların yarısından azı uyuşuyor; kayıp, doğru kodunkinden {x} nattan çok yüksek. İnanılmayacak "
        "kadar iyi: ondan {x} nattan çok düşük."
    ),
    "The cotangent of a value is the gradient that comes in to it from what reads it.": (
        "Bir değerin üst gradyanı, onu okuyanlardan ona gelen gradyandır."
    ),
    "does the same forward in PyTorch give the same numbers?": "aynı ileri yayılım PyTorch'ta aynı sayıları veriyor mu?",
    "does PyTorch's autograd give the same gradients?": "PyTorch'un otomatik türevi aynı gradyanları veriyor mu?",
    "is the gradient the derivative of the code's own forward? (see “?”)": (
        "gradyan, kodun kendi ileri yayılımının türevi mi? (bkz. “?”)"
    ),
    "is it, by (L(w + h v) − L(w − h v)) / 2h, to fewer digits?": (
        "(L(w + h v) − L(w − h v)) / 2h ile, daha az basamağa kadar, türevi mi?"
    ),
    "does what must hold, hold? Such as: no letter sees the future, each row of dscores sums to 0": (
        "her zaman geçerli olması gereken geçerli mi? Örneğin: hiçbir harf geleceği görmez, dscores'un her satırının toplamı "
        "0'dır"
    ),
    "does PyTorch's AdamW make the same updates?": "PyTorch'un AdamW'si aynı güncellemeleri yapıyor mu?",
    "at the last step": "son adımda",
    "There it has an orange frame, and the panel explains the cell with the largest difference, as the right code has it.": (
        "Orada turuncu çerçevelidir; panel, farkın en büyük olduğu hücreyi doğru kodun hesapladığı hâliyle açıklar."
    ),
    "No mistakes are in this page. One that has them is made by": "Bu sayfada hata yok. Hatalı bir sayfayı şu komut yapar:",
    "Each row sums to 0, up to rounding: this page keeps float32.": (
        "Yuvarlama dışında her satırın toplamı 0: bu sayfa float32 saklar."
    ),
    "A row of token_embedding is the letter's vector. Its gradient is the sum over the places where the batch has the "
    "letter; a letter that is not there gets exactly 0. AdamW makes of it": (
        "token_embedding'in bir satırı, harfin vektörüdür. Gradyanı, yığında o harfin geçtiği yerlerin toplamıdır; orada "
        "geçmeyen bir harf tam 0 alır. AdamW bundan şunu yapar:"
    ),
    "Small hollow dots: x without its mean (a lozenge at the edge: further out than the picture). Letters: xhat. Arrows: "
    "minus the gradient that comes out to x, where the loss falls, {x} times as long as it is.": (
        "Küçük içi boş noktalar: ortalaması çıkarılmış x (kenardaki eşkenar dörtgen: resmin dışında kalan). Harfler: xhat. "
        "Oklar: x'e çıkan gradyanın ters yönü, yani kaybın düştüğü yön; {x} kat büyütülerek çizildi."
    ),
    "Asked is: is a number not finite; do fewer than half of the digits agree; is a gradient's root mean square below "
    "{vanishes:g} or its length above {explodes:g}; is an update, biases aside and past the first {settled} steps and the "
    "first tenth of the run, less than {small:g} or more than {large:g} of its weights; does a row of token_embedding stand "
    "still; does the loss rise, or stay where guessing is? The first steps are left out since AdamW moves every weight by "
    "about the learning rate, however small the weight is: beside a bias that starts at 0 such an update is infinitely "
    "large.": (
        "Sorulan şudur: sonlu olmayan bir sayı var mı; basamakların yarısından azı mı uyuşuyor; bir gradyanın karesel "
        "ortalaması {vanishes:g} altında ya da uzunluğu {explodes:g} üstünde mi; bias'lar dışında, ilk {settled} adımdan ve "
        "koşunun ilk onda birinden sonra, bir güncelleme ağırlıklarının {small:g} katından küçük ya da {large:g} katından "
        "büyük mü; token_embedding'in bir satırı yerinde mi sayıyor; kayıp yükseliyor mu ya da rastgele tahmin düzeyinde mi "
        "kalıyor? İlk adımlar sayılmaz, çünkü AdamW her ağırlığı, ağırlık ne kadar küçük olursa olsun, öğrenme hızı kadar "
        "oynatır: 0'dan başlayan bir bias'ın yanında böyle bir güncelleme sonsuz büyüktür."
    ),
    "of 100 draws about {list}": "100 çekilişte yaklaşık {list}",
    "The {n} likeliest of {m} letters, and the one that came.": "{m} harften en olası {n} tanesi ve gelen.",
    "Greedy writing takes the likeliest letter each time. Sampling draws one, each as often as its probability says.": (
        "Açgözlü seçim her seferinde en olası harfi alır. Örnekleme birini çeker; her birini, olasılığının söylediği sıklıkta."
    ),
    "There is one run in this page. A second one, with another backend, seed or option, stands beside it with": (
        "Bu sayfada tek bir koşu var. Başka bir arka uç, tohum ya da seçenekle yapılan ikinci bir koşu şu komutla yanına konur:"
    ),
    "No colour: equal to the last bit. Hatched: not in both runs. All dark: other seeds or other data; the runs have nothing "
    "in common but the code.": (
        "Renksiz: son bitine kadar eşit. Taralı: ikisinde birden yok. Baştan başa koyu: tohum ya da veri farklı; koşuların "
        "kod dışında ortak bir yanı yok."
    ),
    # ---- view 10: the checks (parity_tests/checks.py)
    "forward parity": "ileri yayılımın karşılaştırılması",
    "gradient parity": "gradyanların karşılaştırılması",
    "complex step": "karmaşık sayı adımı (complex step)",
    "finite differences": "sonlu farklar",
    "property": "özellik sınaması",
    "optimiser parity": "optimize edicinin karşılaştırılması",
    # ---- view 10: names and stories of the mistakes (examples/seeded_mistakes.py, from parity_tests/bugs)
    "attention dk not transposed": "dikkat katmanı: dK'nin devriği alınmamış",
    "dK has the right shape and size; the keys learn from the wrong positions, and the values make up for it.": (
        "dK'nin biçimi ve büyüklüğü doğru; anahtarlar yanlış konumlardan öğrenir, değerler açığı kapatır."
    ),
    "attention values learn only from their own position": "dikkat katmanı: değerler yalnız kendi konumundan öğreniyor",
    "Each value still learns what its own position needs of it.": (
        "Her değer, kendi konumunun ondan istediğini yine de öğrenir."
    ),
    "attention softmax backward left out": "dikkat katmanı: softmax'ın geri yayılımı unutulmuş",
    "Raising a score does raise its weight, so the sign is mostly right.": (
        "Bir skoru artırmak gerçekten ağırlığını artırır; işaret bu yüzden çoğunlukla doğrudur."
    ),
    "softmax sum term dropped": "softmax: toplam terimi atılmış",
    "With a cotangent of ones the truth is 0, and few tests take another; the diagonal's sign is right.": (
        "Üst gradyan yalnız birlerden oluşunca doğru sonuç 0'dır, başkasını deneyen test azdır; köşegenin işareti doğrudur."
    ),
    "layer norm statistics taken as constants": "LayerNorm: istatistikler sabit sayılmış",
    "The gradient points roughly the right way: this is a linear layer's.": (
        "Gradyan kabaca doğru yönü gösterir: doğrusal bir katmanınki gibidir."
    ),
    "layer norm rstd forgotten in the backward": "LayerNorm: geri yayılımda rstd unutulmuş",
    "Adam divides most of a factor away.": "Adam bir çarpanın çoğunu bölüp yok eder.",
    "cross entropy gradient not divided": "çapraz entropi: gradyan bölünmemiş",
    "The gradient is B * T times too large, and clipping or Adam takes that away.": (
        "Gradyan B * T kat fazla büyük; kırpma ya da Adam bunu giderir."
    ),
    "cross entropy target dropped": "çapraz entropi: hedef atılmış",
    "What is likely is pushed down until all is equally likely; then all logits sink together, which softmax does not see.": (
        "Olası olan, hepsi eşit olasılıklı olana kadar aşağı itilir; sonra logitler birlikte alçalır, softmax bunu görmez."
    ),
    "embedding repeated ids not added": "token tablosu: yinelenen tokenler toplanmamış",
    "Every token that occurs still gets a gradient, from its last place.": (
        "Metinde geçen her token, son geçtiği yerden de olsa bir gradyan alır."
    ),
    "residual branch dropped at attention": "dikkat katmanı: artık akışın yolu atılmış",
    "What comes through attention still trains the layers below, more slowly.": (
        "Dikkat katmanından gelen, alttaki katmanları yine de eğitir, ama daha yavaş."
    ),
    "attention mask one late": "dikkat katmanı: maske bir konum kaymış",
    "Each position sees the token after it, which is its own answer: the loss falls faster than ever.": (
        "Her konum kendinden sonra geleni, yani kendi yanıtını görür: kayıp hiç olmadığı kadar hızlı düşer."
    ),
    "adamw no bias correction of v": "AdamW: v'nin yanlılık düzeltmesi yok",
    "The first steps are up to thirty times too long; after a thousand steps nobody can tell.": (
        "İlk adımlar olması gerekenin otuz katına kadar uzundur; bin adım sonra kimse fark edemez."
    ),
    "lstm forget path dropped": "LSTM: unutma yolu atılmış",
    "Each step still learns from its own output; what is remembered over long stretches is never learned, and a small text "
    "hardly shows it.": (
        "Her adım kendi çıktısından yine de öğrenir; uzun süre anımsanacaklar hiç öğrenilmez, küçük bir metin bunu pek "
        "göstermez."
    ),
    "lstm output path dropped": "LSTM: çıktı yolu atılmış",
    "The memory's own path is left, the main one at the start, when the forget gate is open.": (
        "Belleğin kendi yolu kalır; unutma kapısı açıkken, başta ana yol odur."
    ),
    "lstm only the last steps cotangent": "LSTM: yalnız son adımın üst gradyanı",
    "Right for a classifier, which reads the last output alone; a language model still learns from one letter in T.": (
        "Yalnız son çıktıyı okuyan bir sınıflandırıcı için doğrudur; bir dil modeli yine de T harften birinden öğrenir."
    ),
    "lstm only one bias trained": "LSTM: bias'lardan yalnız biri eğitiliyor",
    "The two biases are only ever added; one of them learns for both.": "İki bias hep toplanır; biri ikisi için öğrenir.",
    "lstm weight hh learns from the new output": "LSTM: weight_hh yeni çıktıdan öğreniyor",
    "One step off: outputs of neighbouring steps are alike.": "Bir adım kaymış: komşu adımların çıktıları birbirine benzer.",
    "lstm tanh of the memory not differentiated": "LSTM: belleğin tanh'ının türevi alınmamış",
    "Memories are small at first, and tanh is the identity there.": "Bellekler başta küçüktür, tanh orada özdeşlik gibidir.",
    "lstm candidate with a sigmoids slope": "LSTM: adaya sigmoidin eğimi verilmiş",
    "One of four slopes, and the sign is right half of the time.": "Dört eğimden biri; işareti de yarı yarıya doğrudur.",
    "lstm memory shown without tanh": "LSTM: bellek tanh olmadan gösteriliyor",
    "Memories are small at first, and tanh is the identity there; later the head gets used to larger numbers.": (
        "Bellekler başta küçüktür, tanh orada özdeşlik gibidir; sonra çıkış katmanı daha büyük sayılara alışır."
    ),
    "conv sees the next letter": "evrişim sıradaki harfi görüyor",
    "Padded on both sides, as for pictures, and the backward to match: each letter sees the next one, which is the answer, "
    "and the loss falls faster than ever.": (
        "Resimlerdeki gibi iki yandan doldurulmuş, geri yayılım da buna uygun: her harf sıradakini, yani yanıtı görür; "
        "kayıp hiç olmadığı kadar hızlı düşer."
    ),
    "conv kernel not flipped in the backward": "evrişim: geri yayılımda çekirdek çevrilmemiş",
    "The shape is right, and so is the middle tap; the layers below hear it in the wrong order, and the stream past the "
    "block trains them all the same.": (
        "Biçim doğru, ortadaki katsayı da; alttaki katmanlar onu yanlış sırada duyar, bloğun yanından geçen akış onları "
        "yine de eğitir."
    ),
    "scan delta not through the intake": "tarama: delta'ya girdi alımı yolundan gradyan gelmiyor",
    "The step size still learns what to forget; what to take in is left to its bias and to B.": (
        "Adım boyu neyi unutacağını yine de öğrenir; neyin alınacağı bias'ına ve B'ye kalır."
    ),
    "scan delta not through the decay": "tarama: delta'ya sönüm yolundan gradyan gelmiyor",
    "The step size still learns what to take in; what to forget follows as it may.": (
        "Adım boyu neyi alacağını yine de öğrenir; neyin unutulacağı kendiliğinden gelir."
    ),
    "scan skip missing in du": "tarama: du içinde D atlaması eksik",
    "D itself is trained; only what is below does not hear from it.": (
        "D'nin kendisi eğitilir; yalnız alttakiler ondan haber almaz."
    ),
    "scan gradient not carried through the state": "tarama: gradyan durum boyunca taşınmıyor",
    "Each step still learns to write what it reads itself, and the convolution remembers a few letters.": (
        "Her adım, kendi okuduğunu yazmayı yine de öğrenir; evrişim de birkaç harfi anımsar."
    ),
    "scan gradient fades by the step before": "tarama: gradyan bir önceki adıma göre sönüyor",
    "One step off: at first all step sizes are small, and all decays alike.": (
        "Bir adım kaymış: başta bütün adım boyları küçük, bütün sönümler benzerdir."
    ),
    "mamba gradient of A taken for that of A log": "Mamba: A'nın gradyanı A_log'unki sanılmış",
    "The clocks run uphill, slowly: at a learning rate of 1e-3, and beside all the others, nobody sees it.": (
        "Saatler yavaşça yokuş yukarı işler: 1e-3 öğrenme hızında, ötekilerin yanında kimse görmez."
    ),
    "mamba gate and y exchanged": "Mamba: kapı ile y yer değiştirmiş",
    "Both factors have one shape and one scale.": "İki çarpanın da biçimi ve ölçeği aynıdır.",
    "mamba residual branch dropped": "Mamba: artık akışın yolu atılmış",
    "What comes through the mixer still trains the layers below, more slowly.": (
        "Karıştırıcıdan gelen, alttaki katmanları yine de eğitir, ama daha yavaş."
    ),
    "silu gate not differentiated": "SiLU: kapının türevi alınmamış",
    "For large inputs that is all there is, and the sign is right nearly everywhere.": (
        "Büyük girdilerde geriye kalan zaten budur; işaret de hemen her yerde doğrudur."
    ),
    "rms norm length taken as constant": "RMSNorm: uzunluk sabit sayılmış",
    "What is left points the right way, with a part along the row that the next norm ignores.": (
        "Kalan doğru yönü gösterir; satır yönündeki fazlalığı bir sonraki norm zaten görmez."
    ),
    "rope turned the other way": "RoPE: ters yöne döndürülmüş",
    "Queries and keys turn together, so distances are still distances, and the backward turns back; only published weights "
    "take before for after.": (
        "Sorgularla anahtarlar birlikte döner; uzaklıklar uzaklık olarak kalır, geri yayılım da geri döndürür; yalnız "
        "yayımlanmış ağırlıklar önce ile sonrayı karıştırır."
    ),
    "rope backward turned forth": "RoPE: geri yayılımda ileri döndürülmüş",
    "At position 0 it is right, and slow pairs hardly turn; keys and queries of the quick ones learn in wrong directions.": (
        "0. konumda doğrudur, yavaş çiftler de pek dönmez; hızlı çiftlerin anahtar ve sorguları yanlış yönlerde öğrenir."
    ),
    "rope backward left out for keys": "RoPE: anahtarlarda geri yayılım unutulmuş",
    "The length of every gradient is right, and the slow pairs' directions almost; queries learn as they should.": (
        "Her gradyanın uzunluğu doğru, yavaş çiftlerin yönü de neredeyse; sorgular gerektiği gibi öğrenir."
    ),
    "rope values turned too": "RoPE: değerler de döndürülmüş",
    "What is taken home is turned by where it was, and the backward agrees; the layers above learn to live with it, worse.": (
        "Toplanan değerler bulundukları yere göre dönmüştür, geri yayılım da buna uyar; üstteki katmanlar bununla yaşamayı "
        "öğrenir, ama sonuç daha kötüdür."
    ),
    "groups key hears one head only": "gruplar: anahtar yalnız bir başlığı duyuyor",
    "A key learns what the first head of its group wants; the other heads learn to want the same.": (
        "Bir anahtar, grubunun ilk başlığının istediğini öğrenir; öteki başlıklar aynısını istemeyi öğrenir."
    ),
    "groups values gradient averaged": "gruplar: değerlerin gradyanı ortalanmış",
    "The direction is right, and Adam divides a constant factor away.": (
        "Yön doğrudur, sabit bir çarpanı da Adam bölüp yok eder."
    ),
    "swiglu slopes exchanged": "SwiGLU: eğimler yer değiştirmiş",
    "In a product each factor has the other one for its slope; here each has itself. Both have one shape.": (
        "Bir çarpımda her çarpanın eğimi ötekidir; burada her birininki kendisi. İkisinin de biçimi aynıdır."
    ),
    "swiglu gate not differentiated": "SwiGLU: kapının türevi alınmamış",
    "silu taken for x times a constant: for an open gate that is all there is.": (
        "silu, x çarpı bir sabit sanılmış: açık bir kapıda geriye kalan zaten budur."
    ),
    "swiglu gate not heard below": "SwiGLU: alttakiler kapıyı duymuyor",
    "The gate's own matrix is trained; only what is below does not hear from it.": (
        "Kapının kendi matrisi eğitilir; yalnız alttakiler ondan haber almaz."
    ),
    "llama only queries heard below": "Llama: alttakiler yalnız sorguları duyuyor",
    "All three matrices are trained; what is below learns to ask, and not to answer.": (
        "Üç matris de eğitilir; alttakiler sormayı öğrenir, yanıtlamayı öğrenmez."
    ),
    "llama residual branch dropped": "Llama: artık akışın yolu atılmış",
    # ---- floors, axes, what is left out (page.py)
    "knows nothing: ln V": "hiçbir şey bilmeyen: ln V",
    "knows how often each token comes": "her tokenin ne sıklıkta geldiğini bilen",
    "knows the token before (bigrams)": "bir önceki tokeni bilen (ikililer)",
    "knows the two tokens before (trigrams)": "önceki iki tokeni bilen (üçlüler)",
    "feature {n}": "özellik {n}",
    "component {n}": "bileşen {n}",
    "{shown} of {all} tokens are drawn in space: those of the text and the most frequent": (
        "uzayda {all} tokenden {shown} tanesi çizildi: metindekiler ve en sık gelenler"
    ),
    "weights, gradients, updates cell by cell: at {kept} of {all} recorded steps, since the page may have {mb:g} MB": (
        "hücre hücre ağırlık, gradyan ve güncellemeler: kaydedilen {all} adımdan {kept} tanesinde, çünkü sayfa en çok {mb:g} "
        "MB olabilir"
    ),
    "the text's values and gradients: at {kept} of {all} recorded steps, since the page may have {mb:g} MB": (
        "metnin değerleri ve gradyanları: kaydedilen {all} adımdan {kept} tanesinde, çünkü sayfa en çok {mb:g} MB olabilir"
    ),
    "left out at every step, since the page may have {mb:g} MB (name and how many numbers): {names}": (
        "sayfa en çok {mb:g} MB olabileceği için hiçbir adımda yer almayanlar (adı ve kaç sayı olduğu): {names}"
    ),
    # ---- what is off (insights.py)
    "{tensor} holds {count:,} numbers that are nan or infinite": "{tensor} içinde nan ya da sonsuz olan {count:,} sayı var",
    "numbers have grown past what {dtype} can hold, or 0 was divided by 0; all that is computed from them is nan as well": (
        "sayılar {dtype} türünün taşıyabileceğinden fazla büyüdü ya da 0, 0'a bölündü; onlardan hesaplanan her şey de nan olur"
    ),
    "lower the learning rate; the step before shows which numbers had grown": (
        "öğrenme hızını düşürün; hangi sayıların büyüdüğünü bir önceki adım gösterir"
    ),
    "the gradient agrees with the complex step to {digits:.1f} digits; {dtype} has {all:.0f}": (
        "gradyan, karmaşık sayı adımıyla {digits:.1f} basamağa kadar uyuşuyor; {dtype} {all:.0f} basamak taşır"
    ),
    "the backward is not the derivative of the forward: no learning rate mends that": (
        "geri yayılım, ileri yayılımın türevi değil: bunu hiçbir öğrenme hızı düzeltmez"
    ),
    "compare the backward with its derivation; npgpt.check_backward names the gradient that is wrong": (
        "geri yayılımı türetilişiyle karşılaştırın; npgpt.check_backward yanlış olan gradyanın adını söyler"
    ),
    "the gradient of {tensor} has vanished: its root mean square is {size:.1e}": (
        "{tensor} gradyanı söndü: karesel ortalaması {size:.1e}"
    ),
    "on the way back something multiplies it by almost 0: a saturated softmax or gate, a scale of 0. Below 1e-8, which AdamW "
    "adds where it divides, the update shrinks with the gradient, and the tensor stands still": (
        "geri yolda bir şey onu neredeyse 0 ile çarpıyor: doymuş bir softmax ya da kapı, 0 olan bir ölçek. AdamW'nin bölerken "
        "eklediği 1e-8'in altında güncelleme de gradyanla birlikte küçülür ve tensör yerinde sayar"
    ),
    "follow the gradient back to the box where it goes out; smaller initial weights, or a norm before it, help": (
        "gradyanı söndüğü kutuya kadar geriye izleyin; daha küçük başlangıç ağırlıkları ya da kutunun önüne bir "
        "normalleştirme iyi gelir"
    ),
    "the gradient of {tensor} has exploded: its length is {length:.3g}": "{tensor} gradyanı patladı: uzunluğu {length:.3g}",
    "softmax and cross-entropy give back a gradient no longer than 1.41; large weights or scales on its way have multiplied "
    "it by {factor:,.0f} at least": (
        "softmax ile çapraz entropinin geri verdiği gradyanın uzunluğu en çok 1.41; yoldaki büyük ağırlıklar ya da ölçekler "
        "onu en az {factor:,.0f} katına çıkardı"
    ),
    "start from smaller weights, lower the learning rate, and clip the gradient (max_norm)": (
        "daha küçük ağırlıklarla başlayın, öğrenme hızını düşürün ve gradyanı kırpın (max_norm)"
    ),
    "the updates of {tensor} are large: {ratio:.2g} of its weights": (
        "{tensor} güncellemeleri büyük: ağırlıklarının {ratio:.2g} katı"
    ),
    "a rule of thumb is 0.001; at 0.1 ten updates write the tensor anew, and what it had learned is lost": (
        "pratik kural 0.001 der; 0.1 olunca on güncelleme tensörü baştan yazar ve öğrendikleri kaybolur"
    ),
    "lower the learning rate, or let it fall in the course of the run": (
        "öğrenme hızını düşürün ya da koşu boyunca azalmasını sağlayın"
    ),
    "the updates of {tensor} are small: {ratio:.1e} of its weights": (
        "{tensor} güncellemeleri küçük: ağırlıklarının {ratio:.1e} katı"
    ),
    "a rule of thumb is 0.001; at 0.00001 it takes 100,000 updates to change by its own size": (
        "pratik kural 0.001 der; 0.00001 olunca kendi büyüklüğü kadar değişmesi 100.000 güncelleme ister"
    ),
    "raise the learning rate": "öğrenme hızını yükseltin",
    "in {count:,} updates these rows have not moved, though the text has their tokens: {tokens}": (
        "{count:,} güncellemede bu satırlar yerinden kıpırdamadı, oysa tokenleri metinde geçiyor: {tokens}"
    ),
    "no batch has held them; or their gradient gets lost, which is the sum over all places where the token stands": (
        "hiçbir yığında yer almadılar; ya da tokenin geçtiği bütün yerlerin toplamı olan gradyanları yolda kayboluyor"
    ),
    "draw the batches from all of the text, and train longer; else look at the embedding's backward": (
        "yığınları metnin tümünden çekin ve daha uzun eğitin; bu yetmezse token tablosunun geri yayılımına bakın"
    ),
    "the loss rises: from {low:.2f} nats, its lowest mean over a tenth of the run, to {high:.2f}": (
        "kayıp yükseliyor: koşunun onda biri üzerinden alınan en düşük ortalaması {low:.2f} nat iken {high:.2f} oldu"
    ),
    "updates that jump over what they aim at; or, where the digits of agreement are few, a wrong gradient": (
        "güncellemeler hedefin üstünden atlıyor; uyuşan basamaklar azsa gradyan yanlış"
    ),
    "the loss is {loss:.2f} nats; guessing costs ln V = {floor:.2f}": (
        "kayıp {loss:.2f} nat; rastgele tahminin kaybı ln V = {floor:.2f}"
    ),
    "the model has learned nothing that guessing does not know: the learning rate is too low, or far too high": (
        "model rastgele tahminin bildiğinden fazlasını öğrenmedi: öğrenme hızı çok düşük ya da aşırı yüksek"
    ),
    "try learning rates between 0.0001 and 0.01, and see that no gradient vanishes": (
        "0.0001 ile 0.01 arasındaki öğrenme hızlarını deneyin ve hiçbir gradyanın sönmediğini denetleyin"
    ),
}


def translator(lang: str = "en") -> Callable[..., str]:
    """say(text, **values) -> the text in `lang` with the values filled in. Raises ValueError for an unknown language."""
    return labels.translator(lang, TURKISH)
