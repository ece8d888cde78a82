"""What commands of imports share: the store of jobs opened, and jobs as they are printed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.cli.output import print_pairs, print_table
from tradeline_client.cli.session import open_client, read_passphrase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tradeline_client.client import Client
    from tradeline_client.imports.dry_run import DryRun
    from tradeline_client.imports.job_store import Job, JobStore

EVENTS_PER_S: Final = 10_000
"""What an estimate takes for granted: four validators of their own machines do that."""


@contextmanager
def opened(folder: Path, passphrase_file: Path | None) -> Iterator[tuple[Client, JobStore]]:
    """
    Yield the client of a folder and its store of jobs.

    Raises:
        FolderError: the folder can't be used.
        StoreError: a store can't be opened.
    """
    from tradeline_client.imports.job_desk import open_store  # noqa: PLC0415 - quick start-up

    with open_client(folder, passphrase_file) as client:
        session = client.session
        with open_store(session.folder.path, session.keystore) as store:
            yield client, store


@contextmanager
def opened_store(folder: Path, passphrase_file: Path | None) -> Iterator[JobStore]:
    """
    Yield the store of jobs of a folder.

    Raises:
        FolderError: the folder can't be used.
        StoreError: the store can't be opened.
    """
    from tradeline_client.imports.job_desk import open_store  # noqa: PLC0415
    from tradeline_client.keystore import open_keystore  # noqa: PLC0415
    from tradeline_client.profile import open_folder  # noqa: PLC0415

    keys = open_folder(folder).keys
    keystore = open_keystore(keys, read_passphrase(passphrase_file, folder))
    with open_store(folder, keystore) as store:
        yield store


def summary(store: JobStore, job: Job) -> dict[str, Any]:
    """Return a job for programs: how far it is, and what was counted."""
    from tradeline_client.imports.job import ROWS  # noqa: PLC0415
    from tradeline_client.imports.job_manifest import counts_of  # noqa: PLC0415
    from tradeline_client.imports.job_months import UNKNOWN  # noqa: PLC0415
    from tradeline_client.imports.job_plan import Fate  # noqa: PLC0415

    counts = counts_of(store, job)
    of_rows = counts.pop(UNKNOWN, {})
    fates = {fate.name.lower(): 0 for fate in Fate}
    for numbers in counts.values():
        for fate, number in numbers.items():
            fates[fate] += number
    faults = {what: number for what, number in of_rows.items() if ":" in what}
    return {
        "job": job.name,
        "state": job.state.value,
        "feed": job.feed,
        "file": job.source.get("path", ""),
        "file_sha256": job.file_hash.hex(),
        "mapping_sha256": job.mapping_hash.hex(),
        "rows": of_rows.get(ROWS, 0),
        "rejected": of_rows.get("reject", 0),
        "quarantined": of_rows.get("quarantine", 0),
        "with_warnings": of_rows.get("warning", 0),
        "events": fates,
        "months": counts,
        "faults": dict(sorted(faults.items(), key=lambda each: -each[1])),
        "entries": sum(1 for each in store.batches(job) if each.count),
    }


def print_dry_run(found: DryRun) -> None:
    """Print what a file would become, with samples of what is wrong."""
    events = ", ".join(f"{number} {name}" for name, number in found.events.items())
    months = sorted(found.months)
    pairs: list[tuple[str, object]] = [
        ("rows", f"{found.rows}, {found.rejected} rejected, {found.quarantined} quarantined"),
        ("events", events or "none"),
        ("months", f"{months[0]} to {months[-1]}" if months else "none"),
        ("batches", found.batches),
        ("read in", f"{found.seconds:.1f} s"),
        ("estimate", f"{found.estimate_s(EVENTS_PER_S):.0f} s at {EVENTS_PER_S:,} events/s"),
    ]
    print_pairs(pairs)
    rows = [
        (each.line, fault.count, code, each.column, each.got, each.expected, each.fix)
        for code, fault in found.faults.items()
        for each in fault.samples[:1]
    ]
    if rows:
        columns = ("first line", "rows", "code", "column", "got", "expected", "fix")
        print_table("What is wrong", columns, rows)


def print_job(said: dict[str, Any]) -> None:
    """Print what `summary` returned."""
    events = ", ".join(f"{number} {fate}" for fate, number in said["events"].items() if number)
    rows = f"{said['rows']}, {said['rejected']} rejected, {said['quarantined']} quarantined"
    pairs: list[tuple[str, object]] = [
        ("job", f"{said['job']}: {said['state']}"),
        ("file", said["file"]),
        ("rows", rows),
        ("events", events or "none"),
        ("entries", said["entries"]),
    ]
    if "seconds" in said:
        pairs.append(("seconds", said["seconds"]))
    print_pairs(pairs)
    if said["faults"]:
        listed = [(*what.split(":", 1), number) for what, number in said["faults"].items()]
        print_table("What is wrong", ("severity", "code", "rows"), listed)
    if said["rejected"] or said["quarantined"]:
        print_pairs([("next", f"tradeline import rejects {said['job']} --out FILE")])
    if said["state"] in {"running", "paused"}:
        print_pairs([("next", f"tradeline import --resume --job {said['job']}")])
