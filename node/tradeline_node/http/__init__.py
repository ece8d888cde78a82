"""The HTTP interface of a node: one application, rules of access, problem documents."""
