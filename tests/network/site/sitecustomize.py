"""
Makes a node misbehave: Python imports this at its start where this folder is on PYTHONPATH.

The variable TL_MISBEHAVE names functions of `tests.network.misbehaviour` by commas, after a colon
the argument of each. Only processes that tests start so get it.
"""

import os

from tests.network.misbehaviour import MISBEHAVIOUR

for _each in os.environ["TL_MISBEHAVE"].split(","):
    _name, _, _argument = _each.partition(":")
    MISBEHAVIOUR[_name](_argument)
