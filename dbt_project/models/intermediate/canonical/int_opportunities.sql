-- Sales opportunities over all sources.
with source as (

    select * from {{ ref('stg_opportunities') }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.opportunity_id,
    ids.customer_id,
    source.opportunity_name,
    source.stage,
    source.company_size,
    source.budget,
    cast(source.industry_fit as decimal(18, 6)) as industry_fit,
    coalesce(source.has_decision_maker, false) as has_decision_maker,
    source.cooperation_depth,
    source.opened_on,
    source.closed_on
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
