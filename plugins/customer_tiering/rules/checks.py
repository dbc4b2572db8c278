"""What the rules of tiering must not contradict: every problem is told at once, with file and line."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

from customer_tiering.errors import nearest
from customer_tiering.rules.edges import plain
from customer_tiering.rules.seeds import (
    BOUND,
    COVERAGE,
    PENDING,
    Row,
    as_decimal,
    churn_feature_names,
    fits_column,
    indicator_names,
    level_indicator_names,
)

_SETTING_VALUES = {
    "spend_window": ("trailing_12_months", "calendar_year", "fiscal_year"),
    "spend_basis": ("net", "gross"),
    "uncovered_window": ("pending", "impute", "observed"),
    "rfm_cuts": ("fixed", "median", "mean"),
    "churn_label": ("no_order", "spend_drop"),
}
_NUMERIC_SETTINGS = (
    "fiscal_year_start_month",
    "rfm_recency_days",
    "rfm_frequency",
    "rfm_monetary",
    "high_potential_score",
    "expected_years",
    "identity_match_weight",
    "identity_review_weight",
    "identity_key_limit",
)
# Settings of follow-up and churn marts: smallest and greatest value, and whether only whole numbers make sense.
_LIMITED_SETTINGS: dict[str, tuple[str, str, bool]] = {
    "rfm_risk_recency_days": ("0", "36500", False),
    "rfm_risk_frequency": ("0", "1000000", False),
    "rfm_risk_monetary": ("0", "1000000000000", False),
    "rfm_important_recency_days": ("0", "36500", False),
    "rfm_important_frequency": ("0", "1000000", False),
    "rfm_important_monetary": ("0", "1000000000000", False),
    "rfm_high_score": ("-100", "100", False),
    "rfm_middle_score": ("-100", "100", False),
    "neutral_min_customers": ("1", "1000000", True),
    "neutral_score": ("0", "10000", False),
    "outcome_days": ("1", "3660", True),
    "profile_top_values": ("1", "100", True),
    "upgrade_distance": ("0", "1", False),
    "upgrade_potential_rank": ("1", "100", True),
    "cost_cut_margin": ("-1", "1", False),
    "phase_out_idle_days": ("1", "36500", True),
    "low_csat": ("0", "1", False),
    "driver_excess": ("0", "100", False),
    "driver_min_cases": ("1", "1000000", True),
    "audit_seed": ("0", "1000000000", True),
    "audit_share": ("0.001", "1", False),
    "audit_max_customers": ("1", "10000", True),
    "churn_horizon_days": ("1", "730", True),
    "churn_label_drop": ("0", "1", False),
    "churn_active_days": ("1", "36500", True),
    "churn_high_probability": ("0", "1", False),
    "churn_medium_probability": ("0", "1", False),
    "churn_reasons": ("1", "20", True),
    "churn_cutoffs": ("3", "120", True),
    "churn_cutoff_days": ("1", "366", True),
    "churn_min_customers": ("20", "1000000", True),
    "churn_min_events": ("5", "1000000", True),
    "churn_high_signals": ("1", "10", True),
    "churn_login_drop": ("0", "1", False),
    "churn_login_min": ("1", "1000000", True),
    "churn_idle_months": ("1", "120", True),
    "churn_complaint_increase": ("1", "1000000", True),
    "churn_order_slump": ("0", "1", False),
    "churn_order_min": ("1", "1000000", True),
    "clv_horizon_days": ("1", "3660", True),
    "clv_min_customers": ("10", "1000000", True),
    "opportunity_min_coverage": ("0", "1", False),
}
# What an opportunity is scored by; names have levels, the others bands.
_OPPORTUNITY_NAMES, _OPPORTUNITY_NUMBERS = ("company_size", "decision_maker"), ("industry_fit", "budget")
_COMPARISONS = ("=", "<>", ">=", ">", "<=", "<")
_NAME_COMPARISONS = ("=", "<>", "in")  # of indicators whose values are names; `in` takes names separated by |
# What a column of a seed may say.
_ALLOWED: dict[tuple[str, str], tuple[str, ...]] = {
    ("churn_features", "transform"): ("none", "log"),
    ("opportunity_bands", "component"): (*_OPPORTUNITY_NAMES, *_OPPORTUNITY_NUMBERS),
}


def contradictions(merged: dict[str, list[Row]], headline: str) -> list[str]:
    problems = _check_settings(merged["settings"])
    for (seed, column), allowed in _ALLOWED.items():
        problems += [
            f"{row.where()}: {column} {row[column]!r} is not one of {', '.join(allowed)}"
            for row in merged[seed]
            if row[column] not in allowed
        ]
    schemes = {row["scheme"]: row for row in merged["schemes"]}
    if headline not in schemes:
        problems.append(f"profile: headline_scheme {headline!r} is not one of {', '.join(schemes)}")
    problems += _check_dictionary(merged["indicators"])
    problems += _check_names(merged, schemes)
    problems += _check_weights(merged)
    problems += _check_completeness(merged, schemes)
    problems += _check_caps(merged["tier_caps"], schemes)
    problems += _check_stability(merged, schemes)
    problems += _check_adjustments(merged["rfm_adjustments"])
    problems += _check_churn_features(merged["churn_features"])
    problems += _check_opportunities(merged["opportunity_bands"], merged["opportunity_priorities"])
    return problems


def _check_dictionary(rows: list[Row]) -> list[str]:
    """The dictionary describes exactly the indicators that the models compute."""
    computed, described = indicator_names() | level_indicator_names(), {row["indicator"] for row in rows}
    return [f"indicators.csv: indicator {name!r} is not described" for name in sorted(computed - described)] + [
        f"{row.where()}: no model computes indicator {row['indicator']!r}"
        for row in rows
        if row["indicator"] not in computed
    ]


def _check_names(merged: dict[str, list[Row]], schemes: dict[str, Row]) -> list[str]:
    """Every indicator and tier that a scheme names exists."""
    problems = []
    numeric, levels = indicator_names(), level_indicator_names()
    tiers = {(row["scheme"], row["tier"]) for row in merged["tiers"]}
    for seed in ("scheme_indicators", "score_bands", "level_scores", "tier_caps", "rules"):
        known = {"level_scores": levels, "scheme_indicators": numeric | levels, "rules": numeric | levels}
        names = known.get(seed, numeric | {COVERAGE} if seed == "tier_caps" else numeric)
        for row in merged[seed]:
            if (name := row["indicator"]) and name not in names:
                problems.append(f"{row.where()}: {_unknown_indicator(name, seed, numeric, levels)}")
    for row in merged["rules"]:
        # The levels of a dimension of axes (loyal, general) need no tier of their own.
        scheme, name = row["scheme"], row["tier"]
        if (scheme, name) not in tiers and schemes[scheme]["kind"] not in ("quadrant", "axes"):
            known_tiers = sorted(tier for of, tier in tiers if of == scheme)
            problems.append(f"{row.where()}: unknown tier {name!r} of scheme {scheme}{nearest(name, known_tiers)}")
    problems += [
        f"{row.where()}: {PENDING!r} is reserved for customers that cannot be scored yet"
        for row in merged["tiers"]
        if row["tier"] == PENDING
    ]
    return problems


def _unknown_indicator(name: str, seed: str, numeric: set[str], levels: set[str]) -> str:
    if seed in ("score_bands", "tier_caps") and name in levels:
        return f"{name} is a name, not a number; give a score to each of its levels"
    if seed == "level_scores" and name in numeric:
        return f"{name} is a number, not a name; score it by edges such as >= 10"
    return f"unknown indicator {name!r}{nearest(name, sorted(numeric | levels))}"


def _check_settings(rows: list[Row]) -> list[str]:
    problems = []
    given = {row["setting"]: row for row in rows}
    for name in (*_SETTING_VALUES, *_NUMERIC_SETTINGS, *_LIMITED_SETTINGS):
        if name not in given:
            problems.append(f"settings.csv: setting {name!r} is missing")
    for row in rows:
        name, value = row["setting"], row["value"]
        if name in _SETTING_VALUES and value not in _SETTING_VALUES[name]:
            problems.append(f"{row.where()}: {name} is {value!r}; choose one of {', '.join(_SETTING_VALUES[name])}")
        elif name in _NUMERIC_SETTINGS and as_decimal(value) is None:
            problems.append(f"{row.where()}: {name} is {value!r}; a number is needed")
        elif name == "fiscal_year_start_month" and value not in {str(month) for month in range(1, 13)}:
            problems.append(f"{row.where()}: fiscal_year_start_month is {value}; it lies between 1 and 12")
        elif name in _LIMITED_SETTINGS:
            problems += _check_limits(row, *_LIMITED_SETTINGS[name])
        elif name not in _SETTING_VALUES and name not in _NUMERIC_SETTINGS:
            problems.append(f"{row.where()}: unknown setting {name!r}")
    for above, below in (
        ("rfm_high_score", "rfm_middle_score"),
        ("churn_high_probability", "churn_medium_probability"),
    ):
        high, middle = given.get(above), given.get(below)
        top, cut = (as_decimal(row["value"]) if row else None for row in (high, middle))
        if high and top is not None and cut is not None and top <= cut:
            problems.append(f"{high.where()}: {above} {top} is not above {below} {cut}")
    return problems + _check_identity(given)


def _check_limits(row: Row, lowest: str, highest: str, is_whole: bool) -> list[str]:
    name, value = row["setting"], row["value"]
    number = as_decimal(value)
    if number is None or not fits_column(number, BOUND):
        return [f"{row.where()}: {name} is {value!r}; a number of up to 18 digits and 6 decimals is needed"]
    if is_whole and number != round(number):
        return [f"{row.where()}: {name} is {value}; a whole number is needed"]
    if not Decimal(lowest) <= number <= Decimal(highest):
        return [f"{row.where()}: {name} is {value}; it lies between {lowest} and {highest}"]
    return []


def _check_adjustments(rows: list[Row]) -> list[str]:
    """Names adjust by level, numbers by bands that hold every value once."""
    problems = []
    numeric, levels = indicator_names(), level_indicator_names()
    bands: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        name = row["indicator"]
        if name in numeric:
            bands[name].append(row)
            if row["level"]:
                problems.append(f"{row.where()}: {name} is a number; give bounds and leave level empty")
        elif name not in levels:
            known = ", ".join(sorted(numeric | levels))
            problems.append(f"{row.where()}: unknown indicator {name!r}; there are {known}")
        elif not row["level"] or row["lower_bound"] or row["upper_bound"]:
            problems.append(f"{row.where()}: {name} is a name; give a level and leave the bounds empty")
    for name, group in bands.items():
        problems += check_bands(f"the RFM adjustment by {name}", group)
    return problems


def _check_identity(given: dict[str, Row]) -> list[str]:
    """What is looked at by a person lies below what is matched; a key of one record matches nothing."""
    numbers = {
        name: number
        for name in ("identity_match_weight", "identity_review_weight", "identity_key_limit")
        if name in given and (number := as_decimal(given[name]["value"])) is not None
    }
    problems = []
    match, review = numbers.get("identity_match_weight"), numbers.get("identity_review_weight")
    if match is not None and review is not None and review > match:
        problems.append(
            f"{given['identity_review_weight'].where()}: identity_review_weight is {review}; it is at most "
            f"identity_match_weight, {match}"
        )
    limit = given.get("identity_key_limit")
    if (
        limit is not None
        and "identity_key_limit" in numbers
        and not (limit["value"].isdigit() and int(limit["value"]) > 1)
    ):
        problems.append(f"{limit.where()}: identity_key_limit is {limit['value']}; a whole number from 2 is needed")
    return problems


def _check_churn_features(rows: list[Row]) -> list[str]:
    """The seed names exactly the features that the models compute."""
    computed, named = set(churn_feature_names()), {row["feature"] for row in rows}
    return [f"churn_features.csv: feature {name!r} has no label" for name in sorted(computed - named)] + [
        f"{row.where()}: no model computes feature {row['feature']!r}" for row in rows if row["feature"] not in computed
    ]


def _check_opportunities(bands: list[Row], priorities: list[Row]) -> list[str]:
    """Every component is scored, the best of all is 100, and every score has one priority."""
    problems = check_bands("opportunity priorities", priorities) if priorities else []
    if not priorities:
        problems.append("opportunity_priorities.csv: there is no priority")
    problems += [
        f"{row.where()}: {PENDING!r} is reserved for opportunities that cannot be scored yet"
        for row in priorities
        if row["priority"] == PENDING
    ]
    for name in (*_OPPORTUNITY_NAMES, *_OPPORTUNITY_NUMBERS):
        rows = [row for row in bands if row["component"] == name]
        if not rows:
            problems.append(f"opportunity_bands.csv: component {name!r} has no points")
        elif name in _OPPORTUNITY_NUMBERS:
            problems += [f"{row.where()}: {name} is a number; leave level empty" for row in rows if row["level"]]
            problems += check_bands(f"opportunity {name}", rows)
        else:
            problems += [
                f"{row.where()}: {name} is a name; give a level and leave the bounds empty"
                for row in rows
                if not row["level"] or row["lower_bound"] or row["upper_bound"]
            ]
    problems += [f"{row.where()}: points cannot lie below 0" for row in bands if Decimal(row["points"]) < 0]
    most = {row["component"]: Decimal(0) for row in bands}
    for row in bands:
        most[row["component"]] = max(most[row["component"]], Decimal(row["points"]))
    if not problems and (total := sum(most.values())) != 100:
        problems.append(f"{bands[0].where()}: the most points of the components sum to {total}, not to 100")
    return problems


def _check_weights(merged: dict[str, list[Row]]) -> list[str]:
    """Weights of indicators sum to 1 in their dimension, weights of dimensions in their scheme (axes apart)."""
    axes = {row["scheme"] for row in merged["schemes"] if row["kind"] == "axes"}
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in merged["scheme_indicators"]:
        groups[f"scheme {row['scheme']}, dimension {row['dimension']}"].append(row)
    for row in merged["scheme_dimensions"]:
        if row["scheme"] not in axes:
            groups[f"scheme {row['scheme']}, its dimensions"].append(row)
    return [
        f"{rows[0].where()}: the weights of {name} sum to {plain(total * 100)} %, not to 100 %"
        for name, rows in groups.items()
        if (total := sum((Decimal(row["weight"]) for row in rows), Decimal(0))) != 1
    ]


def _check_completeness(merged: dict[str, list[Row]], schemes: dict[str, Row]) -> list[str]:
    """Every scheme has what its kind needs."""
    problems = []
    banded = {(row["scheme"], row["indicator"]) for row in merged["score_bands"] + merged["level_scores"]}
    for name, row in schemes.items():
        dimensions = [item for item in merged["scheme_dimensions"] if item["scheme"] == name]
        kind, methods = row["kind"], [item["level_by"] for item in dimensions]
        if kind in ("bands", "rank", "rules", "cluster") and len(dimensions) != 1:
            problems.append(f"{row.where()}: a scheme of kind {kind} has one dimension, {name} has {len(dimensions)}")
        if kind == "rules" and not any(rule["scheme"] == name for rule in merged["rules"]):
            problems.append(f"{row.where()}: a scheme of kind rules has conditions, {name} has none")
        if kind == "quadrant":
            problems += _check_quadrants(row, dimensions, merged)
        if kind == "cluster":
            problems += _check_cluster_tiers(row, merged["tiers"])
        for item, method in zip(dimensions, methods, strict=True):
            indicators = [
                use
                for use in merged["scheme_indicators"]
                if (use["scheme"], use["dimension"]) == (name, item["dimension"])
            ]
            problems += _check_dimension(row, item, method, indicators)
            if item["measure"] == "score":
                problems += [
                    f"{use.where()}: indicator {use['indicator']} of scheme {name} has no scores"
                    for use in indicators
                    if (name, use["indicator"]) not in banded
                ]
            problems += _check_missing(item, indicators)
    return problems + _check_conditions(merged["rules"])


def _check_dimension(scheme: Row, item: Row, method: str, indicators: list[Row]) -> list[str]:
    """How a dimension is measured fits how its level is found."""
    name, measure = scheme["scheme"], item["measure"]
    problems = []
    if method == "cluster":
        problems += _check_clusters(item, indicators)
    elif measure == "log":
        problems.append(f"{item.where()}: compare log is for a scheme of kind cluster")
    elif measure == "raw" and len(indicators) > 1:
        problems.append(
            f"{item.where()}: {len(indicators)} indicators of {name} {item['dimension']} without scores; "
            "score them, or name one as value"
        )
    if measure in ("raw", "log"):
        problems += [
            f"{use.where()}: {use['indicator']} is a name; give a score to each of its levels"
            for use in indicators
            if use["indicator"] in level_indicator_names()
        ]
    if scheme["kind"] in ("quadrant", "axes") and method == "none":
        problems.append(f"{item.where()}: a dimension of a scheme of kind {scheme['kind']} needs levels or conditions")
    if scheme["kind"] == "weighted" and method != "none":
        problems.append(f"{item.where()}: a weighted scheme adds up scores; its dimensions have no levels of their own")
    return problems


def _check_missing(item: Row, indicators: list[Row]) -> list[str]:
    """What stands in for a missing value is a score."""
    return [
        f"{use.where()}: missing is impute, so missing_score needs a value"
        for use in indicators
        if use["missing"] == "impute" and not use["missing_score"]
    ] + [
        f"{use.where()}: {use['indicator']} has no scores, so missing cannot be neutral; the mean score stands in"
        for use in indicators
        if use["missing"] == "neutral" and item["measure"] != "score"
    ]


def _check_caps(rows: list[Row], schemes: dict[str, Row]) -> list[str]:
    """What a tier needs beside its score: only where a score leads to tiers; coverage is a share."""
    return [
        f"{row.where()}: {row['scheme']} is of kind {schemes[row['scheme']]['kind']}; only tiers of a score (weighted, "
        "bands) have needs"
        for row in rows
        if schemes[row["scheme"]]["kind"] not in ("weighted", "bands")
    ] + [
        f"{row.where()}: {COVERAGE} is a share of the weight; write one such as >= 60 %"
        for row in rows
        if row["indicator"] == COVERAGE and not 0 < Decimal(row["lower_bound"]) <= 1
    ]


def _check_quadrants(scheme: Row, dimensions: list[Row], merged: dict[str, list[Row]]) -> list[str]:
    """A quadrant scheme has two dimensions and a tier for each pair of their levels."""
    name = scheme["scheme"]
    if len(dimensions) != 2:
        return [f"{scheme.where()}: a quadrant scheme has two dimensions, {name} has {len(dimensions)}"]
    first, second = (
        {
            row["tier"]
            for seed in ("tier_bands", "ranks", "rules")
            for row in merged[seed]
            if (row["scheme"], row["dimension"]) == (name, item["dimension"])
        }
        for item in dimensions
    )
    rows = [row for row in merged["quadrants"] if row["scheme"] == name]
    given = {(row["first_level"], row["second_level"]) for row in rows}
    unknown = [row for row in rows if row["first_level"] not in first or row["second_level"] not in second]
    return [
        f"{row.where()}: {row['tier']} is at {row['first_level']}/{row['second_level']}, which are no levels; "
        f"there are {', '.join(sorted(first))} and {', '.join(sorted(second))}"
        for row in unknown
    ] + [
        f"{scheme.where()}: no tier of {name} is at {one}/{other}"
        for one in sorted(first)
        for other in sorted(second)
        if (one, other) not in given
    ]


def _check_clusters(dimension: Row, indicators: list[Row]) -> list[str]:
    """Clusters are ranked by the one indicator that weighs most."""
    weights = [Decimal(use["weight"]) for use in indicators]
    if not weights or weights.count(max(weights)) == 1:
        return []
    return [
        f"{dimension.where()}: clusters are ranked by the indicator that weighs most; in {dimension['scheme']} "
        f"{weights.count(max(weights))} indicators weigh {plain(max(weights) * 100)} %"
    ]


def _check_cluster_tiers(scheme: Row, tiers: list[Row]) -> list[str]:
    """A cluster scheme looks for as many clusters as it has tiers; the best gets tier_rank 1, and so on."""
    ranks = sorted(int(Decimal(row["tier_rank"])) for row in tiers if row["scheme"] == scheme["scheme"])
    if len(ranks) >= 2 and ranks == list(range(1, len(ranks) + 1)):
        return []
    return [
        f"{scheme.where()}: a scheme of kind cluster has two or more tiers, ranked 1, 2, 3 …; "
        f"{scheme['scheme']} has {', '.join(map(str, ranks)) or 'none'}"
    ]


def _check_conditions(rows: list[Row]) -> list[str]:
    """A name is compared as a name, a number as a number."""
    problems = []
    names = level_indicator_names()
    for row in rows:
        operator, name = row["operator"], row["indicator"]
        if name in names and operator in _COMPARISONS and operator not in _NAME_COMPARISONS:
            problems.append(f"{row.where()}: {name} is a name; compare it by {', '.join(_NAME_COMPARISONS)} or missing")
        elif name and name not in names and operator == "in":
            problems.append(f"{row.where()}: {name} is a number; in compares names")
        elif name and name not in names and operator in _COMPARISONS:
            number = as_decimal(row["value"])
            if number is None:
                problems.append(f"{row.where()}: {name} is a number, {row['value']!r} is none")
            elif not fits_column(number, BOUND):
                problems.append(f"{row.where()}: value is {row['value']}; up to 18 digits and 6 decimals")
    return problems


def _check_stability(merged: dict[str, list[Row]], schemes: dict[str, Row]) -> list[str]:
    """Margins fit between the edges of an axis, and a tier can move at all."""
    problems = []
    for row in merged["stability"]:
        numbers = {column: Decimal(row[column]) for column in ("enter_margin", "exit_margin")}
        if row["review"] == "none" and not row["spend_change"] and not row["idle_months"]:
            problems.append(f"{row.where()}: tiers of {row['scheme']} would never move: give a trigger or a review")
        margins = numbers.get("enter_margin", Decimal(0)) + numbers.get("exit_margin", Decimal(0))
        scheme = schemes.get(row["scheme"])
        if scheme is None or margins <= 0:
            continue
        if scheme["kind"] not in ("weighted", "bands"):
            problems.append(
                f"{row.where()}: margins need a scheme whose score has bands (weighted, bands); "
                f"{row['scheme']} is of kind {scheme['kind']}"
            )
            continue
        for band in merged["tier_bands"]:
            low, high = as_decimal(band["lower_bound"]), as_decimal(band["upper_bound"])
            if band["scheme"] == row["scheme"] and low is not None and high is not None and high - low <= margins:
                problems.append(
                    f"{row.where()}: enter_margin and exit_margin together ({margins}) leave no room in the tier "
                    f"{band['tier']}, {high - low} wide ({band.where()})"
                )
    return problems


def rate_problems(rows: list[Row], reporting_currency: str) -> list[str]:
    problems = []
    for row in rows:
        if not re.fullmatch("[A-Z]{3}", row["currency"]):
            problems.append(f"{row.where()}: currency {row['currency']!r} is no code of three capitals such as USD")
        elif row["currency"] == reporting_currency and as_decimal(row["rate"]) != 1:
            problems.append(f"{row.where()}: {reporting_currency} is the reporting currency, its rate is 1")
    return problems


def check_bands(name: str, rows: list[Row]) -> list[str]:
    """Bands cover the whole axis: no gap, no overlap, each edge owned by exactly one band."""
    problems = []
    for row in rows:
        low, high = row["lower_bound"], row["upper_bound"]
        if low and high and Decimal(low) >= Decimal(high):
            problems.append(f"{row.where()}: the band of {name} from {low} to {high} is empty")
    if problems:
        return problems
    ordered = sorted(rows, key=lambda row: Decimal(row["lower_bound"] or "-Infinity"))
    if ordered[0]["lower_bound"]:
        problems.append(f"{ordered[0].where()}: the lowest band of {name} is open below, leave lower_bound empty")
    if ordered[-1]["upper_bound"]:
        problems.append(f"{ordered[-1].where()}: the highest band of {name} is open above, leave upper_bound empty")
    for below, above in pairwise(ordered):
        upper, lower = below["upper_bound"], above["lower_bound"]
        lines = f"{below.where()} and line {above.line}"
        if not upper or not lower or Decimal(upper) > Decimal(lower):
            problems.append(f"{lines}: bands of {name} overlap above {lower or 'the lowest value'}")
        elif Decimal(upper) < Decimal(lower):
            problems.append(f"{lines}: bands of {name} leave a gap between {upper} and {lower}")
        elif (below["upper_included"] == "true") == (above["lower_included"] == "true"):
            owners = "both bands" if above["lower_included"] == "true" else "no band"
            problems.append(f"{lines}: the edge {lower} of {name} belongs to {owners}; exactly one includes it")
    return problems
