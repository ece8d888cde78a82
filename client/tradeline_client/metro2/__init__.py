"""
Metro 2, the monthly file format of lenders in the United States: bytes to records to events.

`layout` holds the fields of every segment as data, `kind` how each is written, `reader` and
`writer` how records stand in files, `to_events` and `from_events` what the ledger takes of a
record and gives back, `source` a whole file as columns for the import (docs/metro2.md).
"""
