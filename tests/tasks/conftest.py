"""The data's fixtures: a task is tried on rows."""

from tests.data.conftest import byte_tokenizer, write_folder  # noqa: F401
