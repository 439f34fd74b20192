"""Sentences about the invented world, with every mention's true type."""

import re
from dataclasses import dataclass
from random import Random

from scd_lightning.data.synthetic.world import (
    AMBIGUOUS_TYPES,
    COMMON_TYPES,
    DOMAINS,
    NAMES,
    PHRASES,
    RARE_TYPES,
)

AMBIGUOUS_SHARE = 0.4
RARE_SHARE = 0.05
EMPTY_SHARE = 0.04
DOMAIN_CUE_SHARE = 0.4
NEUTRAL_CUE_SHARE = 0.6
COMPANION_SHARE = 0.75


@dataclass(frozen=True)
class Mention:
    """A name in a text, `text[start:end]`, and what it stands for there."""

    start: int
    end: int
    label: str
    text: str


@dataclass(frozen=True)
class Sentence:
    """A text, its mentions in order of start, and where it comes from."""

    text: str
    mentions: tuple[Mention, ...]
    language: str
    domain: str


def write_sentence(rng: Random, language: str, label: str | None = None, domain: str | None = None) -> Sentence:
    """Write a random sentence.

    Args:
        rng: The source of all choices.
        language: One of `LANGUAGES`.
        label: The type of the main name, which stands first; None draws one, or now and then no name at all.
        domain: One of `DOMAINS`; None draws one.
    """
    phrases = PHRASES[language]
    domain = domain or rng.choice(DOMAINS)
    space, stop = (" ", ".") if language == "en" else ("", "。")
    filler = rng.choice(phrases.fillers)
    if label is None and rng.random() < EMPTY_SHARE:
        names = []
        body = filler + space + rng.choice(phrases.empty)
    else:
        focus, cue = _focus(rng, language, domain, label)
        names = [focus, _coined(rng, language), _coined(rng, language)]
        body = rng.choice(phrases.focus_frames).replace("{filler}", filler).replace("{cue}", cue)
        if rng.random() < COMPANION_SHARE:
            body += space + rng.choice(phrases.companions)
    text, mentions = _fill(rng.choice(phrases.openers[domain]) + space + body + stop, names)
    return Sentence(text, mentions, language, domain)


def _focus(rng: Random, language: str, domain: str, label: str | None) -> tuple[tuple[str, str], str]:
    """Draw the main name as (name, type) and the cue that goes with it."""
    phrases = PHRASES[language]
    if label in (None, *AMBIGUOUS_TYPES) and rng.random() < AMBIGUOUS_SHARE:
        label = label or rng.choice(AMBIGUOUS_TYPES)
        name = rng.choice(phrases.ambiguous)
        if rng.random() < DOMAIN_CUE_SHARE:
            column = DOMAINS.index(domain)
            return (name, label), rng.choice(
                [c for c, labels in phrases.domain_cues.items() if labels[column] == label]
            )
        return (name, label), rng.choice(phrases.plain_cues[label])
    name, label = _coined(rng, language, label)
    cues = phrases.neutral_cues if rng.random() < NEUTRAL_CUE_SHARE else phrases.plain_cues[label]
    return (name, label), rng.choice(cues)


def _coined(rng: Random, language: str, label: str | None = None) -> tuple[str, str]:
    """Draw a coined name and its type."""
    if label is None:
        label = rng.choice(RARE_TYPES if rng.random() < RARE_SHARE else COMMON_TYPES)
    return rng.choice(NAMES[language][label]), label


def _fill(template: str, names: list[tuple[str, str]]) -> tuple[str, tuple[Mention, ...]]:
    """Put names into the template's numbered slots and note where they stand."""
    text, mentions = "", []
    for literal, slot in re.findall(r"([^{]*)(?:\{(\d)\})?", template):
        text += literal
        if slot:
            name, label = names[int(slot)]
            mentions.append(Mention(len(text), len(text) + len(name), label, name))
            text += name
    return text, tuple(mentions)
