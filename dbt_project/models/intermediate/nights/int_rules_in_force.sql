-- The rules version of the newest night: what labels and dimensions show.
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

ranked as (

    select
        rules_version,
        as_of_date,
        row_number() over (order by as_of_date desc) as newest_rank
    from as_of_dates

)

select
    rules_version,
    as_of_date
from ranked
where newest_rank = 1
