-- What became of the rows each night: rows in = kept + merged + quarantined, counted once, at the night that
-- gated the load. Releases from quarantine are counted apart.
with loads as (

    select * from {{ source('pipeline', 'gated_loads') }}

),

releases as (

    select * from {{ source('pipeline', 'releases') }}

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

)

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
