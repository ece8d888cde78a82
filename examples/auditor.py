"""An auditor replays a mirrored folder by a policy of its own: auditor.py FOLDER POLICY."""

import sys
from pathlib import Path

from tradeline_client.audit import audit
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.statement import Kind

folder, policy = map(Path, sys.argv[1:])
report = audit(folder, decode_policy(policy.read_bytes()))
print(f"{report.name}: {report.blocks} blocks, {report.entries} entries, {report.events} events")
print(f"consistent in itself: {report.consistent}; anchored to my keys: {report.anchored}")
print(
    f"reads: {report.count(Kind.INQUIRY)} under a consent, {report.refused(Kind.INQUIRY)} refused"
)
for finding in (*report.findings, *report.trust_findings):
    print(finding.code, finding.where, finding.detail)
sys.exit(0 if report.ok else 3)
