"""
The rules of the ledger: formats, Merkle log, consent, state transition.

Nothing in this package opens a file or a socket, reads a clock, starts a thread or draws a
random number (the one exception is `hpke`, whose library draws its own). Storage, engines and
HTTP live in `tradeline_node`; what institutions import is `tradeline_client`.
"""
