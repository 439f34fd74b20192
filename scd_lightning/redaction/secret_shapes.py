"""What a secret looks like wherever it stands: tokens of known services, private keys, and texts drawn at random."""

import re
from collections.abc import Iterator

Span = tuple[int, int]

_KNOWN = re.compile(
    r"\b(?:hf|api_org|gh[pousr]|npm|dckr_pat|shp(?:at|ss|ca)|[sr]k_(?:live|test))_\w{10,}"
    r"|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bsk-[\w-]{16,}|\bxox[abeprs]-[\w-]{10,}|\bpypi-[\w-]{20,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bya29\.[\w-]{10,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_RUN = re.compile(r"[A-Za-z0-9]{20,}|[A-Za-z0-9](?:[A-Za-z0-9]|[_-](?=[A-Za-z0-9])){23,}")
# Of two neighbouring characters that are drawn at random, 62 of 100 are not of one kind (small, capital, digit); of
# names with capitals and numbers in them, fewer are, and hex digests have no two kinds of letters.
_CHANGES, _CHANGES_WITH_STROKES = 0.42, 0.5


def shaped(text: str) -> Iterator[Span]:
    """Where there are such texts.

    >>> text = "teacher-dd87060fc64607f6bdcf66f3 of hf_abcdefghijkl"
    >>> [text[start:end] for start, end in shaped(text)]
    ['hf_abcdefghijkl']
    """
    yield from (found.span() for found in _KNOWN.finditer(text))
    yield from (found.span() for found in _RUN.finditer(text) if _is_random(found[0]))


def _is_random(run: str) -> bool:
    kinds = ["d" if each.isdigit() else "u" if each.isupper() else "l" for each in run if each.isalnum()]
    if len(kinds) < 20 or set(kinds) != {"d", "u", "l"}:
        return False
    changes = sum(a != b for a, b in zip(kinds, kinds[1:], strict=False)) / (len(kinds) - 1)
    return changes >= (_CHANGES if len(kinds) == len(run) else _CHANGES_WITH_STROKES)
