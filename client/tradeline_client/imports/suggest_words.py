"""
Names under which banks keep what events say, in English and Chinese.

A column is recognised by its name in lower case with words apart; of a Chinese name, a part is
enough. The lists are of what core banking systems and the rules of the credit bureau call things.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LOWER_THEN_UPPER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_APART: Final = re.compile(r"[^0-9a-z\u4e00-\u9fff]+")

SUBJECT: Final = (
    *("cert no", "cert", "id no", "id number", "identity", "national id", "resident id"),
    *("customer id no", "uscc", "lei", "证件号", "身份证", "統一社會", "统一社会信用代码"),
)
ACCOUNT: Final = (
    *("account", "account id", "account no", "account number", "acct", "acct no", "acct id"),
    *("loan id", "loan no", "card no", "contract no", "contract id", "id"),
    *("账户", "账号", "帳號", "借据", "合同号", "卡号"),
)
OCCURRED: Final = (
    *("statement date", "stmt date", "report date", "as of", "as of date", "as of month", "date"),
    *("month", "period", "billing date", "账单日", "报告日", "统计日", "日期"),
)
PERIOD: Final = ("period", "month", "as of month", "statement month", "yyyymm", "账期", "月份")
CURRENCY: Final = ("ccy", "currency", "cur", "currency code", "币种", "幣別")

STATEMENT: Final = {
    "statement_balance_minor": (
        *("balance", "statement balance", "bal", "outstanding", "outstanding balance"),
        *("current balance", "余额", "餘額", "账单金额", "应还款额"),
    ),
    "days_past_due": (
        *("dpd", "days past due", "days late", "overdue days", "days overdue", "past due days"),
        *("逾期天数", "逾期天數", "拖欠天数"),
    ),
    "past_due_minor": (
        *("past due", "past due amount", "overdue amount", "amount past due", "arrears amount"),
        *("逾期金额", "逾期总额", "逾期金額"),
    ),
    "paid_minor": (
        *("paid", "amount paid", "paid amount", "payment", "payment amount", "actual payment"),
        *("实还", "实际还款", "還款金額", "还款金额"),
    ),
    "minimum_due_minor": (
        *("min due", "minimum due", "amount due", "minimum payment", "min payment"),
        *("最低还款", "最低還款"),
    ),
    "scheduled_due_minor": ("instalment", "installment", "scheduled payment", "应还", "应还金额"),
    "closing_balance_minor": ("closing balance", "month end balance", "期末余额", "月末余额"),
    "rate_ppm": ("interest rate", "rate", "nominal rate", "利率"),
    "five_class": ("class", "five class", "risk class", "loan class", "五级分类", "五級分類"),
    "asset_status": ("asset status", "account status", "status", "账户状态", "資產狀態"),
}
OPENED: Final = {
    "product": ("product", "product type", "loan type", "产品", "业务种类", "業務種類"),
    "portfolio": ("portfolio", "portfolio type"),
    "limit_minor": (
        *("limit", "credit limit", "principal", "loan amount", "limit bal", "amount"),
        *("授信额度", "贷款金额", "額度", "本金"),
    ),
    "term_months": ("term", "term months", "tenor", "tenor months", "duration", "期限", "期数"),
    "rate_ppm": ("interest rate", "rate", "nominal rate", "利率"),
    "security": ("security", "secured", "collateral", "guarantee type", "担保方式", "擔保方式"),
}
OPENED_ON: Final = ("open date", "opened on", "date opened", "origination date", "开户日", "放款日")
CLOSED: Final = {
    "reason": ("close reason", "closure reason", "关闭原因", "结清原因"),
    "final_balance_minor": ("final balance", "closing amount"),
}
CLOSED_ON: Final = ("close date", "closed on", "date closed", "销户日", "结清日")

FIVE_CLASSES: Final = {
    **dict(
        zip("12345", ("normal", "special_mention", "substandard", "doubtful", "loss"), strict=True)
    ),
    **dict(
        zip(
            ("正常", "关注", "次级", "可疑", "损失"),
            ("normal", "special_mention", "substandard", "doubtful", "loss"),
            strict=True,
        )
    ),
}
CURRENCIES: Final = {"人民币": "CNY", "RMB": "CNY", "156": "CNY", "美元": "USD", "840": "USD"}
MINOR_WORDS: Final = ("minor", "cents", "cent", "fen", "分")
TEN_THOUSAND_WORDS: Final = ("万元", "萬元", "wan")


def folded(name: str) -> str:
    """Return a name in lower case with single spaces between its words."""
    normal = _LOWER_THEN_UPPER.sub(" ", unicodedata.normalize("NFKC", name)).lower()
    return _APART.sub(" ", normal).strip()


def fit(name: str, words: tuple[str, ...]) -> int:
    """
    Return how well a name fits words for one thing: 0 not at all, more is better.

    The same name is best, then one that begins or ends with the words, then one that holds them;
    of two, the earlier words win.
    """
    normal = folded(name)
    best = 0
    for place, word in enumerate(words):
        if normal == word:
            score = 3000
        elif normal.startswith(f"{word} ") or normal.endswith(f" {word}"):
            score = 2000 + 10 * len(word)
        elif not word.isascii() and word in normal:
            score = 1000 + 10 * len(word)
        else:
            continue
        best = max(best, score - place)
    return best
