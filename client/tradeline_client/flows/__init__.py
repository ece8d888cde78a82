"""
What a client asks, checks and records, one noun a module; `requests` says what a flow is.

Nothing is returned that was not verified.
"""
