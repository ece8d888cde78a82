"""`python -m tradeline_node` is the command `tradeline` with the commands of a node alone."""

from tradeline_node.cli import main

main()
