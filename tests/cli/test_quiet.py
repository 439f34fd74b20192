import warnings

import scd_lightning
from scd_lightning.cli.quiet import quiet


def test_our_warnings_are_words_and_others_keep_their_place():
    quiet()
    quiet()
    ours = warnings.formatwarning("The data are odd.", UserWarning, f"{scd_lightning.__path__[0]}/data/base.py", 3)
    assert ours == "warning: The data are odd.\n"
    assert "lib.py:3" in warnings.formatwarning("Old.", UserWarning, "/lib.py", 3)
