"""Where secrets stand in a text: in addresses, behind a name, in a header, as the default of a variable."""

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from scd_lightning.redaction.secret_names import is_certain, looks_secret

Span = tuple[int, int]

HIDDEN = "(hidden)"
_ADDRESS = re.compile(r"(?<=//)[^\s'\"<>`]+")
# One without a scheme: me:pass@host.org.
_BARE_LOGIN = re.compile(r"(?<![\w/:@.+-])(?!mailto:)[\w.+-]+:[^\s/@'\"<>,;]+(?=@(?:localhost\b|[\w-]+(?:\.[\w-]+)+))")
_ARGUMENT = re.compile(r"(?<=[?&#;])([\w.%\[\]-]+)=([^&#\s'\"<>`]+)")
# Names that are secrets in an address alone.
_OF_ADDRESSES = {"code", "ticket", "sid", "session", "sessionid", "session_id", "sessid", "phpsessid"}
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_SCHEME = r"(?:Bearer|Basic|Digest|Token|Negotiate)\s+[\w.~+/=-]{4,}"
_VALUE = rf"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|{_SCHEME}|[^\s,;&|)}}\]'\"]+"
_BEHIND = re.compile(rf"[\"']?[ \t]?[=:][ \t]?({_VALUE})")
_BEHIND_A_FLAG = re.compile(rf"(?:[ \t]+|=)({_VALUE})")
_HEADER = re.compile(r"\b(?:[Bb]earer|Basic)\s+([\w.~+/=-]{8,})")
_LEFT = re.compile(r"[/=:]\(hidden\)")
# `${oc.env:NAME}` says which variable to set; what stands in for it may be the secret itself.
_DEFAULT = re.compile(r"\$\{oc\.env:\s*(\w+)\s*,\s*([^{}]+)\}")
_NUMBER = re.compile(r"[+-]?[\d_.]{1,7}(?:[eE][+-]?\d+)?")
_NOTHING = re.compile(r"true|false|null|none|\.\.\.|…|<[\w .-]+>|\$\{[^{},]*\}|\$\w+", re.I)
# Of a name such as `key` what is a secret is told by its look: code has keys and tokens, too.
_LIKELY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=~.-]{6,}")


def placed(text: str, *, strict: bool = False) -> Iterable[Span]:
    """Where there are such secrets.

    Args:
        text: Any.
        strict: Whether a name that sounds like a secret's is enough, as in settings and overrides; else, behind a name
            such as `key`, only what looks like one is: in messages and in code there are others.
    """
    yield from logins(text)
    yield from (found.span(2) for found in _ARGUMENT.finditer(text) if _is_argument(found[1]))
    yield from (found.span(1) for found in _HEADER.finditer(text) if _LIKELY.fullmatch(found[1]))
    yield from (found.span(2) for found in _DEFAULT.finditer(text) if looks_secret(found[1]))
    for name in _NAME.finditer(text):
        of_address = text[max(name.start() - 1, 0)] in "?&#;"
        if (
            not of_address
            and looks_secret(name[0])
            and (found := _behind(name))
            and _counts(name[0], found[1], strict=strict)
        ):
            yield found.span(1)


def logins(text: str) -> Iterable[Span]:
    """Where addresses have a login: all that stands before its @."""
    for found in _ADDRESS.finditer(text):
        if length := _login(found[0]):
            yield found.start(), found.start() + length
    yield from (found.span() for found in _BARE_LOGIN.finditer(text))


def without_defaults(text: str) -> str:
    """A text in which variables that hold secrets have no other text to stand in for them.

    >>> without_defaults("${oc.env:MY_TOKEN,abc} of ${oc.env:PLACE,here}")
    '${oc.env:MY_TOKEN} of ${oc.env:PLACE,here}'
    """
    return _DEFAULT.sub(lambda found: f"${{oc.env:{found[1]}}}" if looks_secret(found[1]) else found[0], text)


def hide(text: str, spans: Iterable[Span]) -> str:
    """The text with `HIDDEN` in the place of parts of it, which may lie in one another."""
    parts, done = [], 0
    for start, end in sorted(spans):
        if end <= done or HIDDEN.startswith(text[start:end].strip("'\"")):
            continue
        parts += [text[done:start], HIDDEN] if start >= done else []
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def lacks_secret(text: str) -> bool:
    """Whether a setting or an override is what `hide` and `hide_value` have left of another."""
    return text == HIDDEN or _LEFT.search(text) is not None


def hide_value(name: str, value: str) -> str:
    """What stands for the value of a secret setting: a variable's name may be shown, which has no secret in it.

    >>> hide_value("token", "abc"), hide_value("token", "${oc.env:MINE}"), hide_value("token", "${oc.env:MINE,abc}")
    ('(hidden)', '${oc.env:MINE}', '${oc.env:MINE}')
    >>> hide_value("token", "12"), hide_value("password", "12")
    ('12', '(hidden)')
    """
    bare = value.strip("'\" ")
    if _is_nothing(name, bare):
        return value
    if found := _DEFAULT.fullmatch(bare):
        return f"${{oc.env:{found[1]}}}"
    return HIDDEN


def _login(address: str) -> int:
    """How much of an address, from behind its strokes, is a login."""
    head = re.split(r"[/?#]", address, maxsplit=1)[0]
    user, at, host = head.rpartition("@")
    # Passwords have an @ or a stroke in them that nobody has escaped; behind a host, an @ is one of a path.
    if not at and ":" in head and not head.rpartition(":")[2].isdigit():
        return max(address.rfind("@"), 0)
    if at and not re.search(r"[.:\]]|^localhost$", host) and "@" in address[len(head) :]:
        return address.rindex("@")
    return len(user)


def _is_argument(name: str) -> bool:
    name = unquote(name)
    return looks_secret(name) or name.lower() in _OF_ADDRESSES


def _behind(name: re.Match[str]) -> re.Match[str] | None:
    text, end = name.string, name.end()
    flag = text[max(name.start() - 2, 0) : name.start()] == "--"
    match: Callable[..., re.Match[str] | None] = (_BEHIND_A_FLAG if flag else _BEHIND).match
    return match(text, end)


def _counts(name: str, value: str, *, strict: bool) -> bool:
    bare = value.strip("'\"")
    if _is_nothing(name, bare) or bare.startswith(("${", "(hidden", "{", "[")):
        return False
    return strict or is_certain(name) or _LIKELY.fullmatch(bare) is not None


def _is_nothing(name: str, value: str) -> bool:
    if not value or _NOTHING.fullmatch(value):
        return True
    return _NUMBER.fullmatch(value) is not None and not is_certain(name)
