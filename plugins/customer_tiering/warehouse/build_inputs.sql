-- What a build reads besides accepted rows: made again and filled before every build.

-- One row per night to compute: one on a night, many after missed nights and in a replay. Refilled by every build.
-- kind: run | caught_up | replayed, or baseline for the last accepted night, recomputed to tell corrections apart.
create or replace table meta.as_of_dates (
    as_of_date date primary key,
    rules_version varchar not null,
    kind varchar not null,
    spend_window_start date not null,
    spend_window_end date not null
);

-- Manual tiers, as configured for the profile; both days included.
create or replace table meta.tier_overrides (
    customer_id varchar, scheme varchar, tier varchar, owner varchar, reason varchar,
    valid_from date, expires_on date,
    primary key (customer_id, scheme, valid_from)
);

-- What the last accepted night before the ones being computed has published.
create or replace table state.nights (as_of_date date, rules_version varchar, kind varchar);

create or replace table state.tier_changes (
    customer_id varchar, scheme varchar, as_of_date date, from_tier varchar, to_tier varchar,
    direction varchar, reason varchar, cause varchar, annual_spend decimal(18, 2),
    from_score decimal(30, 12), to_score decimal(30, 12),
    data_points decimal(30, 12), correction_points decimal(30, 12), rule_points decimal(30, 12)
);

create or replace table state.customer_tiers (
    customer_id varchar, scheme varchar, as_of_date date, effective_tier varchar, tier_since date, reason varchar,
    score decimal(30, 12), computed_tier varchar, computed_cause varchar,
    tier_set_spend decimal(18, 2), tier_set_score decimal(30, 12),
    correction_points decimal(30, 12), rule_points decimal(30, 12)
);

-- Risk classes, to tell who is newly at risk, and who was told to be.
create or replace table state.churn_risks (
    customer_id varchar, as_of_date date, model_version varchar, risk_class varchar
);

create or replace table state.churn_risk_changes (
    customer_id varchar, as_of_date date, customer_name varchar, owner varchar, change varchar, cause varchar,
    previous_class varchar, risk_class varchar, probability decimal(12, 10)
);

-- On a night whose rules differ from the night before: its tiers under the old rules, so that the cause is known.
create or replace table state.tiers_under_old_rules (
    customer_id varchar, scheme varchar, as_of_date date, computed_tier varchar, score decimal(30, 12)
);
