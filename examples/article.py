"""The article as a notebook: the one source of article.ipynb (English) and makale.ipynb (Turkish).

    python examples/make_notebooks.py        makes both, with their outputs (needs: pip install -e '.[notebook,plotly]')

Cells begin with `# %%` (jupytext's percent format). A cell marked lang="en" or lang="tr" goes into that notebook alone, any
other into both, so that the code stands here once. This text goes into neither.
"""

# %% [markdown] lang="en"
# # A GPT, letter by letter
#
# A language model small enough to print on a page: 248 numbers that learn to write something like Turkish. This
# notebook takes it apart in eight steps, from the first letter to the last gradient, and shows every step with its
# numbers. ([Türkçesi](makale.ipynb))
#
# You need a clone of this repository, and Python 3.11 or newer.
#
# - **Jupyter, VS Code:** in the clone's folder run `pip install -e '.[notebook,plotly]'`, then open `examples/article.ipynb`
#   with that Python.
# - **Colab:** put a cell before the first one, with the repository's address, and run it:
#
#   ```
#   !git clone ADDRESS npgpt
#   %cd npgpt/examples
#   %pip install ..
#   ```
#
# The first cell chooses who computes: `"numpy"`, where every gradient is derived and written by hand, or `"torch"`
# (`pip install -e '.[torch]'`). Nothing else changes, and the numbers stay the same.

# %% [markdown] lang="tr"
# # Harf harf bir GPT
#
# Bir sayfaya sığacak kadar küçük bir dil modeli: Türkçeye benzer bir şeyler yazmayı öğrenen 248 sayı. Bu not defteri
# onu sekiz adımda, ilk harften son gradyana kadar söker; her adımı sayılarıyla gösterir.
# ([In English](article.ipynb))
#
# Gerekenler: bu deponun bir kopyası ve Python 3.11 ya da üstü.
#
# - **Jupyter, VS Code:** deponun klasöründe `pip install -e '.[notebook,plotly]'` çalıştırın, sonra `examples/makale.ipynb`
#   dosyasını o Python ile açın.
# - **Colab:** ilk hücrenin önüne bir hücre ekleyin, deponun adresini yazıp çalıştırın:
#
#   ```
#   !git clone ADRES npgpt
#   %cd npgpt/examples
#   %pip install ..
#   ```
#
# Hesabı kimin yapacağı ilk hücrede seçilir: her gradyanı elle türetilip yazılmış olan `"numpy"` ya da `"torch"`
# (`pip install -e '.[torch]'`). Başka hiçbir şey değişmez, sayılar da aynı kalır.

# %%
import itertools
from dataclasses import replace

from common import LN_32, SENTENCES, facts, windows

import numpy as np

import npgpt
from npgpt import pictures
from npgpt.ops.layer_norm import layer_norm
from npgpt.ops.softmax import softmax, softmax_backward
from npgpt.pictures.labels import translator
from npgpt.pictures.statistics import centres_apart, knee, ngram_entropy, numpy_array, prefix_entropy, probabilities, surprise

backend = npgpt.backend("numpy")  # "numpy" | "torch"

# %% lang="en"
say = translator(lang := "en")  # what the pictures say

# %% lang="tr"
say = translator(lang := "tr")  # resimlerin dili

# %% [markdown] lang="en"
# ## 1. Letters become numbers, numbers become vectors
#
# A model computes with numbers. So each letter is first replaced by its place in the alphabet: the 29 Turkish
# letters, then space, full stop and comma. `tokenize` looks the places up, `detokenize` finds the way back.

# %% [markdown] lang="tr"
# ## 1. Harfler sayı, sayılar vektör olur
#
# Model sayılarla hesap yapar. Bu yüzden önce her harfin yerine alfabedeki sırası konur: Türkçenin 29 harfi, ardından
# boşluk, nokta ve virgül. `tokenize` sıra numaralarını bulur, `detokenize` geri döner.

# %%
text = "ali ata bak."
ids = npgpt.tokenize(text)
print(len(npgpt.letters), pictures.visible(npgpt.letters))
print(ids)
print(npgpt.detokenize(ids))

# %% [markdown] lang="en"
# The article's model: one block with one attention head, vectors of three numbers, a context of twelve letters. The
# config says what is built ...

# %% [markdown] lang="tr"
# Yazının modeli: içinde tek dikkat başlığı olan tek bir blok, üçer sayılık vektörler, on iki harflik bir bağlam. Ne
# kurulacağını yapılandırma söyler ...

# %%
config = npgpt.GPTConfig.article()
config

# %% [markdown] lang="en"
# ... and this is all of it: every number of the model is a dot, violet above 0 and orange below. `Wqkv` is there, but
# is not trained; why, and why that makes 248 parameters and not 275, comes last.

# %% [markdown] lang="tr"
# ... işte modelin tamamı: her sayı bir nokta; sıfırın üstündekiler mor, altındakiler turuncu. `Wqkv` orada ama
# eğitilmiyor; bunun nedeni, parametre sayısının neden 275 değil de 248 olduğu en sona kaldı.

# %%
model = backend.make_model(config, seed=0, dtype="float64")
model

# %% [markdown] lang="en"
# **The dictionary space.** The numbers 0 to 31 say nothing about the letters: "b" is not nearer to "a" because it
# comes next. So each letter gets a vector of three numbers, a row of the table `token_embedding`. To look a letter up
# is to copy its row, or, which is the same, to multiply the table by a row of zeros with a single 1 at the letter's
# place.

# %% [markdown] lang="tr"
# **Sözlük uzayı.** 0'dan 31'e kadar olan sayılar harfler hakkında hiçbir şey söylemez: "b", sırada hemen sonra
# geldiği için "a"ya daha yakın değildir. Bu yüzden her harfin üç sayılık bir vektörü olur: `token_embedding`
# tablosunun bir satırı. Harfi tabloda bulmak, satırını kopyalamaktır; başka bir deyişle, tabloyu, o harfin yerinde 1,
# gerisi 0 olan bir satırla çarpmaktır.

# %%
table = numpy_array(model.token_embedding.weight).copy()  # (V, C) = (32, 3)
vectors = numpy_array(model.token_embedding(model.checked([ids])))[0]  # (T, C) = (12, 3)
one_hot = np.eye(32)[ids]  # (T, V)
print(np.array_equal(one_hot @ table, vectors))
for letter, vector in zip(text[:4], vectors, strict=False):
    print(pictures.visible(letter), *(f"{number:8.4f}" for number in vector))

# %% [markdown] lang="en"
# Before training these vectors are drawn by lot. In space they are a cloud without order.

# %% [markdown] lang="tr"
# Eğitimden önce bu vektörler kurayla çekilir. Uzayda düzensiz bir bulut gibidirler.

# %%
cloud = {"dots": table, "labels": list(npgpt.letters), "color": None, "name": say("letters")}
pictures.plot_dots([cloud], say("Before training: 32 letters, a cloud without order"), lang=lang)

# %% [markdown] lang="en"
# **Padding.** Sentences that are computed together must be of one length, so the shorter one is filled up with
# spaces. For its own letters nothing changes: no letter looks ahead (section 3).

# %% [markdown] lang="tr"
# **Doldurma.** Birlikte hesaplanan cümlelerin uzunluğu aynı olmalıdır; bu yüzden kısa olanın sonu boşlukla
# doldurulur. Kendi harfleri için bir şey değişmez: hiçbir harf ileriye bakmaz (3. bölüm).

# %%
short = "ali bak."
padded = [npgpt.tokenize(sentence.ljust(len(text))) for sentence in (text, short)]  # (B, T) = (2, 12)
together = numpy_array(model(padded))  # (B, T, V) = (2, 12, 32)
alone = numpy_array(model([npgpt.tokenize(short)]))  # (1, 8, V)
print(together.shape, f"{np.abs(together[1, : len(short)] - alone[0]).max():.6f}")

# %% [markdown] lang="en"
# ## 2. Positions: how order gets in
#
# Every "a" has the same vector. But "ali ata bak" (Ali, look at the horse) and "bak ata ali" are not the same. So
# every position has a vector of its own, which is added to the letter's: the sine and the cosine of the position; the
# third number stays 0.

# %% [markdown] lang="tr"
# ## 2. Konumlar: sıra bilgisi nasıl girer
#
# Her "a"nın vektörü aynıdır. Oysa "ali ata bak" ile "bak ata ali" aynı şey değildir. Bu yüzden her konumun da kendi
# vektörü vardır ve harfin vektörüne eklenir: konumun sinüsü ile kosinüsü; üçüncü sayı 0 kalır.

# %%
encoding = numpy_array(model.position_encoding)[0]  # (T, C) = (12, 3)
place = np.arange(config.seq_len)
print(np.allclose(encoding, np.stack([np.sin(place), np.cos(place), 0 * place], axis=-1)))
for row in encoding[:4]:
    print(*(f"{number:8.4f}" for number in row))

# %%
x = vectors + encoding  # (T, C)
places = [place for place, letter in enumerate(text) if letter == "a"]
moved = [(f"a{place}", vectors[place], x[place]) for place in places]
title = say("The same {letter!r} at {count} places: one vector before the position is added, {count} after",
            letter="a", count=len(places))  # fmt: skip
pictures.positions(encoding, moved, title, lang)

# %% [markdown] lang="en"
# Sorted by letter, the two sentences hold exactly the same vectors (`embed`). With the positions added (`resid_pre`)
# they differ.

# %% [markdown] lang="tr"
# Harfe göre sıralanınca iki cümlede tıpatıp aynı vektörler vardır (`embed`). Konumlar eklenince (`resid_pre`)
# ayrışırlar.

# %%
sentences = ("ali ata bak", "bak ata ali")
traces = [model.trace([npgpt.tokenize(sentence)]) for sentence in sentences]
by_letter = [np.argsort(list(sentence), kind="stable") for sentence in sentences]
for name in ("embed", "blocks.0.resid_pre"):
    first, second = (numpy_array(trace[name][0])[0, order] for trace, order in zip(traces, by_letter, strict=True))  # (T, C)
    print(f"{name:20}{np.abs(first - second).max():.4f}")

# %% [markdown] lang="en"
# ## 3. Attention: letters ask letters
#
# So far each letter knows itself and its place, nothing more. Three small matrices let it talk to the others. Of each
# letter's vector `Wq` makes a **query** (what am I looking for?), `Wk` a **key** (what do I have to offer?) and `Wv`
# a **value** (what do I bring along?).

# %% [markdown] lang="tr"
# ## 3. Dikkat: harfler harflere sorar
#
# Buraya kadar her harf yalnız kendini ve yerini biliyor. Üç küçük matris onu ötekilerle konuşturur. Her harfin
# vektöründen `Wq` bir **sorgu** (ne arıyorum?), `Wk` bir **anahtar** (ne sunuyorum?), `Wv` de bir **değer** (ne
# getiriyorum?) üretir.

# %%
block = model.blocks[0]
head = block.mha.attn_heads[0]
Wq, Wk, Wv = (numpy_array(layer.weight) for layer in (head.Wq, head.Wk, head.Wv))  # each (D, C) = (3, 3)
for name, W in (("Wq", Wq), ("Wk", Wk), ("Wv", Wv)):
    print(name)
    print(W.round(4))

# %% [markdown] lang="en"
# The head, called like a function, gives a pair: what each letter takes home (`output`), and how much it looked at
# each other letter (`weights`).

# %% [markdown] lang="tr"
# Başlık bir fonksiyon gibi çağrılır ve bir çift verir: her harfin ne topladığı (`output`) ve öteki harflerin her
# birine ne kadar baktığı (`weights`).

# %%
stream = model.token_embedding(model.checked([ids])) + model.position_encoding[:, : len(ids)]  # (B, T, C)
normed = block.ln1(stream)  # (B, T, C)
output, weights = head(normed)  # (B, T, D), (B, T, T)
tuple(output.shape), tuple(weights.shape)

# %% [markdown] lang="en"
# The same by hand, in a few lines. A query times a key says how well the two match. What comes later must not be
# seen, for it is what the model is to predict: these places get -∞. Softmax turns each row into shares that sum to 1,
# and in these shares the values are mixed.

# %% [markdown] lang="tr"
# Aynısı elle, birkaç satırda. Sorgu ile anahtarın çarpımı, ikisinin ne kadar uyduğunu söyler. Sonra gelenler
# görülmemelidir, çünkü modelin tahmin edeceği onlardır: o yerlere -∞ konur. Softmax her satırı toplamı 1 olan paylara
# çevirir; değerler bu paylarla karıştırılır.

# %%
rows = numpy_array(normed)[0]  # (T, C)
q, k, v = rows @ Wq.T, rows @ Wk.T, rows @ Wv.T  # each (T, D)
scores = q @ k.T / np.sqrt(3)  # (T, T)
scores[np.triu_indices(len(ids), k=1)] = -np.inf
pattern = probabilities(scores)  # (T, T): softmax of each row
z = pattern @ v  # (T, D)
print(np.allclose(pattern, numpy_array(weights)[0]), np.allclose(z, numpy_array(output)[0]))

# %%
title = say("Untrained, every letter looks at itself and at all before it in equal shares: 1, 1/2, 1/3, ...")
pictures.attention_steps(scores, pattern, v, z, text, title, lang)

# %% [markdown] lang="en"
# The matrices, too, are drawn by lot and small, so all scores are nearly 0, and what a letter takes home is nearly
# the mean of all values up to its own.
#
# **LayerNorm** stands before attention (`ln1`) and at the end (`ln_f`). From each vector it takes its mean and
# divides what is left by its standard deviation. With three numbers this can be seen: every vector lands on one
# circle of radius √3.

# %% [markdown] lang="tr"
# Matrisler de kurayla çekilmiştir ve küçüktür; bütün skorlar sıfıra yakındır, harfin topladığı da kendisine kadarki
# değerlerin ortalaması gibidir.
#
# **LayerNorm** dikkatten önce (`ln1`) ve en sonda (`ln_f`) durur. Her vektörden ortalamasını çıkarır, kalanı standart
# sapmasına böler. Üç sayıyla bu gözle görülür: her vektör √3 yarıçaplı tek bir çembere düşer.

# %%
xhat, _ = layer_norm(x, np.ones(3), np.zeros(3))  # (T, C)
radii = np.linalg.norm(xhat, axis=-1)  # (T,)
print(f"{radii.min():.4f} .. {radii.max():.4f}   √3 = {np.sqrt(3):.4f}   {np.allclose(xhat, rows)}")
title = say("LayerNorm of three numbers: every vector lands on one circle of radius √3")
pictures.layer_norm_circle(x, xhat, list(text), title, lang)

# %% [markdown] lang="en"
# **Projection.** A last matrix mixes what the heads have brought, and the result is *added* to the vector that came
# in. Nothing is overwritten: a block writes into a stream that flows past it. Then comes the last LayerNorm, and the
# output layer makes 32 numbers of the three. That is the whole model: step by step it gives what `model([ids])`
# gives.

# %% [markdown] lang="tr"
# **İzdüşüm.** Son bir matris başlıkların getirdiklerini karıştırır; sonuç, gelen vektöre *eklenir*. Hiçbir şeyin
# üstüne yazılmaz: blok, yanından akıp geçen bir akışa yazar. Ardından son LayerNorm gelir, çıkış katmanı da üç
# sayıdan 32 sayı yapar. Modelin hepsi bu; adım adım gidince `model([ids])` ne veriyorsa o çıkar.

# %%
stream = stream + block.mha.projection(output)  # (B, T, C)
step_by_step = model.head(model.ln_f(stream))  # (B, T, V)
print(tuple(step_by_step.shape), np.allclose(numpy_array(step_by_step), numpy_array(model([ids]))))

# %% [markdown] lang="en"
# **The FFN.** To stay on a page, the article's model does without it. In a larger one every block has a second
# branch, in which each letter thinks for itself: up to four times as many numbers, a GELU, and down again.

# %% [markdown] lang="tr"
# **FFN.** Yazının modeli bir sayfada kalmak için bundan vazgeçer. Daha büyük bir modelde her bloğun ikinci bir dalı
# vardır; orada her harf kendi başına düşünür: dört katı sayıya çıkar, GELU'dan geçer, geri iner.

# %%
larger = backend.make_model(replace(config, train_qkv=True, ffn_hidden=12), seed=0, dtype="float64")
ffn = larger.blocks[0].ffn
thought = ffn(larger.blocks[0].ln2(stream))  # (B, T, C)
print(larger.num_parameters(), tuple(ffn.up.weight.shape), tuple(ffn.down.weight.shape), tuple(thought.shape))

# %% [markdown] lang="en"
# ## 4. Predicting the next letter
#
# At every position the model gives 32 numbers, the **logits**. Softmax makes probabilities of them: how likely is
# each letter to come next? A row below shows the letter that was read, the model's first guess with its probability,
# and the letter that really came, with its own.

# %% [markdown] lang="tr"
# ## 4. Bir sonraki harfi tahmin etmek
#
# Model her konumda 32 sayı verir: **logitler**. Softmax bunları olasılığa çevirir: sırada hangi harfin gelmesi ne
# kadar olası? Aşağıdaki her satırda okunan harf, modelin ilk tahmini ve olasılığı, bir de gerçekte gelen harf ve onun
# olasılığı var.

# %%
inputs, targets = [ids[:-1]], [ids[1:]]  # (B, T) = (1, 11): what is read, and what comes next


def predictions(model):
    """The probabilities of the next letter at every position, (T, V); prints the likeliest beside the right one."""
    p = probabilities(model(inputs))[0]
    for read, comes, row in zip(*inputs, *targets, p, strict=True):
        letters = [pictures.visible(npgpt.letters[token]) for token in (read, row.argmax(), comes)]
        print("{} -> {}  {:.3f}    {}  {:.3f}".format(*letters[:2], row.max(), letters[2], row[comes]))
    return p


p_untrained = predictions(model)

# %% [markdown] lang="en"
# It knows nothing: each letter gets about 1/32. How wrong is that? The **surprise** at the letter that really came is
# -ln p, in nats. Who guesses among 32 letters pays ln 32 = 3.47 nats each time. The mean surprise is the **loss**,
# the one number that training lowers.

# %% [markdown] lang="tr"
# Hiçbir şey bilmiyor: her harfe aşağı yukarı 1/32 veriyor. Bu ne kadar yanlış? Modelin gerçekte gelen harfe
# **şaşkınlığı** -ln p'dir; birimi nattır. 32 harf arasından rastgele tahmin eden her seferinde ln 32 = 3,47 nat öder.
# Şaşkınlıkların ortalaması **kayıp**tır: eğitimin düşürdüğü tek sayı.

# %%
surprise_untrained = surprise(model(inputs), targets)[0]  # (T,)
print(f"-ln p {surprise_untrained.mean():.4f}   loss {model.loss(inputs, targets):.4f}   ln 32 {LN_32:.4f}")

# %% [markdown] lang="en"
# **Inference** is the same, in a circle: take the likeliest letter, append it, ask again. Untrained, the model is
# soon stuck.

# %% [markdown] lang="tr"
# **Çıkarım** bunun döngüye girmiş halidir: en olası harfi al, sona ekle, yeniden sor. Eğitilmemiş model kısa sürede
# takılıp kalır.

# %%
begin = npgpt.tokenize("ali ")
npgpt.detokenize(backend.generate(model, begin, 12))

# %% [markdown] lang="en"
# ## 5. The way back
#
# Training asks of each of the 248 numbers: if this number were a little larger, how would the loss change? The answer
# is its **gradient**. It begins at the prediction and is carried back, step by step, along the way on which the
# values came. `trace` shows every value on this way and, beside it, its gradient.

# %% [markdown] lang="tr"
# ## 5. Geri yol
#
# Eğitim 248 sayının her birine şunu sorar: bu sayı biraz daha büyük olsaydı kayıp nasıl değişirdi? Yanıt, o sayının
# **gradyan**ıdır. Gradyan tahminde doğar ve değerlerin geldiği yoldan adım adım geri taşınır. `trace` bu yoldaki her
# değeri ve yanında gradyanını gösterir.

# %%
trace = model.trace(inputs, targets)
trace

# %% [markdown] lang="en"
# It begins simply: what the model said, minus what was right, divided by the number of positions.

# %% [markdown] lang="tr"
# Başlangıcı yalındır: modelin dediği eksi doğrusu, bölü konum sayısı.

# %%
dlogits = (p_untrained - np.eye(32)[targets[0]]) / len(targets[0])  # (T, V)
np.allclose(dlogits, numpy_array(trace["logits"][1])[0])

# %% [markdown] lang="en"
# And where it ends, at a number of the table, it can be measured: move the number by a little, and look at the loss.

# %% [markdown] lang="tr"
# Bittiği yerde, tablonun bir sayısında ise ölçülebilir: sayıyı biraz oynatın ve kayba bakın.

# %%
model.zero_grad()
model.loss_and_grad(inputs, targets)
gradient = model.gradients()["token_embedding.weight"]  # (V, C)
row_of_a = model.state_dict()["token_embedding.weight"][0]  # (C,): the model's own memory, writing to it changes the model
before, step, losses = float(row_of_a[0]), 1e-4, []
for moved in (before + step, before - step):
    row_of_a[0] = moved
    losses.append(model.loss(inputs, targets))
row_of_a[0] = before
print(f"{(losses[0] - losses[1]) / (2 * step):.6f}  {gradient[0, 0]:.6f}")

# %% [markdown] lang="en"
# `check_backward` measures like this, only far more exactly, every number of any pair of functions; yours, too. Here
# is softmax with a backward that lacks a term:

# %% [markdown] lang="tr"
# `check_backward` herhangi bir fonksiyon çiftinin bütün sayılarını böyle, ama çok daha kesin ölçer; sizinkileri de.
# İşte geri adımında bir terim eksik olan bir softmax:


# %%
def forward(x):
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return p, p


def backward(dp, p):
    return p * dp


example = np.random.default_rng(0).standard_normal((3, 5))
npgpt.check_backward(forward, backward, example)

# %% [markdown] lang="en"
# The one that this model uses ([`ops/softmax.py`](../npgpt/ops/softmax.py), with its derivation):

# %% [markdown] lang="tr"
# Bu modelin kullandığı ise (türetilişiyle birlikte [`ops/softmax.py`](../npgpt/ops/softmax.py) içinde):

# %%
npgpt.check_backward(softmax, softmax_backward, example)

# %% [markdown] lang="en"
# ## 6. Training
#
# The text is a few hundred short sentences. A step takes eight windows of twelve letters from it, computes the loss
# and all gradients, shortens the gradient to length 1 where it is longer (**clipping**: no single batch shall throw
# the model off its course), lets **AdamW** move every number a little against its gradient, and clears the gradients.
# 1,500 times.

# %% [markdown] lang="tr"
# ## 6. Eğitim
#
# Metin birkaç yüz kısa cümleden oluşur. Her adım metinden on ikişer harflik sekiz pencere alır, kaybı ve bütün
# gradyanları hesaplar, boyu 1'i aşan gradyanı 1'e kısaltır (**kırpma**: tek bir yığın modeli yoldan çıkarmasın diye),
# **AdamW** her sayıyı gradyanının tersine biraz oynatır, sonra gradyanlar silinir. 1500 kez.

# %%
text_inputs, text_targets = windows(config.seq_len)  # (N, T) each: every window of the text, and what comes next in it
batches = npgpt.random_batches(text_inputs, text_targets, 8, seed=0)
parameters = list(model.parameters())
optimizer = backend.AdamW(parameters, lr=1e-2, weight_decay=0.0)
optimizer.zero_grad()
losses, norms = [], []
for batch_inputs, batch_targets in itertools.islice(batches, 1500):
    losses.append(model.loss_and_grad(batch_inputs, batch_targets))
    norms.append(backend.clip_grad_norm(parameters, 1.0))
    optimizer.step()
    optimizer.zero_grad()
print(f"loss {losses[0]:.4f} -> {np.mean(losses[-150:]):.4f}   max |g| {max(norms):.2f}")

# %% [markdown] lang="en"
# (`backend.train` is this loop. `max |g|` is the longest gradient: here nothing had to be clipped.) The lines say
# what the loss can be measured against: who knows how frequent each letter is; who knows what follows each letter
# (bigrams); who knows the last two (trigrams).

# %% [markdown] lang="tr"
# (`backend.train` bu döngüdür. `max |g|`, görülen en uzun gradyan: burada kırpacak bir şey çıkmadı.) Çizgiler kaybın
# neyle karşılaştırılabileceğini gösterir: yalnız harflerin sıklığını bilenin, her harften sonra ne geldiğini bilenin
# (ikililer), son iki harfi bilenin (üçlüler) kaybı.

# %%
tokens = npgpt.read_tokens(SENTENCES, npgpt.LetterTokenizer())
names = (say("letters alone"), say("bigrams"), say("trigrams"))
floors = {name: ngram_entropy(tokens, n) for n, name in enumerate(names, start=1)}
pictures.loss_curve(losses, LN_32, floors=floors, lang=lang)

# %% [markdown] lang="en"
# Now the same questions again. The prediction at every position ...

# %% [markdown] lang="tr"
# Şimdi aynı sorular yeniden. Her konumdaki tahmin ...

# %%
p_trained = predictions(model)

# %%
highest = [100 * p.max() for p in (p_untrained, p_trained)]
title = say("Framed: what really comes. No letter gets more than {first:.0f} % untrained, {second:.0f} % trained",
            first=highest[0], second=highest[1])  # fmt: skip
panels = [(say("untrained"), p_untrained, text[:-1]), (say("trained"), p_trained, text[:-1])]
pictures.next_letters(panels, npgpt.letters, title, targets * 2, lang)

# %% [markdown] lang="en"
# ... the surprise, here and, as the loss, over the whole text ...

# %% [markdown] lang="tr"
# ... şaşkınlık: burada, bir de kayıp olarak bütün metinde ...

# %%
surprise_trained = surprise(model(inputs), targets)[0]  # (T,)
whole_text = model.loss(text_inputs[::5], text_targets[::5])  # every fifth window
print(f"-ln p {surprise_untrained.mean():.4f} -> {surprise_trained.mean():.4f}   loss {whole_text:.3f}")
title = say("The trained model is less surprised than guessing at {count} of {total} letters",
            count=(surprise_trained < LN_32).sum(), total=len(surprise_trained))  # fmt: skip
both = {say("untrained"): surprise_untrained, say("trained"): surprise_trained}
pictures.surprise_bars(text[1:], both, LN_32, title, lang)

# %% [markdown] lang="en"
# ... and inference. No Turkish yet, but vowels and consonants take turns, and words have a length.

# %% [markdown] lang="tr"
# ... ve çıkarım. Henüz Türkçe değil; ama ünlülerle ünsüzler birbirini izliyor, kelimelerin de bir boyu var.

# %%
npgpt.detokenize(backend.generate(model, begin, 12))

# %% [markdown] lang="en"
# **Where did the letters go?** Nobody told the model what a vowel is. It has found all eight, and put them on one
# side: "which kind was the last letter?" is the best question that three numbers can answer. (Where plotly is
# installed, the two boxes can be turned with the mouse.)

# %% [markdown] lang="tr"
# **Harfler nereye gitti?** Modele ünlünün ne olduğunu kimse söylemedi. Sekizini de buldu ve bir yana topladı: üç
# sayının yanıtlayabileceği en iyi soru "son harf hangi türdendi?" sorusudur. (plotly kuruluysa iki kutu da fareyle
# döndürülebilir.)

# %%
table_trained = numpy_array(model.token_embedding.weight)  # (V, C)
vowels, consonants = ([letter in kind for letter in npgpt.letters] for kind in (pictures.VOWELS, pictures.CONSONANTS))
print(" -> ".join(f"{centres_apart(vectors, vowels, consonants):.2f}" for vectors in (table, table_trained)))
pictures.turnable_space(table, table_trained, npgpt.letters, lang)

# %% [markdown] lang="en"
# (The numbers say how far the centre of the vowels lies from that of the consonants, in the mean radius of the two
# clouds.)
#
# ## 7. Knowledge squeezed into too few dimensions
#
# What does a model know that has room for three numbers a word? The sentences hold facts: fifty capitals ("fransanın
# başkenti paristir", the capital of France is Paris) and a dozen purchases. Here a token is a word, and a fact is
# known if the model's first guess after two words is the right third. Models of the article's shape, from 1 to 16
# numbers a word, two of each, trained briefly:

# %% [markdown] lang="tr"
# (Sayılar, ünlülerin merkezi ile ünsüzlerin merkezi arasındaki uzaklıktır; birimi, iki bulutun ortalama yarıçapı.)
#
# ## 7. Çok az boyuta sıkışan bilgi
#
# Kelime başına üç sayılık yeri olan bir model ne bilir? Cümlelerde bilgiler var: elli başkent ("fransanın başkenti
# paristir") ve bir düzine alışveriş. Burada her kelime bir tokendir; ilk iki kelimeden sonra modelin ilk tahmini
# doğru üçüncü kelimeyse o bilgi biliniyor demektir. Yazıdaki modelin biçiminde, kelime başına 1'den 16'ya kadar
# sayıyla, her boydan iki model kısaca eğitiliyor:

# %%
sentences, words, rows = facts()
fact_inputs, fact_targets = rows[:, :-1], rows[:, 1:]  # (N, T) each: the whole text is one batch
floor = prefix_entropy(fact_inputs, fact_targets)  # no model can have a lower loss
widths, seeds = [1, 3, 4, 5, 6, 8, 16], [0, 1]
fact_losses, known, ranks = np.zeros((3, len(widths), len(seeds)))
answers = {}  # of each width's last model
for (w, width), (s, seed) in itertools.product(enumerate(widths), enumerate(seeds)):
    shape = npgpt.GPTConfig(len(words), 1, 1, width, fact_inputs.shape[1], ffn_hidden=0)
    narrow = backend.make_model(shape, seed=seed, dtype="float64")
    backend.train(narrow, itertools.repeat((fact_inputs, fact_targets)), steps=150, learning_rate=0.06)
    logits = numpy_array(narrow(fact_inputs))  # (N, T, V)
    fact_losses[w, s] = narrow.loss(fact_inputs, fact_targets)
    answers[width] = logits[:, 2].argmax(axis=-1)  # (N,)
    known[w, s] = (answers[width] == fact_targets[:, 2]).sum()
    ranks[w, s] = np.linalg.matrix_rank(logits.reshape(-1, len(words)), rtol=1e-5)
for width, loss, count in zip(widths, fact_losses, known, strict=True):
    print(f"n_embd {width:2}   loss {loss.mean():.3f}   {count.mean():4.1f} / {len(rows)}")

# %% [markdown] lang="en"
# One number a word: LayerNorm leaves nothing of it, and no fact is known. Three: a few. Then, within two or three
# dimensions more, nearly all.

# %% [markdown] lang="tr"
# Kelime başına bir sayı: LayerNorm ondan geriye bir şey bırakmaz, hiçbir bilgi bilinmez. Üç sayı: birkaç bilgi.
# Ardından, iki üç boyut daha eklenince, neredeyse hepsi.

# %%
bend = knee(widths, fact_losses.min(axis=1), floor)
title = say("The knee is at n_embd {knee}: from there on the best seed comes 95 % of the way to the floor", knee=bend)
pictures.knowledge(widths, fact_losses, known, ranks, floor=floor, facts=len(rows), knee=bend, title=title, lang=lang)

# %% [markdown] lang="en"
# Whoever has too little room answers with another sentence's word. What the model of three numbers says, and what
# would be right:

# %% [markdown] lang="tr"
# Yeri yetmeyen, başka bir cümlenin kelimesiyle yanıt verir. Üç sayılık modelin dediği ve doğrusu:

# %%
for i in np.flatnonzero(answers[3] != fact_targets[:, 2])[:4]:
    print(f"{' '.join(sentences[i][:2]):25} -> {words[answers[3][i]]:15} {sentences[i][2]}")

# %% [markdown] lang="en"
# ## 8. Dictionary, context, knowledge
#
# "at" means horse, and also "throw!". In the dictionary its two letters have one vector each. In a sentence they
# become others: what a word is depends on what stands before it. A model of two layers with three heads each, trained
# briefly, reads it after a full stop and after "ali topu" (Ali, the ball). How far apart are the two vectors of each
# letter, and how long (`|x|`) are they?

# %% [markdown] lang="tr"
# ## 8. Sözlük, bağlam, bilgi
#
# "at" hem bir hayvandır hem "fırlat!" demektir. Sözlükte iki harfinin birer vektörü vardır. Cümlede bunlar
# başkalaşır: bir kelimenin ne olduğu, önünde ne durduğuna bağlıdır. İki katmanlı, katman başına üç başlıklı, kısaca
# eğitilmiş bir model onu bir noktadan sonra ve "ali topu"ndan sonra okuyor. Her harfin iki vektörü birbirinden ne
# kadar uzak, boyları (`|x|`) ne kadar?

# %%
deeper_config = npgpt.GPTConfig(32, n_layer=2, n_head=3, n_embd=18, seq_len=16, ffn_hidden=36)
deeper = backend.make_model(deeper_config, seed=0, dtype="float64")
deeper_inputs, deeper_targets = windows(deeper_config.seq_len)
backend.train(deeper, npgpt.random_batches(deeper_inputs, deeper_targets, 8, seed=0), steps=120, learning_rate=1e-2)
deeper_loss = deeper.loss(deeper_inputs[::12], deeper_targets[::12])
contexts = {". at": say("at: the horse"), "ali topu at": say("at: throw!")}
traces = {sentence: deeper.trace([npgpt.tokenize(sentence)]) for sentence in contexts}
dictionary, _ = (numpy_array(trace["embed"][0])[0, -2:] for trace in traces.values())  # (2, C), the same in both
in_context = {sentence: numpy_array(trace["blocks.1.resid_post"][0])[0, -2:] for sentence, trace in traces.items()}
gaps = np.linalg.norm(np.subtract(*in_context.values()), axis=-1)  # (2,)
length = np.linalg.norm(list(in_context.values()), axis=-1).mean()
print(f"{deeper.num_parameters()}   loss {deeper_loss:.3f}   a {gaps[0]:.2f}   t {gaps[1]:.2f}   |x| {length:.2f}")

# %%
sets = [{"dots": dictionary, "labels": list("at"), "color": None, "name": say("dictionary"), "line": True}]
for sentence, name in contexts.items():
    name = f"{name} ({pictures.visible(sentence)})"
    sets.append({"dots": in_context[sentence], "labels": list("at"), "color": None, "name": name, "line": True})
title = say("One word, two contexts: 0 apart in the dictionary, {gap:.1f} apart at the last letter", gap=gaps[-1])
pictures.plot_dots(sets, title, lang=lang)

# %% [markdown] lang="en"
# ## 248 or 275?
#
# The article's model prints 248 parameters. Add them up: 96 + 6 + 12 + 6 + 128. Query, key and value, 27 numbers
# more, are missing. In the original code they had been wrapped as `nn.Parameter(...).to(device)`: on an accelerator
# `.to()` returns a plain tensor, which PyTorch neither counts nor trains. On a CPU the same code counts 275. Nothing
# fails, and the loss falls either way. Here both can be chosen; the last number says how far `Wq` moves in training:

# %% [markdown] lang="tr"
# ## 248 mi, 275 mi?
#
# Yazının modeli 248 parametre yazdırır. Toplayın: 96 + 6 + 12 + 6 + 128. Sorgu, anahtar ve değer, 27 sayı daha, bu
# toplamda yok. Özgün kodda bunlar `nn.Parameter(...).to(device)` diye sarılmıştı: hızlandırıcıda `.to()` düz bir
# tensör döndürür, PyTorch da onu ne sayar ne eğitir. Aynı kod işlemcide 275 sayar. Hiçbir şey hata vermez, kayıp iki
# durumda da düşer. Burada ikisi de seçilebilir; son sayı `Wq`'nun eğitimde ne kadar kımıldadığını söylüyor:

# %%
whole = backend.make_model(npgpt.GPTConfig.article(train_qkv=True), seed=0, dtype="float64")
backend.train(whole, npgpt.random_batches(text_inputs, text_targets, 8, seed=0), steps=1500, learning_rate=1e-2)
for trained in (model, whole):
    moved = np.abs(numpy_array(trained.blocks[0].mha.attn_heads[0].Wq.weight) - Wq).max()
    loss = trained.loss(text_inputs[::5], text_targets[::5])
    print(f"{trained.num_parameters()}   loss {loss:.3f}   Wq {moved:.3f}")

# %% [markdown] lang="en"
# That a model can lose a tenth of its parameters without a word is why this project counts them, and compares every
# gradient with PyTorch's.
#
# **Read on:** each section is also a script of its own, with more pictures and options ([the gallery](README.md)).
# How each gradient is derived stands beside its code in [`npgpt/ops/`](../npgpt/ops/), and the whole model in
# [`models/gpt.py`](../npgpt/models/gpt.py). To write some backward passes yourself, and have them graded:
# [`exercises/`](exercises/README.md).

# %% [markdown] lang="tr"
# Bir model, parametrelerinin onda birini kimse fark etmeden yitirebiliyor; bu proje onları bu yüzden sayar ve her
# gradyanı PyTorch'unkiyle karşılaştırır.
#
# **Devamı:** her bölümün daha çok resim ve seçenek sunan ayrı bir betiği de var ([galeri](README.md)). Her gradyanın
# nasıl türetildiği kodunun yanında, [`npgpt/ops/`](../npgpt/ops/) içinde; modelin tamamı
# [`models/gpt.py`](../npgpt/models/gpt.py) dosyasında. Kendi geri adımlarınızı yazıp puanlatmak için:
# [`exercises/`](exercises/README.md).
