"""The comparison of marts made by hand, and what becomes of a held night."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from customer_tiering.company.release_limits import Change, ReleaseLimits
from customer_tiering.company.workspace import Workspace
from customer_tiering.decisions import release
from customer_tiering.errors import DecisionError, NightBusy, OrderError, PublishError
from customer_tiering.publish import snapshot
from customer_tiering.publish.snapshot import Manifest, current_folder, publish
from customer_tiering.release import holds
from customer_tiering.release.comparison import Verdict, compare

FIRST, SECOND, THIRD = date(2024, 3, 30), date(2024, 3, 31), date(2024, 4, 1)
# Half of the customers in each tier, spends around 10 000.
USUAL: dict[str, Any] = {"customers": 100, "strategic": 50, "spend": 10_000}
LIMITS = ReleaseLimits()


class Company:
    """A warehouse whose marts are made by hand, and its snapshots."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root / "acme")
        self.workspace.make()
        self.connection = duckdb.connect(str(self.workspace.warehouse))
        self.connection.execute(
            "create schema if not exists marts; create table if not exists marts.fct_tier_changes "
            "(customer_id varchar, scheme varchar, as_of_date date, cause varchar)"
        )

    def build(
        self,
        night: date,
        *,
        customers: int,
        strategic: int,
        spend: int,
        shift: int = 0,
        by_rules: int = 0,
        zero: int = 0,
    ) -> None:
        """Customers from number ``shift`` on are strategic, ``strategic`` of them; the others are key.

        The first ``by_rules`` of them changed because the rules did; the last ``zero`` spent nothing, the
        others more, so that the total stays.
        """
        people = f"(select 'c' || range as customer_id, range as number from range({customers}))"
        amount = f"case when number >= {customers - zero} then 0 else {spend * customers / (customers - zero)} end"
        tier = f"case when number >= {shift} and number < {shift + strategic} then 'strategic' else 'key' end"
        for name, columns in {
            "dim_customers": "customer_id, '公司' || number as customer_name",
            "fct_customer_tiers": f"customer_id, 's' as scheme, date '{night}' as as_of_date, {tier} as effective_tier",
            "fct_customer_indicators": f"customer_id, date '{night}' as as_of_date, "
            f"cast({amount} as decimal(18, 2)) as annual_spend",
        }.items():
            self.connection.execute(f"create or replace table marts.{name} as select {columns} from {people}")
        self.connection.execute(
            f"insert into marts.fct_tier_changes select 'c' || range, 's', date '{night}', 'rule_change' "
            f"from range({by_rules})"
        )

    def manifest(self, night: date, run_id: str = "r") -> Manifest:
        return Manifest("acme", str(night), run_id, "rules1", "", "", "s", "CNY", {})

    def publish(self, night: date, run_id: str = "r") -> Path:
        return publish(self.connection, self.workspace, self.manifest(night, run_id), keep=5)

    def compare(self, night: date = SECOND, rules: str = "rules1", limits: ReleaseLimits = LIMITS) -> Verdict:
        return compare(self.connection, self.workspace, night, limits=limits, headline="s", rules_version=rules)

    def beyond(self, night: date = SECOND, rules: str = "rules1") -> list[str]:
        return [str(figure) for figure in self.compare(night, rules).beyond]

    def hold(self, night: date = SECOND, run_id: str = "r", **settings: Any) -> holds.Hold:
        limits = ReleaseLimits(**settings)
        verdict = self.compare(night, limits=limits)
        return holds.hold(self.connection, self.workspace, self.manifest(night, run_id), verdict, limits, keep=3)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company whose first night is published; tests work on copies."""
    made = Company(tmp_path_factory.mktemp("published"))
    made.build(FIRST, **USUAL)
    made.publish(FIRST)
    made.connection.close()
    return made.workspace.root.parent


@pytest.fixture
def company(published: Path, tmp_path: Path) -> Iterator[Company]:
    """The first night is published."""
    made = Company(Path(shutil.copytree(published, tmp_path / "copy", symlinks=True)))
    yield made
    made.connection.close()


def test_there_is_nothing_to_compare_the_first_night_with(tmp_path: Path) -> None:
    first = Company(tmp_path)
    first.build(FIRST, **USUAL)
    assert first.compare(FIRST) == Verdict()
    first.connection.close()


def test_a_usual_night_is_within_all_limits(company: Company) -> None:
    company.build(SECOND, customers=104, strategic=54, spend=10_300)
    verdict = company.compare()
    assert verdict.beyond == []
    assert verdict.warnings == []
    assert {figure.name for figure in verdict.figures} == {
        "customers", "spend", "zero_spend", "scheme_customers", "moved", "tier_share", "rows",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("built", "words"),
    [
        ({"customers": 79, "strategic": 40}, "customers 客户数: 100 → 79, limit 上限 −20% / +100%"),
        ({"customers": 201, "strategic": 100}, "customers 客户数: 100 → 201"),
        ({"spend": 6_900}, "annual spend of all customers 全部客户年消费额: 1,000,000 → 690,000"),
        ({"spend": 1_000}, "1,000,000 → 100,000"),
        ({"spend": 0}, "1,000,000 → 0"),
        ({"spend": 100_000}, "1,000,000 → 10,000,000, limit 上限 −30% / +100%"),
        ({"strategic": 66}, "share of the tier 等级占比 (s strategic): 50.0% → 66.0%, limit 上限 ± 15 points 百分点"),
        ({"strategic": 50, "shift": 13}, "changed tier 等级变动客户占比 (s): 26.0%, limit 上限 25%"),
        ({"customers": 60, "strategic": 30}, "customers of the scheme 方案内客户数 (s): 100 → 60"),
    ],
)
def test_a_night_beyond_a_limit_says_which_before_and_after(
    built: dict[str, Any], words: str, company: Company
) -> None:
    company.build(SECOND, **USUAL | built)
    assert any(words in line for line in company.beyond()), company.beyond()


@pytest.mark.parametrize("built", [{"customers": 80, "strategic": 40}, {"spend": 7_000}, {"strategic": 65}])
def test_a_night_at_its_limit_passes(built: dict[str, Any], company: Company) -> None:
    company.build(SECOND, **USUAL | built)
    assert company.beyond() == []


@pytest.mark.parametrize(
    ("built", "words"),
    [
        ({"customers": 131, "strategic": 65}, "customers 客户数: 100 → 131, limit 上限 +30%"),
        ({"spend": 7_900}, "全部客户年消费额: 1,000,000 → 790,000, limit 上限 −20% / +30%"),
        ({"spend": 13_100}, "全部客户年消费额: 1,000,000 → 1,310,000"),
        ({"strategic": 61}, "share of the tier 等级占比 (s strategic): 50.0% → 61.0%, limit 上限 ± 10 points"),
        ({"zero": 11}, "share of customers without spend 无消费客户占比: 0.0% → 11.0%, limit 上限 ± 10 points"),
    ],
)
def test_a_night_beyond_a_warn_limit_is_published_and_says_so(
    built: dict[str, Any], words: str, company: Company
) -> None:
    company.build(SECOND, **USUAL | built)
    verdict = company.compare()
    assert verdict.beyond == []
    assert any(f"compared with the night {FIRST}: " in line and words in line for line in verdict.warnings), (
        verdict.warnings
    )


@pytest.mark.parametrize(
    "built", [{"customers": 130, "strategic": 65}, {"spend": 8_000}, {"spend": 13_000}, {"strategic": 60}, {"zero": 10}]
)
def test_a_night_at_its_warn_limit_passes_without_a_word(built: dict[str, Any], company: Company) -> None:
    company.build(SECOND, **USUAL | built)
    assert company.compare().warnings == []


def test_a_profile_replaces_one_limit_and_keeps_the_other() -> None:
    """A limit without a name is the hold limit, as in profiles of version 0.1."""
    given = ReleaseLimits.model_validate(
        {"customers": {"max_increase": 2}, "tier_share": 0.2, "spend": {"warn": {"max_decrease": 0.1}}}
    )
    assert given.customers.hold == Change(max_increase=2)
    assert given.customers.warn == LIMITS.customers.warn
    assert (given.tier_share.warn, given.tier_share.hold) == (0.1, 0.2)
    assert (given.spend.warn, given.spend.hold) == (Change(max_decrease=0.1), LIMITS.spend.hold)
    with pytest.raises(ValidationError, match="holds"):
        ReleaseLimits.model_validate({"tier_share": {"holds": 0.2}})


def test_rows_of_a_mart_that_collapses_hold_the_night(company: Company) -> None:
    company.connection.execute("create table marts.fct_other as select range as n from range(1000)")
    company.publish(FIRST, "r2")
    company.build(SECOND, **USUAL)
    company.connection.execute("create or replace table marts.fct_other as select range as n from range(499)")
    assert company.beyond() == ["rows of the mart 数据表行数 (fct_other): 1,000 → 499, limit 上限 −50% / +400%"]


def test_what_the_rules_moved_is_told_apart(company: Company) -> None:
    """Half of the customers move: too many for data, not for a change of the rules."""
    company.build(SECOND, **USUAL | {"strategic": 0}, by_rules=50)
    verdict = company.compare(rules="rules2")
    assert verdict.rules_changed
    assert verdict.beyond == []
    assert {figure.group: figure.after for figure in verdict.figures if figure.name == "moved_by_rules"} == {"s": 0.5}
    company.build(THIRD, **USUAL | {"strategic": 50, "shift": 50}, by_rules=100)
    (line,) = company.beyond(THIRD, "rules2")
    assert line.startswith("share of customers that changed rules move")


def test_a_small_company_is_not_judged(tmp_path: Path) -> None:
    small = Company(tmp_path)
    small.build(FIRST, customers=19, strategic=9, spend=10_000)
    small.publish(FIRST)
    small.build(SECOND, customers=400, strategic=0, spend=1)
    assert small.beyond() == []
    small.connection.close()


def test_few_customers_move_a_share_without_being_noticed(tmp_path: Path) -> None:
    small = Company(tmp_path)
    small.build(FIRST, customers=30, strategic=15, spend=10_000)
    small.publish(FIRST)
    small.build(SECOND, customers=30, strategic=24, spend=10_000)
    assert small.beyond() == []
    small.build(SECOND, customers=30, strategic=25, spend=10_000)
    assert len(small.beyond()) == 3, "both shares, and those who moved"
    small.connection.close()


def test_missed_nights_allow_growth_and_moves_but_no_loss(company: Company) -> None:
    after_nine = FIRST + timedelta(days=9)
    company.build(after_nine, **USUAL | {"customers": 390, "strategic": 300, "spend": 10_000})
    assert company.beyond(after_nine) == []
    company.build(after_nine, **USUAL | {"customers": 79, "strategic": 40})
    assert [line[:9] for line in company.beyond(after_nine)] == ["customers"]
    company.build(after_nine, **USUAL | {"spend": 6_800})
    assert company.beyond(after_nine) == [], "30 % and eight 365ths"


def test_a_rerun_is_compared_with_the_night_before(company: Company) -> None:
    """What is wrong must not be the measure of what is right."""
    company.build(SECOND, **USUAL | {"customers": 30, "strategic": 15})
    company.publish(SECOND)
    company.build(SECOND, **USUAL)
    verdict = company.compare()
    assert (verdict.base, verdict.beyond) == (f"{FIRST}_r", [])


def test_an_older_snapshot_of_another_shape_is_named(company: Company) -> None:
    company.connection.execute("alter table marts.fct_customer_tiers rename effective_tier to tier")
    company.publish(FIRST, "r2")
    company.build(SECOND, **USUAL | {"customers": 60})
    verdict = company.compare()
    assert any("tiers cannot be compared" in warning for warning in verdict.warnings)
    assert [figure.name for figure in verdict.beyond][:1] == ["customers"], "what can be compared is"


def test_a_held_night_is_complete_private_and_not_current(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60, "strategic": 30})
    before = current_folder(company.workspace)
    held = company.hold()
    assert current_folder(company.workspace) == before
    assert (held.name, held.state()) == (f"{SECOND}_r", "open")
    assert [line for line in held.facts["beyond"] if "100 → 60" in line]
    folder = company.workspace.held / held.name
    assert snapshot.read_manifest(folder).previous == f"{FIRST}_r"
    decided = company.workspace.decisions / release.FILE
    assert (decided.stat().st_mode & 0o777, len(decided.read_text("utf-8").splitlines())) == (0o600, 1)


def test_the_first_answer_counts_wherever_it_was_given(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    name = company.hold().name
    with pytest.raises(PublishError, match="is open, not approved"):
        holds.publish_held(company.workspace, name, 5)
    with pytest.raises(DecisionError, match="needs an owner and a reason"):
        holds.answer(company.workspace, name, "approve", "Wu", " ")
    assert holds.answer(company.workspace, name, "approve", "Wu", "branch sold").state() == "approved"
    assert holds.answer(company.workspace, name, "approve", "admin", "in Airflow").last.owner == "Wu"
    with pytest.raises(DecisionError, match="approved already"):
        holds.answer(company.workspace, name, "reject", "admin", "no")
    looked_at = snapshot.checksums(company.workspace.held / name)
    company.connection.execute("delete from marts.dim_customers")  # what is built meanwhile does not matter
    folder = holds.publish_held(company.workspace, name, 5)
    assert current_folder(company.workspace) == folder.resolve()
    assert snapshot.checksums(folder) == looked_at
    assert holds.publish_held(company.workspace, name, 5) == folder
    assert not (company.workspace.held / name).exists()
    assert holds.find(company.workspace, name).state() == "published"


@pytest.mark.parametrize("place", ["before the switch", "after the switch"])
def test_a_publication_that_was_cut_off_is_finished(
    place: str, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    name = company.hold().name
    holds.answer(company.workspace, name, "approve", "Wu", "branch sold")

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "point_current_to" if place == "before the switch" else "_prune", die)
        with pytest.raises(Killed):
            holds.publish_held(company.workspace, name, 5)
    folder = holds.publish_held(company.workspace, name, 5)
    assert folder.name == f"{SECOND}_r"
    assert current_folder(company.workspace) == folder.resolve()
    assert sorted(path.name for path in company.workspace.published.iterdir()) == [
        f"{FIRST}_r", f"{SECOND}_r", "current",
    ]  # fmt: skip


def test_a_rejected_night_and_one_that_nobody_answered_are_not_published(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    rejected = holds.answer(company.workspace, company.hold().name, "reject", "Wu", "half of the ERP is missing")
    assert rejected.state() == "rejected"
    late = company.hold(run_id="late", answer_within_hours=1e-9)
    assert late.state(datetime.now(UTC) + timedelta(seconds=1)) == "rejected"
    with pytest.raises(DecisionError, match="was not answered by"):
        holds.answer(company.workspace, late.name, "approve", "Wu", "sorry")
    assert holds.waiting(company.workspace) == []
    by_default = company.hold(run_id="default", answer_within_hours=1e-9, unanswered="approve")
    assert by_default.state(datetime.now(UTC) + timedelta(seconds=1)) == "open"
    noted = holds.answer(company.workspace, late.name, "reject", holds.TIME_LIMIT, "unanswered")
    assert noted.last.owner == holds.TIME_LIMIT


def test_a_hold_is_superseded_by_the_next_night(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    name = company.hold().name
    assert holds.supersede(company.workspace, "the next night") == [name]
    assert holds.supersede(company.workspace, "the next night") == []
    with pytest.raises(DecisionError, match="is superseded already"):
        holds.answer(company.workspace, name, "approve", "Wu", "yes")
    again = company.hold().name
    assert again == f"{SECOND}_r-2", "the same run, judged again"
    holds.answer(company.workspace, again, "approve", "Wu", "yes")
    first = holds.publish_held(company.workspace, again, 5)
    assert holds.find(company.workspace, again).facts["run_id"] == "r", "though its folder has another name"
    company.build(SECOND, **USUAL | {"customers": 50})
    third = company.hold().name
    holds.answer(company.workspace, third, "approve", "Wu", "yes")
    second = holds.publish_held(company.workspace, third, 5)
    assert (first.name, second.name) == (f"{SECOND}_r", f"{SECOND}_r-2")
    assert current_folder(company.workspace) == second.resolve()
    assert snapshot.read_manifest(second).rows["dim_customers"] == 50


def test_a_hold_whose_yesterday_was_taken_back_cannot_be_published(company: Company) -> None:
    company.build(SECOND, **USUAL)
    company.publish(SECOND)
    company.build(THIRD, **USUAL | {"customers": 60})
    name = company.hold(THIRD).name
    snapshot.point_current_to(company.workspace, company.workspace.published / f"{FIRST}_r")
    with pytest.raises(OrderError, match=f"goes on from {SECOND}_r, and {FIRST}_r is the last accepted"):
        holds.answer(company.workspace, name, "approve", "Wu", "yes")


def lose_its_folder(company: Company, name: str) -> None:
    shutil.rmtree(company.workspace.held / name)


def publish_beside_it(company: Company, _name: str) -> None:
    """As a replay that is promoted does: another yesterday."""
    company.publish(FIRST, "replay")


@pytest.mark.parametrize("happens", [lose_its_folder, publish_beside_it])
def test_an_approved_night_that_cannot_be_published_any_more_stops_nobody(happens: Any, company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    for way_out in ("reject", "the next night"):
        name = company.hold().name
        holds.answer(company.workspace, name, "approve", "Wu", "branch sold")
        happens(company, name)
        for again in ("approve", "publish"):
            with pytest.raises((OrderError, PublishError)) as caught:
                if again == "approve":
                    holds.answer(company.workspace, name, "approve", "Wu", "branch sold")
                else:
                    holds.publish_held(company.workspace, name, 5)
            assert caught.value.next_step == "run the night again"
        if way_out == "reject":
            assert holds.reject_approved(company.workspace, name, "Wu", "too late").state() == "rejected"
        else:
            assert holds.supersede(company.workspace, "the night was built") == [name]
        assert holds.waiting(company.workspace) == []


def test_an_approved_night_that_can_be_published_is_dropped_only_on_purpose(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    name = company.hold().name
    holds.answer(company.workspace, name, "approve", "Wu", "branch sold")
    with pytest.raises(NightBusy, match="is not published yet") as caught:
        holds.supersede(company.workspace, "the next night")
    assert f"tiering release reject {name}" in caught.value.next_step
    with pytest.raises(DecisionError, match="needs an owner and a reason"):
        holds.reject_approved(company.workspace, name, "Wu", "")
    assert holds.reject_approved(company.workspace, name, "Wu", "too late").state() == "rejected"
    with pytest.raises(PublishError, match="is rejected, not approved"):
        holds.publish_held(company.workspace, name, 5)


@pytest.mark.parametrize("way", [holds.supersede, holds.reject_approved])
def test_what_became_current_is_published_though_the_line_was_not_written(
    way: Any, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    name = company.hold().name
    holds.answer(company.workspace, name, "approve", "Wu", "branch sold")

    def full_disk(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(holds, "_note_published", full_disk)
        with pytest.raises(OSError, match="No space left"):
            holds.publish_held(company.workspace, name, 5)
    if way is holds.supersede:
        assert holds.supersede(company.workspace, "the next night") == []
    else:
        with pytest.raises(DecisionError, match="is published already") as caught:
            holds.reject_approved(company.workspace, name, "Wu", "too late")
        assert "tiering rollback" in caught.value.next_step
    assert holds.find(company.workspace, name).state() == "published"


def test_old_holds_go_and_waiting_ones_stay(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    names = [company.hold(run_id=f"r{number}").name for number in range(5)]
    assert sorted(path.name for path in company.workspace.held.iterdir()) == names[2:]
    assert [held.name for held in holds.waiting(company.workspace)] == names[4:], "one question at a time"


def test_a_broken_line_is_named(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    company.hold()
    path = company.workspace.decisions / release.FILE
    path.write_text(path.read_text("utf-8") + "{}\n", encoding="utf-8")
    with pytest.raises(DecisionError, match="line 2 cannot be read"):
        holds.holds(company.workspace)


def test_the_manifest_of_what_was_approved_names_its_run(company: Company) -> None:
    company.build(SECOND, **USUAL | {"customers": 60})
    held = company.hold()
    holds.answer(company.workspace, held.name, "approve", "Wu", "yes")
    folder = holds.publish_held(company.workspace, held.name, 5)
    wanted = replace(company.manifest(SECOND), previous=f"{FIRST}_r")
    assert replace(snapshot.read_manifest(folder), rows={}) == wanted
    assert json.loads((folder / holds.NOTE).read_text("utf-8"))["beyond"] == held.facts["beyond"]
