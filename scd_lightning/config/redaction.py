"""What may not be shown: names of secrets, and secrets in addresses."""

import re

HIDDEN = "(hidden)"
_ANYWHERE = {"secret", "secrets", "password", "passwd", "passphrase", "credential", "credentials", "apikey", "pwd"}
# `max_new_tokens` and `num_key_value_heads` are no secrets: these give away a name at its end only.
_LAST = {"key", "token", "signature", "sig"}
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
_ARGUMENT = re.compile(r"(?<=[?&])([\w.-]+)=([^&#\s'\"]+)")


def looks_secret(name: str) -> bool:
    """Whether a name is that of a secret.

    >>> [looks_secret(name) for name in ("hf_token", "apiKey", "max_new_tokens", "num_key_value_heads")]
    [True, True, False, False]
    """
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_")
    return bool(_ANYWHERE & set(words)) or words[-1] in _LAST


def hide_in_addresses(text: str) -> str:
    """A text without the logins and keys of the addresses in it.

    >>> hide_in_addresses("https://me:pass@host/a.csv?part=1&token=abc")
    'https://(hidden)@host/a.csv?part=1&token=(hidden)'
    """
    return _ARGUMENT.sub(_argument, _LOGIN.sub(f"{HIDDEN}@", text))


def _argument(found: re.Match[str]) -> str:
    return f"{found[1]}={HIDDEN}" if looks_secret(found[1]) else found[0]
