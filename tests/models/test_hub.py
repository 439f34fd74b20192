"""The hub's failures told apart, without a network."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import errors
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from scd_lightning.errors import ModelError
from scd_lightning.models import hub
from scd_lightning.models.hub import check_weights, fetch_config

# The HTTP library that huggingface_hub itself uses (httpx, or its successor).
http = sys.modules[errors.HTTPError.__module__.split(".")[0]]
HUB_ID = "owner/model"
REQUEST = http.Request("HEAD", "https://huggingface.co/owner/model")


def response(status):
    return http.Response(status, request=REQUEST)


UNKNOWN = "There is no such model"
GATED = "The model is gated and this account may not read it"
UNREACHABLE = "The model is not in the local cache and the hub can't be reached"
FAILURES = [
    (GatedRepoError("gated", response=response(403)), GATED, "accept its licence at huggingface.co/owner/model"),
    (RepositoryNotFoundError("none", response=response(401)), UNKNOWN, "check the spelling"),
    (RevisionNotFoundError("none", response=response(404)), UNKNOWN, "check the spelling"),
    (errors.RemoteEntryNotFoundError("none", response=response(404)), UNKNOWN, "check the spelling"),
    (errors.HFValidationError("a/b/c"), UNKNOWN, "check the spelling"),
    (errors.LocalEntryNotFoundError("not cached"), UNREACHABLE, "unset HF_HUB_OFFLINE"),
    (errors.OfflineModeIsEnabled("offline"), UNREACHABLE, "unset HF_HUB_OFFLINE"),
    (HfHubHTTPError("down", response=response(503)), "The hub has troubles of its own", "try again later"),
    (HfHubHTTPError("slow down", response=response(429)), "The hub answers this machine no more for a while", "wait"),
    (HfHubHTTPError("bad token", response=response(401)), "The hub refuses the token", "set HF_TOKEN to a valid one"),
    (HfHubHTTPError("may not", response=response(403)), "The hub refuses the token", "or unset it"),
    (http.ConnectError("refused"), UNREACHABLE, "connect"),
    (http.ReadTimeout("slow"), UNREACHABLE, "connect"),
    (http.ProxyError("proxy"), UNREACHABLE, "connect"),
    (http.RemoteProtocolError("cut off"), UNREACHABLE, "connect"),
    (ConnectionResetError("reset"), UNREACHABLE, "connect"),
]


@pytest.mark.parametrize(("error", "what", "remedy"), FAILURES, ids=lambda value: type(value).__name__)
def test_each_failure_says_which_it_is(monkeypatch, error, what, remedy):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(hub, "get_hf_file_metadata", fail)
    with pytest.raises(ModelError) as raised:
        fetch_config(HUB_ID, None, "teacher.path")
    said, _, words = raised.value.what.partition(" (")
    assert said == what
    assert not words or words == f"{error})"
    assert raised.value.where == "teacher.path"
    assert raised.value.got == HUB_ID
    assert remedy in str(raised.value)
    assert raised.value.__cause__ is error


def test_an_unknown_revision_is_named(monkeypatch):
    def fail(*args, **kwargs):
        raise RevisionNotFoundError("none", response=response(404))

    monkeypatch.setattr(hub, "get_hf_file_metadata", fail)
    with pytest.raises(ModelError, match="Got: owner/model at revision v9"):
        fetch_config(HUB_ID, "v9", "teacher.path")


def test_a_defect_is_no_user_mistake(monkeypatch):
    def fail(*args, **kwargs):
        raise KeyError("defect")

    monkeypatch.setattr(hub, "get_hf_file_metadata", fail)
    with pytest.raises(KeyError):
        fetch_config(HUB_ID, None, "teacher.path")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached_model(home, files):
    """The hub's cache as huggingface_hub lays it out: blobs, a snapshot of links, a ref."""
    root = home / "hub" / "models--owner--model"
    for folder in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (root / folder).mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        (root / "blobs" / name).write_text(content)
        (root / "snapshots" / COMMIT / name).symlink_to(Path("..", "..", "blobs", name))


def offline(home, code):
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_really_offline(tmp_path):
    cached_model(tmp_path, {"config.json": "{}"})
    code = f"""
from scd_lightning.models.hub import fetch_config
from scd_lightning.errors import ModelError
for path, revision in (("model", None), ("model", "{COMMIT}"), ("model", "v2"), ("other", None)):
    try:
        print(fetch_config(f"owner/{{path}}", revision, "teacher.path").parent.name)
    except ModelError as error:
        print(error.what)
"""
    assert offline(tmp_path, code).splitlines() == [COMMIT, COMMIT, UNREACHABLE, UNREACHABLE]


def test_the_identity_of_a_cached_model_is_its_commit(tmp_path):
    cached_model(tmp_path, {"config.json": "{}"})
    code = """
from scd_lightning.models.loading import weights_identity
from scd_lightning.models.spec import TeacherSpec
from torch.optim import AdamW
print(weights_identity(TeacherSpec(name="t", optimizer=AdamW, path="owner/model")))
"""
    assert offline(tmp_path, code) == str({"hub": "owner/model", "commit": COMMIT})


def test_a_local_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    assert fetch_config(str(tmp_path), None, "teacher.path") == tmp_path / "config.json"


NO_MODEL = [([], "holds no model"), (["config.json"], "holds no weights")]
NO_MODEL += [(["adapter_config.json", "adapter_model.safetensors"], "holds adapters.*trajectory.*merge_and_unload")]


@pytest.mark.parametrize(("files", "what"), NO_MODEL)
def test_an_incomplete_folder_is_refused(tmp_path, files, what):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=what) as raised:
        fetch_config(str(tmp_path), None, "student.path")
    assert (raised.value.where, raised.value.got) == ("student.path", tmp_path)


@pytest.mark.parametrize("path", ["/no/such/folder", "./models/mine", "a/b/c/d"])
def test_a_path_that_is_no_folder_is_no_model(path):
    with pytest.raises(ModelError, match=UNKNOWN):
        fetch_config(path, None, "teacher.path")


SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
SHARDS = "pytorch_model.bin.index.json"


@pytest.mark.parametrize(
    ("cached", "listed", "refused"),
    [
        ([], [PICKLED], PICKLED),
        ([], [SHARDS, "pytorch_model-00001-of-00002.bin"], SHARDS),
        ([], [PICKLED, SAFE], None),
        ([], ["model.safetensors.index.json", SHARDS], None),
        ([PICKLED], [PICKLED, SAFE], None),
        ([PICKLED], ConnectionError("offline"), PICKLED),
        ([SAFE], ConnectionError("offline"), None),
        ([], ConnectionError("offline"), None),
        ([], HfHubHTTPError("down", response=response(503)), None),
    ],
)
def test_pickled_weights_are_refused_by_the_list_of_files(monkeypatch, tmp_path, cached, listed, refused):
    for name in ("config.json", *cached):
        (tmp_path / name).touch()

    def model_info(self, path, *, revision, timeout):
        assert (path, revision) == (HUB_ID, "v1")
        if isinstance(listed, Exception):
            raise listed
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in listed])

    monkeypatch.setattr(hub.HfApi, "model_info", model_info)
    if refused is None:
        check_weights(HUB_ID, "v1", tmp_path / "config.json", "student")
        return
    with pytest.raises(ModelError, match=r"weights are pickled.*student\.allow_pickle=true") as raised:
        check_weights(HUB_ID, "v1", tmp_path / "config.json", "student")
    assert str(raised.value.got).startswith(f"{refused} in {HUB_ID}")
