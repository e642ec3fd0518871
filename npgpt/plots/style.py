"""What all pictures share: a letter has one look everywhere."""

VOWELS = "aeıioöuü"
VOWEL, CONSONANT, OTHER = "#c1272d", "#1f4e9c", "#444444"


def letter_style(letter: str) -> dict[str, str]:
    """The colour and weight (matplotlib's text options) of a letter: vowels red and bold, consonants blue, the rest grey. In
    greyscale the weight still tells them apart."""
    if letter in VOWELS:
        return {"color": VOWEL, "weight": "bold"}
    return {"color": CONSONANT if letter.isalpha() else OTHER, "weight": "normal"}


def visible(letter: str) -> str:
    """The letter itself; a space as ␣."""
    return "␣" if letter == " " else letter
