"""Reads yes-or-no words and whole numbers in imported files. Pure."""

from decimal import Decimal, InvalidOperation

MAX_LENGTH = 20
YES_WORDS = """
1 true t yes y on active wahr ja j ein an oui vrai sí si verdadero sim verdadeiro vero sì
waar aan sand sant på tak prawda да истина 是 真 はい 예
"""
NO_WORDS = """
0 false f no n off inactive falsch nein aus non faux falso não nao
onwaar nee uit falsk falskt nej av nie fałsz нет ложь 否 假 いいえ 아니요
"""
YES, NO = frozenset(YES_WORDS.split()), frozenset(NO_WORDS.split())


def read_yes_or_no(text: str) -> bool:
    """Returns whether a word means yes. Raises ValueError if the word means neither yes nor no."""
    word = text.strip()[: MAX_LENGTH + 1].casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    raise ValueError(f"“{text.strip()[:MAX_LENGTH]}” is neither yes nor no. Write 1 or 0, yes or no, true or false.")


def read_whole_number(text: str) -> int:
    """Returns the number in a text. Raises ValueError if the text is not a whole number."""
    try:
        number = Decimal(text.strip()[: MAX_LENGTH + 1])
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > 1_000_000 or number != int(number):
        raise ValueError(f"“{text.strip()[:MAX_LENGTH]}” is not a whole number.")
    return int(number)
