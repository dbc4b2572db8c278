"""What the rules of tiering must not contradict: every problem is told at once, with file and line."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

from customer_tiering.rules.seeds import (
    BOUND,
    PENDING,
    SEEDS,
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
    ("schemes", "kind"): ("weighted", "bands", "quadrant", "rank", "axes", "rules", "cluster"),
    ("schemes", "population"): ("buyers", "repeat_buyers", "businesses", "consumers", "prospects", "all"),
    ("scheme_dimensions", "measure"): ("score", "raw", "log"),
    ("scheme_dimensions", "level_by"): ("none", "bands", "rank", "rules", "cluster"),
    ("scheme_indicators", "missing"): ("pending", "renormalise", "impute"),
    ("stability", "review"): ("none", "nightly", "monthly", "quarterly", "half_yearly", "yearly"),
    ("rules", "operator"): (*_COMPARISONS, "in", "missing", "always"),
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
    problems += _check_stability(merged, schemes)
    problems += _check_adjustments(merged["rfm_adjustments"])
    problems += _check_churn_features(merged["churn_features"])
    problems += _check_opportunities(merged["opportunity_bands"], merged["opportunity_priorities"])
    for seed, group in (("score_bands", ("scheme", "indicator")), ("tier_bands", ("scheme", "dimension"))):
        grouped: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in merged[seed]:
            grouped[tuple(row[column] for column in group)].append(row)
        for name, rows in grouped.items():
            problems += check_bands(" ".join(filter(None, name)), rows)
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
    """Every scheme, dimension, indicator and tier that a row names exists."""
    problems = []
    numeric, levels = indicator_names(), level_indicator_names()
    dimensions = {(row["scheme"], row["dimension"]) for row in merged["scheme_dimensions"]}
    tiers = {(row["scheme"], row["tier"]) for row in merged["tiers"]}
    axes = {name for name, row in schemes.items() if row["kind"] in ("quadrant", "axes")}
    for seed, rows in merged.items():
        if "scheme" not in SEEDS[seed].columns or seed == "schemes":
            continue
        named = {"level_scores": levels, "scheme_indicators": numeric | levels, "rules": numeric | levels}
        known = named.get(seed, numeric)
        for row in rows:
            if row["scheme"] not in schemes:
                problems.append(f"{row.where()}: unknown scheme {row['scheme']!r}")
                continue
            if row.values.get("indicator") and row["indicator"] not in known:
                problems.append(
                    f"{row.where()}: unknown indicator {row['indicator']!r}; there are {', '.join(sorted(known))}"
                )
            for column in ("dimension", "first_dimension", "second_dimension"):
                if (name := row.values.get(column)) and (row["scheme"], name) not in dimensions:
                    problems.append(f"{row.where()}: unknown dimension {name!r} of scheme {row['scheme']}")
            for column in ("tier", "cap_tier"):
                # The levels of a quadrant's dimensions (high, low) are no tiers; its quadrants are.
                is_level = row["scheme"] in axes and seed in ("tier_bands", "ranks", "rules")
                if (name := row.values.get(column)) and not is_level and (row["scheme"], name) not in tiers:
                    problems.append(f"{row.where()}: unknown tier {name!r} of scheme {row['scheme']}; see tiers.csv")
    problems += [
        f"{row.where()}: {PENDING!r} is reserved for customers that cannot be scored yet"
        for row in merged["tiers"]
        if row["tier"] == PENDING
    ]
    return problems


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
        f"{rows[0].where()}: the weights of {name} sum to {total}, not to 1"
        for name, rows in groups.items()
        if (total := sum(Decimal(row["weight"]) for row in rows)) != 1
    ]


def _check_completeness(merged: dict[str, list[Row]], schemes: dict[str, Row]) -> list[str]:
    """Every scheme has what its kind needs."""
    problems = []
    banded = {(row["scheme"], row["indicator"]) for row in merged["score_bands"] + merged["level_scores"]}
    files = {"bands": "tier_bands", "rank": "ranks", "rules": "rules"}
    levels: dict[str, dict[tuple[str, str], set[str]]] = {}
    for method, seed in files.items():
        levels[method] = defaultdict(set)
        for row in merged[seed]:
            levels[method][row["scheme"], row["dimension"]].add(row["tier"])
    for name, row in schemes.items():
        dimensions = [item for item in merged["scheme_dimensions"] if item["scheme"] == name]
        if not dimensions:
            problems.append(f"{row.where()}: scheme {name} has no dimension (scheme_dimensions.csv)")
        if row["kind"] == "weighted" and (name, "") not in levels["bands"]:
            problems.append(f"{row.where()}: scheme {name} has no tier bands for its score (tier_bands.csv)")
        one_level = ("bands", "rank", "rules", "cluster")
        if row["kind"] in one_level and [item["level_by"] for item in dimensions] != [row["kind"]]:
            problems.append(f"{row.where()}: a scheme of kind {row['kind']} has one dimension with that level_by")
        if row["kind"] == "quadrant":
            problems += _check_quadrants(row, dimensions, merged["quadrants"], levels)
        if row["kind"] == "cluster":
            problems += _check_cluster_tiers(row, merged["tiers"])
        for item in dimensions:
            method = item["level_by"]
            if method in levels and (name, item["dimension"]) not in levels[method]:
                problems.append(
                    f"{item.where()}: dimension {item['dimension']} of scheme {name} has no rows in {files[method]}.csv"
                )
            indicators = [
                use
                for use in merged["scheme_indicators"]
                if (use["scheme"], use["dimension"]) == (name, item["dimension"])
            ]
            if not indicators:
                problems.append(
                    f"{item.where()}: dimension {item['dimension']} of scheme {name} uses no indicator "
                    "(scheme_indicators.csv)"
                )
            if method == "cluster":
                problems += _check_clusters(row, item, indicators)
            elif item["measure"] == "log":
                problems.append(f"{item.where()}: measure log is for a dimension whose level_by is cluster; write raw")
            elif item["measure"] == "raw" and len(indicators) > 1:
                problems.append(f"{item.where()}: a raw dimension uses one indicator, {name} has {len(indicators)}")
            elif method == "rank" and len(indicators) > 1:
                problems.append(f"{item.where()}: a ranked dimension uses one indicator, {name} has {len(indicators)}")
            if item["measure"] in ("raw", "log"):
                problems += [
                    f"{use.where()}: {use['indicator']} is a name, a {item['measure']} dimension needs a number; "
                    "measure it by score"
                    for use in indicators
                    if use["indicator"] in level_indicator_names()
                ]
            if row["kind"] in ("quadrant", "axes") and method == "none":
                problems.append(f"{item.where()}: a dimension of a scheme of kind {row['kind']} needs a level_by")
            if item["measure"] == "score":
                problems += [
                    f"{use.where()}: indicator {use['indicator']} of scheme {name} has no scores "
                    "(score_bands.csv or level_scores.csv)"
                    for use in indicators
                    if (name, use["indicator"]) not in banded
                ]
            problems += [
                f"{use.where()}: missing is impute, so missing_score needs a value"
                for use in indicators
                if use["missing"] == "impute" and not use["missing_score"]
            ]
    return problems + _check_ranks(merged["ranks"]) + _check_conditions(merged["rules"])


def _check_quadrants(
    scheme: Row, dimensions: list[Row], quadrants: list[Row], levels: dict[str, dict[tuple[str, str], set[str]]]
) -> list[str]:
    """A quadrant scheme has two dimensions and a tier for each pair of their levels."""
    name = scheme["scheme"]
    rows = [row for row in quadrants if row["scheme"] == name]
    named = {(row["first_dimension"], row["second_dimension"]) for row in rows}
    methods = {row["dimension"]: row["level_by"] for row in dimensions}
    if len(methods) != 2 or len(named) != 1 or set(next(iter(named))) != set(methods):
        return [f"{scheme.where()}: a quadrant scheme has two dimensions, named in the same order in quadrants.csv"]
    first_levels, second_levels = (
        levels.get(methods[dimension], {}).get((name, dimension), set()) for dimension in next(iter(named))
    )
    given = {(row["first_level"], row["second_level"]) for row in rows}
    return [
        f"{scheme.where()}: quadrants.csv has no tier for {first}/{second} of scheme {name}"
        for first in sorted(first_levels)
        for second in sorted(second_levels)
        if (first, second) not in given
    ]


def _check_clusters(scheme: Row, dimension: Row, indicators: list[Row]) -> list[str]:
    """Clusters are the tiers of a scheme of their own, ranked by the one indicator that weighs most."""
    problems = []
    if scheme["kind"] != "cluster":
        problems.append(f"{dimension.where()}: level_by cluster needs a scheme of kind cluster, not {scheme['kind']}")
    weights = [Decimal(use["weight"]) for use in indicators]
    if weights and weights.count(max(weights)) > 1:
        problems.append(
            f"{dimension.where()}: clusters are ranked by the indicator that weighs most; in {scheme['scheme']} "
            f"{weights.count(max(weights))} indicators weigh {max(weights)}"
        )
    return problems


def _check_cluster_tiers(scheme: Row, tiers: list[Row]) -> list[str]:
    """A cluster scheme looks for as many clusters as it has tiers; the best gets tier_rank 1, and so on."""
    ranks = sorted(int(Decimal(row["tier_rank"])) for row in tiers if row["scheme"] == scheme["scheme"])
    if len(ranks) >= 2 and ranks == list(range(1, len(ranks) + 1)):
        return []
    return [
        f"{scheme.where()}: a scheme of kind cluster has two or more tiers in tiers.csv, ranked 1, 2, 3 …; "
        f"{scheme['scheme']} has {', '.join(map(str, ranks)) or 'none'}"
    ]


def _check_ranks(rows: list[Row]) -> list[str]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["scheme"], row["dimension"]].append(row)
    problems = []
    for name, group in groups.items():
        ordered = sorted(group, key=lambda row: Decimal(row["cumulative_share"]))
        if Decimal((largest := ordered[-1])["cumulative_share"]) != 1:
            problems.append(
                f"{largest.where()}: the largest cumulative_share of {' '.join(name)} is "
                f"{largest['cumulative_share']}, not 1"
            )
        problems += [
            f"{above.where()}: cumulative_share {above['cumulative_share']} of {' '.join(name)} "
            f"is already in line {below.line}"
            for below, above in pairwise(ordered)
            if Decimal(below["cumulative_share"]) == Decimal(above["cumulative_share"])
        ]
    return problems


def _check_conditions(rows: list[Row]) -> list[str]:
    """Every condition has what its operator compares, and the conditions of one rule lead to one tier."""
    problems = []
    names = level_indicator_names()
    tiers: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        operator, is_named = row["operator"], row["indicator"] in names
        if operator != "always" and not row["indicator"]:
            problems.append(f"{row.where()}: operator {operator!r} needs an indicator")
        if is_named and operator in _COMPARISONS and operator not in _NAME_COMPARISONS:
            problems.append(
                f"{row.where()}: {row['indicator']} is a name; compare it by {', '.join(_NAME_COMPARISONS)} or missing"
            )
        elif operator == "in" and row["indicator"] and not is_named:
            problems.append(f"{row.where()}: {row['indicator']} is a number; operator 'in' compares names")
        elif is_named and operator in _NAME_COMPARISONS:
            listed = row["value"].split("|") if operator == "in" else [row["value"]]
            if not all(listed) or any(name != name.strip() for name in listed):
                problems.append(
                    f"{row.where()}: value is {row['value']!r}; operator {operator!r} needs "
                    + ("names separated by |, without blanks" if operator == "in" else "a name")
                )
        elif operator in _COMPARISONS:
            number = as_decimal(row["value"])
            if number is None:
                problems.append(f"{row.where()}: value is {row['value']!r}; operator {operator!r} needs a number")
            elif not fits_column(number, BOUND):
                problems.append(f"{row.where()}: value is {row['value']}; up to 18 digits and 6 decimals")
        first = tiers.setdefault((row["scheme"], row["dimension"], int(Decimal(row["rule_order"]))), row)
        if row["tier"] != first["tier"]:
            problems.append(
                f"{row.where()}: rule {row['rule_order']} of {row['scheme']} {row['dimension']} leads to "
                f"{first['tier']} in line {first.line} and to {row['tier']} here"
            )
    return problems


def _check_stability(merged: dict[str, list[Row]], schemes: dict[str, Row]) -> list[str]:
    """Margins fit between the edges of an axis, and a tier can move at all."""
    problems = []
    for row in merged["stability"]:
        numbers = {
            column: Decimal(row[column])
            for column in ("enter_margin", "exit_margin", "min_dwell_days", "spend_change", "idle_months")
            if as_decimal(row[column]) is not None
        }
        problems += [
            f"{row.where()}: {name} is {number}; it cannot lie below 0"
            for name, number in numbers.items()
            if number < 0
        ]
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
