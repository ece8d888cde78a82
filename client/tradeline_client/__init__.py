"""What lenders, contributors and auditors import: submit, consent, read, verify, audit."""
