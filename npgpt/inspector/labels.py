"""What the inspector says, in English and in Turkish: one table from one to the other, as in npgpt/pictures/labels.py.

The page's scripts look their texts up in the same table (`say("English")` in page/numbers.js).
"""

from collections.abc import Callable

from ..pictures import labels

TURKISH = {
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
