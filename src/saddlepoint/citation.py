"""Who wrote a paper and when, in the few words of a table, from its BibTeX."""

import re
import unicodedata

# What a TeX accent is as a combining character.
ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307"}
LETTERS = {r"\l": "ł", r"\o": "ø", r"\O": "Ø", r"\ss": "ß", r"\aa": "å", r"\i": "i"}


def cited(bibtex: str) -> str:
    r"""The first work of a BibTeX text, as `First author et al. year`; empty where there is none.

    >>> cited("@article{key, author={Bi{\\'n}kowski, Miko{\\l}aj and Sutherland, Danica J.},\\n  year={2018}\\n}")
    'Bińkowski and Sutherland 2018'
    >>> cited("@misc{key, author = {Lin, Min}, year = {2017}}"), cited("")
    ('Lin 2017', '')
    """
    authors, year = _field(bibtex, "author"), _field(bibtex, "year")
    if not authors:
        return ""
    surnames = [_plain(author.partition(",")[0].strip()) for author in re.split(r"\s+and\s+", authors)]
    several = len(surnames) > 2 or surnames[-1] == "others"
    who = f"{surnames[0]} et al." if several else " and ".join(surnames)
    return f"{who} {year}".strip()


def _field(bibtex: str, name: str) -> str:
    """A field of the first entry, whatever braces stand inside."""
    found = re.search(rf"\b{name}\s*=\s*\{{", bibtex)
    if found is None:
        return ""
    depth, end = 1, found.end()
    while depth and end < len(bibtex):
        depth += {"{": 1, "}": -1}.get(bibtex[end], 0)
        end += 1
    return bibtex[found.end() : end - 1]


def _plain(name: str) -> str:
    """A name without TeX."""
    accented = re.sub(r"\\(['`^\"~=.])\{?(\w)\}?", lambda found: found[2] + ACCENTS[found[1]], name)
    lettered = re.sub(r"\\(?:aa|ss|[loOi])(?![a-zA-Z])\s?", lambda found: LETTERS[found[0].strip()], accented)
    return unicodedata.normalize("NFC", lettered.replace("{", "").replace("}", ""))
