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
    "the tokens that are read, by their numbers": "okunan parçalar, numaralarıyla",
    "the tokens that are expected, by their numbers": "beklenen parçalar, numaralarıyla",
    "head {n}": "başlık {n}",
    "computed by": "hesaplayan satır:",
    "and by": "ve:",
    "called from": "çağıran:",
    "a parameter: it is learned": "bir parametre: öğrenilir",
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
    "which token: its row of the table": "hangi parça: tablodaki satırı",
    "which position: what is added for it": "hangi konum: onun için eklenen",
    "the residual stream before the block": "bloktan önce artık akış",
    "the residual stream after attention": "dikkatten sonra artık akış",
    "the residual stream after the block": "bloktan sonra artık akış",
    "the score of each token as the next one": "her parçanın sıradaki parça olma puanı",
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
        "yan yana: zaman içinde karışacak olan ve kapı olacak olan"
    ),
    "each channel mixed with its own last letters": "her kanal, kendi son harfleriyle karışmış",
    "what enters the scan": "taramaya giren",
    "the step sizes: how much time each token takes": "adım boyları: her parça ne kadar zaman alır",
    "where in the state to write": "durumun neresine yazılacağı",
    "what to read from the state": "durumdan neyin okunacağı",
    "what each channel remembers": "her kanalın hatırladığı",
    "what was read from the state": "durumdan okunan",
    "what the mixer adds to the stream": "karıştırıcının akışa eklediği",
    # ---- the paths of a gradient (formulas/)
    "as the factor in front": "öndeki çarpan olarak",
    "inside the gate": "kapının içinde",
    "as the head's row": "çıkış katmanının satırı olarak",
    "where it was looked up": "tabloda bakıldığı yerlerde",
    "handed on by the block below": "alttaki bloktan olduğu gibi gelir",
    "handed on to the first block": "ilk bloğa olduğu gibi geçer",
    "handed on to the next block": "sonraki bloğa olduğu gibi geçer",
    "the sum hands it on": "toplama onu olduğu gibi geçirir",
    "no FFN: as it is": "FFN yok: olduğu gibi",
    "no FFN: handed on": "FFN yok: olduğu gibi geçer",
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
    "through the intake": "alınan girdi üzerinden",
    "through the decay": "sönüm üzerinden",
    "through the skip D": "D kestirmesi üzerinden",
    "through the state of t+1": "t+1 adımının durumu üzerinden",
    "through delta": "delta üzerinden",
    "through B": "B üzerinden",
    "through C": "C üzerinden",
    "through y[t]": "y[t] üzerinden",
    # ---- the page: its bar, its keys, what all views share (page/main.js, drawing.js, numbers.js)
    "Inspector": "Müfettiş",
    "{n} parameters": "{n} parametre",
    "seed {n}": "tohum {n}",
    "{n} training steps": "{n} eğitim adımı",
    "{n} of them recorded": "{n} tanesi kayıtlı",
    "What was left out for size": "Boyut yüzünden yer almayanlar",
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
    "Drag the slider above or press play. The loss falls below one floor after the other: each is the loss of a reader who "
    "knows how often the tokens come, then which follows which, and so on.": (
        "Yukarıdaki kaydırıcıyı sürükleyin ya da oynata basın. Kayıp, eşiklerin altına birer birer iner: her eşik bir okurun "
        "kaybıdır; biri birimlerin ne sıklıkta geldiğini bilir, öteki hangisinin hangisinden sonra geldiğini de bilir, böyle "
        "gider."
    ),
    "The loss is the mean of −ln p over the positions, p the probability that the model gives to the token that comes next; "
    "in nats.": (
        "Kayıp, −ln p'nin konumlar üzerinden ortalamasıdır; p, modelin sıradaki birime verdiği olasılıktır. Birimi nattır."
    ),
    "One directional derivative of the gradient is compared with the complex step, which has no rounding error of its own:": (
        "Gradyanın bir doğrultudaki türevi, kendi yuvarlama hatası olmayan karmaşık adımla karşılaştırılır:"
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
    "as unsure as a guess among {n} tokens": "{n} birim arasından rastgele seçmek kadar kararsız",
    "learning rate": "öğrenme hızı",
    "of the update after step {s}": "{s}. adımdan sonraki güncellemenin",
    "gradient norm, before clipping": "gradyanın normu, kırpılmadan önce",
    "no update follows the last step": "son adımdan sonra güncelleme yok",
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
        "Modelin bu adımda yazdığı; her adımda aynı rastgele sayılarla çekildi:"
    ),
    "Digits in which the gradient agrees with the complex step": "Gradyanın karmaşık adımla uyuştuğu basamaklar",
    "digits of agreement with the complex step": "karmaşık adımla uyuşan basamaklar",
    "digits": "basamak",
    "what it writes": "yazdığı",
    # ---- view 2 (page/views/pipeline.js, explanation.js)
    "Forward and backward": "İleri ve geri",
    "Every number between the text and the loss. Point at a cell: it is written out in numbers, and the cells that enter "
    "light up. Switch to backward: each gradient is the sum over the paths by which its value reaches the loss.": (
        "Metin ile kayıp arasındaki bütün sayılar. Bir hücreyi gösterin: sayılarla açılıp yazılır, ona giren hücreler "
        "ışıklanır. Geriye geçin: her gradyan, değerinin kayba ulaştığı yolların toplamıdır."
    ),
    "Forward, each box is computed from boxes before it and from parameters. Backward, the gradient of a box is what its "
    "readers send back to it, added up:": (
        "İleri giderken her kutu, kendinden önceki kutulardan ve parametrelerden hesaplanır. Geri giderken bir kutunun "
        "gradyanı, onu okuyanların geri gönderdiklerinin toplamıdır:"
    ),
    "A value that is read twice, such as the residual stream, has two paths or more. A parameter is read at every position, "
    "so its gradient is a sum over the positions.": (
        "Artık akış gibi iki kez okunan bir değerin iki ya da daha çok yolu vardır. Bir parametre her konumda okunur; bu "
        "yüzden gradyanı konumlar üzerinden bir toplamdır."
    ),
    "No traces were kept in this run.": "Bu eğitimde iz tutulmadı.",
    "orange: below 0": "turuncu: 0'ın altı",
    "violet: above 0": "mor: 0'ın üstü",
    "each box to its own scale, whose end stands under it": "her kutunun ölçeği kendine göre, ölçeğin ucu altında yazar",
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
    "These numbers were left out for size.": "Bu sayılar boyut yüzünden yer almıyor.",
    "Left out at every step for size: {names}": "Boyut yüzünden hiçbir adımda yer almayanlar: {names}",
    "Left out at this step for size.": "Boyut yüzünden bu adımda yer almıyor.",
    "to the nearest step that has it: {s}": "yer aldığı en yakın adıma: {s}",
    "first wrong value: {name}": "ilk yanlış değer: {name}",
    "first wrong gradient: {name}": "ilk yanlış gradyan: {name}",
    "letter": "harf",
    "The gradient is that of the probe text's loss.": "Gradyan, deneme metnindeki kaybın gradyanıdır.",
    "what this number is made of": "bu sayı neden oluşur",
    "gradient: how the loss changes with it": "gradyan: kayıp onunla nasıl değişir",
    "No formula is written down for this number.": "Bu sayı için yazılmış bir formül yok.",
    "It reaches the loss by {n} paths; the gradient is their sum.": "Kayba {n} yoldan ulaşır; gradyan bunların toplamıdır.",
    "recorded in the run: {x}": "eğitimde kaydedilen: {x}",
    "A weight that serves {n} positions collects {n} gradients.": "{n} konuma hizmet eden bir ağırlık {n} gradyan toplar.",
    "where": "burada",
    "A learned number. No update of it was recorded at this step.": (
        "Öğrenilen bir sayı. Bu adımda onun için kaydedilmiş bir güncelleme yok."
    ),
    "A learned number. At this step the batch's gradient is {g}; AdamW then adds {u}.": (
        "Öğrenilen bir sayı. Bu adımda yığının gradyanı {g}; sonra AdamW {u} ekler."
    ),
    "The line that computed it:": "Onu hesaplayan satır:",
    "{n} more": "{n} terim daha",
    "the function {name}": "{name} fonksiyonu",
    # ---- the paths' names (formulas/)
    # ---- view 3 (page/views/born.js)
    "Where the gradient is born": "Gradyanın doğduğu yer",
    "The logits' gradient is what the model expected minus what came. The token that came is pulled up; the others are "
    "pushed down, together by as much. Every other gradient on this page is this one, pushed back.": (
        "Logitlerin gradyanı, modelin beklediğinden gelenin farkıdır. Gelen birim yukarı çekilir; ötekiler hep birlikte o "
        "kadar aşağı itilir. Bu sayfadaki bütün öteki gradyanlar bunun geriye itilmiş hâlidir."
    ),
    "The loss is the mean over N positions of −ln p of the target. With p = softmax(logits):": (
        "Kayıp, hedefin −ln p'sinin N konum üzerinden ortalamasıdır. p = softmax(logits) ile:"
    ),
    "Both p and the one-hot sum to 1, so each row of the gradient sums to 0.": (
        "p'nin de one-hot'ın da toplamı 1'dir; bu yüzden gradyanın her satırının toplamı 0'dır."
    ),
    "The logits are not among the numbers of this page.": "Logitler bu sayfanın sayıları arasında değil.",
    "softmax: what the model expects": "softmax: modelin beklediği",
    "one-hot: what came": "one-hot: gelen",
    "their difference, divided by N": "farkları, N'ye bölünmüş",
    "(softmax − one-hot) / N: the gradient of the logits": "(softmax − one-hot) / N: logitlerin gradyanı",
    "the same for every position, as recorded; each row sums to 0 but for float32's rounding": (
        "her konum için aynısı, kaydedildiği gibi; her satırın toplamı, float32'nin yuvarlaması dışında 0'dır"
    ),
    "gradient of the logits": "logitlerin gradyanı",
    "sum of each row": "her satırın toplamı",
    "{n} of {m} tokens are shown, the text's own among them.": "{m} birimden {n} tanesi gösteriliyor; metindekiler de içinde.",
    "After “{here}” at position {t} came “{token}”: p = {p}, wanted 1, so ({p} − 1) / {N} = {x}; recorded {recorded}.": (
        "{t} konumundaki “{here}” ardından “{token}” geldi: p = {p}, istenen 1, öyleyse ({p} − 1) / {N} = {x}; kaydedilen "
        "{recorded}."
    ),
    "The likeliest wrong one, “{token}”: p = {p}, wanted 0, so {p} / {N} = {x}; recorded {recorded}.": (
        "En olası yanlış birim, “{token}”: p = {p}, istenen 0, öyleyse {p} / {N} = {x}; kaydedilen {recorded}."
    ),
    "token": "birim",
    "softmax": "softmax",
    "one-hot": "one-hot",
    "difference / N": "fark / N",
    "recorded": "kaydedilen",
    # ---- floors, axes, what is left out (page.py)
    "knows nothing: ln V": "hiçbir şey bilmeyen: ln V",
    "knows how often each token comes": "her birimin ne sıklıkta geldiğini bilen",
    "knows the token before (bigrams)": "bir önceki birimi bilen (bigram)",
    "knows the two tokens before (trigrams)": "önceki iki birimi bilen (trigram)",
    "feature {n}": "özellik {n}",
    "component {n}": "bileşen {n}",
    "{shown} of {all} tokens are drawn in space: those of the text and the most frequent": (
        "uzayda {all} birimden {shown} tanesi çizildi: metindekiler ve en sık gelenler"
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
        "gradyan, karmaşık adımla {digits:.1f} basamağa kadar uyuşuyor; {dtype} {all:.0f} basamak taşır"
    ),
    "the backward is not the derivative of the forward: no learning rate mends that": (
        "geri yayılım, ileri adımın türevi değil: bunu hiçbir öğrenme hızı düzeltmez"
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
        "gradyanı söndüğü kutuya kadar geriye izleyin; daha küçük başlangıç ağırlıkları ya da öncesine bir normalleştirme iyi "
        "gelir"
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
        "öğrenme hızını düşürün ya da eğitim boyunca azalmasını sağlayın"
    ),
    "the updates of {tensor} are small: {ratio:.1e} of its weights": (
        "{tensor} güncellemeleri küçük: ağırlıklarının {ratio:.1e} katı"
    ),
    "a rule of thumb is 0.001; at 0.00001 it takes 100,000 updates to change by its own size": (
        "pratik kural 0.001 der; 0.00001 olunca kendi büyüklüğü kadar değişmesi 100.000 güncelleme ister"
    ),
    "raise the learning rate": "öğrenme hızını yükseltin",
    "in {count:,} updates these rows have not moved, though the text has their tokens: {tokens}": (
        "{count:,} güncellemede bu satırlar kıpırdamadı, oysa birimleri metinde geçiyor: {tokens}"
    ),
    "no batch has held them; or their gradient gets lost, which is the sum over all places where the token stands": (
        "hiçbir yığında yer almadılar; ya da birimin geçtiği bütün yerlerin toplamı olan gradyanları yolda kayboluyor"
    ),
    "draw the batches from all of the text, and train longer; else look at the embedding's backward": (
        "yığınları metnin tümünden çekin ve daha uzun eğitin; bu yetmezse sözlüğün geri yayılımına bakın"
    ),
    "the loss rises: from {low:.2f} nats, its lowest mean over a tenth of the run, to {high:.2f}": (
        "kayıp yükseliyor: eğitimin onda biri üzerinden en düşük ortalaması {low:.2f} nat iken {high:.2f} oldu"
    ),
    "updates that jump over what they aim at; or, where the digits of agreement are few, a wrong gradient": (
        "güncellemeler hedefin üstünden atlıyor; uyuşan basamaklar azsa gradyan yanlış"
    ),
    "the loss is {loss:.2f} nats; guessing costs ln V = {floor:.2f}": (
        "kayıp {loss:.2f} nat; rastgele tahmin ln V = {floor:.2f} nata mal olur"
    ),
    "the model has learned nothing that guessing does not know: the learning rate is too low, or far too high": (
        "model rastgele tahminin bildiğinden fazlasını öğrenmedi: öğrenme hızı çok düşük ya da aşırı yüksek"
    ),
    "try learning rates between 0.0001 and 0.01, and see that no gradient vanishes": (
        "0.0001 ile 0.01 arasındaki öğrenme hızlarını deneyin ve hiçbir gradyanın sönmediğine bakın"
    ),
}


def translator(lang: str = "en") -> Callable[..., str]:
    """say(text, **values) -> the text in `lang` with the values filled in. Raises ValueError for an unknown language."""
    return labels.translator(lang, TURKISH)
