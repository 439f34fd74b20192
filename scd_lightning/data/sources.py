"""Where rows come from: a local folder, the hub, or the embedded data set; and what makes them the task's rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from scd_lightning.config.checks import require_one_of
from scd_lightning.data.bad_rows import BadRows
from scd_lightning.data.cells import parse_cells
from scd_lightning.data.converters import Converter, RenameColumns
from scd_lightning.data.converters.base import check_converters
from scd_lightning.data.converting import convert_splits, convert_texts
from scd_lightning.data.files import read_folder
from scd_lightning.data.finding import find_files, find_only_file
from scd_lightning.data.hub_sets import HubSet
from scd_lightning.data.label_studio import unwrap_tasks, unwrap_texts
from scd_lightning.data.recognition import find_converters, recognise, recognise_texts
from scd_lightning.data.rows import Row, make_row, shorten
from scd_lightning.data.source_settings import read_generator_arguments, read_limits, read_ratios
from scd_lightning.data.splits import SPLITS, all_rows, check_overlap, cut_missing, subsample
from scd_lightning.data.synthetic import DEFAULTS, generate, generate_texts
from scd_lightning.data.unlabelled import (
    UNLABELLED,
    WHERE,
    Texts,
    find_texts,
    hold_against,
    local_texts,
    without_labels,
)
from scd_lightning.errors import ConfigError, DataError

# Given train's rows, none of them checked: what raises a DataError for a row of a split that can't be a sample.
Checker = Callable[[Sequence[Row]], Callable[[Row, str], object]]


@dataclass(frozen=True)
class SourceData:
    """What a source holds.

    Attributes:
        rows: Split -> its rows, for train, validation and test.
        split: How the splits came about, in words.
        overlap: Pair of splits -> samples of the later one that stand in the earlier one too.
        lost: What converters could not carry over -> how often, over all splits.
        notes: What was recognised of data in other forms than ours, a sentence each.
        origin: Where it comes from, without local paths.
        generator: Of generated data, which they are: name, settings and seed; else None.
        bad_rows: What was left out, and takes what later steps leave out.
        whole: Split -> its rows, where `rows` are drawn from them; else None.
        as_read: Split -> its rows before they were converted, where some of them were left out; else nothing.
        converters: What made the data's rows the task's: the source's own, and what was found to be needed.
    """

    rows: dict[str, list[Row]]
    split: str
    overlap: dict[str, int]
    lost: dict[str, int]
    notes: list[str]
    origin: str
    generator: dict[str, Any] | None
    bad_rows: BadRows
    whole: dict[str, list[Row]] | None
    as_read: dict[str, list[Row]]
    converters: Sequence[Converter]

    @property
    def answers(self) -> tuple[str, ...]:
        """The columns that rows have labels and answers in, as far as converters say so."""
        return tuple(name for converter in self.converters for name in converter.answers)

    @property
    def description(self) -> dict[str, Any]:
        """What results.json says of it; the generator where there is one."""
        found = {"source": self.origin, "split": self.split, "overlap": self.overlap, "lost": self.lost}
        return found if self.generator is None else found | {"generator": self.generator}


@dataclass
class DataSource:
    """Reads the three splits of a data set.

    Attributes:
        path: Folder with train (and validation, test) as JSON, CSV or Parquet, or one such file; it goes before `hub`.
            None for that, or for the embedded data set where there is no hub set either.
        hub: A set of the hub: its id, or all about it.
        columns: Old name -> new name of columns that the data calls otherwise than the task.
        converters: What makes the data's rows the task's rows, in this order, after the renaming.
        allow_overlap: Let the same sample stand in two splits, and count it, instead of refusing.
        on_bad_row: What a row that can't be used does: "error" ends the run, "skip" leaves it out, noted and counted.
        validation_ratio: Share of train that becomes validation, where the data has none.
        test_ratio: Share of train that becomes test, where the data has none.
        split_seed: Seed of those cuts and of `max_samples`.
        split_note: What the recorded rule has to say of a test split that is cut.
        group_column: Rows with the same value there stay in one split when splits are cut.
        max_samples: At most so many rows of each split, or of those it names ("unlabelled" too); drawn by the seed.
        synthetic: train, validation, test (numbers of rows), seed and label_noise of the embedded data set, and its
            number of unlabelled texts; what is left out or None is the generator's default.
        unlabelled: Texts without labels: a file, a folder, a hub id, or all about a hub set; None for those of the
            embedded data set.
    """

    path: str | None = None
    _: KW_ONLY
    hub: HubSet | str | None = None
    columns: Mapping[str, str] | None = None
    converters: Sequence[Converter] = ()
    allow_overlap: bool = False
    on_bad_row: Literal["error", "skip"] = "error"
    validation_ratio: float = 0.1
    test_ratio: float = 0.1
    split_seed: int = 0
    split_note: str | None = None
    group_column: str | None = None
    max_samples: int | Mapping[str, int] | None = None
    synthetic: Mapping[str, Any] | None = None
    unlabelled: HubSet | str | None = None

    def __post_init__(self) -> None:
        require_one_of(("error", "skip"), **{"task.data.on_bad_row": self.on_bad_row})
        check_converters(self.converters)
        if isinstance(self.hub, str):
            self.hub = HubSet(self.hub)
        self._renaming = RenameColumns(self.columns or {})
        self._ratios = read_ratios(self.validation_ratio, self.test_ratio)
        self._limits = read_limits(self.max_samples)
        self._generator_arguments = read_generator_arguments(self.synthetic or {})
        self._generated_texts: int = self._generator_arguments.pop(UNLABELLED, 0)
        if self._generated_texts and (self.unlabelled is not None or self.path is not None or self.hub is not None):
            raise ConfigError(
                "Unlabelled texts are generated for the embedded data set alone, and come from one source",
                where="task.data.synthetic.unlabelled",
                got=self._generated_texts,
                expected="null beside task.data.path, task.data.hub and task.data.unlabelled",
            )

    def check_places(self) -> None:
        """Looks for the files that it names, and reads none.

        Raises:
            DataError: They are not there.
        """
        if self.path is not None:
            find_files(Path(self.path))
        texts = local_texts(self.unlabelled)
        if texts is not None:
            find_only_file(texts, UNLABELLED, WHERE)

    def read(self, task: str, checker: Checker | None = None) -> SourceData:
        """Reads all rows, converts and checks them, and cuts the splits that are missing.

        Args:
            task: "ner", "qa" or "classification": which embedded data set, where there is neither path nor hub set.
            checker: Tells the rows that can be samples from those that can't; None lets all of them pass.

        Raises:
            DataError: Something can't be read, converted or used, or a sample stands in two splits.
        """
        bad_rows = BadRows(skip=self.on_bad_row == "skip")
        notes: list[str] = []
        found, origin = self._find(task, bad_rows, notes)
        found = unwrap_tasks(task, found, notes, self._renaming.columns)
        notes += self._idle_names(found)
        lost: Counter[str] = Counter()
        named = {
            split: bad_rows.keep(split, lambda row: parse_cells(self._renaming.convert(row)), rows)
            for split, rows in found.items()
        }
        known = recognise(task, named, notes, self.converters)
        converters = [*find_converters(task, known, notes, self.converters), *self.converters]
        given = convert_splits(converters, known, lost, bad_rows, notes)
        given = self._check(given, checker, bad_rows)
        whole, rule = cut_missing(given, self._ratios, self.split_seed, self.group_column)
        if self.split_note and "test" not in given:
            rule = f"{rule}; {self.split_note}"
        splits = {split: subsample(whole[split], self._limits.get(split), self.split_seed) for split in SPLITS}
        overlap = check_overlap(splits, allowed=self.allow_overlap)
        return SourceData(
            rows=splits,
            split=rule,
            overlap=overlap,
            lost={what: n for what, n in sorted(lost.items()) if n},
            notes=list(dict.fromkeys(notes)),
            origin=origin,
            generator=self._generator(task),
            bad_rows=bad_rows,
            whole=whole if any(len(splits[split]) < len(whole[split]) for split in SPLITS) else None,
            as_read=self._as_read(task, found) if bad_rows.found else {},
            converters=converters,
        )

    def read_texts(
        self,
        task: str,
        labelled: SourceData,
        placeholders: Mapping[str, Any] | None,
        check: Callable[[Row, str], object],
    ) -> Texts | None:
        """Reads the texts without labels as rows are read; None where there are none.

        Args:
            task: As in `read`.
            labelled: What `read` gave.
            placeholders: Column of a label -> what stands there; None of a task that can't have such rows.
            check: Raises a DataError for a row that can't be a sample.

        Raises:
            DataError: They can't be read or used, stand in validation or test, or none is left.
            ConfigError: The task can't have such rows.
        """
        if self.unlabelled is None and not self._generated_texts:
            return None
        if placeholders is None:
            raise ConfigError("The task has no use for texts without labels", where=WHERE, got=task, expected="null")
        bad_rows, notes = labelled.bad_rows, list[str]()
        if self.unlabelled is None:
            drawn = generate_texts(task, self._generated_texts, self._generator_arguments.get("seed", 0))
            rows, origin = self._as_rows(drawn, task, UNLABELLED), "embedded data set"
        else:
            rows, origin = find_texts(self.unlabelled, bad_rows, notes)
        named = unwrap_texts(rows, notes, self._renaming.columns)
        named = bad_rows.keep(UNLABELLED, lambda row: parse_cells(self._renaming.convert(row)), named)
        named = recognise_texts(task, named, notes, labelled.converters)
        converted = convert_texts(labelled.converters, named)
        blank, with_labels = without_labels(converted, placeholders)
        checked = self._check({UNLABELLED: blank}, lambda _: check, bad_rows)[UNLABELLED]
        texts, facts = hold_against(checked, labelled.rows, overlap_allowed=self.allow_overlap)
        texts = subsample(texts, self._limits.get(UNLABELLED), self.split_seed)
        return Texts(texts, {"source": origin, "rows": len(rows), "labelled": with_labels, **facts}, notes)

    def _find(self, task: str, bad_rows: BadRows, notes: list[str]) -> tuple[dict[str, list[Row]], str]:
        if self.path is not None:
            path = Path(self.path)
            return read_folder(path, bad_rows, notes), "local file" if path.is_file() else "local folder"
        if isinstance(self.hub, HubSet):
            return self.hub.read(bad_rows), self.hub.origin
        return self._embedded(task), "embedded data set"

    def _idle_names(self, found: Mapping[str, list[Row]]) -> list[str]:
        """A sentence where a column is to be renamed that no row has."""
        idle = self._renaming.idle(all_rows(found))
        # Of several, all are missing where a preset's set comes in our own form.
        if not idle or 1 < len(idle) == len(self._renaming.columns):
            return []
        return [f"No row has the column {', '.join(map(shorten, idle))}, which task.data.columns is to rename."]

    def _as_read(self, task: str, found: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
        named = {split: [*map(self._renamed, rows)] for split, rows in found.items()}
        return recognise(task, named, [], self.converters)

    def _renamed(self, row: Row) -> Row:
        try:
            return parse_cells(self._renaming.convert(row))
        except DataError:
            return row

    def _check(self, given: dict[str, list[Row]], checker: Checker | None, bad_rows: BadRows) -> dict[str, list[Row]]:
        """Leaves rows out before splits are cut, so that a cut depends on none of them."""
        check = None if checker is None else checker(given.get("train", ()))
        lines: dict[str, dict[str, int]] = {split: {} for split in given}

        def checked(row: Row, split: str) -> Row:
            if check is not None:
                check(row, split)
            if self.group_column is not None and split == "train" and len(given) < len(SPLITS):
                row.require(self.group_column, "the group column's value")
            if row.id in lines[split]:
                other = f"another id than that of line {lines[split][row.id]}"
                raise row.error("id", "is not unique", row.id, other, "rename one of the two")
            lines[split][row.id] = row.line
            return row

        return {split: bad_rows.keep(split, partial(checked, split=split), rows) for split, rows in given.items()}

    def _generator(self, task: str) -> dict[str, Any] | None:
        """What tells one draw of the embedded data set from another, and what they have in common."""
        if self.path is not None or self.hub is not None:
            return None
        settings = DEFAULTS | {name: value for name, value in self._generator_arguments.items() if name != "seed"}
        if limits := {split: limit for split, limit in self._limits.items() if split in SPLITS}:
            settings["max_samples"] = limits
        return {"name": f"embedded {task}", "settings": settings, "seed": self._generator_arguments.get("seed", 0)}

    def _embedded(self, task: str) -> dict[str, list[Row]]:
        try:
            splits = generate(task, **self._generator_arguments)
        except ValueError as error:
            raise ConfigError(f"The embedded data set can't be made ({error})", where="task.data.synthetic") from error
        return {split: self._as_rows(rows, task, split) for split, rows in splits.items()}

    @staticmethod
    def _as_rows(generated: Sequence[dict[str, Any]], task: str, split: str) -> list[Row]:
        file = f"embedded {task} {split}"
        return [make_row(values, split, number, file) for number, values in enumerate(generated, 1)]
