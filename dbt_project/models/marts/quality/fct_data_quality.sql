-- What became of the rows each night: rows in = kept + merged + quarantined, counted once, at the night that
-- gated the load. Releases from quarantine are counted apart, those that a person decided with who and why.
with loads as (

    select * from {{ source('pipeline', 'gated_loads') }}

),

releases as (

    select * from {{ source('pipeline', 'releases') }}

),

decided_releases as (

    select * from {{ source('pipeline', 'decided_releases') }}

),

decisions as (

    select
        as_of_date,
        source,
        entity,
        sum(rows_released) as rows_released_by_decision,
        {{ join_texts("decision_id || ' ' || owner || ': ' || reason", 'decision_id') }} as decided_by
    from decided_releases
    group by as_of_date, source, entity

),

accounts as (

    select
        as_of_date,
        source,
        entity,
        sum(rows_in) as rows_in,
        sum(rows_kept) as rows_kept,
        sum(rows_merged) as rows_merged,
        sum(rows_quarantined) as rows_quarantined,
        0 as rows_released
    from loads
    group by as_of_date, source, entity
    union all
    select
        as_of_date,
        source,
        entity,
        0 as rows_in,
        0 as rows_kept,
        0 as rows_merged,
        0 as rows_quarantined,
        rows_released
    from releases

),

totals as (

    select
        as_of_date,
        source,
        entity,
        cast(sum(rows_in) as bigint) as rows_in,
        cast(sum(rows_kept) as bigint) as rows_kept,
        cast(sum(rows_merged) as bigint) as rows_merged,
        cast(sum(rows_quarantined) as bigint) as rows_quarantined,
        cast(sum(rows_released) as bigint) as rows_released
    from accounts
    group by as_of_date, source, entity

)

select
    totals.as_of_date,
    totals.source,
    totals.entity,
    totals.rows_in,
    totals.rows_kept,
    totals.rows_merged,
    totals.rows_quarantined,
    totals.rows_released,
    cast(coalesce(decisions.rows_released_by_decision, 0) as bigint) as rows_released_by_decision,
    decisions.decided_by
from totals
left join decisions
    on
        totals.as_of_date = decisions.as_of_date
        and totals.source = decisions.source
        and totals.entity = decisions.entity
