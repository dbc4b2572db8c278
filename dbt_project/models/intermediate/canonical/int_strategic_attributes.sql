-- Strategic review of customers on each as-of date: the newest review up to it, over all sources and accounts.
with source as (

    select * from {{ ref('stg_strategic_attributes') }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

ranked as (

    select
        ids.customer_id,
        as_of_dates.as_of_date,
        cast(source.industry_rank as integer) as industry_rank,
        source.industry_growth,
        source.size_growth,
        source.demand_match,
        source.strategic_level,
        source.assets,
        source.industry_fit,
        source.digital_demand,
        source.reviewed_on,
        row_number() over (
            partition by ids.customer_id, as_of_dates.as_of_date
            order by source.reviewed_on desc, source.source_customer_id asc
        ) as review_rank
    from source
    inner join ids
        on
            source.customer_source = ids.source
            and source.source_customer_id = ids.source_customer_id
    inner join as_of_dates
        on source.reviewed_on <= as_of_dates.as_of_date

)

select
    customer_id,
    as_of_date,
    industry_rank,
    industry_growth,
    size_growth,
    demand_match,
    strategic_level,
    assets,
    industry_fit,
    digital_demand,
    reviewed_on
from ranked
where review_rank = 1
