"""
From the files that institutions have to events on the ledger.

`source` reads a file chunk by chunk, `mapping` turns rows into `columns` of events, `cleansing`
looks for what can't be right, `job` seals and submits what is left and remembers what became of
each row. Whatever is wrong with a row is a `fault`.
"""
