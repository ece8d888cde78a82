"""A lender reads one person's history under a consent: lender.py FOLDER PASSPHRASE_FILE CONSENT."""

import sys
from pathlib import Path

from tradeline_client.client import Client
from tradeline_client.files import write_private
from tradeline_client.flows.inquiry import Question
from tradeline_ledger.consent import Purpose

folder, passphrase_file, consent = sys.argv[1:]
passphrase = Path(passphrase_file).read_bytes().rstrip()
question = Question(bytes.fromhex(consent), Purpose.LOAN_APPLICATION, "desk 7", "application 1234")

with Client.open(Path(folder), passphrase) as lender:
    reading = lender.ask(question)  # posts the inquiry, collects releases, verifies all of it
for event in reading.report.effective:
    print(event)
write_private(Path("application-1234.bundle"), reading.bundle)  # verifies offline, years later
