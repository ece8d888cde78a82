"""
Currencies of ISO 4217 and how many digits their minor unit takes.

Money is an integer of minor units beside one of these codes, so the table also fixes what an
amount means: 100 of TWD is one dollar, 100 of JPY a hundred yen. Codes are append-only: one that
ISO withdraws stays, because old events name it.
"""

from __future__ import annotations

from typing import Final

_NO_DIGIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DIGITS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL
MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK
PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"

MINOR_DIGITS: Final = {
    code: digits
    for digits, codes in (
        (0, _NO_DIGIT),
        (2, _TWO_DIGITS),
        (3, _THREE_DIGITS),
        (4, _FOUR_DIGITS),
    )
    for code in codes.split()
}
"""Decimal digits of the minor unit by code."""


def format_minor(amount_minor: int, currency: str) -> str:
    """Return an amount for people to read, such as `-1,234.50 TWD`."""
    digits = MINOR_DIGITS[currency]
    whole, rest = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    fraction = f".{rest:0{digits}}" if digits else ""
    return f"{sign}{whole:,}{fraction} {currency}"
