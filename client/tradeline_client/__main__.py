"""`python -m tradeline_client` is the command `tradeline`."""

from tradeline_client.cli import main

main()
