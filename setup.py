"""Which folders a wheel has: the package, and conf/ within it, which lies beside it in a clone."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["scd_lightning*"]), "scd_lightning.conf"],
    package_dir={"scd_lightning.conf": "conf"},
)
