"""Manifests of imports and their receipts, checked against the ledger; reject files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.client.import_rows import Row, Rows, import_rows, on_ledger, opened_store
from tests.client.network import Network

from tradeline_client.errors import CustodyError, FileError
from tradeline_client.flows.manifest import check_manifest
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.job_manifest import (
    RECEIPTS_SUFFIX,
    is_manifest,
    read_manifest,
    write_manifest,
)
from tradeline_client.imports.job_rejects import rejected_rows, write_rejects
from tradeline_client.imports.job_store import STORE_NAME
from tradeline_client.requests import TransportFailure
from tradeline_client.session import Session
from tradeline_ledger.errors import ConsistencyError, MalformedError
from tradeline_ledger.history import EventId

NAMES = ("ref", "amount")


def fault(row: int, code: str = "amount-wrong", severity: Severity = Severity.REJECT) -> RowFault:
    return RowFault(
        row, row + 2, "amount", "amount_minor", code, "text", "an amount", "mend it", severity
    )


def file_with_faults() -> Rows:
    rows = [Row(f"row {i}", 1000 + i, i % 5) for i in range(25)]
    faults = (fault(3), fault(3, "day-wrong"), fault(17, severity=Severity.QUARANTINE))
    originals = {3: ("Wang Secret", "=1+1"), 17: ("row 17", "99999999")}
    return Rows(rows, faults=faults, names=NAMES, originals=originals)


def written(network: Network, session: Session, job: str, folder: Path) -> Path:
    path = folder / f"{job}.json"
    with opened_store(session) as store:
        ledger_id = session.ledger.ledger_id
        write_manifest(store, store.job(job), path, ledger_id=ledger_id, member=session.member)
    return path


def checked(network: Network, session: Session, path: Path) -> int:
    manifest = read_manifest(path)
    network.run(session, check_manifest(session, manifest, lambda _, __: None))
    return manifest.rows


def test_every_row_has_a_receipt_that_the_ledger_bears_out(
    network: Network, session: Session, tmp_path: Path
) -> None:
    import_rows(network, session, "march", file_with_faults(), batch_events=4)
    path = written(network, session, "march", tmp_path)
    assert is_manifest(path.read_bytes())
    assert checked(network, session, path) == 25
    content = json.loads(path.read_bytes())
    assert content["rows"] == 25
    assert content["counts"][""]["reject"] == 1
    assert content["counts"]["2026-03"] == {"accepted": 23}
    receipts = pq.read_table(path.with_name(f"march{RECEIPTS_SUFFIX}")).to_pylist()
    assert [each["row"] for each in receipts] == list(range(25))
    assert [receipts[3]["fate"], receipts[17]["fate"]] == ["reject", "quarantine"]
    events = on_ledger(network, session)
    ref = session.keystore.references.ref
    for each in receipts:
        if each["fate"] == "accepted":
            event = events[EventId(each["entry"], each["position"])]
            assert event.ref == ref(f"row {each['row']}")


def test_rows_that_were_sent_before_have_the_receipt_of_what_holds(
    network: Network, session: Session, tmp_path: Path
) -> None:
    rows = [Row(f"row {i}", 1000 + i, i % 5) for i in range(12)]
    import_rows(network, session, "march", Rows(rows))
    changed = [row._replace(amount=1) if i == 4 else row for i, row in enumerate(rows)]
    import_rows(network, session, "again", Rows(changed))
    path = written(network, session, "again", tmp_path)
    assert checked(network, session, path) == 12
    receipts = pq.read_table(path.with_name(f"again{RECEIPTS_SUFFIX}")).to_pylist()
    fates = [each["fate"] for each in receipts]
    assert fates == ["duplicate"] * 4 + ["corrected"] + ["duplicate"] * 7
    events = on_ledger(network, session)
    ref = session.keystore.references.ref
    for each in receipts:
        assert events[EventId(each["entry"], each["position"])].ref == ref(f"row {each['row']}")


def altered_receipts(path: Path, change: dict[str, object], drop: int | None = None) -> None:
    """Write other receipts, and their hash into the manifest, as somebody who cheats would."""
    beside = path.with_name(path.name.removesuffix(".json") + RECEIPTS_SUFFIX)
    table = pq.read_table(beside)
    listed = table.to_pylist()
    listed[0] |= change
    if drop is not None:
        del listed[drop]
    pq.write_table(pa.Table.from_pylist(listed, schema=table.schema), beside)
    content = json.loads(path.read_bytes())
    content["receipts"]["sha256"] = hashlib.sha256(beside.read_bytes()).hexdigest()
    path.write_bytes(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"position": 1}, "two rows have one event"),
        ({"position": 4000}, "is not listed"),
        ({"position": -5}, "is not listed"),
        ({"entry": 77}, "is not listed"),
        ({}, "has no receipt"),
        ({"fate": "duplicate"}, "has no receipt"),
    ],
)
def test_receipts_that_do_not_fit_the_entries_are_told(
    network: Network,
    session: Session,
    tmp_path: Path,
    change: dict[str, object],
    match: str,
) -> None:
    import_rows(network, session, "march", file_with_faults(), batch_events=4)
    path = written(network, session, "march", tmp_path)
    altered_receipts(path, change, None if change else 5)
    with pytest.raises(ConsistencyError, match=match):
        read_manifest(path)


def test_receipts_that_were_altered_or_taken_away_are_told(
    network: Network, session: Session, tmp_path: Path
) -> None:
    import_rows(network, session, "march", file_with_faults())
    path = written(network, session, "march", tmp_path)
    beside = path.with_name(f"march{RECEIPTS_SUFFIX}")
    good = beside.read_bytes()
    beside.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ConsistencyError, match="it was altered"):
        read_manifest(path)
    beside.unlink()
    with pytest.raises(ConsistencyError, match="are not beside"):
        read_manifest(path)
    path.write_bytes(b"{}")
    with pytest.raises(MalformedError, match="is no manifest"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"batch_hash": "00" * 32}, "holds another batch"),
        ({"index": 1000}, "has no entry 1000"),
        ({"index": 2}, "ends a block"),
    ],
)
def test_a_manifest_that_the_ledger_does_not_bear_out_is_told(
    network: Network, session: Session, tmp_path: Path, change: dict[str, object], match: str
) -> None:
    import_rows(network, session, "march", Rows([Row("row 1"), Row("row 2")]))
    path = written(network, session, "march", tmp_path)
    content = json.loads(path.read_bytes())
    content["entries"][0] |= change
    path.write_bytes(json.dumps(content).encode())
    if "index" in change:
        altered_receipts(path, {"entry": change["index"]})
        listed = pq.read_table(path.with_name(f"march{RECEIPTS_SUFFIX}")).to_pylist()
        listed[1]["entry"] = change["index"]
        schema = pq.read_schema(path.with_name(f"march{RECEIPTS_SUFFIX}"))
        pq.write_table(
            pa.Table.from_pylist(listed, schema=schema),
            path.with_name(f"march{RECEIPTS_SUFFIX}"),
        )
        altered_receipts(path, {})
    with pytest.raises(ConsistencyError, match=match):
        checked(network, session, path)


def test_a_job_that_was_broken_off_has_no_manifest_yet(
    network: Network, session: Session, tmp_path: Path
) -> None:
    for node in network.nodes.values():
        node.lies = {"POST /v1/custody": lambda request, _: TransportFailure(request.node, "gone")}
    with pytest.raises(CustodyError):
        import_rows(network, session, "march", file_with_faults(), patience_s=0)
    with pytest.raises(FileError, match="not on the ledger yet"):
        written(network, session, "march", tmp_path)


def test_the_reject_file_repeats_each_row_with_all_that_is_wrong(
    network: Network, session: Session
) -> None:
    job = import_rows(network, session, "march", file_with_faults())
    out = io.StringIO(newline="")
    with opened_store(session) as store:
        assert write_rejects(rejected_rows(store, job), out) == 2
    first, second = csv.DictReader(io.StringIO(out.getvalue()))
    assert first["reject_row"] == "3"
    assert first["reject_line"] == "5"
    assert first["reject_code"] == "amount-wrong | day-wrong"
    assert first["reject_fix"] == "mend it | mend it"
    assert (first["ref"], first["amount"]) == ("Wang Secret", "=1+1")
    assert second["reject_severity"] == "quarantine"


def test_what_stood_in_rejected_rows_is_encrypted_at_rest(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", file_with_faults())
    stored = b"".join(path.read_bytes() for path in session.folder.path.glob(f"{STORE_NAME}*"))
    assert stored
    for secret in (b"Secret", b"99999999", b"amount-wrong: text", b"row 17"):
        assert secret not in stored
    assert session.keystore.references.ref("row 1") not in stored
