"""
Codes of Metro 2 and what the ledger calls the same.

Where several codes say what one choice says, the first of them in these tables is written for it.
"""

from __future__ import annotations

from typing import Final

from tradeline_ledger.schemas import FREQUENCY, PORTFOLIO, PRODUCT, ROLE

CURRENCY: Final = "USD"
MINOR_PER_DOLLAR: Final = 100

PORTFOLIOS: Final = {
    code: PORTFOLIO.number(name)
    for code, name in (
        ("C", "line_of_credit"),
        ("I", "instalment"),
        ("M", "mortgage"),
        ("O", "open"),
        ("R", "revolving"),
        ("L", "lease"),
    )
}
LIMITED: Final = frozenset(PORTFOLIO.numbers("line_of_credit", "open", "revolving"))
"""Portfolios whose limit is the credit limit; that of others is the original amount."""
TERMED: Final = frozenset(PORTFOLIO.numbers("instalment", "mortgage", "lease"))
"""Portfolios that have a duration in months."""
TERMS: Final = {
    PORTFOLIO.number("line_of_credit"): "LOC",
    PORTFOLIO.number("revolving"): "REV",
    PORTFOLIO.number("open"): "001",
}
"""What stands for the duration of the others."""

_PRODUCTS: Final = {
    "auto_loan": ("00",),
    "personal_loan": ("01", "02", "03", "04", "05", "06", "11", "12", "20", "65", "91", "9A"),
    "mortgage": ("26", "08", "0F", "17", "19", "25", "2C", "5A", "5B", "6D"),
    "credit_card": ("18", "0G", "2A", "8A"),
    "charge_card": ("07",),
    "business_loan": ("10", "6A", "6B", "7A", "7B", "9B"),
    "lease": ("13", "29", "3A"),
    "credit_line": ("15", "37", "47", "89"),
    "overdraft": ("8B", "43"),
    "post_paid": ("92", "4D"),
    "factoring": ("0C",),
    "buy_now_pay_later": (),
    "p2p_loan": (),
    "margin": (),
}
PRODUCTS: Final = {
    code: PRODUCT.number(name) for name, codes in _PRODUCTS.items() for code in codes
}
"""By account type. What is no credit, such as a medical debt, is not among them."""
ACCOUNT_TYPES: Final = {
    PRODUCT.number(name): (codes or _PRODUCTS["personal_loan"])[0]
    for name, codes in _PRODUCTS.items()
}
"""What is written for a product."""

FREQUENCIES: Final = {
    code: FREQUENCY.number(name)
    for code, name in (
        ("P", "single"),
        ("W", "weekly"),
        ("B", "biweekly"),
        ("E", "semimonthly"),
        ("M", "monthly"),
        ("L", "bimonthly"),
        ("Q", "quarterly"),
        ("T", "every_four_months"),
        ("S", "semiannual"),
        ("Y", "yearly"),
    )
}
"""Deferred payments, D, have none."""

ROLES: Final = {
    code: ROLE.number(name)
    for code, name in (
        ("1", "primary"),
        ("2", "joint"),
        ("3", "authorised_user"),
        ("5", "guarantor"),
        ("4", "joint"),
        ("6", "joint"),
        ("7", "primary"),
        ("W", "primary"),
        ("X", "primary"),
    )
}
"""By ECOA code; T and Z end an association and make no events."""
ECOA_ENDED: Final = frozenset("TZ")

RATED: Final = frozenset(("05", "13", "65", "88", "89", "94", "95"))
"""Statuses that say in the payment rating how late the account was."""
DELETIONS: Final = frozenset(("DA", "DF"))

DEFAULTS: Final = {
    "97": ("charge_off", "L"),
    "93": ("collection", "G"),
    "94": ("foreclosure", "H"),
    "96": ("repossession", "K"),
    "95": ("repossession", "J"),
}
"""Status in default: kind of default, and the code of the history for a month in it."""
PAID_DEFAULTS: Final = {
    "64": "charge_off",
    "62": "collection",
    "65": "foreclosure",
    "63": "repossession",
    "61": "repossession",
}
"""Status of an account that is paid: the default that went before."""

PAID_FOR_LESS: Final = "AU"
"""Special comment: paid in full for less than the full balance."""
CLOSED_BY_LENDER: Final = "M"
"""Special comment: closed at the credit grantor's request."""
CLOSED_BY_CONSUMER: Final = "XA"
"""Compliance condition code: closed at the consumer's request."""
PURCHASED_FROM: Final = "1"
SOLD_TO: Final = "2"
