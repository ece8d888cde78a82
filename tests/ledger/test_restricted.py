"""What must not be collected is found under whatever name it comes, and the article is named."""

from __future__ import annotations

import re

import pytest

from tradeline_ledger.finding import Severity
from tradeline_ledger.restricted import (
    RESTRICTIONS,
    TEXT_PATTERN,
    Ban,
    finding_of_name,
    finding_of_text,
    of_name,
    of_text,
)
from tradeline_ledger.schemas import SCHEMAS

NEVER = {
    "religion": ["religion", "RELIGION", "customer_religion", "宗教信仰", "religiousAffiliation"],
    "genes": ["dna", "gene_test", "GeneTest", "基因", "遺傳病"],
    "fingerprints and other biometrics": ["fingerprint_hash", "指纹", "指紋", "FACE-TEMPLATE"],
    "blood type": ["blood_type", "BloodType", "bloodtype", "血型", "血 型".replace(" ", "")],
    "disease and medical history": [
        "disease",
        "MedicalHistory",
        "health.status",
        "病史",
        "既往病歷",
    ],
    "origin, politics and private life": ["ethnicity", "race", "民族", "政治面貌"],
    "sex and marriage": ["SEX", "gender", "MaritalStatus", "marriage_1", "性别", "婚姻状况"],
    "whereabouts": ["gps", "home_latitude", "行踪"],
    "contacts and social graph": ["contact_list", "通讯录", "social graph"],
    "browsing and purchases": ["browsing_days", "浏览记录"],
}
WITH_NOTICE = {
    "income": [
        "income",
        "annual_income",
        "AnnualIncome",
        "ANNUAL-INCOME",
        "monthlySalary",
        "月收入",
    ],
    "deposits": ["deposit_balance", "savings", "存款余额", "ｄｅｐｏｓｉｔ"],
    "securities": ["securities", "stocks", "股票市值"],
    "commercial insurance": ["insurance_policy", "商业保险"],
    "real property": ["real_estate", "HouseValue", "housing", "房产", "住房公积金"],
    "tax paid": ["tax_paid", "taxAmount", "纳税数额"],
}
HARMLESS = [
    *("limit", "account_no", "general", "generic", "trace_id", "incoming", "depository", "地址"),
    *("tax_arrears", "欠税", "grace_period", "dpd", "product", "姓名", "balance", "stockpile"),
    *("certificate_fingerprint", "traced", "generation", "wagering", "friendly_name", "months"),
    *("insurance", "portfolio", "property", "iris2000x", "healthy"),
]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in NEVER.items() for name in names]
)
def test_prohibited_column_is_refused_with_its_article(kind: str, name: str) -> None:
    restriction = of_name(name)
    assert restriction is not None
    assert (restriction.name, restriction.ban) == (kind, Ban.NEVER)
    finding = finding_of_name(name, "subject.means", "amount_minor")
    assert finding is not None
    assert finding.severity is Severity.REJECT
    assert str(restriction.article) in finding.expected
    assert "never collected" in finding.fix


def test_religion_and_income_name_article_14() -> None:
    for name in ("religion", "income"):
        finding = finding_of_name(name, "account.opened", "limit_minor")
        assert finding is not None
        assert "征信业管理条例 Art. 14" in finding.expected


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in WITH_NOTICE.items() for name in names]
)
def test_means_are_refused_but_in_a_type_that_asks_for_notice(kind: str, name: str) -> None:
    restriction = of_name(name)
    assert restriction is not None
    assert (restriction.name, restriction.ban) == (kind, Ban.WITH_NOTICE)
    finding = finding_of_name(name, "account.opened", "limit_minor")
    assert finding is not None
    assert finding.severity is Severity.REJECT
    assert "subject.means" in finding.fix
    assert finding_of_name(name, "subject.means", "amount_minor") is None


def test_every_restriction_is_tried_here() -> None:
    assert {each.name for each in RESTRICTIONS} == {*NEVER, *WITH_NOTICE}


@pytest.mark.parametrize("name", HARMLESS)
def test_word_within_another_word_is_no_restriction(name: str) -> None:
    assert of_name(name) is None


def test_no_field_of_any_type_is_restricted_unless_its_type_asks_for_notice() -> None:
    for schema in SCHEMAS:
        for item in schema.fields:
            assert finding_of_name(item.name, schema.name, item.name) is None, item.name


@pytest.mark.parametrize(
    "text",
    [
        "客户患病住院，无法还款",
        "Borrower lost his income",
        "信仰佛教",
        "Patient had a DIAGNOSIS\nof cancer",
        "Ｆｉｎｇｅｒｐｒｉｎｔ on file",
    ],
)
def test_free_text_raises_a_doubt_for_a_person(text: str) -> None:
    finding = finding_of_text(text, "annotation.statement", "text")
    assert finding is not None
    assert finding.severity is Severity.QUARANTINE
    assert text not in repr(finding)


@pytest.mark.parametrize(
    "text",
    [
        "上海市疾病预防控制中心",
        "华大基因科技有限公司",
        "Paid late because of a bank error",
        "中国残疾人联合会",
    ],
)
def test_names_of_authorities_and_firms_raise_none(text: str) -> None:
    assert of_text(text) is None


def test_pattern_for_whole_columns_finds_all_that_is_judged_one_by_one() -> None:
    pattern = re.compile(TEXT_PATTERN)
    for restriction in RESTRICTIONS:
        for word in (*restriction.words, *restriction.characters):
            assert of_text(f"x {word} y") is not None
            assert pattern.search(f"x {word.upper()} y")
