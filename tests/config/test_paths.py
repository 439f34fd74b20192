"""Settings that are paths."""

import pytest

from scd_lightning.config.paths import PATHS, with_paths
from scd_lightning.errors import ConfigError


def nested(place, value):
    for name in reversed(place.split(".")):
        value = {name: value}
    return value


@pytest.mark.parametrize("place", PATHS)
def test_each_path_is_the_users_own_and_none_is_empty(place, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert with_paths(nested(place, "~/x")) == nested(place, "/home/ada/x")
    for kept in ("a/~b", "owner/model", None, {"path": "~"}, ["runs/a"]):
        assert with_paths(nested(place, kept)) == nested(place, kept)
    assert with_paths(nested(place, ["~/a", "b"])) == nested(place, ["/home/ada/a", "b"])
    for empty in ("", " "):
        with pytest.raises(ConfigError, match=rf"A path is empty.*{place}"):
            with_paths(nested(place, empty))
    with pytest.raises(ConfigError, match=rf"bytes that are no text.*{place}.*caf.udce9"):
        with_paths(nested(place, "caf\udce9"))


def test_what_is_given_stays_as_it_is():
    given = {"paths": {"store": "~/x"}, "seed": 0}
    with_paths(given)
    assert given == {"paths": {"store": "~/x"}, "seed": 0}
    assert with_paths({"paths": None, "task": "x"}) == {"paths": None, "task": "x"}
