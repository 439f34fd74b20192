"""What is settled of W&B before anything is logged: by our configuration, W&B's own variables, its settings files.

No framework is needed for it, so that an unknown mode is said at once.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from scd_lightning.config.checks import require_at_least, require_one_of
from scd_lightning.errors import ConfigError
from scd_lightning.redaction.secret_names import looks_secret

PROJECT = "scd_lightning"
START_SECONDS, FINISH_SECONDS = 20.0, 60.0
DISABLED = "disabled"
# W&B's own words -> what they mean; the last two are old ones.
_MODES = {name: name for name in ("online", "offline", DISABLED, "shared")} | {"dryrun": "offline", "run": "online"}
# The variable is older than W&B's modes, and transformers has kept it alive.
_SWITCH = "WANDB_DISABLED"
_ON, _OFF = ("1", "true", "t", "yes", "y", "on"), ("", "0", "false", "f", "no", "n", "off")
# W&B itself says that a key is wrong, when it logs in, and the run is offline then.
_NOT_OURS = ("WANDB_API_KEY", _SWITCH)


@dataclass(frozen=True)
class Switches:
    """The configuration's part, which goes before what W&B finds itself; but what turns it off or offline there wins.

    Attributes:
        save_dir: The run's folder; W&B's files go to `wandb` in it, or in WANDB_DIR.
        project: W&B project; None for WANDB_PROJECT, or "scd_lightning".
        entity: W&B user or team; None for WANDB_ENTITY, or the key's own.
        group: What to group runs by; None for WANDB_RUN_GROUP, or the data set with teacher and student.
        tags: Tags of the run; none for WANDB_TAGS.
        mode: "auto", or one of W&B's own: "online", "offline", "disabled", "shared".
        start_timeout: Seconds after which a server that does not answer is given up; None: WANDB_INIT_TIMEOUT, or 20.
        finish_timeout: Seconds that the end of the job waits for the upload; None: WANDB_FINISH_TIMEOUT, or 60.
        found: What W&B has been told elsewhere.
    """

    save_dir: str
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    tags: Sequence[str] = ()
    mode: str = "auto"
    start_timeout: float | None = None
    finish_timeout: float | None = None
    found: wandb.Settings = field(init=False, repr=False)

    def __post_init__(self) -> None:
        what = "There is no such mode of W&B"
        require_one_of(("auto", *_MODES), what=what, **{"logger.wandb.mode": self.mode})
        timeouts = {"start_timeout": self.start_timeout, "finish_timeout": self.finish_timeout}
        require_at_least(0, **{f"logger.wandb.{name}": seconds for name, seconds in timeouts.items()})
        _check_names(project=self.project, entity=self.entity, tags=list(self.tags))
        object.__setattr__(self, "found", _found(os.environ))
        object.__setattr__(self, "mode", self._settled_mode(os.environ))

    def _settled_mode(self, environment: Mapping[str, str]) -> str:
        if _is_switched_off(environment):
            return DISABLED
        chosen = environment.get("WANDB_MODE") or (self.mode if self.mode != "auto" else self.told("mode"))
        return "auto" if chosen is None else _MODES[chosen]

    @property
    def folder(self) -> Path:
        """What W&B's own folder is in."""
        return Path(self.told("root_dir") or self.save_dir)

    def told(self, name: str) -> Any:
        """A setting of W&B's as a variable or a settings file has it; None where neither has."""
        return getattr(self.found, name) if name in self.found.model_fields_set else None


def _check_names(**names: Any) -> None:
    for name, value in names.items():
        try:
            setattr(wandb.Settings(), "run_tags" if name == "tags" else name, value or None)
        except (ValueError, wandb.Error) as error:
            where = f"logger.wandb.{name}"
            raise ConfigError("W&B can't use a name", where=where, got=value, expected=_reason(error)) from None


def _is_switched_off(environment: Mapping[str, str]) -> bool:
    value = environment.get(_SWITCH, "").strip().lower()
    if value not in (*_ON, *_OFF):
        raise ConfigError(
            "It can't be told whether W&B is to be off", where=_SWITCH, got=value, expected="true or false"
        )
    return value in _ON


def _found(environment: Mapping[str, str]) -> wandb.Settings:
    """Settings as W&B itself would find them: files first, then variables."""
    folder = environment.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    settings = wandb.Settings(silent=True, settings_system=os.path.join(os.path.expanduser(folder), "settings"))
    files = settings.read_system_settings()
    # W&B would leave out a whole file with such a mode in it, and go online.
    mode = files.all().get("mode")
    if mode is not None and mode not in _MODES:
        raise _no_mode(", ".join(map(str, files.sources)), mode)
    settings.update_from_system_settings()
    for name, value in environment.items():
        if name.startswith("WANDB_") and name not in _NOT_OURS and value:
            _take(settings, name, value)
    return settings


def _take(settings: wandb.Settings, name: str, value: str) -> None:
    if name == "WANDB_MODE" and value not in _MODES:
        raise _no_mode(name, value)
    try:
        settings.update_from_env_vars({name: value})
    except (ValueError, wandb.Error) as error:
        what, shown = "W&B can't use what a variable says", None if looks_secret(name) else value
        raise ConfigError(what, where=name, got=shown, expected=_reason(error)) from None


def _no_mode(where: str, mode: str) -> ConfigError:
    *others, last = _MODES
    expected = f"{', '.join(others)} or {last}"
    return ConfigError("There is no such mode of W&B", where=where, got=mode, expected=expected)


def _reason(error: Any) -> str:
    """What would have been right, in the library's words; pydantic's own text has the value in it, and addresses."""
    text = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
    return str(text).partition("\n")[0].rstrip(".")
