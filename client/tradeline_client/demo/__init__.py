"""
The demo: a consortium on this machine, real borrowers' months, and what each step proves.

Nodes are started as a process of their own and reached over HTTP, as any client reaches them.
"""
