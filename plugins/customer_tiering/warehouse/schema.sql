-- Tables that the pipeline keeps beside the models. Nothing here holds a run's clock time: equal loads give equal rows.
create schema if not exists raw;          -- the accepted rows of each source: views of the input layer
create schema if not exists input_layer;  -- accepted rows of the input tables, typed, of every source
create schema if not exists gate;         -- the batch under validation; transient
create schema if not exists quarantine;   -- rows kept out, one table per source and input table
create schema if not exists rules;        -- versioned seeds
create schema if not exists state;        -- what the last accepted night published
create schema if not exists meta;

-- The input tables that each source maps.
create table if not exists meta.input_tables (source varchar, input_table varchar, primary key (source, input_table));

-- By which mapping the accepted rows of an input table were read.
create table if not exists meta.mappings (
    source varchar,
    input_table varchar,
    fingerprint varchar,
    primary key (source, input_table)
);

-- Invoices of which a payment waits in quarantine: whether they were paid is not known.
create table if not exists meta.waiting_payments (source varchar, invoice_id varchar);

-- The rules a run began with.
create table if not exists meta.runs (
    run_id varchar, as_of_date date, rules_version varchar not null,
    primary key (run_id, as_of_date)
);

-- The snapshot that schema state was filled from; null before the first night.
create table if not exists meta.accepted (snapshot varchar);

-- Which loads a run saw.
create table if not exists meta.run_loads (
    run_id varchar, as_of_date date, source varchar, load_id varchar,
    primary key (run_id, source, load_id)
);

-- A load is gated once per entity; the night that gated it accounts for it.
create table if not exists meta.gated_loads (
    source varchar, entity varchar, load_id varchar, as_of_date date not null,
    rows_in bigint not null, rows_kept bigint not null, rows_merged bigint not null, rows_quarantined bigint not null,
    primary key (source, entity, load_id)
);

-- How fresh each entity was on a night: newest load that brought rows of it, newest accepted date, days that it may lie
-- before the night (null where no rule says).
create table if not exists meta.source_freshness (
    as_of_date date, source varchar, entity varchar, source_label_en varchar, source_label_zh varchar,
    newest_load_id varchar, newest_load_at timestamp, newest_date date, max_age_days integer,
    primary key (as_of_date, source, entity)
);

-- Rows that left quarantine, by the night they left it.
create table if not exists meta.releases (
    source varchar, entity varchar, as_of_date date, rows_released bigint,
    primary key (source, entity, as_of_date)
);

-- Of those, the rows that a person let in, by decision: who, and why.
create table if not exists meta.decided_releases (
    source varchar, entity varchar, as_of_date date, decision_id varchar,
    owner varchar not null, reason varchar not null, rows_released bigint not null,
    primary key (source, entity, as_of_date, decision_id)
);

-- Rows flagged by repair rules; the models repair them.
create table if not exists meta.row_flags (
    source varchar, entity varchar, row_id varchar, rule varchar,
    primary key (source, entity, row_id, rule)
);

-- Centre and spread of log amounts that outlier rules compare with; fixed per night, so that a rerun agrees.
create table if not exists meta.outlier_statistics (
    as_of_date date, source varchar, entity varchar, column_name varchar,
    median_log double, mad_log double, row_count bigint,
    primary key (as_of_date, source, entity, column_name)
);

-- Why a row is kept out; a row can break several rules. Offending values of private columns are masked.
create table if not exists quarantine.failures (
    source varchar, entity varchar, row_id varchar, rule varchar, column_name varchar, offending_value varchar,
    reason_en varchar, reason_zh varchar, load_id varchar, first_seen date, last_seen date,
    primary key (source, entity, row_id, rule)
);

-- Which customer each record belongs to. The decision files of the company are the original; this is their copy.
create table if not exists meta.identity_decisions (
    number bigint primary key, night date not null, record_id varchar not null,
    source varchar not null, source_customer_id varchar not null,
    customer_id varchar not null, previous_customer_id varchar,
    method varchar not null, via_record_id varchar, agreed_keys varchar, match_weight decimal(9,2), model_version varchar
);

-- Pairs of customers that may be one, as the newest night saw them. No values of keys, only which ones agree.
create table if not exists meta.identity_review (
    left_record_id varchar, right_record_id varchar, left_customer_id varchar, right_customer_id varchar,
    reason varchar not null, agreed_keys varchar, match_weight decimal(9,2),
    primary key (left_record_id, right_record_id)
);

-- The promoted churn model, filled again before every build; empty until one is promoted. probability =
-- 1 / (1 + exp(-(slope * (intercept + sum(coefficient * (value - mean) / scale)) + calibration_offset))), where value is
-- the transformed feature, its imputation where it is missing, held between the bounds.
create table if not exists meta.churn_model (
    model_version varchar not null, horizon_days integer not null, trained_until date not null,
    intercept double not null, slope double not null, calibration_offset double not null
);
create table if not exists meta.churn_model_features (
    model_version varchar not null, feature varchar primary key, transform varchar not null,
    lower_bound double not null, upper_bound double not null, imputation double not null,
    mean double not null, scale double not null, coefficient double not null
);
