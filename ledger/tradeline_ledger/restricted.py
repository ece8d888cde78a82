"""
What must not be collected about a subject, or only with consent after notice.

Nothing here looks at an event of a known type: its fields are allowed. It looks at what comes from
outside, the names of columns and codes that somebody wants to report, and free text, and names
the article that speaks against it. Names and codes are judged; text only raises a doubt, since a
disease control centre may fine somebody.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass
from itertools import chain
from typing import Final

from tradeline_ledger.article import MEANS, MINIMAL, PROHIBITED, SENSITIVE, UNRELATED, Article
from tradeline_ledger.finding import Finding, Severity


@enum.unique
class Ban(enum.Enum):
    """How far something is restricted."""

    NEVER = "never"
    """Not collected, whatever the subject says."""
    WITH_NOTICE = "with notice"
    """Only with written consent, after the subject was told of adverse consequences."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """A kind of information that is restricted, and how it is recognised."""

    name: str
    """What it is, for messages."""
    ban: Ban
    article: Article
    """Which law says so."""
    words: tuple[str, ...]
    """English words, or several with spaces between, each whole."""
    characters: tuple[str, ...]
    """Chinese words, simplified and traditional, anywhere."""
    types: tuple[str, ...] = ()
    """Event types that may hold it: with notice, or because they are about firms."""


def _never(name: str, article: Article, words: tuple[str, ...], *characters: str) -> Restriction:
    return Restriction(name, Ban.NEVER, article, words, characters)


def _means(name: str, words: tuple[str, ...], *characters: str) -> Restriction:
    return Restriction(
        name,
        Ban.WITH_NOTICE,
        MEANS,
        words,
        characters,
        ("subject.means", "public.housing_fund", "org.financials"),
    )


RESTRICTIONS: Final = (
    _never(
        "religion",
        PROHIBITED,
        ("religion", "religious", "faith", "church", "denomination"),
        *("宗教", "信仰"),
    ),
    _never(
        "genes",
        PROHIBITED,
        ("gene", "genes", "genetic", "genome", "dna"),
        *("基因", "遗传", "遺傳"),
    ),
    _never(
        "fingerprints and other biometrics",
        PROHIBITED,
        (
            *("fingerprint", "fingerprints", "biometric", "biometrics", "iris", "voiceprint"),
            *("face template", "face image", "facial"),
        ),
        *("指纹", "指紋", "虹膜", "人脸", "人臉", "声纹", "聲紋", "生物识别", "生物識別"),
    ),
    _never("blood type", PROHIBITED, ("blood type", "blood group", "bloodtype"), "血型"),
    _never(
        "disease and medical history",
        PROHIBITED,
        (
            *("disease", "illness", "diagnosis", "medical", "health", "hospital", "hiv", "cancer"),
            *("disability", "disabled", "pregnant", "pregnancy", "prescription"),
        ),
        *("疾病", "病史", "病历", "病歷", "诊断", "診斷", "患病", "残疾", "殘疾", "怀孕", "懷孕"),
        *("健康状况", "健康狀況", "传染病", "傳染病"),
    ),
    _never(
        "origin, politics and private life",
        SENSITIVE,
        (
            *("ethnicity", "ethnic", "race", "racial", "caste", "tribe", "political", "politics"),
            *("sexual orientation", "trade union"),
        ),
        *("民族", "种族", "種族", "政治面貌", "党派", "黨派", "性取向"),
    ),
    _never(
        "sex and marriage",
        UNRELATED,
        ("sex", "gender", "marital", "marriage"),
        *("性别", "性別", "婚姻", "婚否"),
    ),
    _never(
        "whereabouts",
        SENSITIVE,
        ("latitude", "longitude", "gps", "geolocation", "location history"),
        *("行踪", "行蹤", "轨迹", "軌跡", "经纬度", "經緯度"),
    ),
    _never(
        "contacts and social graph",
        MINIMAL,
        ("social graph", "friends", "contact list", "contacts", "call log", "sms log", "followers"),
        *("通讯录", "通訊錄", "好友", "社交关系", "社交關係", "通话记录", "通話記錄"),
    ),
    _never(
        "browsing and purchases",
        UNRELATED,
        ("browsing", "browser history", "search history", "clickstream", "purchase history"),
        *("浏览记录", "瀏覽記錄", "搜索记录", "搜索紀錄", "购物记录", "購物記錄"),
    ),
    _means(
        "income",
        ("income", "salary", "wage", "wages", "earnings", "payroll"),
        *("收入", "工资", "工資", "薪资", "薪資", "薪金", "年薪", "月薪"),
    ),
    _means(
        "deposits",
        ("deposit", "deposits", "savings", "bank balance"),
        *("存款", "储蓄", "儲蓄"),
    ),
    _means(
        "securities",
        ("securities", "stocks", "bonds", "shares held", "fund holdings", "portfolio value"),
        *("有价证券", "有價證券", "股票", "债券", "債券", "基金持仓", "基金持倉"),
    ),
    _means(
        "commercial insurance",
        (
            *("commercial insurance", "life insurance", "insurance policy", "insured amount"),
            "insurance value",
        ),
        *("商业保险", "商業保險", "人寿保险", "人壽保險", "保单", "保單", "保险金额", "保險金額"),
    ),
    _means(
        "real property",
        (
            *("real property", "real estate", "property value", "house value", "home value"),
            *("home ownership", "own house", "housing", "housing fund"),
        ),
        *("不动产", "不動產", "房产", "房產", "房屋", "住房", "公积金", "公積金"),
    ),
    _means(
        "tax paid",
        ("tax paid", "tax amount", "tax payment", "taxes paid"),
        *("纳税数额", "納稅數額", "纳税额", "納稅額", "完税", "完稅"),
    ),
)
"""What is restricted, in the order in which it is looked for."""

_HARMLESS: Final = re.compile(
    "|".join(
        (
            *("疾病预防控制", "疾病預防控制", "基因科技", "基因股份", "残疾人联合会", "卫生健康"),
            *(r"\bkey fingerprint\b", r"\bcertificate fingerprint\b", r"\bmortgage portfolio\b"),
        )
    )
)
"""Names of authorities, firms and technical things that hold a restricted word."""
_LOWER_THEN_UPPER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS: Final = re.compile(r"[\s_\-./:]+")


_PATTERNS: Final = tuple(
    (
        each,
        re.compile(
            "|".join((*(rf"\b{word}\b" for word in each.words), *each.characters)), re.ASCII
        ),
    )
    for each in RESTRICTIONS
)


def _anywhere(word: str) -> str:
    """Return a pattern of a word in text whose words are joined in any way."""
    joined = word.replace(" ", r"[\s_\-./:]+")
    return rf"(?:\b|_){joined}(?:\b|_)"


TEXT_PATTERN: Final = "(?i)" + "|".join(
    chain.from_iterable((*map(_anywhere, each.words), *each.characters) for each in RESTRICTIONS)
)
"""
Finds all text in Unicode form NFKC that `of_text` would find something in, and some more.

It is written so that RE2 takes it too, for whole columns; what it finds is for `of_text`.
"""


def of_name(name: str) -> Restriction | None:
    """
    Return what restricts a column, field or code of this name, or None.

    Width, case and how the words are joined don't matter: `AnnualIncome`, `annual_income` and
    `ANNUAL-INCOME` are one name.
    """
    split = _LOWER_THEN_UPPER.sub(" ", unicodedata.normalize("NFKC", name))
    return _search(_BETWEEN_WORDS.sub(" ", split).lower())


def of_text(text: str) -> Restriction | None:
    """Return what restricts something that free text seems to say, or None."""
    return _search(_BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text)).lower())


def finding_of_name(name: str, event_type: str, field: str) -> Finding | None:
    """
    Return the finding against reporting a column of this name as a field of a type, or None.

    Args:
        name: of the column or code.
        event_type: name of the type; one that asks for notice may hold what needs it.
        field: of the event.
    """
    restriction = of_name(name)
    if restriction is None or event_type in restriction.types:
        return None
    return _finding("restricted-field", Severity.REJECT, field, restriction)


def finding_of_text(text: str, event_type: str, field: str) -> Finding | None:
    """Return the doubt that free text of a field raises, or None."""
    restriction = of_text(text)
    if restriction is None or event_type in restriction.types:
        return None
    return _finding("restricted-text", Severity.QUARANTINE, field, restriction)


def _finding(code: str, severity: Severity, field: str, restriction: Restriction) -> Finding:
    if restriction.ban is Ban.NEVER:
        fix = "leave it out; it is never collected"
    else:
        fix = (
            "leave it out, or report it as subject.means with the day on which the subject was "
            "told of adverse consequences"
        )
    return Finding(
        code=code,
        severity=severity,
        field=field,
        got=restriction.name,
        expected=f"nothing that {restriction.article} restricts ({restriction.article.text})",
        fix=fix,
    )


def _search(normal: str) -> Restriction | None:
    """Return the first restriction of text in lower case with single spaces."""
    left = _HARMLESS.sub(" ", normal)
    for restriction, pattern in _PATTERNS:
        if pattern.search(left):
            return restriction
    return None
