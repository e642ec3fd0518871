"""What the pictures and the numbered examples say, in English and in Turkish: one table, from the English text to the Turkish.

The English text is the key, so code reads as what it prints: `say("step {step:,}", step=40)`. A text without a Turkish entry
raises KeyError, so none is forgotten (the tests run everything in both languages).
"""

from collections.abc import Callable, Mapping

LANGUAGES = ("en", "tr")

TURKISH = {
    # ---- in several places
    "step": "adım",
    "yes": "evet",
    "no": "hayır",
    "values": "değerler",
    "attention": "dikkat",
    "FFN": "FFN",
    "LayerNorm": "LayerNorm",
    "before training": "eğitimden önce",
    "after training": "eğitimden sonra",
    "untrained": "eğitilmemiş",
    "trained": "eğitilmiş",
    "dictionary": "sözlük",
    "letters": "harfler",
    "vowels": "ünlüler",
    "consonants": "ünsüzler",
    "space, full stop, comma": "boşluk, nokta, virgül",
    "mean": "ortalama",
    "wrote {path}": "yazıldı: {path}",
    "step {step:,}": "adım {step:,}",
    "feature {n}": "özellik {n}",
    "position": "konum",
    "first 3 principal components: {percent:.0f} % of the variance": "ilk 3 temel bileşen: varyansın %{percent:.0f} kadarı",
    "knows nothing: ln V = {loss:.3f}": "hiçbir şey bilmeyen: ln V = {loss:.3f}",
    "query: who looks": "sorgu: kim bakıyor",
    "key: who is looked at": "anahtar: kime bakılıyor",
    # ---- plots: curves
    "loss (nats a token)": "kayıp (harf başına nat)",
    "Training: how surprised the model is by the next letter": "Eğitim: model bir sonraki harfe ne kadar şaşırıyor",
    "each batch": "her yığın",
    "mean of the last {n}": "son {n} adımın ortalaması",
    "{name}: mean {loss:.2f}": "{name}: ortalama {loss:.2f}",
    "the letter that really came next": "gerçekte gelen harf",
    "surprise: -ln p (nats)": "şaşkınlık: -ln p (nat)",
    "after this letter": "bu harften sonra",
    "what is added at each position, by feature": "her konumda eklenen değer, özelliklere göre",
    "before: only the letter": "önce: yalnız harf",
    "after: the letter at a position": "sonra: konumundaki harf",
    "length of the row's gradient": "satır gradyanının uzunluğu",
    "gradient exactly 0: the row does not move": "gradyan tam 0: satır yerinden kıpırdamaz",
    "gradients: log₁₀ of the root mean square": "gradyanlar: karesel ortalamanın log₁₀ değeri",
    "update / weight (root mean squares)": "güncelleme / ağırlık (karesel ortalamalar)",
    "rule of thumb: 1/1000": "pratik kural: 1/1000",
    "loss after training (nats a word)": "eğitim sonrası kayıp (kelime başına nat)",
    "facts answered right, of {n}": "doğru yanıtlanan bilgi sayısı ({n} bilgiden)",
    "rank of the logit matrix": "logit matrisinin rankı",
    "the text's own floor: {loss:.3f}": "metnin kendi tabanı: {loss:.3f}",
    "rank = n_embd": "rank = n_embd",
    "spread of the seeds": "tohumlar arası yayılım",
    "knee: n_embd = {n}": "dirsek: n_embd = {n}",
    "layers × heads": "katman × başlık",
    "loss (nats a letter): a dot a seed, a bar at the mean": "kayıp (harf başına nat): nokta bir tohum, çizgi ortalama",
    "loss (nats a character): a dot a seed, a bar at the mean": "kayıp (karakter başına nat): nokta bir tohum, çizgi ortalama",
    "nats below {name}, on the same batches": "aynı yığınlarda {name} modelinden kaç nat aşağıda",
    # ---- plots: matrices
    "scores: query · key / √D": "skorlar: sorgu · anahtar / √D",
    "weights: softmax of each row": "ağırlıklar: her satırın softmax'ı",
    "context = weights × values": "bağlam = ağırlıklar × değerler",
    "layer {layer}, head {head}": "katman {layer}, başlık {head}",
    "value": "değer",
    "gradient": "gradyan",
    "weights": "ağırlıklar",
    "dscores × 10⁴": "dscores × 10⁴",
    "row sum": "satır toplamı",
    # ---- plots: spaces
    "The dictionary space: vowels bold and warm, consonants cold": (
        "Sözlük uzayı: ünlüler kalın ve sıcak, ünsüzler soğuk renkte"
    ),
    "{when}: {size:.2g} from corner to corner": "{when}: köşeden köşeye {size:.2g}",
    "before: the residual stream": "önce: artık akış",
    "after: (x - mean) / standard deviation": "sonra: (x - ortalama) / standart sapma",
    "circle of radius √3 in the plane x + y + z = 0": "x + y + z = 0 düzleminde √3 yarıçaplı çember",
    "the direction (1, 1, 1): taken away": "(1, 1, 1) yönü: yok edilir",
    # ---- 1
    "{count} letters: {letters}": "{count} harf: {letters}",
    "{text!r} is {ids}": "{text!r} = {ids}",
    "Is a lookup the one-hot rows times the table? {same}": (
        "Tablodan satır okumak, one-hot satırlarla çarpmakla aynı mı? {same}"
    ),
    "Before training: 32 letters, a cloud without order": "Eğitimden önce: 32 harf, düzensiz bir bulut",
    "{letter!r} stands at {places}. First feature: its row's gradient is the sum": (
        "{letter!r} harfinin yerleri: {places}. İlk özellik: satırının gradyanı şu toplamdır"
    ),
    "{count} letters do not occur, so their rows get exactly 0: {letters}": (
        "{count} harf metinde geçmiyor, satırları tam 0 alır: {letters}"
    ),
    "A lookup's gradient: {count} of 32 rows get none, because their letters do not occur": (
        "Satır okumanın gradyanı: 32 satırdan {count} tanesi hiç almaz, çünkü harfleri metinde geçmez"
    ),
    "After 50 steps on this text alone:": "Yalnız bu metinle 50 adımdan sonra:",
    "  {letter!r} has moved by {distance:.4f}": "  {letter!r} harfi {distance:.4f} kadar yer değiştirdi",
    # ---- 2
    "the encoding of the first positions:": "ilk konumların kodlaması:",
    "{letter!r} stands at {places}: one vector in the dictionary, {count} in the sentence": (
        "{letter!r} harfinin yerleri: {places}; sözlükte tek vektör, cümlede {count} vektör"
    ),
    "The same {letter!r} at {count} places: one vector before the position is added, {count} after": (
        "Aynı {letter!r} harfi {count} yerde: konum eklenmeden önce tek vektör, eklendikten sonra {count} vektör"
    ),
    "untrained, a position's vector is {ratio:.0f} times as long as a letter's": (
        "eğitimden önce bir konum vektörü, bir harf vektörünün {ratio:.0f} katı uzunlukta"
    ),
    "Sorted by letter, the two sentences differ by {first:.2f} without positions, by {second:.2f} with them": (
        "Harfe göre sıralanınca iki cümlenin farkı konumsuz {first:.2f}, konumlarla {second:.2f}"
    ),
    "{first!r} against {second!r}, {label}: they differ by {distance:.4f}": (
        "{first!r} ile {second!r}, {label}: aradaki fark {distance:.4f}"
    ),
    "letters only": "yalnız harfler",
    "letter + position": "harf + konum",
    # ---- 3
    "{count} parameters, loss {loss:.3f}": "{count} parametre, kayıp {loss:.3f}",
    "padding on the right changes the logits of {text!r} by {change:.6f}": (
        "sağdan doldurmak {text!r} logitlerini {change:.6f} kadar değiştirir"
    ),
    "queries": "sorgular",
    "keys": "anahtarlar",
    "after LayerNorm": "LayerNorm'dan sonra",
    "Each letter asks (query), offers (key) and brings (value)": "Her harf sorar (sorgu), sunar (anahtar) ve getirir (değer)",
    "Untrained, every letter looks at itself and at all before it in equal shares: 1, 1/2, 1/3, ...": (
        "Eğitilmemiş modelde her harf kendine ve öncekilerin hepsine eşit payla bakar: 1, 1/2, 1/3, ..."
    ),
    "each row of weights sums to {low:.4f}..{high:.4f}": "her ağırlık satırının toplamı: {low:.4f}..{high:.4f}",
    "The last letter {letter!r} looks most at {other!r} at place {place}: {percent:.0f} % of its attention": (
        "Son harf {letter!r} en çok {place}. yerdeki {other!r} harfine bakıyor: dikkatinin %{percent:.0f} kadarı"
    ),
    "the head called alone gives the same pair (output, weights): {same}": (
        "tek başına çağrılan başlık aynı (çıktı, ağırlıklar) çiftini veriyor mu: {same}"
    ),
    "x": "x",
    "projection": "izdüşüm",
    "x + attention": "x + dikkat",
    "FFN, GELU": "FFN, GELU",
    "x + attention + FFN": "x + dikkat + FFN",
    "root mean squares: {sizes}": "karesel ortalamalar: {sizes}",
    "Two branches write into the stream x; here {loud} writes {ratio:.1f} times as strongly as {quiet}": (
        "x akışına iki dal yazar; burada {loud} dalı, {quiet} dalından {ratio:.1f} kat güçlü yazıyor"
    ),
    "radii after LayerNorm: {low:.4f} to {high:.4f}; √3 = {root:.4f}": (
        "LayerNorm sonrası yarıçaplar: {low:.4f} ile {high:.4f} arası; √3 = {root:.4f}"
    ),
    "LayerNorm of three numbers: every vector lands on one circle of radius √3": (
        "Üç sayının LayerNorm'u: her vektör √3 yarıçaplı tek bir çembere düşer"
    ),
    "its backward lets {rank} of 3 directions through: neither the mean nor the length": (
        "geri yolu 3 yönden {rank} tanesini geçirir: ne ortalamayı ne uzunluğu"
    ),
    "  what is left of the direction (1, 1, 1): {size:.6f}": "  (1, 1, 1) yönünden kalan: {size:.6f}",
    "  of the vector itself: {size:.6f}": "  vektörün kendi yönünden kalan: {size:.6f}",
    # ---- 4
    "after {text!r}, the likeliest letters:": "{text!r} sonrasında en olası harfler:",
    "{name}: mean surprise {mean:.4f} nats, model.loss {loss:.4f}": (
        "{name}: ortalama şaşkınlık {mean:.4f} nat, model.loss {loss:.4f}"
    ),
    "The trained model is less surprised than guessing at {count} of {total} letters": (
        "Eğitilmiş model {total} harften {count} tanesinde rastgele tahminden daha az şaşırıyor"
    ),
    "right first guesses of {total}: {hits}": "{total} harfte doğru ilk tahmin: {hits}",
    "Framed: what really comes. No letter gets more than {first:.0f} % untrained, {second:.0f} % trained": (
        "Çerçeveli: gerçekte gelen harf. Hiçbir harfin payı eğitimden önce %{first:.0f}, sonra %{second:.0f} üstüne çıkmıyor"
    ),
    "{model} goes on from {text!r}: {written!r}": "{model} model, {text!r} sonrasını yazıyor: {written!r}",
    "probabilities of the letters it chose: {chosen}": "seçtiği harflerin olasılıkları: {chosen}",
    "Greedy writing: the framed letter is appended, then the model is asked again": (
        "Açgözlü seçim: çerçeveli harf sona eklenir, modele yeniden sorulur"
    ),
    "written: {text!r}": "yazılan: {text!r}",
    "{name}: {loss:.3f} nats a letter over the text; guessing: {guess:.3f}": (
        "{name}: metnin tümünde harf başına {loss:.3f} nat; rastgele tahmin: {guess:.3f}"
    ),
    # ---- 5
    "dlogits = (softmax - onehot) / N: largest difference {error:.6f}": (
        "dlogits = (softmax - onehot) / N: en büyük fark {error:.6f}"
    ),
    "its rows sum to 0: largest sum {error:.6f}": "satırlarının toplamı 0: en büyük toplam {error:.6f}",
    "root mean squares of values and gradients, in the order of the way back:": (
        "değerlerin ve gradyanların karesel ortalamaları, geri yolun sırasıyla:"
    ),
    "Every value has a gradient of its own shape. Read from left to right: the way back": (
        "Her değerin kendi biçiminde bir gradyanı vardır. Soldan sağa: geri yol"
    ),
    "rows of dscores sum to 0: largest sum {error:.6f}": "dscores satırlarının toplamı 0: en büyük toplam {error:.6f}",
    "the largest, {query!r} at {t} looking at {key!r} at {s}: P (dP - sum P dP) =": (
        "en büyüğü: {t}. yerdeki {query!r}, {s}. yerdeki {key!r} harfine bakarken: P (dP - toplam P dP) ="
    ),
    "dv of {key!r} at {s}, first feature: the sum over everyone who looked at it": (
        "{s}. yerdeki {key!r} harfinin dv değeri, ilk özellik: ona bakan herkesin toplamı"
    ),
    "Rows of dscores sum to 0: attention that one letter wins, another loses": (
        "dscores satırlarının toplamı 0: bir harfin kazandığı dikkati bir başkası kaybeder"
    ),
    "the table's gradient is dembed collected by letter: largest difference {error:.6f}": (
        "tablonun gradyanı, harflere göre toplanmış dembed'dir: en büyük fark {error:.6f}"
    ),
    "row of {letter!r}: measured slope {slope:.5f}, gradient {gradient:.5f}": (
        "{letter!r} satırı: ölçülen eğim {slope:.5f}, gradyan {gradient:.5f}"
    ),
    # ---- 6
    "no record in {folder}; running: {command}": "{folder} içinde kayıt yok; çalıştırılıyor: {command}",
    "guessing: {loss:.3f} nats a letter": "rastgele tahmin: harf başına {loss:.3f} nat",
    "who knows how often letters come: {loss:.3f}": "harf sıklıklarını bilen: {loss:.3f}",
    "who knows the last letter (bigrams): {loss:.3f}": "son harfi bilen (ikililer): {loss:.3f}",
    "who knows the last two (trigrams): {loss:.3f}": "son iki harfi bilen (üçlüler): {loss:.3f}",
    "this run, mean of the last tenth of its {count} steps: {loss:.3f}": (
        "bu koşu, {count} adımın son onda birinin ortalaması: {loss:.3f}"
    ),
    "letters alone": "tek harfler",
    "bigrams": "ikililer",
    "trigrams": "üçlüler",
    "above even the letters' frequencies": "harf sıklıklarının bile üstünde",
    "better than letter frequencies, not yet than bigrams": "harf sıklıklarından iyi, ikililerden henüz değil",
    "better than bigrams, not than trigrams": "ikililerden iyi, üçlülerden değil",
    "better than trigrams": "üçlülerden de iyi",
    "The run ends at {loss:.2f} nats: {beaten}": "Koşu {loss:.2f} natta bitiyor: {beaten}",
    "root mean square of the gradient at the first and the last snapshot, and the last update / weight:": (
        "ilk ve son kayıttaki gradyanın karesel ortalaması ve son güncelleme / ağırlık oranı:"
    ),
    "From first to last step the gradient of {name} grew most; the median update is {ratio:.0e} of its weights": (
        "İlk adımdan sonuncuya en çok büyüyen gradyan: {name}; sonda güncelleme / ağırlık oranının ortancası {ratio:.0e}"
    ),
    "{name}: the two kinds' centres lie {ratio:.2f} times their mean radius apart": (
        "{name}: ünlülerle ünsüzlerin merkezleri arası, ortalama yarıçaplarının {ratio:.2f} katı"
    ),
    "Vowels and consonants: {first:.1f} radii apart at first, {last:.1f} in the end": (
        "Ünlülerle ünsüzlerin arası: başta {first:.1f}, sonda {last:.1f} yarıçap"
    ),
    "at the end it writes {text!r}": "sonunda şunu yazıyor: {text!r}",
    "After the grey prompt: what the model writes as it learns": "Gri başlangıçtan sonrası: model öğrendikçe ne yazıyor",
    # ---- 7
    "{facts} facts, {words} words; the lowest loss that any model can reach: {floor:.3f}": (
        "{facts} bilgi, {words} kelime; bir modelin inebileceği en düşük kayıp: {floor:.3f}"
    ),
    "n_embd   loss: mean (lowest..highest)   facts known: mean (lowest..highest)   rank of the logits": (
        "n_embd   kayıp: ortalama (en düşük..en yüksek)   bilinenler: ortalama (en az..en çok)   logitlerin rankı"
    ),
    "No knee up to n_embd {last}: no seed comes 95 % of the way to the floor": (
        "n_embd {last} değerine kadar dirsek yok: hiçbir tohum tabana inen yolun %95'ini almıyor"
    ),
    "The knee is at n_embd {knee}: from there on the best seed comes 95 % of the way to the floor": (
        "Dirsek n_embd {knee} değerinde: oradan sonra en iyi tohum tabana inen yolun en az %95'ini alıyor"
    ),
    "of {total} runs from the knee on, {count} end more than 0.1 nats above their width's best": (
        "dirsekten sonraki {total} eğitimden {count} tanesi, aynı genişlikteki en iyisinin 0.1 nattan fazla üstünde bitiyor"
    ),
    "n_embd {width}: {count} of {total} facts are answered wrong": (
        "n_embd {width}: {total} bilgiden {count} tanesi yanlış yanıtlandı"
    ),
    "  {question!r} -> {answer!r} (right: {right!r}), from {owner!r}": (
        "  {question!r} -> {answer!r} (doğrusu: {right!r}), karıştığı cümle: {owner!r}"
    ),
    "n_embd {width}, closest words: {pairs}": "n_embd {width}, en yakın kelimeler: {pairs}",
    "countries": "ülkeler",
    "capitals": "başkentler",
    "n_embd {width}: countries lie {first:.1f} apart on average, capitals {second:.1f}": (
        "n_embd {width}: ülkelerin arası ortalama {first:.1f}, başkentlerin arası {second:.1f}"
    ),
    # ---- 8
    "2 layers, 3 heads, {count} parameters: {loss:.3f} nats a letter": (
        "2 katman, 3 başlık, {count} parametre: harf başına {loss:.3f} nat"
    ),
    "at: the horse": "at: hayvan",
    "at: throw!": "at: fırlat!",
    "{letter!r}: distance 0 in the dictionary, {gap:.2f} in context (mean length {size:.2f})": (
        "{letter!r}: uzaklık sözlükte 0, bağlamda {gap:.2f} (ortalama uzunluk {size:.2f})"
    ),
    "  after {sentence!r} ({name}): {likely}": "  {sentence!r} sonrasında ({name}): {likely}",
    "One word, two contexts: 0 apart in the dictionary, {gap:.1f} apart at the last letter": (
        "Bir kelime, iki bağlam: sözlükte uzaklık 0, son harfte {gap:.1f}"
    ),
    "loss without one head, in nats above {loss:.3f}:": "bir başlık kapatılınca kayıp, {loss:.3f} üstüne nat olarak:",
    "without it: {change:+.3f} nats": "onsuz: {change:+.3f} nat",
    "Head {head} of layer {layer} is missed most: without it the loss is {change:.2f} nats higher": (
        "En çok aranan: {layer}. katmanın {head}. başlığı; o olmadan kayıp {change:.2f} nat daha yüksek"
    ),
    "layers × heads, parameters, loss: mean (lowest..highest)": (
        "katman × başlık, parametre, kayıp: ortalama (en düşük..en yüksek)"
    ),
    "After {steps:,} steps {name} is best, by {gap:.3f} nats: {verdict} ({spread:.3f})": (
        "{steps:,} adımdan sonra en iyisi {name}; farkı {gap:.3f} nat, {verdict} ({spread:.3f})"
    ),
    "more than the seeds' spread": "tohumlar arası yayılımdan fazla",
    "no more than the seeds' spread": "tohumlar arası yayılımdan fazla değil",
    # ---- 9
    "parameters": "parametre",
    "guessing: {chance:.3f}": "rastgele tahmin: {chance:.3f}",
    "further than in training": "eğitimdekinden uzak",
    "words between the name and the question": "adla soru arasındaki uzaklık (kelime)",
    "share of right answers": "doğru yanıtların payı",
    "time of the best other / time of npgpt": "en hızlı rakibin süresi / npgpt'nin süresi",
    "who is looked at": "kime bakılıyor",
    "letter": "harf",
    "the sentences": "cümleler",
    "the text of known entropy": "entropisi bilinen metin",
    "{name}: parameters, loss: mean (lowest..highest), learning rate:": (
        "{name}: parametre, kayıp: ortalama (en düşük..en yüksek), öğrenme hızı:"
    ),
    "a text of known entropy, {text!r} ...: {rate:.4f} nats a letter": (
        "entropisi bilinen bir metin, {text!r} ...: harf başına {rate:.4f} nat"
    ),
    "  a sample of {count:,} letters costs its own chain {mean:.4f} ± {error:.4f}": (
        "  {count:,} harflik bir örneğin kendi zincirine maliyeti {mean:.4f} ± {error:.4f}"
    ),
    "  above the floor of {floor:.4f} nats at the largest size: {distances}": (
        "  en büyük boyda {floor:.4f} natlık tabanın üstünde: {distances}"
    ),
    "one letter seen": "bir harf görünce",
    "two letters seen": "iki harf görünce",
    "three letters seen": "üç harf görünce",
    "the sentences: loss (nats a letter)": "cümleler: kayıp (harf başına nat)",
    "known entropy: nats a letter above the floor": "bilinen entropi: tabanın üstünde, harf başına nat",
    "At {count:,} parameters {name} is best on the sentences, by {gap:.2f} nats; {known_name} on the text of known entropy, by "
    "{known_gap:.3f}": (
        "{count:,} parametrede cümlelerde en iyisi {name}, farkı {gap:.2f} nat; entropisi bilinen metinde {known_name}, farkı "
        "{known_gap:.3f}"
    ),
    "a name to remember: share of right answers, {count} words after it:": (
        "anımsanacak bir ad: doğru yanıtların payı, addan şu kadar kelime sonra: {count}"
    ),
    "Right answers within the training's distances: {within}; further: {beyond}": (
        "Eğitimdeki uzaklıklarda doğru yanıtlar: {within}; daha uzakta: {beyond}"
    ),
    "LSTM: forget gate": "LSTM: unutma kapısı",
    "LSTM: cell": "LSTM: hücre",
    "Mamba: step delta": "Mamba: delta adımı",
    "GPT: attention, head {head}": "GPT: dikkat, başlık {head}",
    "space": "boşluk",
    "full stop": "nokta",
    "the LSTM's forget gate, mean at": "LSTM'nin unutma kapısı, ortalama:",
    "Mamba's step delta, mean at": "Mamba'nın delta adımı, ortalama:",
    "{count} parameters: the forget gate lets go most at {forgets}, delta is largest at {writes}": (
        "{count} parametre: unutma kapısının en çok bıraktığı yer: {forgets}; deltanın en büyük olduğu yer: {writes}"
    ),
    "rank correlation with replacing each letter ({count} parameters, {texts} sentences): mean (lowest..highest seed)": (
        "her harfi değiştirmenin etkisiyle sıra korelasyonu ({count} parametre, {texts} cümle): ortalama (en az..en çok)"
    ),
    "gradient × embedding": "gradyan × vektör",
    "length of the gradient": "gradyanın uzunluğu",
    "gradient × (embedding - mean)": "gradyan × (vektör - ortalama)",
    "replaced: size of the change": "değiştirince: değişimin büyüklüğü",
    "Who is right? Rank correlation with replacing the letter: attention {attention:.2f}, the gradient's length {lengths}": (
        "Hangisi haklı? Harfi değiştirmenin etkisiyle sıra korelasyonu: dikkat {attention:.2f}, gradyanın uzunluğu {lengths}"
    ),
    # ---- 10
    "characters": "karakterler",
    "words": "kelimeler",
    "byte pairs": "bayt çiftleri",
    "(no byte pairs: {error})": "(bayt çiftleri yok: {error})",
    "{all:,} characters, {training:,} to train on, of which 1, 10 and 100 % are taken; {held_out:,} are held out": (
        "{all:,} karakter; eğitim için {training:,}, bunun %1, %10 ve %100 kadarı alınır; sınama için {held_out:,}"
    ),
    "what the held-out text costs who knows its chain: {floor:.3f} bits a character": (
        "sınama metni, zincirini bilene karakter başına {floor:.3f} bite mal olur"
    ),
    "pieces         different  of the text    pieces in it   nats a piece  bits a character: mean (lowest..highest)": (
        "tokenler          farklı  metnin payı  içindeki token    tokende nat  karakter başına bit: ortalama (en az..en çok)"
    ),
    "{name}: of the {k} nearest of {count} tokens {first:.0f} % stay from 1 to 10 %, {second:.0f} % from 10 to 100 %; "
    "two seeds share {seeds:.0f} %, chance {chance:.0f} %": (
        "{name}: {count} tokenin en yakın {k} komşusundan %1 ile %10 arasında %{first:.0f}, %10 ile %100 arasında "
        "%{second:.0f} kadarı kalıyor; iki tohumda ortak olan %{seeds:.0f}, rastgele %{chance:.0f}"
    ),
    "{name}, turned: {first:.2f} alike from 1 to 10 % (in another order {first_lot:.2f}), "
    "{second:.2f} from 10 to 100 % ({second_lot:.2f})": (
        "{name}, döndürülünce: benzerlik %1 ile %10 arasında {first:.2f} (karışık sırada {first_lot:.2f}), "
        "%10 ile %100 arasında {second:.2f} ({second_lot:.2f})"
    ),
    "{n} % of the text": "metnin %{n} kadarı",
    "last vowel front": "son ünlüsü ince olanlar",
    "last vowel back": "son ünlüsü kalın olanlar",
    "{name}: {one} and {other} lie {a:.1f}, {b:.1f}, {c:.1f} radii apart with 1, 10, 100 % (by lot {lot:.1f})": (
        "{name}: metnin %1, %10, %100 kadarıyla {one} ile {other} arası {a:.1f}, {b:.1f}, {c:.1f} yarıçap (rastgele {lot:.1f})"
    ),
    "With a hundred times the text: {costs} bits a character": "Yüz kat metinle karakter başına bit: {costs}",
    "of the text": "metnin payı",
    "{n} %": "%{n}",
    "{a} → {b} %": "%{a} → %{b}",
    "two seeds, {n} %": "iki tohum, %{n}",
    "chance": "rastgele",
    "bits a character, held-out text: a dot a seed": "karakter başına bit, sınama metni: her tohum bir nokta",
    "nearest neighbours kept (%)": "kalan en yakın komşular (%)",
    # ---- 11
    "its first guess": "ilk tahmini tuttu",
    "another guess": "başka bir tahmini vardı",
    "surprise: -ln p (nats); in grey: the model's first guess": "şaşkınlık: -ln p (nat); gri: modelin ilk tahmini",
    "block": "blok",
    "log₁₀ of the gradient's length": "gradyan uzunluğunun log₁₀ değeri",
    "  {word!r}: {value:.3f} nats; its first guess {guess!r} {p:.3f}": (
        "  {word!r}: {value:.3f} nat; ilk tahmini {guess!r} {p:.3f}"
    ),
    "mean surprise {mean:.3f} nats a token; guessing: {guess:.3f}": (
        "token başına ortalama şaşkınlık {mean:.3f} nat; rastgele tahmin: {guess:.3f}"
    ),
    "What surprises it most is {word!r}, {value:.1f} nats; the mean is {mean:.1f}": (
        "Onu en çok şaşırtan {word!r}: {value:.1f} nat; ortalama {mean:.1f}"
    ),
    "the token before": "bir önceki token",
    "itself": "kendisi",
    "the first token": "ilk token",
    "all alike": "hepsi eşit",
    "  {habit}: {name}, {share:.2f}": "  {habit}: {name}, {share:.2f}",
    "Of {count} heads, those that look most at: the token before, itself, the first token, all alike": (
        "{count} başlıktan şunlara en çok bakanlar: bir önceki token, kendisi, ilk token, hepsi eşit"
    ),
    "gradient of -ln p of {word!r} after {fact!r}, its length by block:": (
        "{fact!r} sonrasında {word!r} için -ln p gradyanı, bloklara göre uzunluğu:"
    ),
    "The way back from {word!r}: the first block's gradient is {ratio:.1f} times as long as the last one's": (
        "{word!r} tahmininden geri yol: ilk bloğun gradyanı sonuncununkinin {ratio:.1f} katı uzunlukta"
    ),
    "taught: {sentence!r}": "öğretilen: {sentence!r}",
    "{count:,} parameters, {blocks} blocks, {tokens:,} tokens to choose from": (
        "{count:,} parametre, {blocks} blok, seçilebilecek {tokens:,} token"
    ),
    "  {rate:.1f} tokens a second": "  saniyede {rate:.1f} token",
    "  {question!r}: {right!r} {p:.3f}; it says {said!r}": "  {question!r}: {right!r} {p:.3f}; dediği {said!r}",
    "{known} of {total} facts are known": "{total} bilgiden {known} tanesi biliniyor",
    "  after block {block}: {shown}; {right!r} is number {rank}": "  {block}. bloktan sonra: {shown}; {right!r} sırası {rank}",
    "{right!r} comes first after block {block} of {blocks}": "{right!r} ilk kez {block}. bloktan sonra birinci ({blocks} blok)",
    "{right!r} never comes first": "{right!r} hiç birinci olmuyor",
    "{n}. answer": "{n}. yanıt",
    "rank of {right!r}": "{right!r} kaçıncı",
    "  {name} looks at {word!r}: {share:.2f}": "  {name}, {word!r} tokenine bakıyor: {share:.2f}",
    "What decides {right!r}: rank correlation with replacing the token: attention {attention:.2f}, gradient {gradient:.2f}": (
        "{right!r} neye bağlı? Tokeni değiştirmenin etkisiyle sıra korelasyonu: dikkat {attention:.2f}, gradyan {gradient:.2f}"
    ),
    "before": "önce",
    "all weights": "bütün ağırlıklar",
    "all, others rehearsed": "hepsi, ötekiler yinelenerek",
    "  {way}: of the other {total} facts {known} are known, {lost} are {answer!r} too": (
        "  {way}: öteki {total} bilgiden bilinen {known}, yanıtı {answer!r} olan {lost}"
    ),
    "    {question!r}: {p:.3f}; it says {said!r}": "    {question!r}: {p:.3f}; dediği {said!r}",
    "Taught that {fact!r}, it says so of {count} of {total} others; with {rehearsed} true ones rehearsed, of {fewer}": (
        "{fact!r} öğretilince öteki {total} sorudan {count} tanesine öyle diyor; {rehearsed} doğru cümle yinelenince {fewer}"
    ),
    "what is said; number and colour: the right answer's probability": "verilen yanıt; sayı ve renk: doğru yanıtın olasılığı",
    # ---- 12
    "RMSNorm for LayerNorm": "LayerNorm yerine RMSNorm",
    "RoPE for learned positions": "öğrenilen konumlar yerine RoPE",
    "SwiGLU for GELU": "GELU yerine SwiGLU",
    "no biases": "bias yok",
    "{K} key-value heads for {H}": "{H} yerine {K} anahtar-değer başlığı",
    "{training:,} characters to train on, {steps:,} steps of {B} windows of {T}; {held_out:,} are held out": (
        "eğitim için {training:,} karakter, {T} karakterlik {B} pencereyle {steps:,} adım; sınama için {held_out:,}"
    ),
    "learning rate {rate:g}": "öğrenme hızı {rate:g}",
    "parameters, FFN's width, held-out loss: mean (lowest..highest), gained by the change, seed by seed": (
        "parametre, FFN'nin genişliği, sınama kaybı: ortalama (en düşük..en yüksek), değişikliğin kazancı, tohum tohum"
    ),
    "{panel}: {name} brings most, {gain:.3f} nats; all five {total:.3f}; seeds of one stage differ by up to {spread:.3f}": (
        "{panel}: en çok kazandıran {name}, {gain:.3f} nat; beşi birden {total:.3f}; bir aşamanın tohumları arasındaki fark en "
        "çok {spread:.3f}"
    ),
    "{panel}: Llama's loss less GPT's is {least:+.3f} nats where it is lowest (step {step:.0f}), {last:+.3f} at the end": (
        "{panel}: Llama'nın kaybı eksi GPT'ninki, en düşük olduğu yerde (adım {step:.0f}) {least:+.3f} nat, sonda {last:+.3f}"
    ),
    # ---- inspect_training.py
    "{name}: {count} parameters, {steps} steps, {recorded} of them recorded, in {seconds:.1f} s": (
        "{name}: {count} parametre, {steps} adım, {recorded} tanesi kaydedildi, {seconds:.1f} sn"
    ),
    "loss, mean of the last tenth of the steps: {loss:.3f}": "kayıp, adımların son onda birinin ortalaması: {loss:.3f}",
    "the gradient agrees with the complex step to {digits:.1f} digits, at every recorded step at least": (
        "gradyan, kaydedilen her adımda karmaşık sayı adımıyla (complex step) en az {digits:.1f} basamağa kadar uyuşuyor"
    ),
    "nothing is off: no gradient vanishes or explodes, no update is too large or too small": (
        "aksayan bir şey yok: hiçbir gradyan sönmüyor ya da patlamıyor, hiçbir güncelleme çok büyük ya da çok küçük değil"
    ),
    "{count} mistakes: the loss at the end, and to how many digits the gradient then agrees": (
        "{count} hata: sondaki kayıp ve gradyanın o zaman kaç basamağa kadar uyuştuğu"
    ),
    "the page has {mb:.2f} MB and was written in {seconds:.1f} s: open it in a browser": (
        "sayfa {mb:.2f} MB, {seconds:.1f} saniyede yazıldı: bir tarayıcıda açın"
    ),
}


def translator(lang: str = "en", turkish: Mapping[str, str] = TURKISH) -> Callable[..., str]:
    """say(text, **values) -> the text in `lang` with the values filled in. Raises ValueError for an unknown language.

    turkish : the table, English -> Turkish.
    """
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}; got {lang!r}")

    def say(text: str, /, **values: object) -> str:
        return (text if lang == "en" else turkish[text]).format(**values)

    return say
