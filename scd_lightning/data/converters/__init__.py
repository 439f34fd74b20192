"""From a data set's own rows to the task's: what `task.data.converters` may list."""

from scd_lightning.data.converters.base import Converter, RowConverter
from scd_lightning.data.converters.columns import (
    ChoiceColumns,
    ClassNames,
    JoinedContext,
    LetterAnswers,
    RenameColumns,
)
from scd_lightning.data.converters.documents import AskedEntities, DocumentGroups
from scd_lightning.data.converters.entities import PlacedStrings, TaggedTokens
from scd_lightning.data.converters.labels import MergedLabels

__all__ = [
    "AskedEntities",
    "ChoiceColumns",
    "ClassNames",
    "Converter",
    "DocumentGroups",
    "JoinedContext",
    "LetterAnswers",
    "MergedLabels",
    "PlacedStrings",
    "RenameColumns",
    "RowConverter",
    "TaggedTokens",
]
