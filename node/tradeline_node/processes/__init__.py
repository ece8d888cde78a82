"""
The three processes of a node beside which CometBFT orders, and what runs them.

* *application* owns the ledger store and answers the engine; it holds no secret
* *engine* is CometBFT
* *http* serves members and peers; it holds the keys and reads the ledger store as a secondary

`supervisor` starts them in this order and ends them in the other. A process of ours gets its
orders as the first line on its standard input and ends when that closes, so that none is left over
whatever becomes of the supervisor.
"""
