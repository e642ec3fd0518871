"""Every word that stands in a picture or in what a numbered example prints, in English and in Turkish.

words = labels("tr")
axes.set_xlabel(words["step"])
"""

LANGUAGES = ("en", "tr")

TABLE: dict[str, tuple[str, str]] = {  # key -> (English, Turkish); texts with numbers in them are str.format templates
    "step": ("step", "adım"),
    "loss": ("loss (nats a letter)", "kayıp (harf başına nat)"),
}


def labels(lang: str) -> dict[str, str]:
    """key -> text. Raises ValueError for an unknown language."""
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}; got {lang!r}")
    return {key: texts[LANGUAGES.index(lang)] for key, texts in TABLE.items()}
